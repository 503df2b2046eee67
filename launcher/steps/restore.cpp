// Steps that put a snapshot's store, and if asked for its certificates, in the place of a cluster's own, or
// into a new cluster. They lie in the cluster's folder `restore`: `snapshot/` is what came out of the file,
// `old/` what it replaces.
#include <fmt/format.h>

#include <algorithm>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/ports/process_port.h"
#include "launcher/snapshot/reader.h"
#include "launcher/steps/snapshot.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds process_grace{20};

// A store of SQLite is a file and, when its process was killed, the log beside it.
constexpr const char* store_suffixes[] = {"-wal", "-shm", ""};

fs::path restore_folder(const StepContext& context) { return context.paths.root / "restore"; }
fs::path staged(const StepContext& context) { return restore_folder(context) / "snapshot"; }
fs::path replaced(const StepContext& context) { return restore_folder(context) / "old"; }

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Result<> move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    return internal_error(fmt::format("move {} to {}: {}", from.string(), to.string(), error.message()));
  RN_CHECK(sync_folder(from.parent_path()));
  return sync_folder(to.parent_path());
}

Result<> remove_tree(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) return internal_error(fmt::format("remove {}: {}", folder.string(), error.message()));
  return {};
}

// What the file holds, checked as a whole.
Result<StoreFacts> extract(StepContext& context, const SnapshotTask& task, const fs::path& folder) {
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
      return context_->environment.store->raise(
          staged(*context_) / store_member, std::max(facts.revision, task_->revision_floor) + restore_bump);
    });
  }
  Result<> undo() override {
    return context_->call("snapshot unstage", [&] { return remove_tree(restore_folder(*context_)); });
  }

 private:
  Context context_;
  Task task_;
};

Result<> let_run(StepContext& context) {
  const ProcessSpec spec = process_spec(context);
  RN_TRY(const ProcessStatus status, context.environment.process.status(spec));
  if (!status.is_running || status.is_released) return {};
  return context.call("process release", [&] { return context.environment.process.release(spec); });
}

class HoldProcess final : public Step {
 public:
  explicit HoldProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "hold-process"; }
  std::string describe() const override { return "Stop rusternetes; Pods run on"; }
  Result<> apply() override {
    const ProcessSpec spec = process_spec(*context_);
    RN_TRY(const ProcessStatus status, context_->environment.process.status(spec));
    if (!status.is_running) return {};
    return context_->call("process hold",
                          [&] { return context_->environment.process.hold(spec, process_grace); });
  }
  Result<> undo() override { return let_run(*context_); }

 private:
  Context context_;
};

class ResumeProcess final : public Step {
 public:
  explicit ResumeProcess(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "resume-process"; }
  std::string describe() const override { return "Start rusternetes, if it ran"; }
  Result<> apply() override { return let_run(*context_); }

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
    const fs::path fresh = staged(*context_) / store_member;
    if (!is_there(fresh)) return {};  // done before
    const fs::path store = store_source(*context_).file;
    for (const char* suffix : store_suffixes)
      if (const fs::path file = store.string() + suffix; is_there(file))
        RN_CHECK(context_->call("store put-aside", [&] {
          return move(file, replaced(*context_) / (std::string(store_member) + suffix));
        }));
    return context_->call("store put", [&] { return move(fresh, store); });
  }
  // The process has not run since, so that nothing lies beside the new store.
  Result<> undo() override {
    const fs::path fresh = staged(*context_) / store_member;
    const fs::path store = store_source(*context_).file;
    if (!is_there(fresh) && is_there(store))
      RN_CHECK(context_->call("store take-back", [&] { return move(store, fresh); }));
    for (const char* suffix : store_suffixes)
      if (const fs::path old = replaced(*context_) / (std::string(store_member) + suffix); is_there(old))
        RN_CHECK(context_->call("store put-back", [&] { return move(old, store.string() + suffix); }));
    return {};
  }

 private:
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
      RN_CHECK(context_->call("pki put-aside", [&] { return move(context_->paths.pki(), old()); }));
    return context_->call("pki put", [&] { return move(fresh(), context_->paths.pki()); });
  }
  Result<> undo() override {
    if (!is_there(old())) return {};
    if (!is_there(fresh()) && is_there(context_->paths.pki()))
      RN_CHECK(context_->call("pki take-back", [&] { return move(context_->paths.pki(), fresh()); }));
    return context_->call("pki put-back", [&] { return move(old(), context_->paths.pki()); });
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
    return task_->keeps_old_store ? fmt::format("Keep the old store as {}", kept().string())
                                  : std::string("Remove the old store");
  }
  Result<> apply() override {
    if (task_->keeps_old_store)
      for (const char* suffix : store_suffixes)
        if (const fs::path old = replaced(*context_) / (std::string(store_member) + suffix); is_there(old))
          RN_CHECK(context_->call("store keep-old", [&] { return move(old, kept().string() + suffix); }));
    return context_->call("snapshot unstage", [&] { return remove_tree(restore_folder(*context_)); });
  }

 private:
  fs::path kept() const { return context_->paths.data() / "replaced.db"; }
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
                       task_->has_certificates ? ", with its certificates" : "");
  }
  Result<> apply() override {
    RN_CHECK(remove_tree(restore_folder(*context_)));
    RN_CHECK(certs::make_folder(restore_folder(*context_), 0700));
    RN_CHECK(context_->call("snapshot extract", [&]() -> Result<> {
      RN_TRY(StoreFacts facts, extract(*context_, *task_, staged(*context_)));
      StorePort& store = *context_->environment.store;
      const fs::path copy = staged(*context_) / store_member;
      RN_CHECK(store.adapt(copy, {task_->service_cidrs_before, context_->settings.service_cidrs}));
      RN_TRY(facts, store.facts(copy));
      return store.raise(copy, facts.revision + restore_bump);
    }));
    RN_CHECK(context_->call(
        "store put", [&] { return move(staged(*context_) / store_member, store_source(*context_).file); }));
    if (task_->has_certificates && is_there(staged(*context_) / "pki")) {
      RN_CHECK(remove_tree(context_->paths.pki()));
      RN_CHECK(
          context_->call("pki put", [&] { return move(staged(*context_) / "pki", context_->paths.pki()); }));
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
