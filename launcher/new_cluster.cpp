#include "launcher/new_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "certs/file.h"
#include "certs/key.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/image_port.h"
#include "launcher/ports/network_port.h"
#include "launcher/release.h"
#include "launcher/report.h"
#include "launcher/user_kubeconfig.h"
#include "state/pools.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

// A switch, which a file may also give as off.
bool is_on(const Invocation& invocation, std::string_view flag) {
  return invocation.has(flag) && invocation.text(flag, "true") == "true";
}

// --mode, --ha and --nodes.
Result<> parse_topology(const Invocation& invocation, ClusterRequest& request) {
  request.is_highly_available = is_on(invocation, "--ha");
  request.mode = invocation.text("--mode", request.is_highly_available ? "etcd" : "all-in-one");
  if (request.mode != "all-in-one" && request.mode != "sqlite" && request.mode != "etcd")
    return failure("BadRequest",
                   fmt::format("--mode \"{}\" is not one of all-in-one, sqlite, etcd", request.mode));
  if (request.is_highly_available && request.mode != "etcd")
    return failure("BadRequest", fmt::format("--ha needs --mode etcd: a {} cluster has its data in one file",
                                             request.mode));
  const bool has_containers = request.mode != "all-in-one";
  for (const char* flag : {"--nodes", "--network-cidr", "--registry", "--image"})
    if (invocation.has(flag) && !has_containers)
      return failure("BadRequest", fmt::format("{} is for --mode sqlite and --mode etcd", flag));
  if (has_containers && invocation.has("--node-network"))
    return failure("BadRequest", "--node-network is for --mode all-in-one: here each node is a container");
  request.addresses.nodes = has_containers ? 2 : 1;
  if (const std::string text = invocation.text("--nodes"); !text.empty()) {
    const auto number = parse_port(text);  // 1 to 65535
    if (!number) return failure("BadRequest", fmt::format("--nodes \"{}\" is not a number of nodes", text));
    request.addresses.nodes = *number;
  }
  request.addresses.network_cidr = invocation.text("--network-cidr");
  request.registry = invocation.text("--registry");
  RN_TRY(request.images, image_flags(invocation));
  return {};
}

Result<> parse_flags(const Invocation& invocation, ClusterRequest& request) {
  RN_CHECK(parse_topology(invocation, request));
  if (const auto published = invocation.flags.find("--publish"); published != invocation.flags.end())
    request.addresses.published_ports = published->second;
  for (const std::string& port : request.addresses.published_ports) RN_CHECK(parse_published_port(port));
  request.engine = invocation.text("--engine");
  if (!request.engine.empty() && request.engine != "podman" && request.engine != "docker")
    return failure("BadRequest", fmt::format("--engine \"{}\" is not one of podman, docker", request.engine));
  request.node_network = invocation.text("--node-network", "own");
  if (request.node_network != "own" && request.node_network != "host")
    return failure("BadRequest",
                   fmt::format("--node-network \"{}\" is not one of own, host", request.node_network));
  const std::string policy = invocation.text("--network-policy", "on");
  if (policy != "on" && policy != "off")
    return failure("BadRequest", fmt::format("--network-policy \"{}\" is not one of on, off", policy));
  request.has_network_policy = policy == "on";
  request.key_algorithm = invocation.text("--key-algorithm", "ecdsa");
  if (auto algorithm = certs::parse_key_algorithm(request.key_algorithm); !algorithm)
    return failure("BadRequest",
                   fmt::format("--key-algorithm \"{}\" is not one of ecdsa, rsa", request.key_algorithm));
  RN_TRY(request.wait, wait_flag(invocation));
  request.addresses.pod_cidr = invocation.text("--pod-cidr");
  request.addresses.service_cidr = invocation.text("--service-cidr");
  if (const std::string text = invocation.text("--api-port"); !text.empty()) {
    const auto port = parse_port(text);
    if (!port)
      return failure("BadRequest",
                     fmt::format("--api-port \"{}\" is not a port, a number from 1 to 65535", text));
    request.addresses.api_port = *port;
  }
  return {};
}

}  // namespace

