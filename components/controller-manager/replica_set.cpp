// ReplicaSets: as many Pods as wanted, no more (pkg/controller/replicaset).

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/apps_v1.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"
#include "controller-manager/replica_set_expectations.h"
#include "controller-manager/replica_set_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::ReplicaSet;
using client::Resource;

namespace {

constexpr Resource replica_sets{"apps", "v1", "replicasets"}, pods{"", "v1", "pods"};

class ReplicaSetController final : public Controller, public client::Reconciler {
 public:
  explicit ReplicaSetController(Context& context)
      : client_(context.make_client("replicaset-controller")),
        sets_(context.informer(replica_sets)),
        pods_(context.informer(pods)),
        loop_("replicaset-controller", client_->executor(), *this, 5),
        events_(*client_, "replicaset-controller"),
        clock_(*context.options.clock) {
    sets_.add_handler({[this](const Document& before, const Document& now) {
      const std::string key = client::object_key(now ? now : before);
      if (!now || (before && client::uid_of(before) != client::uid_of(now))) expectations_.forget(key);
      loop_.queue().add(key);
    }});
    pods_.add_handler({[this](const Document& before, const Document& now) { on_pod(before, now); }});
    pods_.add_index("controller", [](const Document& pod) -> std::vector<std::string> {
      const auto owner = controller_of(metadata_of(pod));
      return owner ? std::vector<std::string>{std::string(owner.uid())} : std::vector<std::string>{};
    });
  }

  void start(TaskGroup& tasks) override {
    events_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    const Document set = sets_.get(key);
    if (!set) co_return client::ReconcileResult{};
    const ReplicaSet view(&set.root());
    // What was created or deleted a moment ago may not be in the mirror yet: wait until it is.
    // Each event wakes the set.
    if (const auto pending = expectations_.pending_for(key, clock_.steady_now()); pending.count() > 0)
      co_return client::ReconcileResult{pending};
    std::vector<Document> owned = pods_.by_index("controller", view.metadata().uid());
    auto adopted = co_await adopt(set, owned);
    if (!adopted) co_return adopted.error();
    const ReplicaSetPlan plan = plan_replica_set(set, owned, now_us());
    if (!view.metadata().has_deletionTimestamp()) {
      auto done = co_await act(key, set, plan);
      if (!done) {
        auto status = co_await update_status(set, plan, done.error().message);
        (void)status;  // the first error is the one to tell
        co_return done.error();
      }
    }
    auto status = co_await update_status(set, plan, {});
    if (!status) co_return status.error();
    co_return client::ReconcileResult{plan.becomes_available_after};
  }

