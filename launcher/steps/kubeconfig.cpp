// Steps that edit the user's kubeconfig.
#include <fmt/format.h>

#include "launcher/failure.h"
#include "launcher/steps/steps.h"
#include "launcher/user_kubeconfig.h"

namespace rusternetes::launcher {
namespace {

class MergeUserKubeconfig final : public Step {
 public:
  explicit MergeUserKubeconfig(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "merge-kubeconfig"; }
  std::string describe() const override {
    return fmt::format("Make the context \"{}\" current in {}", context_->settings.context(),
                       context_->settings.user_kubeconfig);
  }
  Result<> apply() override {
    RN_TRY(const std::string told, context_->call("kubeconfig merge", [&] {
      return merge_kubeconfig_file(context_->settings.user_kubeconfig, context_->paths.kubeconfig());
    }));
    if (!told.empty() && context_->progress != nullptr) context_->progress->note(told);
    return {};
  }
  Result<> undo() override {
    return context_->call("kubeconfig remove", [&] {
      return remove_from_kubeconfig_file(context_->settings.user_kubeconfig, context_->settings.context());
    });
  }

 private:
  Context context_;
};

class RenewUserKubeconfig final : public Step {
 public:
  explicit RenewUserKubeconfig(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "renew-kubeconfig"; }
  std::string describe() const override {
    return fmt::format("Renew the certificate in {} if the context \"{}\" is there",
                       context_->settings.user_kubeconfig, context_->settings.context());
  }
  Result<> apply() override {
    const auto renewed = context_->call("kubeconfig renew", [&] {
      return renew_kubeconfig_file(context_->settings.user_kubeconfig, context_->paths.kubeconfig());
    });
    if (!renewed && context_->progress != nullptr)
      context_->progress->note(fmt::format("The user's kubeconfig keeps the old certificate: {}",
                                           renewed.error().message));
    return {};
  }

 private:
  Context context_;
};

// What is gone by then does not wait for somebody to correct a file that is no kubeconfig any more.
class RemoveUserKubeconfig final : public Step {
 public:
  explicit RemoveUserKubeconfig(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-kubeconfig"; }
  std::string describe() const override {
    return fmt::format("Take the context \"{}\" out of {}", context_->settings.context(),
                       context_->settings.user_kubeconfig);
  }
  Result<> apply() override {
    auto result = context_->call("kubeconfig remove", [&] {
      return remove_from_kubeconfig_file(context_->settings.user_kubeconfig, context_->settings.context());
    });
    if (!result && result.error().is("KubeconfigBroken"))
      return failure(
          "KubeconfigBroken",
          fmt::format("everything of cluster \"{}\" is deleted but its context \"{}\", which the "
                      "next command takes out: {}",
                      context_->settings.name, context_->settings.context(), result.error().message));
    return result;
  }

 private:
  Context context_;
};

}  // namespace

StepPtr merge_user_kubeconfig(Context context) {
  return std::make_unique<MergeUserKubeconfig>(std::move(context));
}
StepPtr renew_user_kubeconfig(Context context) {
  return std::make_unique<RenewUserKubeconfig>(std::move(context));
}
StepPtr remove_user_kubeconfig(Context context) {
  return std::make_unique<RemoveUserKubeconfig>(std::move(context));
}

}  // namespace rusternetes::launcher
