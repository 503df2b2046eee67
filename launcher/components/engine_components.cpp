// EnginePort for clusters of containers: networks and components as a manifest has them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "engine/engine.h"
#include "engine/image_builder.h"
#include "launcher/components/engine.h"
#include "launcher/containers/compose.h"
#include "launcher/failure.h"
#include "launcher/manifest/manifest.h"

namespace rusternetes::launcher {
namespace {

// What a container was made of; another description makes it anew.
constexpr const char* description_label = "io.rusternetes.description";
// More at once is slower on both engines.
constexpr std::size_t parallel_starts = 6, parallel_looks = 8;
constexpr std::int64_t log_bytes = 16 << 20;
constexpr std::string_view of_service = "service:";

engine::Propagation propagation_of(const std::string& word) {
  if (word == "rshared") return engine::Propagation::bidirectional;
  return word == "rslave" ? engine::Propagation::host_to_container : engine::Propagation::none;
}

engine::ContainerSpec spec_of(const Manifest& manifest, const ManifestService& service,
                              const std::filesystem::path& log_folder) {
  engine::ContainerSpec spec;
  spec.name = service.container_name;
  spec.image = service.image;
  spec.hostname = service.hostname;
  spec.command = service.entrypoint;
  spec.args = service.command;
  spec.labels = service.labels;
  spec.sysctls = service.sysctls;
  spec.stop_signal = service.stop_signal;
  spec.restart_policy = service.restart;
  spec.security.is_privileged = service.is_privileged;
  spec.security.add_capabilities = service.add_capabilities;
  if (service.pid_mode == "host") spec.pid.kind = engine::Namespace::Kind::host;
  for (const ManifestMount& mount : service.mounts)
    spec.mounts.push_back({mount.source, mount.target, mount.is_read_only, propagation_of(mount.propagation)});
  for (const ManifestPort& port : service.ports)
    spec.ports.push_back({port.host_address, port.host_port, port.container_port, "tcp"});
  if (service.network_mode == "host") {
    spec.network.kind = engine::Namespace::Kind::host;
  } else if (service.network_mode.starts_with(of_service)) {
    const auto* other = manifest.find(service.network_mode.substr(of_service.size()));
    spec.network = {engine::Namespace::Kind::container, other->container_name};
  } else if (!service.network.empty()) {
    for (const ManifestNetwork& network : manifest.networks)
      if (network.key == service.network)
        spec.attachment = engine::NetworkAttachment{network.name, service.address, {}};
  }
  // Podman writes there; Docker has a place of its own, and rotates.
  spec.log_path = (log_folder / (service.key + ".log")).string();
  spec.log_max_bytes = log_bytes;
  spec.log_max_files = 2;
  return spec;
}

// A digest of all that a container is made of.
std::string description_of(const engine::ContainerSpec& spec, std::string_view image_id,
                           std::string_view network_owner) {
  std::vector<std::string> parts{spec.name, std::string(image_id), spec.hostname, spec.stop_signal,
                                 spec.restart_policy, std::string(network_owner), spec.log_path};
  parts.push_back(fmt::format("{} {} {}", static_cast<int>(spec.network.kind), static_cast<int>(spec.pid.kind),
                              spec.security.is_privileged));
  for (const auto* list : {&spec.command, &spec.args, &spec.security.add_capabilities}) {
    parts.push_back(std::to_string(list->size()));
    parts.insert(parts.end(), list->begin(), list->end());
  }
  for (const auto& [key, value] : spec.labels) parts.push_back(key + "=" + value);
  for (const auto& [key, value] : spec.sysctls) parts.push_back(key + "=" + value);
  for (const auto& mount : spec.mounts)
    parts.push_back(fmt::format("{}\n{}\n{} {}", mount.host_path, mount.container_path, mount.is_read_only,
                                static_cast<int>(mount.propagation)));
  for (const auto& port : spec.ports)
    parts.push_back(fmt::format("{}:{}:{}", port.host_ip, port.host_port, port.container_port));
  if (spec.attachment) parts.push_back(spec.attachment->network + " " + spec.attachment->ipv4);
  return engine::sha256_hex(fmt::format("{}", fmt::join(parts, std::string_view("\0", 1))));
}

// What a service is to become, and what is there of it.
struct Wanted {
  engine::ContainerSpec spec;
  std::string description;
  std::optional<engine::ContainerDetails> present;
  bool is_as_described = false;
};

Task<Result<Wanted>> look_at(engine::Engine& engine, engine::ContainerSpec spec) {
  Wanted wanted{.spec = std::move(spec), .description = {}, .present = {}};
  auto image = co_await engine.inspect_image(wanted.spec.image);
  if (!image && image.error().is("NotFound"))
    co_return failure("ImageNotFound", fmt::format("the engine has no image {}", wanted.spec.image));
  if (!image) co_return image.error();
  std::string network_owner;
  if (wanted.spec.network.kind == engine::Namespace::Kind::container) {
    auto owner = co_await engine.inspect_container(wanted.spec.network.container_id);
    if (!owner) co_return owner.error();
    network_owner = wanted.spec.network.container_id = owner->id;
  }
  wanted.description = description_of(wanted.spec, image->id, network_owner);
  auto present = co_await engine.inspect_container(wanted.spec.name);
  if (!present && !present.error().is("NotFound")) co_return present.error();
  if (present) {
    const auto label = present->labels.find(description_label);
    const bool is_ours = present->labels[cluster_label] == wanted.spec.labels[cluster_label];
    if (!is_ours)
      co_return failure("ClusterExists",
                        fmt::format("the engine has a container {} of somebody else", wanted.spec.name));
    wanted.is_as_described =
        label != present->labels.end() && label->second == wanted.description && !engine.is_lost(*present);
    wanted.present = std::move(*present);
  }
  wanted.spec.labels[description_label] = wanted.description;
  co_return wanted;
}

Task<Result<void>> make_and_start(engine::Engine& engine, engine::ContainerSpec spec) {
  auto id = co_await engine.create_container(std::move(spec));
  if (!id) co_return id.error();
  co_return co_await engine.start_container(*id);
}

// One service, from whatever stands to a container that runs.
Task<Result<void>> bring_one_up(engine::Engine& engine, engine::ContainerSpec spec, int grace_s) {
  auto wanted = co_await look_at(engine, std::move(spec));
  if (!wanted) co_return wanted.error();
  if (const auto& present = wanted->present) {
    if (wanted->is_as_described) {
      if (present->state == engine::ContainerState::running) co_return Result<void>{};
      co_return co_await engine.start_container(present->id);
    }
    auto stopped = co_await engine.stop_container(present->id, grace_s);
    if (!stopped) co_return stopped;
    auto removed = co_await engine.remove_container_with_dependents(present->id);
    if (!removed) co_return removed;
  }
  co_return co_await make_and_start(engine, std::move(wanted->spec));
}

// The same beside the one that is there.
Task<Result<void>> hand_one_over(engine::Engine& engine, engine::ContainerSpec spec, int grace_s) {
  auto wanted = co_await look_at(engine, spec);
  if (!wanted) co_return wanted.error();
  const auto& present = wanted->present;
  if (!present || wanted->is_as_described || present->state != engine::ContainerState::running)
    co_return co_await bring_one_up(engine, std::move(spec), grace_s);
  const std::string leaving = wanted->spec.name + std::string(leaving_suffix);
  auto before = co_await engine.inspect_container(leaving);  // of a try before: it has its time to end
  if (before) {
    auto stopped = co_await engine.stop_container(before->id, grace_s);
    if (!stopped) co_return stopped;
  }
  auto removed = co_await engine.remove_container_with_dependents(leaving);
  if (!removed) co_return removed;
  auto renamed = co_await engine.rename_container(present->id, leaving);
  if (!renamed) co_return renamed;
  co_return co_await make_and_start(engine, std::move(wanted->spec));
}

std::string label_of(const std::map<std::string, std::string>& labels, const char* key) {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string() : found->second;
}

ComponentEnd end_of(const engine::Engine& engine, const engine::ContainerDetails& details) {
  if (engine.is_lost(details)) return ComponentEnd::unseen;
  if (details.state == engine::ContainerState::running) return ComponentEnd::none;
  return details.state == engine::ContainerState::created ? ComponentEnd::not_started : ComponentEnd::exited;
}

ComponentContainer component_of(const engine::Engine& engine, const engine::ContainerDetails& details) {
  const ComponentEnd end = end_of(engine, details);
  ComponentContainer out{.id = details.id,
                         .name = details.name,
                         .key = label_of(details.labels, key_label),
                         .component = label_of(details.labels, component_label),
                         .image = details.image,
                         .image_id = details.image_id,
                         .is_running = end == ComponentEnd::none,
                         .end = end,
                         .pid = end == ComponentEnd::none ? details.pid : 0,
                         .exit_code = details.exit_code,
                         .log_file = details.log_path,
                         .has_ended = details.finished_at_ns > 0,
                         .restarts = details.restarts,
                         .started_at = {}};
  out.started_at += std::chrono::duration_cast<std::chrono::system_clock::duration>(
      std::chrono::nanoseconds(details.started_at_ns));
  return out;
}

}  // namespace

Result<> EngineApi::run_all(const std::vector<Work>& all, std::size_t limit) {
  std::size_t next = 0, running = 0;
  Result<> first;
  std::exception_ptr error;
  context_.restart();
  while (next < all.size() || running > 0) {
    for (; next < all.size() && running < limit; ++next, ++running)
      asio::co_spawn(context_, all[next](), [&](std::exception_ptr thrown, Result<void> result) {
        if (thrown) error = thrown;
        if (!result && first) first = std::move(result);
        --running;
      });
    context_.run_one();
  }
  if (error) std::rethrow_exception(error);
  return first;
}

Result<> EngineApi::make_networks(const EngineChoice& choice, const Manifest& manifest) {
  RN_TRY(engine::Engine * engine, at(choice));
  for (const ManifestNetwork& wanted : manifest.networks) {
    const auto present = run(engine->inspect_network(wanted.name));
    if (!present && !present.error().is("NotFound")) return present.error();
    const bool is_same = present && present->subnet == wanted.subnet;
    if (is_same && present->labels == wanted.labels) continue;
    if (present) {
      const bool is_ours = label_of(present->labels, cluster_label) == label_of(wanted.labels, cluster_label);
      const bool is_gone = is_ours && run(engine->remove_network(wanted.name)).has_value();
      // Somebody's compose has made it so, and its containers are there yet: they are replaced within it.
      if (is_ours && is_same && !is_gone) continue;
      if (!is_gone)
        return failure("AddressConflict",
                       fmt::format("the engine has another network {} ({})", wanted.name, present->subnet));
    }
    const auto made = run(engine->create_network({.name = wanted.name,
                                                  .subnet = wanted.subnet,
                                                  .gateway = wanted.gateway,
                                                  .bridge_name = wanted.bridge_name,
                                                  .mtu = wanted.mtu,
                                                  .has_dns = false,
                                                  .labels = wanted.labels}));
    if (!made && made.error().is(engine::reason::kPoolOverlap))
      return failure("AddressConflict", fmt::format("{} of network {} is in use: {}", wanted.subnet, wanted.name,
                                                    made.error().message));
    if (!made) return made.error();
  }
  return {};
}

Result<> EngineApi::remove_networks(const EngineChoice& choice, const std::string& cluster) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_TRY(const auto networks, run(engine->list_networks({{cluster_label, cluster}})));
  for (const auto& network : networks) RN_CHECK(run(engine->remove_network(network.name)));
  return {};
}

