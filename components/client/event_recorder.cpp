#include "client/event_recorder.h"

#include <fmt/format.h>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "base/log.h"
#include "client/informer.h"
#include "client/object_builder.h"

namespace rusternetes::client {

using namespace apimachinery;
using core_v1::Event;

namespace {
constexpr std::size_t queue_limit = 1000;
constexpr std::size_t seen_limit = 4096;
constexpr Resource events{"", "v1", "events"};
}  // namespace

EventRecorder::EventRecorder(ApiClient& client, std::string component, std::string host, const Clock& clock)
    : client_(client), component_(std::move(component)), host_(std::move(host)), clock_(clock), wake_(client.executor()) {}

void EventRecorder::start(TaskGroup& tasks) { tasks.spawn("event-recorder", run()); }

void EventRecorder::normal(const Document& object, std::string_view api_version, std::string_view kind, std::string reason,
                           std::string message, std::string field_path) {
  record({"Normal", std::move(reason), std::move(message), std::move(field_path), std::string(api_version), std::string(kind), {}, {}, {}, {}, 0}, object);
}
void EventRecorder::warning(const Document& object, std::string_view api_version, std::string_view kind, std::string reason,
                            std::string message, std::string field_path) {
  record({"Warning", std::move(reason), std::move(message), std::move(field_path), std::string(api_version), std::string(kind), {}, {}, {}, {}, 0}, object);
}

void EventRecorder::record(Pending event, const Document& object) {
  if (queue_.size() >= queue_limit) return;
  event.name_space = namespace_of(object);
  event.name = name_of(object);
  event.uid = uid_of(object);
  event.resource_version = meta_v1::ObjectMeta(object.root().get(2)).resourceVersion();
  event.at_us = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now().time_since_epoch()).count();
  queue_.push_back(std::move(event));
  wake_.set();
}

Task<> EventRecorder::run() {
  for (;;) {
    while (queue_.empty()) co_await wake_.wait();
    Pending event = std::move(queue_.front());
    queue_.pop_front();
    co_await send(std::move(event));
  }
}

Task<> EventRecorder::send(Pending event) {
  const std::string name_space = event.name_space.empty() ? "default" : event.name_space;
  const std::string identity = fmt::format("{}|{}|{}|{}|{}|{}", event.uid, event.name, event.type, event.reason, event.message, event.field_path);
  if (seen_.size() > seen_limit) seen_.clear();
  Seen& seen = seen_[identity];
  ++seen.count;
  if (seen.count > 1) {
    const std::string body = fmt::format("{{\"count\":{},\"lastTimestamp\":\"{}\"}}", seen.count, [&] {
      std::string text;
      encode_json_any(text, Value::of_time(event.at_us));
      return text.substr(1, text.size() - 2);
    }());
    auto patched = co_await client_.patch(events, name_space, seen.name, "", PatchType::merge, body, {});
    if (patched || !patched.error().is("NotFound")) co_return;
    seen.count = 1;
  }
  seen.first_us = event.at_us;
  seen.name = fmt::format("{}.{:x}", event.name.empty() ? "event" : event.name, event.at_us * 1000);
  ObjectBuilder builder(Event::schema_type());
  Arena& arena = builder.arena();
  Value& root = builder.root();
  Value& metadata = ensure(arena, root, Event::f_metadata);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_name, seen.name);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_, name_space);
  Value& target = ensure(arena, root, Event::f_involvedObject);
  using R = core_v1::ObjectReference;
  const std::pair<int, const std::string*> parts[] = {{R::f_kind, &event.kind}, {R::f_namespace_, &event.name_space}, {R::f_name, &event.name},
      {R::f_uid, &event.uid}, {R::f_apiVersion, &event.api_version}, {R::f_resourceVersion, &event.resource_version}, {R::f_fieldPath, &event.field_path}};
  for (const auto& [field, text] : parts)
    if (!text->empty()) set_string(arena, target, field, *text);
  set_string(arena, root, Event::f_reason, event.reason);
  set_string(arena, root, Event::f_message, event.message.substr(0, 1024));
  set_string(arena, root, Event::f_type, event.type);
  Value& source = ensure(arena, root, Event::f_source);
  set_string(arena, source, core_v1::EventSource::f_component, component_);
  if (!host_.empty()) set_string(arena, source, core_v1::EventSource::f_host, host_);
  set_string(arena, root, Event::f_reportingComponent, component_);
  if (!host_.empty()) set_string(arena, root, Event::f_reportingInstance, host_);
  set_integer(arena, root, Event::f_count, 1);
  const std::int64_t second = event.at_us - event.at_us % 1'000'000;
  set_time(arena, root, Event::f_firstTimestamp, second);
  set_time(arena, root, Event::f_lastTimestamp, second);
  auto created = co_await client_.create(events, name_space, "", "", builder.freeze(), {});
  if (!created) log::debug("events", "an event of {} was not written: {}", event.name, created.error().message);
}

}  // namespace rusternetes::client
