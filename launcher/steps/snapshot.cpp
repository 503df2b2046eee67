// Steps that copy a cluster's store into a snapshot, and that keep and remove snapshots.
#include "launcher/steps/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>

#include "certs/file.h"
#include "launcher/command.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/process_port.h"
#include "launcher/snapshot/writer.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

fs::path work_folder(const StepContext& context) { return context.paths.root / "snapshot"; }
fs::path store_copy(const StepContext& context) { return work_folder(context) / store_member; }
fs::path written(const StepContext& context, const SnapshotTask& task) {
  return work_folder(context) / (task.id + ".snapshot");
}

Result<> remove_folder_of(StepContext& context, const char* what, const fs::path& folder) {
  return context.call(what, [&]() -> Result<> {
    std::error_code error;
    fs::remove_all(folder, error);
    if (error) return internal_error(fmt::format("remove {}: {}", folder.string(), error.message()));
    return {};
  });
}

class CopyStore final : public Step {
 public:
  CopyStore(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "copy-store"; }
  std::string describe() const override { return "Copy the store at one revision"; }
  Result<> apply() override {
    RN_CHECK(undo());
    RN_CHECK(certs::make_folder(work_folder(*context_), 0700));
    return copy_store_to(*context_, store_copy(*context_));
  }
  Result<> undo() override {
    return remove_folder_of(*context_, "store remove-copy", work_folder(*context_));
  }

 private:
  Context context_;
  Task task_;
};

class WriteSnapshot final : public Step {
 public:
  WriteSnapshot(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "write-snapshot"; }
  std::string describe() const override {
    return fmt::format("Write store, certificates and settings{}", task_->passphrase ? ", encrypted" : "");
  }
  Result<> apply() override {
    return context_->call("snapshot write", [&] { return write(); });
  }

 private:
  Result<> write() {
    const ClusterSettings& settings = context_->settings;
    RN_TRY(const StoreFacts facts, context_->environment.store->facts(store_copy(*context_)));
    const auto now = std::chrono::floor<std::chrono::seconds>(context_->environment.clock.now());
    std::optional<snapshot::Encryption> encryption;
    if (task_->passphrase) encryption.emplace(*task_->passphrase, snapshot::ScryptCost());
    RN_TRY(auto writer, snapshot::Writer::create(written(*context_, *task_),
                                                 {.id = task_->id,
                                                  .cluster = settings.name,
                                                  .mode = settings.mode,
                                                  .release = context_->environment.release,
                                                  .created_at_s = now.time_since_epoch().count(),
                                                  .store = snapshot::StoreKind::sqlite,
                                                  .revision = facts.revision,
                                                  .object_count = facts.object_count,
                                                  .note = task_->note},
                                                 std::move(encryption)));
    RN_CHECK(writer->add_bytes(cluster_member,
                               to_json(SnapshotCluster{settings, context_->environment.release, kubernetes_version})));
    RN_CHECK(add_certificates(*writer));
    RN_CHECK(writer->add_file(store_member, store_copy(*context_)));
    RN_TRY([[maybe_unused]] const auto manifest, writer->finish([&](std::uint64_t done, std::uint64_t all) {
      if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{} of {}", size_text(done), size_text(all)));
    }));
    return {};
  }

  Result<> add_certificates(snapshot::Writer& writer) {
    std::error_code error;
    std::vector<fs::path> files;
    const fs::path pki = context_->paths.pki();
    if (!fs::exists(pki, error)) return {};  // the store alone is worth keeping
    for (fs::recursive_directory_iterator at(pki, error); !error && at != fs::recursive_directory_iterator();
         at.increment(error))
      if (at->is_regular_file(error)) files.push_back(at->path());
    if (error) return internal_error(fmt::format("read {}: {}", pki.string(), error.message()));
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      const std::string member = "pki/" + file.lexically_relative(pki).string();
      if (snapshot::is_member_name(member)) RN_CHECK(writer.add_file(member, file));
    }
    return {};
  }

  Context context_;
  Task task_;
};

class KeepSnapshot final : public Step {
 public:
  KeepSnapshot(Context context, Task task) : context_(std::move(context)), task_(std::move(task)) {}
  std::string id() const override { return "keep-snapshot"; }
  std::string describe() const override { return "Keep it as " + final_path().string(); }
  Result<> apply() override {
    RN_CHECK(certs::make_folder(final_path().parent_path(), 0700));
    return context_->call("snapshot keep", [&]() -> Result<> {
      std::error_code error;
      const fs::path from = written(*context_, *task_);
      if (!fs::exists(from, error) && fs::exists(final_path(), error)) return {};  // done before
      fs::rename(from, final_path(), error);
      // Snapshots may be kept on a disk of their own.
      if (error == std::errc::cross_device_link) return copy_to_new(from, final_path());
      if (error) return internal_error(fmt::format("rename {}: {}", from.string(), error.message()));
      return sync_folder(final_path().parent_path());
    });
  }
  Result<> undo() override {
    return context_->call("snapshot unkeep", [&]() -> Result<> {
      std::error_code error;
      fs::remove(final_path().string() + ".partial", error);
      fs::remove(final_path(), error);
      if (error) return internal_error(fmt::format("remove {}: {}", final_path().string(), error.message()));
      fs::remove(final_path().parent_path(),
                 error);  // only where it was the first one, like the folder above
      fs::remove(context_->home.snapshots(), error);
      return {};
    });
  }