Result<> EngineApi::bring_up(const EngineChoice& choice, const Manifest& manifest,
                             const std::vector<std::string>& keys, const std::filesystem::path& log_folder,
                             const std::function<void(std::size_t)>& on_up) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_CHECK(remove_lost(*engine, manifest, keys));
  std::vector<const ManifestService*> left;
  for (const ManifestService* service : manifest.start_order())
    if (std::find(keys.begin(), keys.end(), service->key) != keys.end()) left.push_back(service);
  std::size_t up = 0;
  // A wave needs nothing of itself.
  while (!left.empty()) {
    std::set<std::string> of_wave;
    std::vector<Work> works;
    std::vector<const ManifestService*> later;
    for (const ManifestService* service : left) {
      const auto needs = needs_of(*service);
      const bool is_ready = std::none_of(needs.begin(), needs.end(), [&](const std::string& need) {
        return std::any_of(left.begin(), left.end(), [&](const auto* other) { return other->key == need; });
      });
      if (!is_ready) {
        later.push_back(service);
        continue;
      }
      works.push_back([=, &manifest, &log_folder, &up, &on_up]() -> Task<Result<void>> {
        auto done = co_await bring_one_up(*engine, spec_of(manifest, *service, log_folder),
                                          static_cast<int>(service->stop_grace.count()));
        if (!done)
          co_return Status{done.error().code, done.error().reason,
                           fmt::format("{}: {}", service->key, done.error().message), nullptr};
        on_up(++up);
        co_return done;
      });
    }
    RN_CHECK(run_all(works, parallel_starts));
    left = std::move(later);
  }
  return {};
}

