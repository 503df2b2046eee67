#pragma once
// Events about objects, as `kubectl describe` shows them. Recording never blocks and never fails; what cannot
// be written is dropped and logged. The same event is counted, not repeated (event_correlator.h).

#include <chrono>
#include <deque>
#include <string>

#include "base/clock.h"
#include "client/api_client.h"
#include "client/event_correlator.h"

namespace rusternetes::client {

class EventRecorder {
 public:
  // `component` as in "kubelet"; `host` as in Event.source.host.
  EventRecorder(ApiClient& client, std::string component, std::string host = {},
                const Clock& clock = Clock::system());
  void start(TaskGroup& tasks);
  // `object` of any kind; `api_version` and `kind` since documents do not carry them. `field_path` as in
  // spec.containers{web}.
  void normal(const Document& object, std::string_view api_version, std::string_view kind, std::string reason,
              std::string message, std::string field_path = {});
  void warning(const Document& object, std::string_view api_version, std::string_view kind,
               std::string reason, std::string message, std::string field_path = {});
  // How often a server that cannot be reached is tried, and how long it is waited between.
  void set_retry(int tries, std::chrono::milliseconds pause) { tries_ = tries, pause_ = pause; }

 private:
  void record(RecordedEvent event, const Document& object);
  Task<> run();
  Task<> send(RecordedEvent event);
  Task<Result<std::string>> write(RecordedEvent event, EventCorrelator::Decision decision);
  Document build(const RecordedEvent& event, const EventCorrelator::Decision& decision,
                 const std::string& name) const;
  ApiClient& client_;
  std::string component_, host_;
  const Clock& clock_;
  int tries_ = 12;
  std::chrono::milliseconds pause_{10'000};
  AsyncEvent wake_;
  std::deque<RecordedEvent> queue_;
  EventCorrelator correlator_;
};

}  // namespace rusternetes::client
