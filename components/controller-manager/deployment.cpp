// Deployments: a ReplicaSet a template, and the way from one to the next (pkg/controller/deployment).

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/apps_v1.h"
#include "base/log.h"
#include "client/event_recorder.h"
#include "client/object_builder.h"
#include "controller-manager/deployment_plan.h"
#include "controller-manager/deployment_status.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::Deployment;
using apps_v1::ReplicaSet;
using client::Resource;

namespace {

constexpr Resource deployments{"apps", "v1", "deployments"}, replica_sets{"apps", "v1", "replicasets"}, pods{"", "v1", "pods"};
constexpr std::string_view revision_annotation = "deployment.kubernetes.io/revision";
constexpr std::string_view desired_annotation = "deployment.kubernetes.io/desired-replicas";
constexpr std::string_view max_annotation = "deployment.kubernetes.io/max-replicas";

std::int64_t revision_of(const Document& object) {
  return std::atol(std::string(metadata_of(object).annotations().get(revision_annotation)).c_str());
}

ReplicaSetState state_of(const Document& set) {
  const ReplicaSet view(&set.root());
  return {std::string(view.metadata().name()), view.spec().replicas(), view.status().replicas(), view.status().readyReplicas(),
          view.status().availableReplicas(), view.metadata().creationTimestamp()};
}

class DeploymentController final : public Controller, public client::Reconciler {
 public:
  explicit DeploymentController(Context& context)
      : client_(context.make_client("deployment-controller")), deployments_(context.informer(deployments)),
        sets_(context.informer(replica_sets)), pods_(context.informer(pods)),
        loop_("deployment-controller", client_->executor(), *this, 5), events_(*client_, "deployment-controller"), clock_(*context.options.clock) {
    deployments_.add_handler({[this](const Document& before, const Document& now) { loop_.queue().add(client::object_key(now ? now : before)); }});
    sets_.add_handler({[this](const Document& before, const Document& now) { on_set(now ? now : before); }});
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
    const Document deployment = deployments_.get(key);
    if (!deployment) co_return client::ReconcileResult{};
    const Deployment view(&deployment.root());
    if (view.metadata().has_deletionTimestamp()) co_return client::ReconcileResult{};
    std::vector<Document> owned = sets_.by_index("controller", view.metadata().uid());
    auto adopted = co_await adopt(deployment, owned);
    if (!adopted) co_return adopted.error();
    std::sort(owned.begin(), owned.end(), [](const Document& a, const Document& b) {
      return metadata_of(a).creationTimestamp() < metadata_of(b).creationTimestamp();
    });
    const std::string text = view.spec().template_() ? template_text(*view.spec().template_().value()) : "";
    Document current;
    std::vector<Document> old;
    std::int64_t last_revision = 0;
    for (const auto& set : owned) {
      if (!current && template_text(*ReplicaSet(&set.root()).spec().template_().value()) == text) {
        current = set;
        continue;
      }
      old.push_back(set);
      last_revision = std::max(last_revision, revision_of(set));
    }
    const bool has_old_pods = std::any_of(old.begin(), old.end(), [&](const Document& set) { return has_pods(set); });
    const bool is_recreate = view.spec().strategy().type() == "Recreate";
    if (is_recreate && !current && has_old_pods) {
      // The new ReplicaSet is made once the old Pods are gone.
    } else if (!view.spec().paused() || current) {
      auto made = co_await ensure_current(deployment, current, text, last_revision + 1);
      if (!made) co_return made.error();
      if (!*made) co_return client::ReconcileResult{std::chrono::milliseconds(50)};
      current = **made;
    }
    auto rolled = co_await roll_out(deployment, current, old, has_old_pods);
    if (!rolled) co_return rolled.error();
    const DeploymentStatusResult status = compute_deployment_status(deployment, current, old, now_us());
    if (status.changed) {
      auto updated = co_await client_->update(deployments, std::string(view.metadata().namespace_()), std::string(view.metadata().name()), "status", status.deployment, {});
      if (!updated && !updated.error().is("NotFound")) co_return updated.error();
    }
    auto cleaned = co_await clean_up(deployment, old);
    if (!cleaned) co_return cleaned.error();
    co_return client::ReconcileResult{status.check_again_after};
  }

 private:
  std::int64_t now_us() const { return std::chrono::duration_cast<std::chrono::microseconds>(clock_.now().time_since_epoch()).count(); }

  void on_set(const Document& set) {
    const auto owner = controller_of(metadata_of(set));
    if (owner) {
      if (owner.kind() == "Deployment") loop_.queue().add(key_of(client::namespace_of(set), owner.name()));
      return;
    }
    for (const auto& deployment : deployments_.list(client::namespace_of(set)))
      if (selects(selector_of(Deployment(&deployment.root()).spec().selector()), metadata_of(set))) loop_.queue().add(client::object_key(deployment));
  }