Result<> check_host(Invocation& invocation, const std::string& mode) {
  HostPort& host = invocation.environment.host;
  if (!host.is_root())
    return failure("NotRoot",
                   "a cluster needs root: it makes network namespaces and drives a rootful engine");
  std::vector<const char*> programs{"rusternetes", "supervisor"};
  if (mode != "all-in-one") programs.clear();  // those are looked at when images are made of them
  for (const char* program : programs)
    if (const fs::path path = invocation.environment.binary_dir / program; !host.is_executable(path))
      return failure("BinaryMissing", fmt::format("{} is not there", path.string()));
  // The path of a unix socket has at most 107 bytes; the longest one of ours lies in data/ or engine/.
  const fs::path longest = invocation.home.cluster(invocation.name).engine() / "podman.sock";
  if (longest.string().size() > 107)
    return failure("PathTooLong", fmt::format("{} is too long for a unix socket", longest.string()));
  return {};
}

Result<EngineChoice> choose_engine(Invocation& invocation, const std::string& kind) {
  EnginePort& engine = invocation.environment.engine;
  invocation.environment.hooks.point("before engine find");
  auto found = engine.find(kind);
  invocation.environment.hooks.point("after engine find");
  if (found || !found.error().is("EngineUnreachable") || kind == "docker" || !engine.can_start_private())
    return found;
  return EngineChoice{.kind = "podman",
                      .socket = engine.private_socket(invocation.home.cluster(invocation.name).engine()),
                      .version = "(the cluster's own)",
                      .is_private = true};
}

Result<> check_is_new(Invocation& invocation, Session& session, const EngineChoice& engine) {
  const std::string& name = invocation.name;
  if (session.state() != nullptr) {
    RN_TRY(const auto known, session.state()->find(name));
    if (known) return failure("ClusterExists", fmt::format("cluster \"{}\" exists ({})", name, known->phase));
  }
  std::error_code ignored;
  if (const fs::path folder = invocation.home.cluster(name).root; fs::exists(folder, ignored))
    return failure("FolderInTheWay",
                   fmt::format("{} exists, but no cluster of this home has it", folder.string()));
  RN_TRY(const bool has_traces, invocation.environment.network.has_traces(name));
  bool has_containers = false;
  if (!engine.is_private) {
    RN_TRY(const auto containers, invocation.environment.engine.containers(engine, name));
    RN_TRY(const auto components, invocation.environment.engine.components(engine, name));
    has_containers = !containers.empty() || !components.empty();
  }
  if (has_traces || has_containers)
    return failure("ClusterExists", fmt::format("this host has {} of a cluster \"{}\" of another home",
                                                has_traces ? "links or rules" : "containers", name));
  return {};
}

Result<> choose_release(const Invocation& invocation, ClusterSettings& settings) {
  settings.release = invocation.environment.release;
  settings.kubernetes = kubernetes_version;
  if (settings.has_containers()) return {};
  RN_TRY(const fs::path program,
         kept_program(invocation.environment.binary_dir / "rusternetes", invocation.home.cluster(settings.name),
                      settings.release));
  settings.program = program.string();
  return {};
}

