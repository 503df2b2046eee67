// Steps of clusters whose components are containers: the manifest, and the engine brought to it.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <thread>

#include "certs/file.h"
#include "launcher/component_health.h"
#include "launcher/containers/component_files.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/manifest/manifest.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/image_port.h"
#include "launcher/release.h"
#include "launcher/steps/change.h"
#include "launcher/steps/component_containers.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr const char* node_component = "node";

class WriteComponentFolders final : public Step {
 public:
  explicit WriteComponentFolders(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "write-component-folders"; }
  std::string describe() const override { return "Give each component the certificates that it needs"; }
  Result<> apply() override {
    return context_->call("component folders", [&]() -> Result<> {
      RN_TRY([[maybe_unused]] auto changed, write_component_files(context_->settings, context_->paths));
      return {};
    });
  }

 private:
  Context context_;
};

class WriteManifest final : public Step {
 public:
  explicit WriteManifest(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "write-manifest"; }
  std::string describe() const override { return "Write the manifest " + context_->paths.manifest().string(); }
  Result<> apply() override {
    const ClusterPaths& paths = context_->paths;
    for (const Member& one : members_of(context_->settings)) {
      if (is_store(one.component))
        RN_CHECK(certs::make_folder(paths.data() / one.key, 0700));
      if (one.component == node_component) RN_CHECK(certs::make_folder(paths.node(one.node), 0755));
    }
    RN_TRY(const std::string text, manifest_text(*context_));
    RN_CHECK(read_manifest(text));
    if (const auto old = certs::read_text(paths.manifest()); old && *old == text) return {};
    return context_->call("manifest write", [&] {
      return certs::write_atomically(paths.manifest(), text, certs::private_mode);
    });
  }

 private:
  Context context_;
};

class LoadImages final : public Step {
 public:
  // `kept`: what undo leaves of the cluster's images.
  LoadImages(Context context, std::set<std::string> kept) : context_(std::move(context)), kept_(std::move(kept)) {}
  std::string id() const override { return "load-images"; }
  std::string describe() const override {
    return fmt::format("Load the components' images into {}", context_->settings.engine.kind);
  }
  Result<> apply() override {
    EnginePort& engine = context_->environment.engine;
    std::map<std::string, std::string> missing;
    for (const auto& [component, reference] : context_->settings.images) {
      if (component == node_component) continue;  // the pause image, which has a step of its own
      RN_TRY(const bool is_there, context_->call("engine has-image", [&] {
        return engine.has_image(context_->settings.engine, reference);
      }));
      if (!is_there) missing.emplace(component, reference);
    }
    RN_TRY(const std::vector<std::string> ours, of_binaries(missing));
    for (const auto& [component, reference] : missing)
      if (std::find(ours.begin(), ours.end(), component) == ours.end())
        RN_CHECK(context_->call("engine pull", [&] {
          return engine.pull_image(context_->settings.engine, reference);
        }));
    return ours.empty() ? Result<>() : load(ours);
  }
  Result<> undo() override {
    std::error_code ignored;
    if (context_->environment.engine.is_answering(context_->settings.engine)) {
      // An engine goes on with what a killed command has sent it, and those images would come when they have been removed
      // here. The same once more is loaded after it.
      if (fs::exists(archive(), ignored)) (void)send();
      RN_CHECK(remove_unused_images(*context_, images_of(context_->settings), kept_));
    }
    for (const char* suffix : {"", ".partial"}) fs::remove(archive().string() + suffix, ignored);
    return {};
  }

