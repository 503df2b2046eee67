#include "scheduler/scheduler.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "apimachinery/json_text.h"
#include "apimachinery/time.h"
#include "base/log.h"
#include "client/guarded.h"
#include "client/object_builder.h"

namespace rusternetes::scheduler {

using namespace apimachinery;
using client::Resource;
using core_v1::Pod;

namespace {
constexpr Resource pods{"", "v1", "pods"}, nodes{"", "v1", "nodes"}, namespaces{"", "v1", "namespaces"};

bool differs(const Value* a, const Value* b) { return !a != !b || (a && !equal(*a, *b)); }
}  // namespace

Scheduler::Scheduler(std::unique_ptr<client::ApiClient> client, SchedulerOptions options)
    : client_(std::move(client)),
      options_(std::move(options)),
      pods_(*client_, pods, {"", "", "status.phase!=Succeeded,status.phase!=Failed"}),
      nodes_(*client_, nodes),
      namespaces_(*client_, namespaces),
      queue_(client_->executor(), {std::chrono::milliseconds(1000), std::chrono::milliseconds(10'000),
                                   [this](const std::string& key) { return priority_of(key); }}),
      refusals_(client_->executor()),
      events_(*client_, options_.scheduler_name),
      plugins_(default_plugins()),
      bind_wake_(client_->executor()),
      tasks_(client_->executor()) {
  pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
  nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
  namespaces_.add_handler(
      {[this](const Document& before, const Document& now) { on_namespace(before, now); }});
}

Scheduler::~Scheduler() = default;

void Scheduler::start() { tasks_.spawn("scheduler", run()); }
Task<> Scheduler::stop() { co_await tasks_.stop(); }

Task<> Scheduler::run() {
  events_.start(tasks_);
  nodes_.start(tasks_);
  namespaces_.start(tasks_);
  co_await nodes_.wait_for_sync();
  co_await namespaces_.wait_for_sync();
  pods_.start(tasks_);
  co_await pods_.wait_for_sync();
  for (int i = 0; i < options_.binders; ++i) tasks_.spawn("scheduler-binder", bind_loop());
  for (int i = 0; i < options_.refusers; ++i) tasks_.spawn("scheduler-refuser", refuse_loop());
  tasks_.spawn("scheduler-cycle", schedule_loop());
}

// PrioritySort: the higher priority first, then who came first.
std::int64_t Scheduler::priority_of(const std::string& key) const {
  const Document pod = pods_.get(key);
  return pod ? Pod(&pod.root()).spec().priority() : 0;
}

bool Scheduler::is_ours(const Document& pod) const {
  const Pod view(&pod.root());
  return view.spec().nodeName().empty() && view.spec().schedulerName() == options_.scheduler_name &&
         !view.metadata().has_deletionTimestamp() && view.spec().schedulingGates().empty();
}

void Scheduler::forget_key(const std::string& key) {
  unschedulable_.erase(key);
  to_refuse_.erase(key);
  queue_.forget(key);
}

void Scheduler::on_pod(const Document& before, const Document& now) {
  const std::string key = client::object_key(now ? now : before);
  const Pod then(before ? &before.root() : nullptr), view(now ? &now.root() : nullptr);
  const bool was_bound = !then.spec().nodeName().empty(), is_bound = !view.spec().nodeName().empty();
  if (is_bound) {
    cache_.set_pod(now);
    forget_key(key);
    // One that is going no longer counts where Pods are spread.
    if (!was_bound || differs(view.metadata().labels().value(), then.metadata().labels().value()) ||
        view.metadata().has_deletionTimestamp() != then.metadata().has_deletionTimestamp())
      retry_who_waits_for_pods();
  } else if (!now) {
    forget_key(key);
    const bool had_room = was_bound || cache_.is_assumed(client::uid_of(before));
    if (was_bound)
      cache_.remove_pod(before);
    else
      cache_.forget(before);
    if (had_room) retry_unschedulable();
  } else if (is_ours(now) && !cache_.is_assumed(client::uid_of(now))) {
    // Its own status, which we write, is no reason to try again.
    const bool is_new = !before || !is_ours(before);
    const Value *spec_now = now.root().get(Pod::f_spec),
                *spec_before = before ? before.root().get(Pod::f_spec) : nullptr;
    const bool has_other_labels = differs(view.metadata().labels().value(), then.metadata().labels().value());
    if (is_new || !unschedulable_.contains(key) || has_other_labels || differs(spec_now, spec_before))
      queue_.add(key);
  }
}

void Scheduler::on_node(const Document& before, const Document& now) {
  if (now)
    cache_.set_node(now);
  else
    cache_.remove_node(client::name_of(before));
  // Only what a plugin looks at lets Pods hope again; heartbeats do not.
  const core_v1::Node then(before ? &before.root() : nullptr), view(now ? &now.root() : nullptr);
  if (now && (!before || differs(view.spec().value(), then.spec().value()) ||
              differs(view.status().allocatable().value(), then.status().allocatable().value()) ||
              differs(view.metadata().labels().value(), then.metadata().labels().value())))
    retry_unschedulable();
  else if (!now)
    retry_who_waits_for_pods();  // a domain less over which Pods are to be spread, perhaps
}

void Scheduler::on_namespace(const Document& before, const Document& now) {
  if (now)
    cache_.set_namespace(now);
  else
    cache_.remove_namespace(client::name_of(before));
  using core_v1::Namespace;
  const Value* labels = now ? Namespace(&now.root()).metadata().labels().value() : nullptr;
  const Value* old_labels = before ? Namespace(&before.root()).metadata().labels().value() : nullptr;
  if (differs(labels, old_labels)) retry_who_waits_for_pods();
}

void Scheduler::retry_unschedulable() {
  for (const auto& [key, waiting] : unschedulable_) queue_.add(key);
}

void Scheduler::retry_who_waits_for_pods() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [key, waiting] : unschedulable_)
    if (waiting.heeds_pods) queue_.add_after(key, waiting.tried_at + options_.pod_backoff - now);
}

