#include "launcher/steps/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "certs/file.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/manifest/manifest.h"
#include "launcher/ports/engine_port.h"
#include "launcher/readiness.h"
#include "launcher/release.h"
#include "launcher/snapshots.h"
#include "launcher/steps/component_containers.h"
#include "launcher/steps/component_gate.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// Of the cluster's own copies alone: `rusternetes` beside a rusternetes-ctl is not ours to remove.
Result<> remove_program(const fs::path& program, const ClusterPaths& paths) {
  if (program.empty() || program.parent_path().parent_path() != paths.programs()) return {};
  std::error_code error;
  fs::remove_all(program.parent_path(), error);
  if (error) return internal_error(fmt::format("remove {}: {}", program.parent_path().string(), error.message()));
  fs::remove(paths.programs(), error);  // only when this was the last one in it
  return {};
}

class KeepProgram final : public Step {
 public:
  // `kept`: programs that the cluster runs or ran before; undo leaves them.
  KeepProgram(Context context, std::set<std::string> kept) : context_(std::move(context)), kept_(std::move(kept)) {}
  std::string id() const override { return "keep-program"; }
  std::string describe() const override {
    return fmt::format("Keep a copy of rusternetes {}", context_->settings.release);
  }
  Result<> apply() override {
    std::error_code ignored;
    if (fs::exists(program(), ignored)) return {};
    const fs::path source = context_->environment.binary_dir / program().filename();
    RN_TRY(const fs::path wanted, kept_program(source, context_->paths, context_->settings.release));
    if (wanted != program())
      return failure("BinaryMissing", fmt::format("the copy of rusternetes {} has gone, and {} is another one",
                                                  context_->settings.release, source.string()));
    return context_->call("program copy", [&]() -> Result<> {
      RN_CHECK(certs::make_folder(program().parent_path(), 0700));
      RN_CHECK(copy_to_new(source, program()));
      std::error_code error;
      fs::permissions(program(), fs::perms::owner_all, error);
      return error ? Result<>(internal_error(fmt::format("chmod {}: {}", program().string(), error.message())))
                   : Result<>();
    });
  }
  Result<> undo() override {
    if (kept_.contains(context_->settings.program)) return {};
    return context_->call("program remove", [&] { return remove_program(program(), context_->paths); });
  }

 private:
  fs::path program() const { return context_->settings.program; }
  Context context_;
  std::set<std::string> kept_;
};

Result<Manifest> manifest_from(const StepContext& context) {
  RN_TRY(const std::string text, manifest_text(context));
  return read_manifest(text);
}

// Makes a member's container of what `context` is to run. The proxy before the api-servers stays beside the new one,
// which shares its port, until what it carries has ended.
Result<> replace(StepContext& context, const Member& member) {
  RN_TRY(const Manifest manifest, manifest_from(context));
  EnginePort& engine = context.environment.engine;
  const EngineChoice& choice = context.settings.engine;
  return context.call("engine replace " + member.key, [&] {
    if (member.component == "api-proxy") return engine.hand_over(choice, manifest, member.key, context.paths.logs());
    return engine.bring_up(choice, manifest, {member.key}, context.paths.logs(), [](std::size_t) {});
  });
}

// Back to what it was. Whether it is well then is looked at when all are back: one that is not must not keep the others.
Result<> put_back(const Context& context, const ChangeTask& change, const Member& member) {
  const Context previous = previous_of(context, change);
  RN_TRY(const Liveness liveness, look_at(*previous));
  if (!liveness.is_running) return {};  // the host was started anew: `start` does the rest
  RN_CHECK(replace(*previous, member));
  const Result<> well = uninterrupted(*previous, [&](const Context& calm) {
    return wait_for_component(*calm, member, change.gate_timeout);
  });
  if (!well && context->progress != nullptr) context->progress->note(well.error().message);
  return {};
}

// Whoever comes from now on comes to the other one.
Result<> tell_leaving(StepContext& context) {
  RN_TRY(const auto all, component_containers(context));
  for (const ComponentContainer& one : all)
    if (one.is_leaving() && one.is_running)
      RN_CHECK(context.call("engine signal", [&] {
        return context.environment.engine.signal_component(context.settings.engine, one.id, "HUP");
      }));
  return {};
}

Result<> end_leaving(StepContext& context) {
  RN_TRY(const auto all, component_containers(context));
  return end_those(context, all, [](const ComponentContainer& one) { return one.is_leaving(); });
}

class ReplaceComponent : public Step {
 public:
  ReplaceComponent(Context context, Change change, Member member)
      : context_(std::move(context)), change_(std::move(change)), member_(std::move(member)) {}
  std::string id() const override { return "replace-" + member_.key; }
  std::string describe() const override {
    return fmt::format("{} {}, and wait until it is well", context_->settings.release, member_.key);
  }
  Result<> apply() override {
    RN_CHECK(replace(*context_, member_));
    return wait_for_component(*context_, member_, change_->gate_timeout);
  }
  Result<> undo() override { return put_back(context_, *change_, member_); }