Result<> EngineApi::hand_over(const EngineChoice& choice, const Manifest& manifest, const std::string& key,
                              const std::filesystem::path& log_folder) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_CHECK(remove_lost(*engine, manifest, {key}));
  const ManifestService* service = manifest.find(key);
  if (service == nullptr) return failure("ManifestBroken", fmt::format("the manifest has no service {}", key));
  return run(hand_one_over(*engine, spec_of(manifest, *service, log_folder),
                           static_cast<int>(service->stop_grace.count())));
}

Result<> EngineApi::signal_component(const EngineChoice& choice, const std::string& id, const std::string& signal) {
  RN_TRY(engine::Engine * engine, at(choice));
  return run(engine->kill_container(id, signal));
}

Result<std::vector<ComponentContainer>> EngineApi::components(const EngineChoice& choice,
                                                              const std::string& cluster) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_TRY(const auto listed, run(engine->list_containers({{cluster_label, cluster}})));
  std::vector<ComponentContainer> out;
  std::vector<Work> works;
  for (const auto& one : listed)
    works.push_back([engine, &out, id = one.id]() -> Task<Result<void>> {
      auto details = co_await engine->inspect_container(id);
      if (details) out.push_back(component_of(*engine, *details));
      // One that has gone meanwhile is no error.
      if (!details && !details.error().is("NotFound")) co_return details.error();
      co_return Result<void>{};
    });
  RN_CHECK(run_all(works, parallel_looks));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