 private:
  fs::path archive() const { return context_->paths.run() / "images.tar"; }
  // Those that the programs of this release give. One that some other release made can only be pulled.
  Result<std::vector<std::string>> of_binaries(const std::map<std::string, std::string>& missing) {
    std::vector<std::string> local, out;
    for (const auto& [component, reference] : missing)
      if (reference.starts_with(local_images)) local.push_back(component);
    if (local.empty()) return out;
    RN_TRY(const auto made, context_->environment.images->references(local, context_->home.image_cache()));
    for (const std::string& component : local) {
      if (made.at(component) != missing.at(component))
        return failure("ImageNotFound",
                       fmt::format("the engine has lost the image {}, and this release makes another one, {}",
                                   missing.at(component), made.at(component)));
      out.push_back(component);
    }
    return out;
  }
  Result<> load(const std::vector<std::string>& components) {
    std::error_code ignored;
    fs::remove(archive(), ignored);
    RN_CHECK(context_->call("images archive", [&] {
      return context_->environment.images->write_archive(components, context_->home.image_cache(), archive());
    }));
    const auto loaded = send();
    fs::remove(archive(), ignored);
    return loaded;
  }
  Result<> send() {
    const auto tell = [&](std::uint64_t sent, std::uint64_t all) {
      if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{} of {} MB", sent >> 20, all >> 20));
    };
    const auto loaded = context_->call("engine load-images", [&] {
      return context_->environment.engine.load_archive(context_->settings.engine, archive(), tell);
    });
    return loaded ? Result<>() : Result<>(loaded.error());
  }
  Context context_;
  std::set<std::string> kept_;
};

class RemoveImages final : public Step {
 public:
  explicit RemoveImages(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-images"; }
  std::string describe() const override { return "Remove the components' images unless another cluster uses them"; }
  Result<> apply() override { return remove_unused_images(*context_, images_of(context_->settings), {}); }

 private:
  Context context_;
};

Result<> remove_networks(StepContext& context) {
  return context.call("engine remove-networks", [&] {
    return context.environment.engine.remove_networks(context.settings.engine, context.settings.name);
  });
}

class MakeNetwork final : public Step {
 public:
  MakeNetwork(Context context, bool is_new) : context_(std::move(context)), is_new_(is_new) {}
  std::string id() const override { return "make-network"; }
  std::string describe() const override {
    const ClusterSettings& s = context_->settings;
    return fmt::format("Make the network {} ({})", container_name(s, "network"), s.network_cidr);
  }
  Result<> apply() override {
    RN_TRY(const Manifest manifest, manifest_of(*context_));
    return context_->call("engine make-networks", [&] {
      return context_->environment.engine.make_networks(context_->settings.engine, manifest);
    });
  }
  Result<> undo() override { return is_new_ ? remove_networks(*context_) : Result<>(); }

 private:
  Context context_;
  bool is_new_;
};

class RemoveEngineNetwork final : public Step {
 public:
  explicit RemoveEngineNetwork(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "remove-engine-network"; }
  std::string describe() const override { return "Remove the cluster's network from the engine"; }
  Result<> apply() override { return remove_networks(*context_); }

 private:
  Context context_;
};

// Api-servers end after those who use them, who give their leases back, and stores after the api-servers: last writes would
// wait for them otherwise. Node containers end last, since others are in their networks.
Result<> end_all(StepContext& context, bool with_nodes) {
  RN_TRY(const auto all, component_containers(context));
  const auto rank = [](const ComponentContainer& one) {
    if (one.component == node_component) return 3;
    return is_store(one.component) ? 2 : one.component == "api-server" ? 1 : 0;
  };
  for (int turn = 0; turn < (with_nodes ? 4 : 3); ++turn)
    RN_CHECK(end_those(context, all, [&](const ComponentContainer& one) { return rank(one) == turn; }));
  return {};
}

// The engine gets what the manifest says, and loses what it does not say.
class ApplyManifest final : public Step {
 public:
  explicit ApplyManifest(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "apply-manifest"; }
  std::string describe() const override {
    return fmt::format("Bring {} to what the manifest says", context_->settings.engine.kind);
  }
  Result<> apply() override {
    RN_TRY(const Manifest manifest, manifest_of(*context_));
    std::vector<std::string> keys;
    for (const ManifestService& service : manifest.services) keys.push_back(service.key);
    // Members that the manifest no longer has, and what another one has taken the place of.
    RN_TRY(const auto all, component_containers(*context_));
    RN_CHECK(end_those(*context_, all, [&](const ComponentContainer& one) {
      return one.is_leaving() || std::find(keys.begin(), keys.end(), one.key) == keys.end();
    }));
    RN_CHECK(bring_up(*context_, keys));
    return outlast_stops(keys, all);
  }

