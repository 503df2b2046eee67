// Steps that put a snapshot's store, and if asked for its certificates, in the place of a cluster's own, or
// into a new cluster. They lie in the cluster's folder `restore`: `snapshot/` is what came out of the file,
// `old/` what it replaces.
#include <fmt/format.h>

#include <algorithm>

#include "certs/file.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/process_port.h"
#include "launcher/snapshot/reader.h"
#include "launcher/steps/change.h"
#include "launcher/steps/component_containers.h"
#include "launcher/steps/snapshot.h"
#include "launcher/steps/store_places.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds process_grace{20};

fs::path restore_folder(const StepContext& context) { return context.paths.root / "restore"; }
fs::path staged(const StepContext& context) { return restore_folder(context) / "snapshot"; }
fs::path replaced(const StepContext& context) { return restore_folder(context) / "old"; }

// What the file holds, checked as a whole.
Result<StoreFacts> extract(StepContext& context, const SnapshotTask& task, const fs::path& folder) {
  if (task.is_foreign) {
    RN_CHECK(certs::make_folder(folder, 0700));
    RN_CHECK(context.environment.store->import_foreign(task.file, context.environment.binary_dir / "rhino",
                                                       folder));
    return context.environment.store->facts(folder / store_member);
  }
  const auto passphrase =
      task.passphrase ? std::optional<std::string_view>(*task.passphrase) : std::optional<std::string_view>();
  RN_TRY(const auto reader, snapshot::Reader::open(task.file, passphrase));
  RN_CHECK(reader->extract_all(folder, [&](std::uint64_t done, std::uint64_t all) {
    if (context.progress != nullptr)
      context.progress->detail(fmt::format("{} of {}", size_text(done), size_text(all)));
  }));
  if (!is_there(folder / store_member))
    return failure("SnapshotDamaged", fmt::format("{} holds no {}", task.file.string(), store_member));
  return context.environment.store->facts(folder / store_member);
}

std::vector<StorePlace> places(const StepContext& context) { return store_places(context, staged(context)); }

class StageSnapshot final : public Step {
 public:
  StageSnapshot(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "stage-snapshot"; }
  std::string describe() const override { return fmt::format("Unpack and check {}", task_->file.string()); }
  Result<> apply() override {
    RN_CHECK(undo());
    RN_CHECK(certs::make_folder(replaced(*context_), 0700));
    return context_->call("snapshot extract", [&]() -> Result<> {
      RN_TRY(const StoreFacts facts, extract(*context_, *task_, staged(*context_)));
      RN_CHECK(context_->environment.store->raise(
          staged(*context_) / store_member, std::max(facts.revision, task_->revision_floor) + restore_bump));
      return make_store_places(*context_, staged(*context_), task_->id);
    });
  }
  Result<> undo() override {
    return context_->call("snapshot unstage", [&] { return remove_tree(restore_folder(*context_)); });
  }

 private:
  Context context_;
  Task task_;
};

Result<> let_run(const Context& context) {
  if (context->settings.has_containers()) {
    // A stopped cluster has none; one that is held, the others.
    RN_TRY(const Liveness liveness, look_at(*context));
    return liveness.components.empty() ? Result<>() : apply_manifest(context)->apply();
  }
  const ProcessSpec spec = process_spec(*context);
  RN_TRY(const ProcessStatus status, context->environment.process.status(spec));
  if (!status.is_running || status.is_released) return {};
  return context->call("process release", [&] { return context->environment.process.release(spec); });
}

class HoldProcess final : public Step {
 public:
  explicit HoldProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "hold-process"; }
  std::string describe() const override {
    return context_->settings.has_containers() ? "Stop the store and the api-servers; Pods run on"
                                               : "Stop rusternetes; Pods run on";
  }
  Result<> apply() override {
    if (context_->settings.has_containers()) return end_held();
    const ProcessSpec spec = process_spec(*context_);
    RN_TRY(const ProcessStatus status, context_->environment.process.status(spec));
    if (!status.is_running) return {};
    return context_->call("process hold",
                          [&] { return context_->environment.process.hold(spec, process_grace); });
  }
  Result<> undo() override { return let_run(context_); }

 private:
  // The api-servers first: one that has lost its store takes its time to end.
  Result<> end_held() {
    RN_TRY(const Liveness liveness, look_at(*context_));
    RN_CHECK(end_those(*context_, liveness.components,
                       [](const ComponentContainer& one) { return one.component == "api-server"; }));
    return end_those(*context_, liveness.components,
                     [](const ComponentContainer& one) { return is_store(one.component); });
  }
  Context context_;
};

class ResumeProcess final : public Step {
 public:
  explicit ResumeProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "resume-process"; }
  std::string describe() const override {
    return context_->settings.has_containers() ? "Start the store and the api-servers, if they ran"
                                               : "Start rusternetes, if it ran";
  }
  Result<> apply() override { return let_run(context_); }

 private:
  Context context_;
};

// As long as the new store is not in its place, whatever is there belongs to the old one.
class SwapStore final : public Step {
 public:
  explicit SwapStore(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "swap-store"; }
  std::string describe() const override { return "Put the snapshot's store in the place of the cluster's"; }
  Result<> apply() override {
    for (const StorePlace& place : places(*context_)) {
      if (!is_there(place.fresh)) continue;  // done before
      for (const char* suffix : store_suffixes)
        if (const fs::path file = place.target.string() + suffix; is_there(file))
          RN_CHECK(context_->call("store put-aside", [&] { return move_path(file, old_of(place, suffix)); }));
      RN_CHECK(context_->call("store put", [&] { return move_path(place.fresh, place.target); }));
    }
    return {};
  }
  // The process has not run since, so that nothing lies beside the new store.
  Result<> undo() override {
    for (const StorePlace& place : places(*context_)) {
      if (!is_there(place.fresh) && is_there(place.target))
        RN_CHECK(context_->call("store take-back", [&] { return move_path(place.target, place.fresh); }));
      for (const char* suffix : store_suffixes)
        if (const fs::path old = old_of(place, suffix); is_there(old))
          RN_CHECK(context_->call("store put-back",
                                  [&] { return move_path(old, place.target.string() + suffix); }));
    }
    return {};
  }

