// Steps for the cluster's folder.
#include <fmt/format.h>

#include "certs/file.h"
#include "launcher/ports/host_port.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// Never follows a mount: what is still mounted below would be emptied with the folder.
Result<> unmount_and_remove(StepContext& context) {
  RN_CHECK(context.call("host unmount",
                        [&] { return context.environment.host.unmount_below(context.paths.root); }));
  std::error_code error;
  fs::remove_all(context.paths.root, error);
  if (error)
    return internal_error(fmt::format("remove {}: {}", context.paths.root.string(), error.message()));
  fs::remove(context.home.clusters(), error);  // only when this was the last one in it
  return {};
}

class MakeFolder final : public Step {
 public:
  explicit MakeFolder(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "make-folder"; }
  std::string describe() const override { return "Make the folder " + context_->paths.root.string(); }
  Result<> apply() override {
    const ClusterPaths& p = context_->paths;
    for (const fs::path& folder : {p.root, p.pki(), p.data(), p.run(), p.logs()})
      RN_CHECK(certs::make_folder(folder, 0700));
    // Containers of other users read volumes below it.
    return certs::make_folder(p.kubelet(), 0755);
  }
  Result<> undo() override { return unmount_and_remove(*context_); }

 private:
  Context context_;
};

class ShareFolder final : public Step {
 public:
  explicit ShareFolder(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "share-folder"; }
  std::string describe() const override { return "Make the kubelet's folder a shared mount"; }
  Result<> apply() override {
    return context_->call("host share",
                          [&] { return context_->environment.host.share_folder(context_->paths.kubelet()); });
  }
  Result<> undo() override {
    return context_->call(
        "host unmount", [&] { return context_->environment.host.unmount_below(context_->paths.kubelet()); });
  }

 private:
  Context context_;
};

class UnmountFolder final : public Step {
 public:
  explicit UnmountFolder(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "unmount-folder"; }
  std::string describe() const override { return "Unmount what is mounted in the cluster's folder"; }
  Result<> apply() override {
    return context_->call("host unmount",
                          [&] { return context_->environment.host.unmount_below(context_->paths.root); });
  }

 private:
  Context context_;
};

class RemoveFolder final : public Step {
 public:
  explicit RemoveFolder(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-folder"; }
  std::string describe() const override { return "Remove the folder " + context_->paths.root.string(); }
  Result<> apply() override { return unmount_and_remove(*context_); }

 private:
  Context context_;
};

}  // namespace

StepPtr make_folder_step(Context context) { return std::make_unique<MakeFolder>(std::move(context)); }
StepPtr share_folder(Context context) { return std::make_unique<ShareFolder>(std::move(context)); }
StepPtr unmount_folder(Context context) { return std::make_unique<UnmountFolder>(std::move(context)); }
StepPtr remove_folder(Context context) { return std::make_unique<RemoveFolder>(std::move(context)); }

}  // namespace rusternetes::launcher