 private:
  // An engine goes on with a stop whose command was killed. What has run through all of this, but is about to end, is not
  // well; it is started again once it has ended.
  Result<> outlast_stops(const std::vector<std::string>& keys, const std::vector<ComponentContainer>& before) {
    const Clock& clock = context_->environment.clock;
    const auto has_run_on = [&](const ComponentContainer& one) {
      return std::any_of(before.begin(), before.end(), [&](const ComponentContainer& old) {
        return old.is_running && old.id == one.id && old.started_at == one.started_at;
      });
    };
    for (const SteadyTime end = clock.steady_now() + component_grace;
         clock.steady_now() < end && !context_->environment.is_interrupted();) {
      Liveness kept;
      RN_TRY(kept.components, component_containers(*context_));
      std::erase_if(kept.components, [&](const ComponentContainer& one) { return !has_run_on(one); });
      if (kept.components.empty()) return {};
      const bool has_ended = std::any_of(kept.components.begin(), kept.components.end(),
                                         [](const ComponentContainer& one) { return !one.is_running; });
      const auto health = ask_components(*context_, kept);
      const auto ill = std::find_if(health.begin(), health.end(), [](const auto& one) { return !one.is_healthy; });
      if (has_ended)
        RN_CHECK(bring_up(*context_, keys));
      else if (ill == health.end())
        return {};
      else if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{} is not well: is it about to end?", ill->key));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return {};
  }
  Context context_;
};

class StartContainers final : public Step {
 public:
  StartContainers(Context context, bool is_new) : context_(std::move(context)), is_new_(is_new) {}
  std::string id() const override { return "start-containers"; }
  std::string describe() const override {
    return fmt::format("Start {} containers on {}", members_of(context_->settings).size(),
                       context_->settings.engine.kind);
  }
  Result<> apply() override { return apply_manifest(context_)->apply(); }
  // Kubelets that came up may have started Pods.
  Result<> undo() override {
    RN_CHECK(end_all(*context_, false));
    RN_CHECK((is_new_ ? remove_containers(context_) : stop_pods(context_))->apply());
    RN_CHECK(end_all(*context_, true));
    return remove_cgroups(context_, is_new_)->apply();
  }

 private:
  Context context_;
  bool is_new_;
};

class EndContainers final : public Step {
 public:
  EndContainers(Context context, bool with_nodes) : context_(std::move(context)), with_nodes_(with_nodes) {}
  std::string id() const override { return with_nodes_ ? "end-containers" : "end-components"; }
  std::string describe() const override {
    return with_nodes_ ? "Stop and remove what is left of the cluster's own containers"
                       : "Stop and remove the components' containers";
  }
  Result<> apply() override { return end_all(*context_, with_nodes_); }

 private:
  Context context_;
  bool with_nodes_;
};

class RestartComponents final : public Step {
 public:
  explicit RestartComponents(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "restart-components"; }
  std::string describe() const override { return "Restart the components, one after the other"; }
  Result<> apply() override {
    RN_TRY(const auto all, component_containers(*context_));
    std::size_t done = 0;
    for (const Member& member : members_of(context_->settings)) {
      if (member.component == node_component) continue;
      const auto found = std::find_if(all.begin(), all.end(),
                                      [&](const ComponentContainer& one) { return one.key == member.key; });
      if (found == all.end()) continue;  // `start` makes it
      RN_CHECK(context_->call("engine restart " + member.key, [&] {
        return context_->environment.engine.restart_component(context_->settings.engine, found->id,
                                                              component_grace);
      }));
      if (context_->progress != nullptr)
        context_->progress->detail(fmt::format("{} of {}", ++done, all.size()));
    }
    return {};
  }

