#pragma once
// The ServiceCIDR "kubernetes", which says what --service-cluster-ip-range says
// (pkg/controlplane/controller/defaultservicecidr, KEP-1880): made again when it has gone, ready as long as
// nobody says otherwise, given a second family when the flag has one. One that says something else than the
// flag stays, and people are told.

#include <memory>
#include <string>
#include <vector>

#include "api-server/cache/cacher.h"
#include "client/event_recorder.h"

namespace rusternetes::api_server {

class DefaultServiceCidr {
 public:
  // `cacher` and `clock` outlive it; `client` may do anything, and it lives on its executor.
  DefaultServiceCidr(Cacher& cacher, std::unique_ptr<client::ApiClient> client,
                     std::vector<std::string> cidrs, const Clock& clock);
  void start();
  Task<> stop();

  Task<Result<void>> sync();

 private:
  Task<> run();
  Task<Result<void>> settle(apimachinery::Document present);
  void tell_once(const apimachinery::Document& about, std::string reason, std::string message);

  Cacher& cacher_;
  std::unique_ptr<client::ApiClient> client_;
  std::vector<std::string> cidrs_;
  const Clock& clock_;
  client::EventRecorder recorder_;
  std::shared_ptr<AsyncEvent> wake_;
  std::string told_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_server
