#pragma once
// Requests that stay (watches, streams, proxies), counted while they run: apiserver_longrunning_requests.

#include <map>
#include <mutex>
#include <string>

#include "api-server/request_info.h"

namespace rusternetes::api_server {

// exec, attach, portforward, proxy and log: what Kubernetes' metrics call CONNECT.
bool is_connect(const RequestInfo& info);

class LongRunning {
 public:
  class Mark {
   public:
    Mark(LongRunning& all, std::string labels);
    ~Mark();
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    LongRunning& all_;
    std::string labels_;
  };
  static std::string labels(const RequestInfo& info);
  // In the text form that Prometheus scrapes.
  std::string text() const;

 private:
  void add(const std::string& labels, int by);
  mutable std::mutex mutex_;
  std::map<std::string, int> running_;
};

}  // namespace rusternetes::api_server