 private:
  Context context_;
};

}  // namespace

Result<Manifest> manifest_of(const StepContext& context) {
  RN_TRY(const std::string text, certs::read_text(context.paths.manifest()));
  return read_manifest(text);
}

Result<> bring_up(StepContext& context, const std::vector<std::string>& keys) {
  RN_TRY(const Manifest manifest, manifest_of(context));
  const auto tell = [&](std::size_t up) {
    if (context.progress != nullptr) context.progress->detail(fmt::format("{} of {} run", up, keys.size()));
  };
  return context.call("engine bring-up", [&] {
    EnginePort& engine = context.environment.engine;
    return engine.bring_up(context.settings.engine, manifest, keys, context.paths.logs(), tell);
  });
}

// What a cluster of another home uses the engine keeps.
Result<std::vector<ComponentContainer>> component_containers(StepContext& context) {
  return context.call("engine components", [&] {
    return context.environment.engine.components(context.settings.engine, context.settings.name);
  });
}

Result<> end_those(StepContext& context, const std::vector<ComponentContainer>& all,
                   const std::function<bool(const ComponentContainer&)>& is_meant,
                   std::chrono::seconds grace) {
  std::vector<std::string> ids, members;
  for (const ComponentContainer& one : all)
    if (is_meant(one)) (one.component == "etcd" ? members : ids).push_back(one.id);
  const auto end = [&](const std::vector<std::string>& some, std::chrono::seconds patience) {
    return context.call("engine end-components", [&] {
      return context.environment.engine.end_components(context.settings.engine, some, patience);
    });
  };
  if (!ids.empty()) RN_CHECK(end(ids, grace));
  for (std::size_t i = 0; i < members.size(); ++i) {
    const bool is_left_alone = i > 0 && i + 1 == members.size();
    RN_CHECK(end({members[i]}, is_left_alone ? std::min(grace, last_member_grace) : grace));
  }
  return {};
}

std::set<std::string> images_of(const ClusterSettings& settings) {
  std::set<std::string> out;
  for (const auto& [component, reference] : settings.images)
    if (component != node_component) out.insert(reference);
  if (settings.previous)
    for (const auto& [component, reference] : settings.previous->images)
      if (component != node_component) out.insert(reference);
  return out;
}

Result<> remove_unused_images(StepContext& context, std::set<std::string> images,
                              const std::set<std::string>& kept) {
  for (const std::string& reference : kept) images.erase(reference);
  RN_TRY(const std::vector<state::Cluster> clusters, context.state->clusters());
  for (const state::Cluster& other : clusters) {
    if (other.name == context.settings.name || other.engine != context.settings.engine.kind) continue;
    RN_TRY(const ClusterSettings settings, settings_from_json(other.settings));
    for (const std::string& reference : images_of(settings)) images.erase(reference);
  }
  for (const std::string& reference : images)
    if (reference.starts_with(local_images))
      RN_CHECK(context.call("engine remove-image", [&] {
        return context.environment.engine.remove_image(context.settings.engine, reference);
      }));
  return {};
}

StepPtr load_images(Context context, bool is_new) {
  std::set<std::string> kept = is_new ? std::set<std::string>() : images_of(context->settings);
  return std::make_unique<LoadImages>(std::move(context), std::move(kept));
}
StepPtr load_images(Context context, const ClusterSettings& before) {
  return std::make_unique<LoadImages>(std::move(context), images_of(before));
}
StepPtr remove_images(Context context) { return std::make_unique<RemoveImages>(std::move(context)); }
StepPtr write_component_folders(Context context) {
  return std::make_unique<WriteComponentFolders>(std::move(context));
}
StepPtr write_manifest(Context context) { return std::make_unique<WriteManifest>(std::move(context)); }
StepPtr make_network(Context context, bool is_new) {
  return std::make_unique<MakeNetwork>(std::move(context), is_new);
}
StepPtr remove_engine_network(Context context) {
  return std::make_unique<RemoveEngineNetwork>(std::move(context));
}
StepPtr apply_manifest(Context context) { return std::make_unique<ApplyManifest>(std::move(context)); }
StepPtr start_containers(Context context, bool is_new) {
  return std::make_unique<StartContainers>(std::move(context), is_new);
}
StepPtr end_components(Context context) { return std::make_unique<EndContainers>(std::move(context), false); }
StepPtr end_containers(Context context) { return std::make_unique<EndContainers>(std::move(context), true); }
StepPtr restart_components(Context context) {
  return std::make_unique<RestartComponents>(std::move(context));
}

}  // namespace rusternetes::launcher
