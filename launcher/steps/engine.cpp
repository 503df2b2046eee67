// Steps that speak to the container engine.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "launcher/ports/engine_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

class StartPrivateEngine final : public Step {
 public:
  explicit StartPrivateEngine(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "start-engine"; }
  std::string describe() const override { return "Start a Podman of the cluster's own"; }
  Result<> apply() override {
    return context_->call("engine start", [&] { return port().start_private(context_->paths.engine()); });
  }
  Result<> undo() override {
    return context_->call("engine stop", [&] { return port().stop_private(context_->paths.engine()); });
  }

 private:
  EnginePort& port() { return context_->environment.engine; }
  Context context_;
};

class StopPrivateEngine final : public Step {
 public:
  explicit StopPrivateEngine(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "stop-engine"; }
  std::string describe() const override { return "Stop the cluster's own Podman"; }
  Result<> apply() override {
    return context_->call(
        "engine stop", [&] { return context_->environment.engine.stop_private(context_->paths.engine()); });
  }

 private:
  Context context_;
};

class LoadPauseImage final : public Step {
 public:
  explicit LoadPauseImage(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "load-pause-image"; }
  std::string describe() const override {
    return fmt::format("Load the pause image into {} {}", context_->settings.engine.kind,
                       context_->settings.engine.version);
  }
  Result<> apply() override {
    return context_->call("engine load-pause", [&] {
      return context_->environment.engine.load_pause_image(context_->settings.engine);
    });
  }
  Result<> undo() override;

 private:
  Context context_;
};

// The image is shared by the clusters of an engine: the last one takes it away.
Result<> remove_pause_if_last(StepContext& context) {
  RN_TRY(const std::vector<state::Cluster> clusters, context.state->clusters());
  for (const state::Cluster& other : clusters)
    if (other.name != context.settings.name && other.engine == context.settings.engine.kind) return {};
  return context.call("engine remove-pause",
                      [&] { return context.environment.engine.remove_pause_image(context.settings.engine); });
}

Result<> LoadPauseImage::undo() { return remove_pause_if_last(*context_); }

class RemovePauseImage final : public Step {
 public:
  explicit RemovePauseImage(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-pause-image"; }
  std::string describe() const override { return "Remove the pause image unless another cluster uses it"; }
  Result<> apply() override { return remove_pause_if_last(*context_); }

 private:
  Context context_;
};

Result<std::vector<ClusterContainer>> containers_of(StepContext& context) {
  return context.call("engine list", [&] {
    return context.environment.engine.containers(context.settings.engine, context.settings.name);
  });
}

PodToStop to_stop(const ClusterContainer* sandbox, const std::vector<const ClusterContainer*>& running) {
  PodToStop pod;
  std::vector<std::string> sidecars;
  if (sandbox != nullptr) {
    pod.grace = sandbox->grace;
    sidecars = sandbox->sidecars;
    if (sandbox->is_running) pod.sandboxes.push_back(sandbox->id);
  }
  // Group 0 has the others; the sidecar that started last is in group 1.
  pod.groups.resize(sidecars.size() + 1);
  for (const ClusterContainer* one : running) {
    const auto at = std::find(sidecars.begin(), sidecars.end(), one->name_in_pod);
    pod.groups[static_cast<std::size_t>(sidecars.end() - at)].push_back(one->id);
  }
  std::erase_if(pod.groups, [](const auto& group) { return group.empty(); });
  return pod;
}

// By Pod, in the order in which the engine lists them. What has no sandbox any more is a Pod by itself.
std::vector<PodToStop> running_pods(const std::vector<ClusterContainer>& all) {
  struct Group {
    const ClusterContainer* sandbox = nullptr;
    std::vector<const ClusterContainer*> running;
  };
  std::vector<Group> groups;
  std::map<std::string, std::size_t> by_sandbox;
  for (const ClusterContainer& one : all) {
    if (one.is_holder) continue;
    const auto [at, is_new] = by_sandbox.emplace(one.sandbox_id.empty() ? one.id : one.sandbox_id, groups.size());
    if (is_new) groups.emplace_back();
    Group& group = groups[at->second];
    if (one.is_sandbox)
      group.sandbox = &one;
    else if (one.is_running)
      group.running.push_back(&one);
  }
  std::vector<PodToStop> pods;
  for (const Group& group : groups)
    if (auto pod = to_stop(group.sandbox, group.running); !pod.groups.empty() || !pod.sandboxes.empty())
      pods.push_back(std::move(pod));
  return pods;
}

// Each Pod has its own grace period, and none waits for another; the holder, on which sandboxes stand, is
// last.
class StopPods final : public Step {
 public:
  explicit StopPods(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "stop-containers"; }
  std::string describe() const override { return "Stop the Pods, each within its own grace period"; }
  Result<> apply() override {
    RN_TRY(const std::vector<ClusterContainer> all, containers_of(*context_));
    std::vector<PodToStop> holders;
    for (const ClusterContainer& one : all)
      if (one.is_holder && one.is_running)
        holders.push_back({.groups = {}, .sandboxes = {one.id}, .grace = std::chrono::seconds(1)});
    RN_CHECK(stop(running_pods(all)));
    return stop(holders);
  }

