// Deployments: a ReplicaSet a template, and the way from one to the next (pkg/controller/deployment).

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/apps_v1.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "client/object_builder.h"
#include "controller-manager/deployment_plan.h"
#include "controller-manager/deployment_sets.h"
#include "controller-manager/deployment_status.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::Deployment;
using apps_v1::ReplicaSet;
using client::Resource;

namespace {

constexpr Resource deployments{"apps", "v1", "deployments"}, replica_sets{"apps", "v1", "replicasets"},
    pods{"", "v1", "pods"};

ReplicaSetState state_of(const Document& set) {
  const ReplicaSet view(&set.root());
  return {std::string(view.metadata().name()),
          view.spec().replicas(),
          view.status().replicas(),
          view.status().readyReplicas(),
          view.status().availableReplicas(),
          view.metadata().creationTimestamp(),
          replicas_annotation(set, desired_annotation),
          replicas_annotation(set, max_annotation)};
}

RolloutInput rollout_of(const Document& deployment, const Document& current, const std::vector<Document>& old,
                        bool has_old_pods) {
  const Deployment view(&deployment.root());
  RolloutInput input;
  input.replicas = view.spec().replicas(1);
  const auto rolling = view.spec().strategy().rollingUpdate();
  const Fenceposts posts =
      resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), input.replicas);
  input.max_surge = posts.surge;
  input.max_unavailable = std::min(posts.unavailable, input.replicas);
  input.is_recreate = view.spec().strategy().type() == "Recreate";
  input.is_paused = view.spec().paused();
  input.old_pods = has_old_pods ? 1 : 0;
  input.reported_replicas = view.status().replicas();
  if (current) input.current = state_of(current);
  for (const auto& set : old) input.old.push_back(state_of(set));
  return input;
}

// The namespace is ending: nothing can be made in it any more, and that is not worth telling.
bool is_ending_namespace(const Status& error) {
  if (error.details)
    for (const auto& cause : error.details->causes)
      if (cause.reason == "NamespaceTerminating") return true;
  return false;
}

// What a reconcile works on: the Deployment as last written, its ReplicaSets told apart by their templates.
struct Rollout {
  Document deployment, current;    // current: the set of the present template, if there is one
  std::vector<Document> old;       // oldest first
  std::string text;                // the template's
  std::int64_t last_revision = 0;  // the highest of `old`
  bool has_old_pods = false;
};

class DeploymentController final : public Controller, public client::Reconciler {
 public:
  explicit DeploymentController(Context& context)
      : client_(context.make_client("deployment-controller")),
        deployments_(context.informer(deployments)),
        sets_(context.informer(replica_sets)),
        pods_(context.informer(pods)),
        loop_("deployment-controller", client_->executor(), *this, 5),
        events_(*client_, "deployment-controller"),
        clock_(*context.options.clock) {
    deployments_.add_handler({[this](const Document& before, const Document& now) {
      loop_.queue().add(client::object_key(now ? now : before));
    }});
    sets_.add_handler({[this](const Document& before, const Document& now) {
      if (before && now && controller_of(metadata_of(before)).uid() != controller_of(metadata_of(now)).uid())
        on_set(before);
      on_set(now ? now : before);
    }});
    sets_.add_index("controller", [](const Document& set) -> std::vector<std::string> {
      const auto owner = controller_of(metadata_of(set));
      return owner ? std::vector<std::string>{std::string(owner.uid())} : std::vector<std::string>{};
    });
    // Recreate waits until the last old Pod has gone.
    pods_.add_handler({[this](const Document& before, const Document& now) {
      if (now) return;
      const auto owner = controller_of(metadata_of(before));
      if (!owner || owner.kind() != "ReplicaSet") return;
      if (const Document set = sets_.get(key_of(client::namespace_of(before), owner.name()))) on_set(set);
    }});
  }

  void start(TaskGroup& tasks) override {
    events_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    Rollout rollout;
    rollout.deployment = deployments_.get(key);
    if (!rollout.deployment || metadata_of(rollout.deployment).has_deletionTimestamp())
      co_return client::ReconcileResult{};
    std::vector<Document> owned = sets_.by_index("controller", client::uid_of(rollout.deployment));
    auto adopted = co_await adopt(rollout.deployment, owned);
    if (!adopted) co_return adopted.error();
    tell_apart(rollout, std::move(owned));
    const Document told_pause = with_pause_told(rollout.deployment, now_us());
    auto paused = co_await write_status(rollout.deployment, told_pause);
    if (!paused) co_return paused.error();
    const bool is_paused = Deployment(&rollout.deployment.root()).spec().paused();
    const bool is_rolling = !is_paused && !is_scaling(rollout_of(rollout.deployment, rollout.current,
                                                                 rollout.old, rollout.has_old_pods));
    auto made = co_await ensure_current(rollout, is_rolling);
    if (!made) co_return made.error();
    if (!*made) co_return client::ReconcileResult{std::chrono::milliseconds(50)};
    auto rolled = co_await roll_out(rollout);
    if (!rolled) co_return rolled.error();
    // A new template waits until the old sets are scaled: what the status tells of the last one is not yet of
    // this generation.
    if (!is_paused && !is_rolling && !rollout.current) co_return client::ReconcileResult{};
    const DeploymentStatusResult status =
        compute_deployment_status(rollout.deployment, rollout.current, rollout.old, is_rolling, now_us());
    if (status.changed) {
      auto written = co_await write_status(rollout.deployment, status.deployment);
      if (!written) co_return written.error();
    }
    auto cleaned = co_await clean_up(rollout.deployment, rollout.old);
    if (!cleaned) co_return cleaned.error();
    co_return client::ReconcileResult{status.check_again_after};
  }