 private:
  fs::path final_path() const { return snapshot_path(context_->home, context_->settings.name, task_->id); }
  Context context_;
  Task task_;
};

class RemoveStoreCopy final : public Step {
 public:
  explicit RemoveStoreCopy(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-store-copy"; }
  std::string describe() const override { return "Remove the copy of the store"; }
  Result<> apply() override {
    return remove_folder_of(*context_, "store remove-copy", work_folder(*context_));
  }

 private:
  Context context_;
};

class RemoveSnapshots final : public Step {
 public:
  explicit RemoveSnapshots(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-snapshots"; }
  std::string describe() const override { return "Remove its snapshots from " + folder().string(); }
  Result<> apply() override {
    RN_CHECK(remove_folder_of(*context_, "snapshot remove", folder()));
    std::error_code ignored;
    fs::remove(context_->home.snapshots(), ignored);  // only when this was the last one in it
    return {};
  }

 private:
  fs::path folder() const { return context_->home.snapshots() / context_->settings.name; }
  Context context_;
};

Result<bool> store_runs(const StepContext& context) {
  RN_TRY(const Liveness liveness, look_at(context));
  if (!context.settings.has_containers()) return liveness.is_whole;
  return std::any_of(liveness.components.begin(), liveness.components.end(),
                     [](const auto& one) { return one.is_running && is_store(one.component); });
}

}  // namespace

Result<> copy_store_to(StepContext& context, const fs::path& to) {
  StorePort& port = *context.environment.store;
  const StoreSource source = store_source(context);
  RN_TRY(const bool is_running, store_runs(context));
  return context.call("store copy", [&]() -> Result<> {
    Result<> copied;
    if (is_running) {
      copied = port.copy_running(source, to, [&](std::uint64_t bytes) {
        if (context.progress != nullptr) context.progress->detail(size_text(bytes));
      });
      // A process that ends as soon as it has begun has let go of the file.
      if (copied || !copied.error().is("StoreUnreachable")) return copied;
    }
    auto of_file = port.copy_stopped(source, to);
    // What kept the running one from answering says more.
    const bool is_less =
        !of_file && !copied && (of_file.error().is("StoreInUse") || of_file.error().is("StoreUnreachable"));
    return is_less ? copied : of_file;
  });
}

std::string plan_arguments(const ClusterSettings& settings, const SnapshotTask& task) {
  return with_task(to_json(settings), task);
}

std::string with_task(std::string_view arguments, const SnapshotTask& task) {
  json::object object = json::parse(json::string_view(arguments.data(), arguments.size())).get_object();
  object["task"] = json::object{{"id", task.id},
                                {"file", task.file.string()},
                                {"foreign", task.is_foreign},
                                {"certificates", task.has_certificates},
                                {"snapshots", task.has_snapshots},
                                {"keepOldStore", task.keeps_old_store}};
  return json::serialize(object);
}

Task task_from_arguments(std::string_view arguments) {
  auto task = std::make_shared<SnapshotTask>();
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(arguments.data(), arguments.size()), error);
  const json::value* found = error ? nullptr : value.find_pointer("/task", error);
  if (found == nullptr || !found->is_object()) return task;
  const auto is_set = [&](const char* key) {
    const auto* field = found->get_object().if_contains(key);
    return field != nullptr && field->is_bool() && field->get_bool();
  };
  if (const auto* id = found->get_object().if_contains("id"); id != nullptr && id->is_string())
    task->id = std::string(id->get_string());
  if (const auto* file = found->get_object().if_contains("file"); file != nullptr && file->is_string())
    task->file = std::string(file->get_string());
  task->is_foreign = is_set("foreign");
  task->has_certificates = is_set("certificates");
  task->has_snapshots = is_set("snapshots");
  task->keeps_old_store = is_set("keepOldStore");
  return task;
}

StepPtr copy_store(Context context, Task task) {
  return std::make_unique<CopyStore>(std::move(context), std::move(task));
}
StepPtr write_snapshot(Context context, Task task) {
  return std::make_unique<WriteSnapshot>(std::move(context), std::move(task));
}
StepPtr keep_snapshot(Context context, Task task) {
  return std::make_unique<KeepSnapshot>(std::move(context), std::move(task));
}
StepPtr remove_store_copy(Context context) { return std::make_unique<RemoveStoreCopy>(std::move(context)); }
StepPtr remove_snapshots(Context context) { return std::make_unique<RemoveSnapshots>(std::move(context)); }

}  // namespace rusternetes::launcher
