#include "scheduler/scheduler.h"

#include <fmt/format.h>

#include "apimachinery/json_text.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/object_builder.h"

namespace rusternetes::scheduler {

using namespace apimachinery;
using client::Resource;
using core_v1::Pod;

namespace {
constexpr Resource pods{"", "v1", "pods"}, nodes{"", "v1", "nodes"};
}

Scheduler::Scheduler(std::unique_ptr<client::ApiClient> client, SchedulerOptions options)
    : client_(std::move(client)), options_(std::move(options)), pods_(*client_, pods, {"", "", "status.phase!=Succeeded,status.phase!=Failed"}),
      nodes_(*client_, nodes), queue_(client_->executor(), {std::chrono::milliseconds(1000), std::chrono::milliseconds(10'000)}),
      events_(*client_, options_.scheduler_name), plugins_(default_plugins()), bind_wake_(client_->executor()), tasks_(client_->executor()) {
  pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
  nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
}

Scheduler::~Scheduler() = default;

void Scheduler::start() { tasks_.spawn("scheduler", run()); }
Task<> Scheduler::stop() { co_await tasks_.stop(); }

Task<> Scheduler::run() {
  events_.start(tasks_);
  nodes_.start(tasks_);
  co_await nodes_.wait_for_sync();
  pods_.start(tasks_);
  co_await pods_.wait_for_sync();
  for (int i = 0; i < options_.binders; ++i) tasks_.spawn("scheduler-binder", bind_loop());
  tasks_.spawn("scheduler-cycle", schedule_loop());
}

bool Scheduler::is_ours(const Document& pod) const {
  const Pod view(&pod.root());
  return view.spec().nodeName().empty() && view.spec().schedulerName() == options_.scheduler_name && !view.metadata().has_deletionTimestamp() &&
         view.spec().schedulingGates().empty();
}

void Scheduler::on_pod(const Document& before, const Document& now) {
  const std::string key = client::object_key(now ? now : before);
  const bool was_bound = before && !Pod(&before.root()).spec().nodeName().empty();
  const bool is_bound = now && !Pod(&now.root()).spec().nodeName().empty();
  if (is_bound) {
    cache_.set_pod(now);
    unschedulable_.erase(key);
    queue_.forget(key);
  } else if (!now) {
    unschedulable_.erase(key);
    queue_.forget(key);
    if (was_bound) cache_.remove_pod(before);
    else cache_.forget(before);
    retry_unschedulable();  // room, perhaps
  } else if (is_ours(now) && !cache_.is_assumed(client::uid_of(now))) {
    // Its own status, which we write, is no reason to try again.
    const bool is_new = !before || !is_ours(before);
    const Value *spec_now = now.root().get(Pod::f_spec), *spec_before = before ? before.root().get(Pod::f_spec) : nullptr;
    if (is_new || !unschedulable_.contains(key) || !spec_before || !equal(*spec_now, *spec_before)) queue_.add(key);
  }
}

void Scheduler::on_node(const Document& before, const Document& now) {
  if (now) cache_.set_node(now);
  else cache_.remove_node(client::name_of(before));
  // Only what a plugin looks at lets Pods hope again; heartbeats do not.
  const core_v1::Node then(before ? &before.root() : nullptr), view(now ? &now.root() : nullptr);
  auto differs = [](const Value* a, const Value* b) { return !a != !b || (a && !equal(*a, *b)); };
  if (now && (!before || differs(view.spec().value(), then.spec().value()) || differs(view.status().allocatable().value(), then.status().allocatable().value()) ||
              differs(view.metadata().labels().value(), then.metadata().labels().value())))
    retry_unschedulable();
}

void Scheduler::retry_unschedulable() {
  for (const auto& key : unschedulable_) queue_.add(key);
}

Task<> Scheduler::schedule_loop() {
  for (;;) {
    const std::string key = co_await queue_.next();
    const Document pod = pods_.get(key);
    if (pod && is_ours(pod) && !cache_.is_assumed(client::uid_of(pod))) {
      const Placement placement = place_pod(Pod(&pod.root()), cache_, plugins_, turn_++);
      if (placement.node) {
        unschedulable_.erase(key);
        cache_.assume(pod, *placement.node);
        to_bind_.emplace_back(pod, *placement.node);
        bind_wake_.set();
      } else {
        const bool is_known = !unschedulable_.insert(key).second;
        bool is_told = false;
        for (const auto condition : Pod(&pod.root()).status().conditions())
          is_told |= condition.type() == "PodScheduled" && condition.message() == placement.message;
        if (!is_known || !is_told) co_await refuse(pod, placement.message);
        queue_.add_after(key, std::chrono::minutes(5));
      }
    }
    queue_.done(key);
  }
}

Task<> Scheduler::bind_loop() {
  for (;;) {
    while (to_bind_.empty()) co_await bind_wake_.wait();
    auto [pod, node] = std::move(to_bind_.front());
    to_bind_.pop_front();
    if (!to_bind_.empty()) bind_wake_.set();
    co_await bind(pod, node);
  }
}

Task<> Scheduler::bind(Document pod, std::string node) {
  const Pod view(&pod.root());
  const std::string name(view.metadata().name()), name_space(view.metadata().namespace_()), key = client::object_key(pod);
  client::ObjectBuilder builder(core_v1::Binding::schema_type());
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), core_v1::Binding::f_metadata);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_name, name);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_namespace_, name_space);
  set_string(arena, metadata, meta_v1::ObjectMeta::f_uid, view.metadata().uid());
  Value& target = ensure(arena, builder.root(), core_v1::Binding::f_target);
  set_string(arena, target, core_v1::ObjectReference::f_kind, "Node");
  set_string(arena, target, core_v1::ObjectReference::f_name, node);
  auto bound = co_await client_->create(pods, name_space, name, "binding", builder.freeze(), {});
  if (!bound) {
    cache_.forget(pod);
    log::warn("scheduler", "{} was not bound to {}: {}", key, node, bound.error().message);
    queue_.add_rate_limited(key);
    co_return;
  }
  events_.normal(pod, "v1", "Pod", "Scheduled", fmt::format("Successfully assigned {} to {}", key, node));
}

// The condition and the event that `kubectl describe pod` shows for a Pod without a place.
Task<> Scheduler::refuse(Document pod, std::string message) {
  const Pod view(&pod.root());
  std::string quoted;
  append_json_string(quoted, message);
  const std::string body = fmt::format(
      R"({{"status":{{"conditions":[{{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":{},"lastTransitionTime":"{}"}}]}}}})", quoted,
      format_time(to_microseconds(std::chrono::system_clock::now())));
  auto patched = co_await client_->patch(pods, std::string(view.metadata().namespace_()), std::string(view.metadata().name()), "status", client::PatchType::strategic, body, {});
  if (!patched && !patched.error().is("NotFound")) log::debug("scheduler", "{}: {}", client::object_key(pod), patched.error().message);
  events_.warning(pod, "v1", "Pod", "FailedScheduling", message);
}

}  // namespace rusternetes::scheduler