 private:
  std::int64_t now_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock_.now().time_since_epoch()).count();
  }

  void on_set(const Document& set) {
    const auto owner = controller_of(metadata_of(set));
    if (owner) {
      if (owner.kind() == "Deployment") loop_.queue().add(key_of(client::namespace_of(set), owner.name()));
      return;
    }
    for (const auto& deployment : deployments_.list(client::namespace_of(set)))
      if (selects(selector_of(Deployment(&deployment.root()).spec().selector()), metadata_of(set)))
        loop_.queue().add(client::object_key(deployment));
  }

  bool has_pods(const Document& set) const {
    if (ReplicaSet(&set.root()).status().replicas() > 0) return true;
    for (const auto& pod : pods_.by_index("controller", client::uid_of(set))) {
      const auto phase = core_v1::Pod(&pod.root()).status().phase();
      if (phase != "Succeeded" && phase != "Failed") return true;
    }
    return false;
  }

  Task<Result<void>> adopt(const Document& deployment, std::vector<Document>& owned) {
    const Deployment view(&deployment.root());
    const LabelSelector selector = selector_of(view.spec().selector());
    const std::string name_space(view.metadata().namespace_());
    for (const auto& set : sets_.list(name_space)) {
      const auto metadata = metadata_of(set);
      if (controller_of(metadata) || metadata.has_deletionTimestamp() || !selects(selector, metadata))
        continue;
      const std::string body = fmt::format(
          R"({{"metadata":{{"uid":"{}","ownerReferences":[{{"apiVersion":"apps/v1","kind":"Deployment","name":"{}","uid":"{}","controller":true,"blockOwnerDeletion":true}}]}}}})",
          metadata.uid(), view.metadata().name(), view.metadata().uid());
      auto taken = co_await client_->patch(replica_sets, name_space, std::string(metadata.name()), "",
                                           client::PatchType::strategic, body, {});
      if (!taken && !taken.error().is("NotFound")) co_return taken.error();
      if (taken) owned.push_back(*taken);
    }
    co_return Result<void>{};
  }

  void tell_apart(Rollout& rollout, std::vector<Document> owned) const {
    std::sort(owned.begin(), owned.end(), [](const Document& a, const Document& b) {
      const auto x = metadata_of(a), y = metadata_of(b);
      return std::pair(x.creationTimestamp(), x.name()) < std::pair(y.creationTimestamp(), y.name());
    });
    rollout.text = template_of(rollout.deployment);
    for (auto& set : owned) {
      if (!rollout.current &&
          template_text(*ReplicaSet(&set.root()).spec().template_().value()) == rollout.text) {
        rollout.current = set;
        continue;
      }
      rollout.last_revision = std::max(rollout.last_revision, revision_of(set));
      rollout.has_old_pods = rollout.has_old_pods || has_pods(set);
      rollout.old.push_back(std::move(set));
    }
  }

  static std::string template_of(const Document& deployment) {
    const auto pod_template = Deployment(&deployment.root()).spec().template_();
    return pod_template ? template_text(*pod_template.value()) : "";
  }

  // Writes `changed`, unless it is empty; `deployment` is then what was stored.
  Task<Result<void>> write_status(Document& deployment, Document changed) {
    if (!changed) co_return Result<void>{};
    auto stored = co_await client_->update(deployments, std::string(client::namespace_of(changed)),
                                           std::string(client::name_of(changed)), "status", changed, {});
    if (!stored) co_return stored.error();
    deployment = *stored;
    co_return Result<void>{};
  }

  // The ReplicaSet of the present template is up to date; made if there is none, once Recreate has seen the
  // old Pods go. False: another's was in the way; try again.
  Task<Result<bool>> ensure_current(Rollout& rollout, bool may_make) {
    const std::string name_space(client::namespace_of(rollout.deployment));
    bool is_made = false;
    if (rollout.current) {
      if (const Document updated =
              updated_set(rollout.deployment, rollout.current, rollout.last_revision + 1)) {
        auto stored = co_await client_->update(replica_sets, name_space,
                                               std::string(client::name_of(updated)), "", updated, {});
        if (!stored) co_return stored.error();
        rollout.current = *stored;
      }
    } else {
      const bool is_recreate = Deployment(&rollout.deployment.root()).spec().strategy().type() == "Recreate";
      if (!may_make || (is_recreate && rollout.has_old_pods)) co_return true;
      auto created = co_await create_current(rollout, is_made);
      if (!created) co_return created.error();
      if (!*created) co_return false;
    }
    const Document with_set = with_new_set_told(rollout.deployment, client::name_of(rollout.current),
                                                revision_of(rollout.current), is_made, now_us());
    auto told = co_await write_status(rollout.deployment, with_set);
    if (!told) co_return told.error();
    co_return true;
  }

  Task<Result<bool>> create_current(Rollout& rollout, bool& is_made) {
    const Deployment view(&rollout.deployment.root());
    const std::string name_space(view.metadata().namespace_());
    const std::string hash =
        template_hash(rollout.text, view.status().collisionCount(), view.status().has_collisionCount());
    const Document wanted = make_set(rollout.deployment, hash, rollout.last_revision + 1);
    const std::string name(client::name_of(wanted));
    auto created = co_await client_->create(replica_sets, name_space, "", "", wanted, {});
    is_made = created.has_value();
    if (created) {
      rollout.current = *created;
      co_return true;
    }
    if (created.error().is("AlreadyExists")) {
      auto present = co_await client_->get(replica_sets, name_space, name);
      if (!present) co_return present.error();
      const auto owner = controller_of(metadata_of(*present));
      const bool is_same =
          owner && owner.uid() == view.metadata().uid() &&
          template_text(*ReplicaSet(&present->root()).spec().template_().value()) == rollout.text;
      if (is_same) {
        rollout.current = *present;
        co_return true;
      }
      // Two templates with one hash: count the collision, the next hash is another.
      client::ObjectBuilder builder(rollout.deployment);
      Value& status = ensure(builder.arena(), builder.root(), Deployment::f_status);
      set_integer(builder.arena(), status, apps_v1::DeploymentStatus::f_collisionCount,
                  view.status().collisionCount() + 1);
      const Document collided = builder.freeze();
      auto counted = co_await write_status(rollout.deployment, collided);
      if (!counted) co_return counted.error();
      co_return false;
    }
    if (!is_ending_namespace(created.error())) {
      const std::string message =
          fmt::format("Failed to create new replica set \"{}\": {}", name, created.error().message);
      const Document with_error = with_create_error_told(rollout.deployment, message, now_us());
      auto told = co_await write_status(rollout.deployment, with_error);
      (void)told;  // the first error is the one to tell
      events_.warning(rollout.deployment, "apps/v1", "Deployment", "ReplicaSetCreateError", message);
    }
    co_return created.error();
  }

  Task<Result<void>> roll_out(const Rollout& rollout) {
    const RolloutInput input =
        rollout_of(rollout.deployment, rollout.current, rollout.old, rollout.has_old_pods);
    const std::string name_space(client::namespace_of(rollout.deployment));
    for (const auto& [name, replicas] : plan_rollout(input)) {
      const std::int64_t before = wanted_of(input, name);
      const std::string body = fmt::format(
          R"({{"metadata":{{"annotations":{{"{}":"{}","{}":"{}"}}}},"spec":{{"replicas":{}}}}})",
          desired_annotation, input.replicas, max_annotation, input.replicas + input.max_surge, replicas);
      auto scaled =
          co_await client_->patch(replica_sets, name_space, name, "", client::PatchType::merge, body, {});
      if (!scaled) co_return scaled.error();
      if (replicas == before) continue;  // only its annotations were of another time
      events_.normal(rollout.deployment, "apps/v1", "Deployment", "ScalingReplicaSet",
                     fmt::format("Scaled {} replica set {} from {} to {}", replicas > before ? "up" : "down",
                                 name, before, replicas));
    }
    co_return Result<void>{};
  }

  static std::int64_t wanted_of(const RolloutInput& input, const std::string& name) {
    for (const auto& set : input.old)
      if (set.name == name) return set.wanted;
    return input.current.wanted;
  }

  // Old sets without Pods beyond revisionHistoryLimit go, the oldest revision first.
  Task<Result<void>> clean_up(const Document& deployment, std::vector<Document> old) {
    const Deployment view(&deployment.root());
    const std::int64_t limit = view.spec().revisionHistoryLimit(10);
    std::erase_if(old, [](const Document& set) {
      const ReplicaSet one(&set.root());
      return one.status().replicas() || one.spec().replicas() ||
             one.metadata().generation() > one.status().observedGeneration() ||
             one.metadata().has_deletionTimestamp();
    });
    std::sort(old.begin(), old.end(),
              [](const Document& a, const Document& b) { return revision_of(a) < revision_of(b); });
    for (std::size_t i = 0; i + static_cast<std::size_t>(limit) < old.size(); ++i) {
      client::RemoveOptions options;
      options.uid = client::uid_of(old[i]);
      auto removed = co_await client_->remove(replica_sets, std::string(client::namespace_of(old[i])),
                                              std::string(client::name_of(old[i])), options);
      if (!removed && !removed.error().is("NotFound")) co_return removed.error();
    }
    co_return Result<void>{};
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer &deployments_, &sets_, &pods_;
  client::ControllerLoop loop_;
  client::EventRecorder events_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Controller> make_deployment_controller(Context& context) {
  return std::make_unique<DeploymentController>(context);
}

}  // namespace rusternetes::controller_manager
