#include "client/event_recorder.h"

#include <fmt/format.h>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json_text.h"
#include "apimachinery/names.h"
#include "apimachinery/time.h"
#include "apimachinery/uid.h"
#include "base/log.h"
#include "client/informer.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;
using core_v1::Event;

namespace {

constexpr std::size_t queue_limit = 1000;
constexpr std::size_t message_limit_bytes = 1024;
constexpr Resource events{"", "v1", "events"};

// At most so many bytes, and no character cut in two.
std::string shortened(std::string text) {
  if (text.size() <= message_limit_bytes) return text;
  std::size_t end = message_limit_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

// The object's name and the time in nanoseconds, or something unique where that is no name.
std::string event_name(const RecordedEvent& event) {
  std::string name = fmt::format("{}.{:x}", event.name, event.at_us * 1000);
  return is_dns1123_subdomain(name).empty() ? name : new_uid();
}

// What the caller says of an event; record() adds the object and the time.
RecordedEvent begin_event(std::string_view type, std::string_view api_version, std::string_view kind, std::string reason,
                          std::string message, std::string field_path) {
  RecordedEvent event;
  event.type = type;
  event.reason = std::move(reason);
  event.message = std::move(message);
  event.field_path = std::move(field_path);
  event.api_version = api_version;
  event.kind = kind;
  return event;
}

bool is_unreachable(const Status& error) {
  return error.is("ConnectionRefused") || error.is("ConnectionFailed") || error.is("ConnectionLost");
}

}  // namespace

EventRecorder::EventRecorder(ApiClient& client, std::string component, std::string host, const Clock& clock)
    : client_(client),
      component_(std::move(component)),
      host_(std::move(host)),
      clock_(clock),
      wake_(client.executor()) {}

void EventRecorder::start(TaskGroup& tasks) { tasks.spawn("event-recorder", run()); }

void EventRecorder::normal(const Document& object, std::string_view api_version, std::string_view kind,
                           std::string reason, std::string message, std::string field_path) {
  record(begin_event("Normal", api_version, kind, std::move(reason), std::move(message), std::move(field_path)), object);
}
void EventRecorder::warning(const Document& object, std::string_view api_version, std::string_view kind,
                            std::string reason, std::string message, std::string field_path) {
  record(begin_event("Warning", api_version, kind, std::move(reason), std::move(message), std::move(field_path)), object);
}

void EventRecorder::record(RecordedEvent event, const Document& object) {
  if (queue_.size() >= queue_limit) {
    log::debug("events", "an event of {} is dropped: too many wait", name_of(object));
    return;
  }
  event.name_space = namespace_of(object);
  event.name = name_of(object);
  event.uid = uid_of(object);
  event.resource_version =
      meta_v1::ObjectMeta(object.root().get(object.type().find("metadata"))).resourceVersion();
  event.message = shortened(std::move(event.message));
  event.at_us = to_microseconds(clock_.now());
  queue_.push_back(std::move(event));
  wake_.set();
}

Task<> EventRecorder::run() {
  for (;;) {
    while (queue_.empty()) co_await wake_.wait();
    RecordedEvent event = std::move(queue_.front());
    queue_.pop_front();
    co_await send(std::move(event));
  }
}

Task<> EventRecorder::send(RecordedEvent event) {
  const auto decision = correlator_.decide(event, clock_.steady_now());
  if (!decision) co_return;
  for (int tried = 1;; ++tried) {
    auto name = co_await write(event, *decision);
    if (name) {
      correlator_.written(*decision, *name);
      co_return;
    }
    if (!is_unreachable(name.error()) || tried >= tries_) {
      log::debug("events", "an event of {} was not written: {}", event.name, name.error().message);
      co_return;
    }
    co_await sleep_for(pause_);
  }
}

// Counts in the Event that is there, or makes it (also anew, when it has expired meanwhile). The Event's
// name.
Task<Result<std::string>> EventRecorder::write(RecordedEvent event, EventCorrelator::Decision decision) {
  const std::string name_space = event.name_space.empty() ? "default" : event.name_space;
  if (!decision.name.empty()) {
    std::string message;
    append_json_string(message, decision.message);
    const std::string body = fmt::format(R"({{"count":{},"lastTimestamp":"{}","message":{}}})",
                                         decision.count, format_time(event.at_us), message);
    auto patched =
        co_await client_.patch(events, name_space, decision.name, "", PatchType::strategic, body, {});
    if (patched) co_return decision.name;
    if (!patched.error().is("NotFound")) co_return patched.error();
  }
  const std::string name = decision.name.empty() ? event_name(event) : decision.name;
  auto created = co_await client_.create(events, name_space, "", "", build(event, decision, name), {});
  if (!created) co_return created.error();
  co_return name;
}

Document EventRecorder::build(const RecordedEvent& event, const EventCorrelator::Decision& decision,
                              const std::string& name) const {
  ObjectBuilder builder(Event::schema_type());
  Arena& arena = builder.arena();
  Value& root = builder.root();
  Value& metadata = ensure(arena, root, Event::f_metadata);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_name, name);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_,
             event.name_space.empty() ? "default" : event.name_space);
  Value& target = ensure(arena, root, Event::f_involvedObject);
  using R = core_v1::ObjectReference;
  const std::pair<int, const std::string*> parts[] = {{R::f_kind, &event.kind},
                                                      {R::f_namespace_, &event.name_space},
                                                      {R::f_name, &event.name},
                                                      {R::f_uid, &event.uid},
                                                      {R::f_apiVersion, &event.api_version},
                                                      {R::f_resourceVersion, &event.resource_version},
                                                      {R::f_fieldPath, &event.field_path}};
  for (const auto& [field, text] : parts)
    if (!text->empty()) set_string(arena, target, field, *text);
  set_string(arena, root, Event::f_reason, event.reason);
  set_string(arena, root, Event::f_message, decision.message);
  set_string(arena, root, Event::f_type, event.type);
  Value& source = ensure(arena, root, Event::f_source);
  set_string(arena, source, core_v1::EventSource::f_component, component_);
  if (!host_.empty()) set_string(arena, source, core_v1::EventSource::f_host, host_);
  set_string(arena, root, Event::f_reportingComponent, component_);
  if (!host_.empty()) set_string(arena, root, Event::f_reportingInstance, host_);
  set_integer(arena, root, Event::f_count, decision.count);
  const auto whole_second = [](std::int64_t at_us) { return at_us - at_us % 1'000'000; };
  set_time(arena, root, Event::f_firstTimestamp, whole_second(decision.first_us));
  set_time(arena, root, Event::f_lastTimestamp, whole_second(event.at_us));
  return builder.freeze();
}

}  // namespace rusternetes::client