Task<> Scheduler::schedule_loop() {
  for (;;) {
    const std::string key = co_await queue_.next();
    try {
      schedule(key);
    } catch (...) {  // one Pod must not end the scheduling of all others
      log::error("scheduler", "{}: {}", key, client::text_of(std::current_exception()));
      queue_.add_rate_limited(key);
    }
    queue_.done(key);
    // Others share the thread: those who bind, for one. A long queue must not keep it.
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  }
}

void Scheduler::schedule(const std::string& key) {
  const Document pod = pods_.get(key);
  if (!pod || !is_ours(pod)) return forget_key(key);
  if (cache_.is_assumed(client::uid_of(pod))) return;
  Placement placement = place_pod(Pod(&pod.root()), cache_, plugins_, turn_++);
  if (placement.node)
    place(key, pod, *placement.node);
  else
    set_aside(key, pod, std::move(placement));
}

void Scheduler::place(const std::string& key, const Document& pod, const std::string& node) {
  unschedulable_.erase(key);
  to_refuse_.erase(key);
  cache_.assume(pod, node);
  if (refusing_.contains(key)) {
    bind_afterwards_[key] = {pod, node};
    return;
  }
  to_bind_.emplace_back(pod, node);
  bind_wake_.set();
}

void Scheduler::set_aside(const std::string& key, const Document& pod, Placement placement) {
  const auto known = unschedulable_.find(key);
  bool is_told = to_refuse_.contains(key) || refusing_.contains(key);
  for (const auto condition : Pod(&pod.root()).status().conditions())
    is_told |= condition.type() == "PodScheduled" && condition.message() == placement.message;
  if (known == unschedulable_.end() || known->second.message != placement.message || !is_told) {
    to_refuse_[key] = {pod, placement.message};
    refusals_.add(key);
  }
  unschedulable_[key] = {std::move(placement.message), placement.heeds_pods,
                         std::chrono::steady_clock::now()};
  queue_.add_after(key, std::chrono::minutes(5));
}

Task<> Scheduler::refuse_loop() {
  for (;;) {
    const std::string key = co_await refusals_.next();
    if (auto refusal = to_refuse_.extract(key)) {
      refusing_.insert(key);
      Decision decision = std::move(refusal.mapped());
      co_await refuse(std::move(decision.first), std::move(decision.second));
      refusing_.erase(key);
      if (auto binding = bind_afterwards_.extract(key)) {
        to_bind_.push_back(std::move(binding.mapped()));
        bind_wake_.set();
      }
    }
    refusals_.done(key);
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

Task<Result<Document>> Scheduler::write_binding(Document pod, std::string node) {
  const auto metadata = Pod(&pod.root()).metadata();
  const std::string name(metadata.name()), name_space(metadata.namespace_());
  client::ObjectBuilder builder(core_v1::Binding::schema_type());
  Arena& arena = builder.arena();
  Value& meta = ensure(arena, builder.root(), core_v1::Binding::f_metadata);
  set_string(arena, meta, meta_v1::ObjectMeta::f_name, name);
  set_string(arena, meta, meta_v1::ObjectMeta::f_namespace_, name_space);
  set_string(arena, meta, meta_v1::ObjectMeta::f_uid, metadata.uid());
  Value& target = ensure(arena, builder.root(), core_v1::Binding::f_target);
  set_string(arena, target, core_v1::ObjectReference::f_kind, "Node");
  set_string(arena, target, core_v1::ObjectReference::f_name, node);
  std::exception_ptr thrown;
  try {
    co_return co_await client_->create(pods, name_space, name, "binding", builder.freeze(), {});
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return client::caught(thrown, tasks_);
}

Task<> Scheduler::bind(Document pod, std::string node) {
  const std::string key = client::object_key(pod);
  auto bound = co_await write_binding(pod, node);
  if (!bound) {
    log::warn("scheduler", "{} was not bound to {}: {}", key, node, bound.error().message);
    cache_.forget(pod);
    retry_unschedulable();  // the room that it was thought to take is free
    queue_.add_rate_limited(key);
    co_return;
  }
  events_.normal(pod, "v1", "Pod", "Scheduled", fmt::format("Successfully assigned {} to {}", key, node));
}

Task<Result<Document>> Scheduler::write_condition(Document pod, std::string message) {
  const auto metadata = Pod(&pod.root()).metadata();
  std::string quoted;
  append_json_string(quoted, message);
  const std::string body = fmt::format(
      R"({{"status":{{"conditions":[{{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":{},)"
      R"("lastTransitionTime":"{}"}}]}}}})",
      quoted, format_time(to_microseconds(std::chrono::system_clock::now())));
  const std::string name(metadata.name()), name_space(metadata.namespace_());
  std::exception_ptr thrown;
  try {
    co_return co_await client_->patch(pods, name_space, name, "status", client::PatchType::strategic, body,
                                      {});
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return client::caught(thrown, tasks_);
}

// The condition and the event that `kubectl describe pod` shows for a Pod without a place.
Task<> Scheduler::refuse(Document pod, std::string message) {
  auto patched = co_await write_condition(pod, message);
  if (!patched && !patched.error().is("NotFound"))
    log::debug("scheduler", "{}: {}", client::object_key(pod), patched.error().message);
  events_.warning(pod, "v1", "Pod", "FailedScheduling", message);
}

}  // namespace rusternetes::scheduler