  bool has_pods(const Document& set) const {
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
      if (controller_of(metadata) || metadata.has_deletionTimestamp() || !selects(selector, metadata)) continue;
      const std::string body = fmt::format(
          R"({{"metadata":{{"uid":"{}","ownerReferences":[{{"apiVersion":"apps/v1","kind":"Deployment","name":"{}","uid":"{}","controller":true,"blockOwnerDeletion":true}}]}}}})",
          metadata.uid(), view.metadata().name(), view.metadata().uid());
      auto taken = co_await client_->patch(replica_sets, name_space, std::string(metadata.name()), "", client::PatchType::strategic, body, {});
      if (!taken && !taken.error().is("NotFound")) co_return taken.error();
      if (taken) owned.push_back(*taken);
    }
    co_return Result<void>{};
  }

  // The ReplicaSet of the present template, made if there is none. Nothing: another's was in the way; try again.
  Task<Result<std::optional<Document>>> ensure_current(const Document& deployment, Document current, const std::string& text, std::int64_t revision) {
    const Deployment view(&deployment.root());
    const std::string name_space(view.metadata().namespace_()), name(view.metadata().name());
    if (current) {
      const std::int64_t have = revision_of(current);
      if (have < revision && !view.spec().paused()) {  // a roll-back makes an old set the newest again
        const std::string body = fmt::format(R"({{"metadata":{{"annotations":{{"{}":"{}"}}}}}})", revision_annotation, revision);
        auto patched = co_await client_->patch(replica_sets, name_space, std::string(client::name_of(current)), "", client::PatchType::merge, body, {});
        if (!patched) co_return patched.error();
        current = *patched;
      }
      auto told = co_await tell_revision(deployment, revision_of(current));
      if (!told) co_return told.error();
      co_return std::optional<Document>(current);
    }
    const std::string hash = template_hash(text, view.status().collisionCount(), view.status().has_collisionCount());
    auto created = co_await client_->create(replica_sets, name_space, "", "", new_set(deployment, hash, revision), {});
    if (!created && created.error().is("AlreadyExists")) {
      auto present = co_await client_->get(replica_sets, name_space, name + "-" + hash);
      if (!present) co_return present.error();
      const auto owner = controller_of(metadata_of(*present));
      const bool is_same = owner && owner.uid() == view.metadata().uid() && template_text(*ReplicaSet(&present->root()).spec().template_().value()) == text;
      if (is_same) co_return std::optional<Document>(*present);
      // Two templates with one hash: count the collision, the next hash is another.
      client::ObjectBuilder builder(deployment);
      Value& status = ensure(builder.arena(), builder.root(), Deployment::f_status);
      set_integer(builder.arena(), status, apps_v1::DeploymentStatus::f_collisionCount, view.status().collisionCount() + 1);
      auto counted = co_await client_->update(deployments, name_space, name, "status", builder.freeze(), {});
      if (!counted) co_return counted.error();
      co_return std::optional<Document>{};
    }
    if (!created) {
      events_.warning(deployment, "apps/v1", "Deployment", "ReplicaSetCreateError", fmt::format("Failed to create new replica set \"{}-{}\": {}", name, hash, created.error().message));
      co_return created.error();
    }
    const std::int64_t replicas = ReplicaSet(&created->root()).spec().replicas();
    if (replicas > 0)
      events_.normal(deployment, "apps/v1", "Deployment", "ScalingReplicaSet", fmt::format("Scaled up replica set {}-{} from 0 to {}", name, hash, replicas));
    auto told = co_await tell_revision(deployment, revision);
    if (!told) co_return told.error();
    co_return std::optional<Document>(*created);
  }

  Task<Result<void>> tell_revision(const Document& deployment, std::int64_t revision) {
    if (revision_of(deployment) == revision) co_return Result<void>{};
    client::ObjectBuilder builder(deployment);
    Value& metadata = ensure(builder.arena(), builder.root(), Deployment::f_metadata);
    set_map_string(builder.arena(), ensure(builder.arena(), metadata, meta_v1::ObjectMeta::f_annotations, ValueKind::map), revision_annotation, std::to_string(revision));
    auto updated = co_await client_->update(deployments, std::string(client::namespace_of(deployment)), std::string(client::name_of(deployment)), "", builder.freeze(), {});
    if (!updated) co_return updated.error();
    co_return Result<void>{};
  }

