// Steps for the start of the host: Podman starts no container then, and Docker none that joins another one,
// so that init runs `rusternetes-ctl start`.
#include "launcher/ports/process_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

class StartAtBoot final : public Step {
 public:
  explicit StartAtBoot(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "start-at-boot"; }
  std::string describe() const override { return "Have the host's start bring it up, where systemd runs"; }
  Result<> apply() override {
    return context_->call("boot install", [&] { return port().start_at_boot(process_spec(*context_)); });
  }
  Result<> undo() override {
    return context_->call("boot forget", [&] { return port().forget_boot(process_spec(*context_)); });
  }

 private:
  ProcessPort& port() { return context_->environment.process; }
  Context context_;
};

class ForgetBoot final : public Step {
 public:
  explicit ForgetBoot(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "forget-boot"; }
  std::string describe() const override { return "Take the start at boot back"; }
  Result<> apply() override {
    return context_->call("boot forget",
                          [&] { return context_->environment.process.forget_boot(process_spec(*context_)); });
  }

 private:
  Context context_;
};

}  // namespace

StepPtr start_at_boot(Context context) { return std::make_unique<StartAtBoot>(std::move(context)); }
StepPtr forget_boot(Context context) { return std::make_unique<ForgetBoot>(std::move(context)); }

}  // namespace rusternetes::launcher