 private:
  fs::path old_of(const StorePlace& place, const char* suffix) const {
    return replaced(*context_) / (place.fresh.filename().string() + suffix);
  }
  Context context_;
};

class SwapCertificates final : public Step {
 public:
  explicit SwapCertificates(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "swap-certificates"; }
  std::string describe() const override {
    return "Put the snapshot's certificates in the place of the cluster's";
  }
  Result<> apply() override {
    if (!is_there(fresh())) return {};  // done before
    if (is_there(context_->paths.pki()))
      RN_CHECK(context_->call("pki put-aside", [&] { return move_path(context_->paths.pki(), old()); }));
    return context_->call("pki put", [&] { return move_path(fresh(), context_->paths.pki()); });
  }
  Result<> undo() override {
    if (!is_there(old())) return {};
    if (!is_there(fresh()) && is_there(context_->paths.pki()))
      RN_CHECK(context_->call("pki take-back", [&] { return move_path(context_->paths.pki(), fresh()); }));
    return context_->call("pki put-back", [&] { return move_path(old(), context_->paths.pki()); });
  }

 private:
  fs::path fresh() const { return staged(*context_) / "pki"; }
  fs::path old() const { return replaced(*context_) / "pki"; }
  Context context_;
};

class RemoveStaging final : public Step {
 public:
  RemoveStaging(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "remove-staging"; }
  std::string describe() const override {
    return task_->keeps_old_store ? fmt::format("Keep the old store in {}", context_->paths.data().string())
                                  : std::string("Remove the old store");
  }
  Result<> apply() override {
    if (task_->keeps_old_store)
      for (const StorePlace& place : places(*context_)) {
        const std::string name = place.fresh.filename();
        for (const char* suffix : store_suffixes)
          if (const fs::path old = replaced(*context_) / (name + suffix); is_there(old))
            RN_CHECK(context_->call("store keep-old",
                                    [&] { return move_path(old, kept(name).string() + suffix); }));
      }
    return context_->call("snapshot unstage", [&] { return remove_tree(restore_folder(*context_)); });
  }

 private:
  // Of SQLite "replaced.db", of etcd a folder for each member.
  fs::path kept(const std::string& name = store_member) const {
    return context_->paths.data() / (name == store_member ? std::string("replaced.db") : "replaced-" + name);
  }
  Context context_;
  Task task_;
};

// The folder is new, and goes whole if the cluster does not come to be.
class PutStore final : public Step {
 public:
  PutStore(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "put-store"; }
  std::string describe() const override {
    return fmt::format("Fill the store from {}{}", task_->file.string(),
                       task_->has_certificates ? ", with its certificates"
                       : task_->is_foreign     ? ", without what is of that cluster alone"
                                               : "");
  }
  Result<> apply() override {
    RN_CHECK(remove_tree(restore_folder(*context_)));
    RN_CHECK(certs::make_folder(restore_folder(*context_), 0700));
    RN_CHECK(context_->call("snapshot extract", [&]() -> Result<> {
      RN_TRY(StoreFacts facts, extract(*context_, *task_, staged(*context_)));
      StorePort& store = *context_->environment.store;
      const fs::path copy = staged(*context_) / store_member;
      RN_CHECK(store.adapt(
          copy, {task_->service_cidrs_before, context_->settings.service_cidrs, task_->is_foreign}));
      RN_TRY(facts, store.facts(copy));
      RN_CHECK(store.raise(copy, facts.revision + restore_bump));
      return make_store_places(*context_, staged(*context_), task_->id);
    }));
    for (const StorePlace& place : places(*context_)) {
      RN_CHECK(certs::make_folder(place.target.parent_path(), 0700));
      RN_CHECK(remove_tree(place.target));  // of a try that was cut off
      RN_CHECK(context_->call("store put", [&] { return move_path(place.fresh, place.target); }));
    }
    if (task_->has_certificates && is_there(staged(*context_) / "pki")) {
      RN_CHECK(remove_tree(context_->paths.pki()));
      RN_CHECK(context_->call("pki put",
                              [&] { return move_path(staged(*context_) / "pki", context_->paths.pki()); }));
    }
    return context_->call("snapshot unstage", [&] { return remove_tree(restore_folder(*context_)); });
  }

 private:
  Context context_;
  Task task_;
};

}  // namespace

StepPtr stage_snapshot(Context context, Task task) {
  return std::make_unique<StageSnapshot>(std::move(context), std::move(task));
}
StepPtr hold_process(Context context) { return std::make_unique<HoldProcess>(std::move(context)); }
StepPtr swap_store(Context context) { return std::make_unique<SwapStore>(std::move(context)); }
StepPtr swap_certificates(Context context) { return std::make_unique<SwapCertificates>(std::move(context)); }
StepPtr resume_process(Context context) { return std::make_unique<ResumeProcess>(std::move(context)); }
StepPtr remove_staging(Context context, Task task) {
  return std::make_unique<RemoveStaging>(std::move(context), std::move(task));
}
StepPtr put_store(Context context, Task task) {
  return std::make_unique<PutStore>(std::move(context), std::move(task));
}

}  // namespace rusternetes::launcher