Result<std::map<std::string, std::string>> image_flags(const Invocation& invocation) {
  std::map<std::string, std::string> out;
  const auto images = invocation.flags.find("--image");
  if (images == invocation.flags.end()) return out;
  for (const std::string& text : images->second) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return failure("BadRequest", fmt::format("--image \"{}\" is not COMPONENT=REFERENCE", text));
    out[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return out;
}

Result<> choose_images(Invocation& invocation, const std::string& registry,
                       const std::map<std::string, std::string>& images, ClusterSettings& settings) {
  if (!settings.has_containers()) return {};
  settings.registry = registry;
  settings.images = images;
  settings.images["node"] = invocation.environment.engine.pause_image();
  std::vector<std::string> ours;
  for (const std::string& component : components_of(settings)) {
    if (settings.images.contains(component)) continue;
    if (registry.empty())
      ours.push_back(component);
    else
      settings.images[component] = fmt::format("{}/{}:{}", registry, component, invocation.environment.release);
  }
  for (const auto& [component, reference] : images)
    if (const auto all = components_of(settings); std::find(all.begin(), all.end(), component) == all.end())
      return failure("BadRequest",
                     fmt::format("--image {}={}: there is no component \"{}\" here; there are {}", component,
                                 reference, component, joined(all, ", ")));
  if (ours.empty()) return {};
  RN_TRY(const auto made, invocation.environment.images->references(ours, invocation.home.image_cache()));
  settings.images.insert(made.begin(), made.end());
  return {};
}

namespace {

// Flags beat the file; of --image, each component by itself.
Result<ConfigFile> merge_file(Invocation& invocation) {
  if (!invocation.has("--config")) return ConfigFile{};
  const std::string file = invocation.text("--config");
  auto text = certs::read_text(file);
  if (!text) return failure("NotFound", fmt::format("--config {}: {}", file, text.error().message));
  RN_TRY(ConfigFile config, read_config_file(*text, file));
  for (const auto& [flag, values] : config.flags) {
    const auto [have, is_new] = invocation.flags.emplace(flag, values);
    if (is_new) continue;
    config.places.erase(flag);
    if (flag == "--image") have->second.insert(have->second.begin(), values.begin(), values.end());
  }
  if (!invocation.has_name && !config.name.empty()) invocation.name = config.name;
  return config;
}

std::string normal_ranges(const std::string& text) {
  const auto ranges = state::parse_ranges(text);
  return ranges ? state::to_string(*ranges) : text;
}

std::string normal_ports(const std::vector<std::string>& texts) {
  std::set<std::string> out;
  for (const std::string& text : texts)
    if (const auto port = parse_published_port(text))
      out.insert(fmt::format("{}:{}", port->host, port->node));
  return out.empty() ? "none" : joined({out.begin(), out.end()}, ", ");
}

}  // namespace

std::vector<Flag> cluster_flags() {
  return {
      {"--config", "FILE", "the cluster's settings as a file; what is given by flags beats it"},
      {"--mode", "MODE",
       "all-in-one: one process (the default); sqlite, etcd: a container for each component, on SQLite or "
       "on etcd"},
      {"--ha", "", "three etcd members and api-servers, two of the others (--mode etcd)"},
      {"--nodes", "NUMBER", "nodes of a cluster of containers (2)"},
      {"--engine", "podman|docker",
       "engine to use; else a running Podman, a running Docker, a Podman of its own"},
      {"--node-network", "own|host", "own: the node is a network namespace; host: the host is the node"},
      {"--publish", "HOST:NODEPORT",
       "reach port NODEPORT of the node by port HOST of any address of this host (TCP); may be repeated",
       true},
      {"--api-port", "PORT", "the api-server's port on 127.0.0.1; else a free one from 6443 on"},
      {"--pod-cidr", "CIDR[,CIDR]", "addresses for Pods, one block a family; else a free block"},
      {"--service-cidr", "CIDR[,CIDR]", "addresses for Services; else a free block"},
      {"--network-cidr", "CIDR", "the engine's network of a cluster of containers, a /24; else a free block"},
      {"--registry", "PREFIX", "take the components' images from PREFIX/COMPONENT:VERSION"},
      {"--image", "COMPONENT=REFERENCE", "take one component's image from elsewhere; may be repeated", true},
      {"--network-policy", "on|off", "off: NetworkPolicies are kept as objects and have no effect"},
      {"--key-algorithm", "ecdsa|rsa", "ECDSA P-256 (the default) or RSA 2048"}};
}

Result<ClusterRequest> read_request(Invocation& invocation) {
  ClusterRequest request;
  RN_TRY(request.config, merge_file(invocation));
  RN_CHECK(check_cluster_name(invocation.name));
  if (auto parsed = parse_flags(invocation, request); !parsed)
    return told_of_file(request.config, std::move(parsed).error());
  return request;
}

Result<> check_is_same(const Invocation& invocation, const ClusterRequest& request,
                       const ClusterSettings& have) {
  const auto same = [&](std::string_view flag, const std::string& there,
                        const std::string& asked) -> Result<> {
    if (!invocation.has(flag) || there == asked) return {};
    const auto place = request.config.places.find(flag);
    return failure("ClusterExists",
                   fmt::format("cluster \"{}\" exists with other settings: {} is {} there, not {}", have.name,
                               place == request.config.places.end() ? flag : place->second.path,
                               there.empty() ? "not given" : there, asked));
  };
  const auto yes = [](bool is) { return std::string(is ? "on" : "off"); };
  RN_CHECK(same("--mode", have.mode, request.mode));
  RN_CHECK(same("--ha", yes(have.is_highly_available), yes(request.is_highly_available)));
  RN_CHECK(same("--nodes", std::to_string(have.nodes.size()), std::to_string(request.addresses.nodes)));
  RN_CHECK(same("--engine", have.engine.kind, request.engine));
  RN_CHECK(same("--node-network", have.node_network, request.node_network));
  RN_CHECK(same("--api-port", std::to_string(have.api_port), std::to_string(request.addresses.api_port)));
  RN_CHECK(same("--pod-cidr", joined(have.pod_cidrs), normal_ranges(request.addresses.pod_cidr)));
  RN_CHECK(same("--service-cidr", joined(have.service_cidrs), normal_ranges(request.addresses.service_cidr)));
  RN_CHECK(same("--network-cidr", have.network_cidr, normal_ranges(request.addresses.network_cidr)));
  RN_CHECK(
      same("--publish", normal_ports(have.published_ports), normal_ports(request.addresses.published_ports)));
  RN_CHECK(same("--network-policy", yes(have.has_network_policy), yes(request.has_network_policy)));
  RN_CHECK(same("--key-algorithm", have.key_algorithm, request.key_algorithm));
  RN_CHECK(same("--registry", have.registry, request.registry));
  for (const auto& [component, reference] : request.images) {
    const auto image = have.images.find(component);
    RN_CHECK(same("--image", fmt::format("{}={}", component, image == have.images.end() ? "" : image->second),
                  fmt::format("{}={}", component, reference)));
  }
  return {};
}

Result<ClusterSettings> choose_settings(Invocation& invocation, Session& session,
                                        const ClusterRequest& request) {
  RN_TRY(const EngineChoice engine, choose_engine(invocation, request.engine));
  RN_CHECK(check_is_new(invocation, session, engine));
  ClusterSettings settings{.name = invocation.name,
                           .mode = request.mode,
                           .node_network = request.node_network,
                           .node_name = invocation.name,
                           .key_algorithm = request.key_algorithm,
                           .engine = engine,
                           .has_network_policy = request.has_network_policy,
                           .is_highly_available = request.is_highly_available};
  if (settings.has_containers()) settings.node_name.clear();
  settings.user_kubeconfig = user_kubeconfig_path(invocation.environment.variable).string();
  // The context is merged once the cluster runs, when nothing is undone any more.
  RN_CHECK(check_kubeconfig_file(settings.user_kubeconfig));
  settings.created_at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                               invocation.environment.clock.now().time_since_epoch())
                               .count();
  RN_CHECK(choose_release(invocation, settings));
  if (auto chosen = choose_addresses(session, request.addresses, settings); !chosen)
    return told_of_file(request.config, std::move(chosen).error());
  if (auto chosen = choose_images(invocation, request.registry, request.images, settings); !chosen)
    return told_of_file(request.config, std::move(chosen).error());
  return settings;
}

}  // namespace rusternetes::launcher
