#pragma once
// The api-server's own numbers under the names of Kubernetes' stable metrics, and the small helpers of responses.

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "api-server/server.h"

namespace rusternetes::api_server {

class RequestMetrics {
 public:
  void record(const RequestInfo& info, const apimachinery::Kind* kind, int code, std::chrono::nanoseconds took);
  // In the text form that Prometheus scrapes.
  std::string text() const;

 private:
  struct Series {
    std::uint64_t count = 0;
    double seconds = 0;
    std::array<std::uint64_t, 12> buckets{};
  };
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> requests_;  // by the label text
  std::map<std::string, Series> durations_;
};

// gzip for clients elsewhere that take it; a peer on the same host pays more for it than it saves.
void compress(const HandlerContext& context, http::ResponseHead& head, Encoded& encoded);

}  // namespace rusternetes::api_server