 private:
  Result<> stop(const std::vector<PodToStop>& pods) {
    if (pods.empty()) return {};
    std::chrono::seconds longest{0};
    for (const PodToStop& pod : pods) longest = std::max(longest, pod.grace);
    const auto tell = [&](std::size_t stopped) {
      if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{} of {} ended, the longest grace period is {} s", stopped,
                                               pods.size(), longest.count()));
    };
    tell(0);
    return context_->call("engine stop-containers", [&] {
      return context_->environment.engine.stop_pods(context_->settings.engine, pods, tell);
    });
  }
  Context context_;
};

class RemoveContainers final : public Step {
 public:
  explicit RemoveContainers(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-containers"; }
  std::string describe() const override { return "Remove the Pods' containers"; }
  Result<> apply() override { return remove_pod_containers(*context_); }

 private:
  Context context_;
};

}  // namespace

Result<> remove_pod_containers(StepContext& context, const std::string& node) {
  RN_TRY(const std::vector<ClusterContainer> all, containers_of(context));
  // Podman refuses to remove what another container has joined: a sandbox its containers, a container the debugger of its
  // processes. As long as any goes, the refused ones are tried again.
  std::vector<std::string> left;
  for (const bool is_sandbox : {false, true})
    for (const ClusterContainer& one : all)
      if (one.is_sandbox == is_sandbox && (node.empty() || one.node == node)) left.push_back(one.id);
  Result<> removed;
  for (std::size_t before = left.size() + 1; !left.empty() && left.size() < before;) {
    before = left.size();
    std::erase_if(left, [&](const std::string& id) {
      auto one = context.call("engine remove-container", [&] {
        return context.environment.engine.remove_container(context.settings.engine, id);
      });
      if (!one) removed = one;
      return one.has_value();
    });
  }
  return left.empty() ? Result<>() : removed;
}

StepPtr start_private_engine(Context context) {
  return std::make_unique<StartPrivateEngine>(std::move(context));
}
StepPtr stop_private_engine(Context context) {
  return std::make_unique<StopPrivateEngine>(std::move(context));
}
StepPtr load_pause_image(Context context) { return std::make_unique<LoadPauseImage>(std::move(context)); }
StepPtr remove_pause_image(Context context) { return std::make_unique<RemovePauseImage>(std::move(context)); }
StepPtr stop_pods(Context context) { return std::make_unique<StopPods>(std::move(context)); }
StepPtr remove_containers(Context context) { return std::make_unique<RemoveContainers>(std::move(context)); }

}  // namespace rusternetes::launcher
