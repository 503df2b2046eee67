#include "launcher/steps/migrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/component_health.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/store_port.h"
#include "launcher/readiness.h"
#include "launcher/steps/component_containers.h"
#include "launcher/steps/snapshot.h"
#include "launcher/steps/store_places.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// How long a store may take to read what it starts on, and api-servers to be ready on it.
constexpr std::chrono::minutes patience{2};
constexpr milliseconds look_delay{50};
// For requests that are under way. Watches would go on until the end of any time, and nobody is served
// meanwhile; what was acknowledged is in the store.
constexpr std::chrono::seconds request_grace{2};
// A store that the engine has started this often will not serve.
constexpr int hopeless_restarts = 4;

fs::path migrate_folder(const StepContext& context) { return context.paths.root / "migrate"; }
fs::path store_copy(const StepContext& context) { return migrate_folder(context) / store_member; }

std::string store_name(const ClusterSettings& settings) {
  if (settings.mode != "etcd") return "SQLite";
  return settings.is_highly_available ? "etcd (three members)" : "etcd";
}

std::vector<std::string> store_keys(const ClusterSettings& settings) {
  std::vector<std::string> out;
  for (const Member& one : members_of(settings))
    if (is_store(one.component)) out.push_back(one.key);
  return out;
}

// With the images of the other, too, and those of the release that either can be rolled back to.
ClusterSettings with_images_of(ClusterSettings settings, const ClusterSettings& other) {
  settings.images.insert(other.images.begin(), other.images.end());
  if (!settings.previous) settings.previous = other.previous;
  return settings;
}

class MigrationStep : public Step {
 public:
  MigrationStep(Context context, Change change)
      : context_(std::move(context)),
        previous_(change ? previous_of(context_, *change) : context_),
        original_(change ? change->previous : context_->settings) {}

 protected:
  Result<> end(const std::function<bool(const ComponentContainer&)>& is_meant,
               std::chrono::seconds grace = component_grace) {
    RN_TRY(const auto all, component_containers(*context_));
    return end_those(*context_, all, is_meant, grace);
  }
  Context context_;
  Context previous_;  // the same with the settings and the manifest of before
  ClusterSettings original_;  // those settings as they are recorded
};

class BeginMigration final : public MigrationStep {
 public:
  using MigrationStep::MigrationStep;
  std::string id() const override { return "begin-migration"; }
  std::string describe() const override {
    return fmt::format("Remember that the data goes from {} to {}", store_name(previous_->settings),
                       store_name(context_->settings));
  }
  Result<> apply() override {
    return record_settings(*context_, with_images_of(original_, context_->settings));
  }
  Result<> undo() override {
    RN_CHECK(make_certificates(previous_)->apply());
    RN_CHECK(remove_other_leaves(*context_, context_->settings, previous_->settings));
    RN_CHECK(write_component_folders(previous_)->apply());
    RN_CHECK(write_manifest(previous_)->apply());
    // Where nothing of it runs any more, `start` does the rest.
    RN_TRY(const Liveness liveness, look_at(*previous_));
    if (liveness.is_running) RN_CHECK(apply_manifest(previous_)->apply());
    return record_settings(*context_, original_);
  }
};

class EndApiServers final : public MigrationStep {
 public:
  explicit EndApiServers(Context context) : MigrationStep(std::move(context), nullptr) {}
  std::string id() const override { return "end-api-servers"; }
  std::string describe() const override {
    return "Stop the api-servers, so that nothing is written; Pods run on";
  }
  Result<> apply() override {
    return end([](const ComponentContainer& one) { return one.component == "api-server"; }, request_grace);
  }
};