Result<> EngineApi::end_components(const EngineChoice& choice, const std::vector<std::string>& ids,
                                   std::chrono::seconds grace) {
  RN_TRY(engine::Engine * engine, at(choice));
  std::vector<Work> stops;
  for (const std::string& id : ids)
    stops.push_back([engine, id, grace]() -> Task<Result<void>> {
      auto details = co_await engine->inspect_container(id);
      if (!details && details.error().is("NotFound")) co_return Result<void>{};
      if (details && engine->is_lost(*details)) co_return Result<void>{};
      auto stopped = co_await engine->stop_container(id, static_cast<int>(grace.count()));
      co_return !stopped && stopped.error().is("NotFound") ? Result<void>{} : stopped;
    });
  RN_CHECK(run_all(stops, parallel_starts));
  // Pods on a node's own network have joined its container.
  for (const std::string& id : ids) RN_CHECK(run(engine->remove_container_with_dependents(id)));
  return {};
}

// What is lost can neither be started nor stopped.
Result<> EngineApi::remove_lost(engine::Engine& engine, const Manifest& manifest,
                                const std::vector<std::string>& keys) {
  for (const ManifestService& service : manifest.services) {
    if (std::find(keys.begin(), keys.end(), service.key) == keys.end()) continue;
    const auto present = run(engine.inspect_container(service.container_name));
    if (!present && present.error().is("NotFound")) continue;
    if (!present) return present.error();
    const bool is_ours = label_of(present->labels, cluster_label) == label_of(service.labels, cluster_label);
    if (is_ours && engine.is_lost(*present))
      RN_CHECK(run(engine.remove_container_with_dependents(present->id)));
  }
  return {};
}

Result<> EngineApi::restart_component(const EngineChoice& choice, const std::string& id,
                                      std::chrono::seconds grace) {
  RN_TRY(engine::Engine * engine, at(choice));
  RN_CHECK(run(engine->stop_container(id, static_cast<int>(grace.count()))));
  return run(engine->start_container(id));
}

}  // namespace rusternetes::launcher