  static Document new_set(const Document& deployment, const std::string& hash, std::int64_t revision) {
    const Deployment view(&deployment.root());
    client::ObjectBuilder builder(ReplicaSet::schema_type());
    Arena& arena = builder.arena();
    using M = meta_v1::ObjectMeta;
    Value& metadata = ensure(arena, builder.root(), ReplicaSet::f_metadata);
    set_string(arena, metadata, M::f_name, fmt::format("{}-{}", view.metadata().name(), hash));
    set_string(arena, metadata, M::f_namespace_, view.metadata().namespace_());
    append_controller_reference(arena, metadata, deployment, "apps/v1", "Deployment");
    Value& annotations = ensure(arena, metadata, M::f_annotations, ValueKind::map);
    for (const auto& [key, value] : view.metadata().annotations())
      if (key != "kubectl.kubernetes.io/last-applied-configuration" && !key.starts_with("deployment.kubernetes.io/"))
        set_map_string(arena, annotations, key, value);
    const std::int64_t replicas = view.spec().replicas(1);
    const auto rolling = view.spec().strategy().rollingUpdate();
    const Fenceposts posts = resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), replicas);
    set_map_string(arena, annotations, desired_annotation, std::to_string(replicas));
    set_map_string(arena, annotations, max_annotation, std::to_string(replicas + posts.surge));
    set_map_string(arena, annotations, revision_annotation, std::to_string(revision));

    using S = apps_v1::ReplicaSetSpec;
    Value& spec = ensure(arena, builder.root(), ReplicaSet::f_spec);
    Value& pod_template = assign(set_field(arena, spec, S::f_template_), deep_copy(arena, *view.spec().template_().value()));
    Value& labels = ensure(arena, ensure(arena, pod_template, core_v1::PodTemplateSpec::f_metadata), M::f_labels, ValueKind::map);
    set_map_string(arena, labels, "pod-template-hash", hash);
    Value copied = deep_copy(arena, labels);
    assign(set_field(arena, *builder.root().get(ReplicaSet::f_metadata), M::f_labels), copied);
    Value& selector = assign(set_field(arena, *builder.root().get(ReplicaSet::f_spec), S::f_selector), deep_copy(arena, *view.spec().selector().value()));
    set_map_string(arena, ensure(arena, selector, meta_v1::LabelSelector::f_matchLabels, ValueKind::map), "pod-template-hash", hash);
    Value& all = *builder.root().get(ReplicaSet::f_spec);
    if (view.spec().minReadySeconds()) set_integer(arena, all, S::f_minReadySeconds, view.spec().minReadySeconds());
    set_integer(arena, all, S::f_replicas, 0);
    return builder.freeze();
  }

  Task<Result<void>> roll_out(const Document& deployment, const Document& current, const std::vector<Document>& old, bool has_old_pods) {
    const Deployment view(&deployment.root());
    RolloutInput input;
    input.replicas = view.spec().replicas(1);
    const auto rolling = view.spec().strategy().rollingUpdate();
    const Fenceposts posts = resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), input.replicas);
    input.max_surge = posts.surge;
    input.max_unavailable = std::min(posts.unavailable, input.replicas);
    input.is_recreate = view.spec().strategy().type() == "Recreate";
    input.is_paused = view.spec().paused();
    input.old_pods = has_old_pods ? 1 : 0;
    if (current) input.current = state_of(current);
    for (const auto& set : old) input.old.push_back(state_of(set));
    for (const auto& [name, replicas] : plan_rollout(input)) {
      Document set = current && client::name_of(current) == name ? current : Document{};
      for (const auto& one : old)
        if (client::name_of(one) == name) set = one;
      if (!set) continue;
      const std::int64_t before = ReplicaSet(&set.root()).spec().replicas();
      const std::string body = fmt::format(R"({{"metadata":{{"annotations":{{"{}":"{}","{}":"{}"}}}},"spec":{{"replicas":{}}}}})", desired_annotation, input.replicas,
                                           max_annotation, input.replicas + input.max_surge, replicas);
      auto scaled = co_await client_->patch(replica_sets, std::string(view.metadata().namespace_()), name, "", client::PatchType::merge, body, {});
      if (!scaled) co_return scaled.error();
      events_.normal(deployment, "apps/v1", "Deployment", "ScalingReplicaSet",
                     fmt::format("Scaled {} replica set {} from {} to {}", replicas > before ? "up" : "down", name, before, replicas));
    }
    co_return Result<void>{};
  }

  // Old sets without Pods beyond revisionHistoryLimit go, the oldest revision first.
  Task<Result<void>> clean_up(const Document& deployment, std::vector<Document> old) {
    const Deployment view(&deployment.root());
    const std::int64_t limit = view.spec().revisionHistoryLimit(10);
    std::erase_if(old, [](const Document& set) {
      const ReplicaSet one(&set.root());
      return one.status().replicas() || one.spec().replicas() || one.metadata().generation() > one.status().observedGeneration() || one.metadata().has_deletionTimestamp();
    });
    std::sort(old.begin(), old.end(), [](const Document& a, const Document& b) { return revision_of(a) < revision_of(b); });
    for (std::size_t i = 0; i + static_cast<std::size_t>(limit) < old.size(); ++i) {
      client::RemoveOptions options;
      options.uid = client::uid_of(old[i]);
      auto removed = co_await client_->remove(replica_sets, std::string(client::namespace_of(old[i])), std::string(client::name_of(old[i])), options);
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

std::unique_ptr<Controller> make_deployment_controller(Context& context) { return std::make_unique<DeploymentController>(context); }

}  // namespace rusternetes::controller_manager