class StageStore final : public MigrationStep {
 public:
  using MigrationStep::MigrationStep;
  std::string id() const override { return "stage-store"; }
  std::string describe() const override {
    return fmt::format("Copy every object, and make a store of {} of it", store_name(context_->settings));
  }
  Result<> apply() override {
    RN_CHECK(undo());
    RN_CHECK(certs::make_folder(migrate_folder(*context_), 0700));
    RN_CHECK(copy_store_to(*previous_, store_copy(*context_)));
    return context_->call("store make", [&]() -> Result<> {
      StorePort& store = *context_->environment.store;
      RN_TRY(const StoreFacts facts, store.facts(store_copy(*context_)));
      const std::int64_t revision = facts.revision + restore_bump;
      RN_CHECK(store.raise(store_copy(*context_), revision));
      return make_store_places(*context_, migrate_folder(*context_), fmt::format("migrated-{}", revision));
    });
  }
  Result<> undo() override {
    return context_->call("migrate remove", [&] { return remove_tree(migrate_folder(*context_)); });
  }
};

class EndOldStore final : public MigrationStep {
 public:
  using MigrationStep::MigrationStep;
  std::string id() const override { return "end-old-store"; }
  std::string describe() const override {
    return has_other_members() ? "Stop the store and the other components; nodes and Pods run on"
                               : fmt::format("Stop the store of {}", store_name(previous_->settings));
  }
  Result<> apply() override {
    return end([&](const ComponentContainer& one) {
      return has_other_members() ? one.component != "node" : is_store(one.component);
    });
  }

 private:
  // Then others than the api-servers are told of, which all have written down.
  bool has_other_members() const {
    return previous_->settings.is_highly_available != context_->settings.is_highly_available;
  }
};

// The old store has other folders.
class PutNewStore final : public MigrationStep {
 public:
  explicit PutNewStore(Context context) : MigrationStep(std::move(context), nullptr) {}
  std::string id() const override { return "put-new-store"; }
  std::string describe() const override {
    return fmt::format("Put the store of {} in its place", store_name(context_->settings));
  }
  Result<> apply() override {
    RN_CHECK(undo());
    for (const StorePlace& place : store_places(*context_, migrate_folder(*context_))) {
      RN_CHECK(certs::make_folder(place.target.parent_path(), 0700));
      RN_CHECK(context_->call("store put", [&] { return move_path(place.fresh, place.target); }));
    }
    return {};
  }
  Result<> undo() override {
    for (const std::string& key : store_keys(context_->settings))
      RN_CHECK(context_->call("store remove-new", [&] { return remove_tree(context_->paths.data() / key); }));
    return {};
  }
};

class StartNewStore final : public MigrationStep {
 public:
  explicit StartNewStore(Context context) : MigrationStep(std::move(context), nullptr) {}
  std::string id() const override { return "start-new-store"; }
  std::string describe() const override {
    return fmt::format("Start {}, and wait until it serves", store_name(context_->settings));
  }
  Result<> apply() override {
    RN_CHECK(bring_up(*context_, store_keys(context_->settings)));
    const Clock& clock = context_->environment.clock;
    for (const SteadyTime end = clock.steady_now() + patience;;) {
      RN_TRY(Liveness liveness, look_at(*context_));
      std::erase_if(liveness.components,
                    [](const ComponentContainer& one) { return !is_store(one.component); });
      const std::string problem = problem_of(liveness);
      if (problem.empty()) return {};
      if (context_->environment.is_interrupted())
        return failure("Interrupted", "interrupted; what was begun is undone");
      const bool is_hopeless = std::any_of(liveness.components.begin(), liveness.components.end(),
                                           [](const auto& one) { return one.restarts >= hopeless_restarts; });
      if (is_hopeless || clock.steady_now() >= end)
        return failure("StepFailed", fmt::format("the new store does not serve: {}", problem));
      std::this_thread::sleep_for(look_delay);
    }
  }
  Result<> undo() override {
    if (!context_->environment.engine.is_answering(context_->settings.engine)) return {};
    const auto keys = store_keys(context_->settings);
    return end([&](const ComponentContainer& one) {
      return std::find(keys.begin(), keys.end(), one.key) != keys.end();
    });
  }

