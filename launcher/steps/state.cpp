// Steps that write the launcher's own memory.
#include <fmt/format.h>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

class RecordCluster final : public Step {
 public:
  explicit RecordCluster(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "record-cluster"; }
  std::string describe() const override {
    const ClusterSettings& s = context_->settings;
    return fmt::format("Reserve Pods {}, Services {}, API port {}", joined(s.pod_cidrs),
                       joined(s.service_cidrs), s.api_port);
  }
  Result<> apply() override {
    const ClusterSettings& s = context_->settings;
    return context_->call("state record", [&] {
      return context_->state->record({s.name, s.mode, s.engine.kind, "creating", to_json(s), s.created_at_ms},
                                     reservations_of(s));
    });
  }
  Result<> undo() override {
    return context_->call("state forget", [&] { return context_->state->forget(context_->settings.name); });
  }

 private:
  Context context_;
};

class SetPhase final : public Step {
 public:
  SetPhase(Context context, std::string phase, std::string after_undo)
      : context_(std::move(context)), phase_(std::move(phase)), after_undo_(std::move(after_undo)) {}
  std::string id() const override { return "mark-" + phase_; }
  std::string describe() const override { return fmt::format("Remember that the cluster is {}", phase_); }
  Result<> apply() override { return set(phase_); }
  Result<> undo() override { return after_undo_.empty() ? Result<>() : set(after_undo_); }

 private:
  Result<> set(const std::string& phase) {
    return context_->call("state set-phase",
                          [&] { return context_->state->set_phase(context_->settings.name, phase); });
  }
  Context context_;
  std::string phase_;
  std::string after_undo_;
};

class ForgetCluster final : public Step {
 public:
  explicit ForgetCluster(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "forget-cluster"; }
  std::string describe() const override { return "Give the cluster's addresses back"; }
  Result<> apply() override {
    return context_->call("state forget", [&] { return context_->state->forget(context_->settings.name); });
  }

 private:
  Context context_;
};

}  // namespace

StepPtr record_cluster(Context context) { return std::make_unique<RecordCluster>(std::move(context)); }
StepPtr set_phase(Context context, std::string phase, std::string phase_after_undo) {
  return std::make_unique<SetPhase>(std::move(context), std::move(phase), std::move(phase_after_undo));
}
StepPtr forget_cluster(Context context) { return std::make_unique<ForgetCluster>(std::move(context)); }

}  // namespace rusternetes::launcher
