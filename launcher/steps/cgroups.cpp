// The step for what containers leave in the host's cgroup hierarchies.
#include "launcher/ports/host_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

class RemoveCgroups final : public Step {
 public:
  RemoveCgroups(Context context, bool must_end) : context_(std::move(context)), must_end_(must_end) {}
  std::string id() const override { return "remove-cgroups"; }
  std::string describe() const override {
    return must_end_ ? "Remove the cluster's cgroups" : "Remove the cluster's empty cgroups";
  }
  Result<> apply() override {
    return context_->call("host remove-cgroups", [&] {
      return context_->environment.host.remove_cgroups(context_->settings.name, must_end_);
    });
  }

 private:
  Context context_;
  bool must_end_;
};

}  // namespace

StepPtr remove_cgroups(Context context, bool must_end) {
  return std::make_unique<RemoveCgroups>(std::move(context), must_end);
}

}  // namespace rusternetes::launcher