 private:
  std::int64_t now_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock_.now().time_since_epoch()).count();
  }

  void on_pod(const Document& before, const Document& now) {
    const Document& pod = now ? now : before;
    const std::string name_space(client::namespace_of(pod)), name(client::name_of(pod));
    const auto owner = now ? controller_of(metadata_of(now)) : meta_v1::OwnerReference{};
    // The set that loses a Pod has to make another, whoever took it.
    if (const auto former = before ? controller_of(metadata_of(before)) : meta_v1::OwnerReference{};
        former && former.uid() != owner.uid())
      tell_set(former, name_space, name, true);
    if (owner) {
      tell_set(owner, name_space, name, metadata_of(now).has_deletionTimestamp());
      return;
    }
    if (!now) return;
    for (const auto& set : sets_.list(name_space))  // an orphan may be somebody's
      if (selects(selector_of(ReplicaSet(&set.root()).spec().selector()), metadata_of(pod)))
        loop_.queue().add(client::object_key(set));
  }

  // Its Pod has changed; one that `is_going` is no more the set's, or soon will not be.
  void tell_set(const meta_v1::OwnerReference& owner, const std::string& name_space, const std::string& pod,
                bool is_going) {
    if (owner.kind() != "ReplicaSet") return;
    const std::string key = key_of(name_space, owner.name());
    expectations_.settle_created(key, pod);
    if (is_going) expectations_.settle_deleted(key, pod);
    loop_.queue().add(key);
  }

  // Orphans that match become ours; ours that no longer match are let go.
  Task<Result<void>> adopt(const Document& set, std::vector<Document>& owned) {
    const ReplicaSet view(&set.root());
    if (view.metadata().has_deletionTimestamp()) co_return Result<void>{};
    const LabelSelector selector = selector_of(view.spec().selector());
    const std::string name_space(view.metadata().namespace_());
    for (std::size_t i = owned.size(); i-- > 0;) {
      if (selects(selector, metadata_of(owned[i]))) continue;
      const std::string body =
          fmt::format(R"({{"metadata":{{"uid":"{}","ownerReferences":[{{"$patch":"delete","uid":"{}"}}]}}}})",
                      client::uid_of(owned[i]), view.metadata().uid());
      auto released = co_await client_->patch(pods, name_space, std::string(client::name_of(owned[i])), "",
                                              client::PatchType::strategic, body, {});
      if (!released && !released.error().is("NotFound")) co_return released.error();
      owned.erase(owned.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (const auto& pod : pods_.list(name_space)) {
      const auto metadata = metadata_of(pod);
      if (controller_of(metadata) || metadata.has_deletionTimestamp() || !selects(selector, metadata))
        continue;
      if (!is_pod_active(core_v1::Pod(&pod.root()))) continue;
      const std::string body = fmt::format(
          R"({{"metadata":{{"uid":"{}","ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{}","uid":"{}","controller":true,"blockOwnerDeletion":true}}]}}}})",
          metadata.uid(), view.metadata().name(), view.metadata().uid());
      auto taken = co_await client_->patch(pods, name_space, std::string(metadata.name()), "",
                                           client::PatchType::strategic, body, {});
      if (!taken && !taken.error().is("NotFound")) co_return taken.error();
      if (taken) owned.push_back(*taken);
    }
    co_return Result<void>{};
  }

  Task<Result<void>> act(const std::string& key, const Document& set, const ReplicaSetPlan& plan) {
    const ReplicaSet view(&set.root());
    const std::string name_space(view.metadata().namespace_());
    const Document present = sets_.get(key);
    if (!present || client::uid_of(present) != view.metadata().uid())
      co_return Result<void>{};  // removed while Pods were adopted
    expectations_.begin(key, clock_.steady_now() + std::chrono::minutes(5));
    for (int i = 0; i < plan.create; ++i) {
      auto created = co_await client_->create(pods, name_space, "", "", new_pod(set), {});
      if (!created) {
        if (!(created.error().is("NotFound") ||
              created.error().message.find("being terminated") != std::string::npos))
          events_.warning(set, "apps/v1", "ReplicaSet", "FailedCreate",
                          fmt::format("Error creating: {}", created.error().message));
        co_return created.error();
      }
      const std::string name(client::name_of(*created));
      if (!pods_.get(key_of(name_space, name))) expectations_.expect_created(key, name);
      events_.normal(set, "apps/v1", "ReplicaSet", "SuccessfulCreate", fmt::format("Created pod: {}", name));
    }
    for (const auto& name : plan.remove) {
      const Document pod = pods_.get(key_of(name_space, name));
      if (!pod || metadata_of(pod).has_deletionTimestamp()) continue;  // somebody else was quicker
      expectations_.expect_deleted(key, name);
      auto removed = co_await client_->remove(pods, name_space, name, {});
      if (!removed) {
        expectations_.settle_deleted(key, name);
        if (removed.error().is("NotFound")) continue;
        events_.warning(set, "apps/v1", "ReplicaSet", "FailedDelete",
                        fmt::format("Error deleting: {}", removed.error().message));
        co_return removed.error();
      }
      events_.normal(set, "apps/v1", "ReplicaSet", "SuccessfulDelete", fmt::format("Deleted pod: {}", name));
    }
    co_return Result<void>{};
  }

  static Document new_pod(const Document& set) {
    const ReplicaSet view(&set.root());
    const auto from = view.spec().template_();
    client::ObjectBuilder builder(core_v1::Pod::schema_type());
    Arena& arena = builder.arena();
    Value& metadata = ensure(arena, builder.root(), core_v1::Pod::f_metadata);
    using M = meta_v1::ObjectMeta;
    if (from.metadata()) {
      for (const int field : {M::f_labels, M::f_annotations, M::f_finalizers}) {
        const Value* value = from.metadata().value()->get(field);
        if (value) assign(set_field(arena, metadata, field), deep_copy(arena, *value));
      }
    }
    std::string prefix(view.metadata().name());
    if (prefix.size() > 247) prefix.resize(247);
    set_string(arena, metadata, M::f_generateName, prefix + "-");
    set_string(arena, metadata, M::f_namespace_, view.metadata().namespace_());
    append_controller_reference(arena, metadata, set, "apps/v1", "ReplicaSet");
    if (from.spec())
      assign(set_field(arena, builder.root(), core_v1::Pod::f_spec), deep_copy(arena, *from.spec().value()));
    return builder.freeze();
  }

  Task<Result<void>> update_status(const Document& set, const ReplicaSetPlan& plan, std::string failure) {
    const ReplicaSet view(&set.root());
    client::ObjectBuilder builder(set);
    if (!set_replica_set_status(builder.arena(), builder.root(), plan, failure, now_us()))
      co_return Result<void>{};
    auto updated =
        co_await client_->update(replica_sets, std::string(view.metadata().namespace_()),
                                 std::string(view.metadata().name()), "status", builder.freeze(), {});
    if (!updated && !updated.error().is("NotFound")) co_return updated.error();
    co_return Result<void>{};
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer &sets_, &pods_;
  client::ControllerLoop loop_;
  client::EventRecorder events_;
  const Clock& clock_;
  Expectations expectations_;
};

}  // namespace

std::unique_ptr<Controller> make_replica_set_controller(Context& context) {
  return std::make_unique<ReplicaSetController>(context);
}

}  // namespace rusternetes::controller_manager