 private:
  std::string problem_of(const Liveness& liveness) {
    for (const std::string& key : store_keys(context_->settings)) {
      const ComponentContainer* one = find_component(liveness, key);
      if (one == nullptr) return key + " has no container";
      if (!one->is_running) return fmt::format("{} {}", key, end_of(*one));
    }
    std::size_t asked = 0;
    for (const ComponentHealth& one : ask_components(*context_, liveness)) {
      if (!one.is_asked) continue;
      if (!one.is_healthy) return fmt::format("{} {}", one.key, one.message);
      ++asked;
    }
    return asked == store_keys(context_->settings).size() ? std::string() : "it cannot be asked";
  }
};

class RecordMigration final : public MigrationStep {
 public:
  using MigrationStep::MigrationStep;
  std::string id() const override { return "record-migration"; }
  std::string describe() const override {
    return fmt::format("Remember that the data is in {}", store_name(context_->settings));
  }
  Result<> apply() override {
    return record_settings(*context_, with_images_of(context_->settings, previous_->settings));
  }
};

class RemoveOldStore final : public MigrationStep {
 public:
  using MigrationStep::MigrationStep;
  std::string id() const override { return "remove-old-store"; }
  std::string describe() const override {
    return fmt::format("Remove the store of {} once the api-servers answer", store_name(previous_->settings));
  }
  Result<> apply() override {
    const bool is_serving = wait_for_api();
    for (const std::string& key : store_keys(previous_->settings)) {
      const fs::path old = context_->paths.data() / key;
      if (!is_there(old)) continue;
      RN_CHECK(context_->call("store remove-old", [&] { return is_serving ? remove_tree(old) : keep(old); }));
    }
    RN_CHECK(context_->call("migrate remove", [&] { return remove_tree(migrate_folder(*context_)); }));
    RN_CHECK(remove_other_leaves(*context_, previous_->settings, context_->settings));
    RN_CHECK(remove_unused_images(*context_, images_of(previous_->settings), images_of(context_->settings)));
    return record_settings(*context_, context_->settings);
  }

 private:
  bool wait_for_api() {
    const Clock& clock = context_->environment.clock;
    for (const SteadyTime end = clock.steady_now() + patience;;) {
      const auto liveness = look_at(*context_);
      if (liveness && cluster_health(*context_, *liveness).is_api_ready) return true;
      const bool is_hopeless =
          !liveness || !liveness->is_running ||
          std::any_of(liveness->components.begin(), liveness->components.end(), [](const auto& one) {
            return one.component == "api-server" && one.restarts >= hopeless_restarts;
          });
      if (is_hopeless || context_->environment.is_interrupted() || clock.steady_now() >= end) return false;
      std::this_thread::sleep_for(look_delay);
    }
  }
  Result<> keep(const fs::path& old) {
    const fs::path kept = old.parent_path() / ("replaced-" + old.filename().string());
    RN_CHECK(remove_tree(kept));  // of a migration before
    RN_CHECK(move_path(old, kept));
    if (context_->progress != nullptr)
      context_->progress->note(
          fmt::format("The api-servers do not answer yet: the old store is kept as {}.", kept.string()));
    return {};
  }
};

}  // namespace

StepPtr begin_migration(Context context, Change change) {
  return std::make_unique<BeginMigration>(std::move(context), std::move(change));
}
StepPtr end_api_servers(Context context) { return std::make_unique<EndApiServers>(std::move(context)); }
StepPtr stage_store(Context context, Change change) {
  return std::make_unique<StageStore>(std::move(context), std::move(change));
}
StepPtr end_old_store(Context context, Change change) {
  return std::make_unique<EndOldStore>(std::move(context), std::move(change));
}
StepPtr put_new_store(Context context) { return std::make_unique<PutNewStore>(std::move(context)); }
StepPtr start_new_store(Context context) { return std::make_unique<StartNewStore>(std::move(context)); }
StepPtr record_migration(Context context, Change change) {
  return std::make_unique<RecordMigration>(std::move(context), std::move(change));
}
StepPtr remove_old_store(Context context, Change change) {
  return std::make_unique<RemoveOldStore>(std::move(context), std::move(change));
}

}  // namespace rusternetes::launcher
