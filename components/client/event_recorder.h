#pragma once
// Events about objects, as `kubectl describe` shows them (client-go's recorder: the same event is counted, not repeated).
// Recording never blocks and never fails; what cannot be written is dropped and logged.

#include <deque>
#include <map>
#include <string>

#include "base/clock.h"
#include "client/api_client.h"

namespace rusternetes::client {

class EventRecorder {
 public:
  // `component` as in "kubelet"; `host` as in Event.source.host.
  EventRecorder(ApiClient& client, std::string component, std::string host = {}, const Clock& clock = Clock::system());
  void start(TaskGroup& tasks);
  // `object` of any kind; `api_version` and `kind` since documents do not carry them. `field_path` as in
  // spec.containers{web}.
  void normal(const Document& object, std::string_view api_version, std::string_view kind, std::string reason,
              std::string message, std::string field_path = {});
  void warning(const Document& object, std::string_view api_version, std::string_view kind, std::string reason,
               std::string message, std::string field_path = {});

 private:
  struct Pending {
    std::string type, reason, message, field_path, api_version, kind, name_space, name, uid, resource_version;
    std::int64_t at_us = 0;
  };
  void record(Pending event, const Document& object);
  Task<> run();
  Task<> send(Pending event);
  ApiClient& client_;
  std::string component_, host_;
  const Clock& clock_;
  AsyncEvent wake_;
  std::deque<Pending> queue_;
  struct Seen {
    std::string name, name_space;
    int count = 0;
    std::int64_t first_us = 0;
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace rusternetes::client