 protected:
  Context context_;
  Change change_;
  Member member_;
};

// Two steps, before and behind the api-servers: each api-server that is replaced between them says good-bye to its
// clients, who come again by way of the new proxy, so that nobody's connection is cut. Either way.
class HandOverProxy final : public ReplaceComponent {
 public:
  using ReplaceComponent::ReplaceComponent;
  Result<> apply() override {
    RN_CHECK(ReplaceComponent::apply());
    return tell_leaving(*context_);
  }
  Result<> undo() override {
    RN_CHECK(ReplaceComponent::undo());  // there already, unless the second step was not come to
    RN_CHECK(tell_leaving(*context_));
    return end_leaving(*context_);
  }
};
class EndLeaving final : public ReplaceComponent {
 public:
  using ReplaceComponent::ReplaceComponent;
  std::string id() const override { return "end-leaving"; }
  std::string describe() const override { return "Remove the proxy of before"; }
  Result<> apply() override { return end_leaving(*context_); }
  Result<> undo() override {
    RN_CHECK(ReplaceComponent::undo());
    return tell_leaving(*context_);
  }
};

class ReplaceProcess final : public Step {
 public:
  ReplaceProcess(Context context, Change change) : context_(std::move(context)), change_(std::move(change)) {}
  std::string id() const override { return "replace-process"; }
  std::string describe() const override {
    return fmt::format("End rusternetes, have its supervisor start {}, and wait until it is ready",
                       context_->settings.release);
  }
  Result<> apply() override {
    RN_CHECK(restart_process(context_)->apply());
    return wait_until_ready(*context_, change_->gate_timeout);
  }
  Result<> undo() override { return restart_process(previous_of(context_, *change_))->apply(); }

 private:
  Context context_;
  Change change_;
};

class RemoveOldReleases final : public Step {
 public:
  RemoveOldReleases(Context context, Change change) : context_(std::move(context)), change_(std::move(change)) {}
  std::string id() const override { return "remove-old-releases"; }
  std::string describe() const override { return "Remove what no release of the cluster needs any more"; }
  Result<> apply() override {
    const ClusterSettings& old = change_->previous;
    const ClusterSettings& now = context_->settings;
    for (const std::string& program : {old.program, old.previous ? old.previous->program : std::string()}) {
      if (program == now.program || (now.previous && program == now.previous->program)) continue;
      RN_CHECK(context_->call("program remove", [&] { return remove_program(program, context_->paths); }));
    }
    return remove_unused_images(*context_, images_of(old), images_of(now));
  }

 private:
  Context context_;
  Change change_;
};

// Stores, then the api-servers, what needs them, and the nodes; the host's proxy before the api-servers, so that who
// comes through it is led to those that are up all the time.
std::vector<std::string> skew_order() {
  return {"rhino", "etcd", "api-proxy", "api-server", "controller-manager", "scheduler", "kubelet", "kube-proxy",
          "dns", "host-agent"};
}

}  // namespace

std::vector<StepPtr> replace_components(const Context& context, const Change& change, bool is_back) {
  std::vector<std::string> order = skew_order();
  if (is_back) {
    std::reverse(order.begin(), order.end());
    // Before the api-servers either way.
    std::swap(*std::find(order.begin(), order.end(), "api-proxy"),
              *std::find(order.begin(), order.end(), "api-server"));
  }
  const std::string last_api_server = members_of(context->settings, "api-server").back().key;
  std::vector<StepPtr> out;
  for (const std::string& component : order)
    for (const Member& member : members_of(context->settings, component)) {
      if (component != "api-proxy")
        out.push_back(std::make_unique<ReplaceComponent>(context, change, member));
      else
        out.push_back(std::make_unique<HandOverProxy>(context, change, member));
      if (member.key == last_api_server)
        out.push_back(std::make_unique<EndLeaving>(context, change, members_of(context->settings, "api-proxy").front()));
    }
  return out;
}

StepPtr keep_program(Context context, Change change) {
  std::set<std::string> kept{change->previous.program};
  if (change->previous.previous) kept.insert(change->previous.previous->program);
  return std::make_unique<KeepProgram>(std::move(context), std::move(kept));
}
StepPtr keep_program(Context context) {
  return std::make_unique<KeepProgram>(std::move(context), std::set<std::string>());
}
StepPtr replace_process(Context context, Change change) {
  return std::make_unique<ReplaceProcess>(std::move(context), std::move(change));
}
StepPtr remove_old_releases(Context context, Change change) {
  return std::make_unique<RemoveOldReleases>(std::move(context), std::move(change));
}

}  // namespace rusternetes::launcher
