#include "launcher/manifest/manifest.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "launcher/failure.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {
namespace {

// Stops reading; yaml-cpp ends in exceptions, too, and both become a Status in one place.
struct Broken {
  std::string message;
};

[[noreturn]] void refuse(const YAML::Node& at, const std::string& what) {
  const auto mark = at.Mark();
  throw Broken{mark.is_null() ? what : fmt::format("line {}: {}", mark.line + 1, what)};
}

using Field = std::function<void(const YAML::Node&)>;
using Fields = std::map<std::string, Field, std::less<>>;

// A mapping of which every key is known.
void read_fields(const YAML::Node& node, const std::string& what, const Fields& fields) {
  if (!node.IsMap()) refuse(node, what + " is not a mapping");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    const auto field = fields.find(key);
    if (field == fields.end())
      refuse(entry.first, fmt::format("{} has a field \"{}\" that is not known here", what, key));
    if (!seen.insert(key).second) refuse(entry.first, fmt::format("{} has two fields \"{}\"", what, key));
    field->second(entry.second);
  }
}

// Compose puts variables in place of $NAME; ours have none, and $$ is a dollar.
std::string text_of(const YAML::Node& node) {
  if (!node.IsScalar()) refuse(node, "a single value is expected");
  std::string out;
  const std::string& text = node.Scalar();
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '$' && (++at == text.size() || text[at] != '$'))
      refuse(node, fmt::format("\"{}\" has a variable; a dollar is written $$", text));
    out += text[at];
  }
  return out;
}

std::vector<std::string> list_of(const YAML::Node& node) {
  if (!node.IsSequence()) refuse(node, "a list is expected");
  std::vector<std::string> out;
  for (const auto& each : node) out.push_back(text_of(each));
  return out;
}

std::map<std::string, std::string> map_of(const YAML::Node& node) {
  if (!node.IsMap()) refuse(node, "a mapping is expected");
  std::map<std::string, std::string> out;
  for (const auto& entry : node) out[text_of(entry.first)] = text_of(entry.second);
  return out;
}

bool bool_of(const YAML::Node& node) {
  const std::string text = text_of(node);
  if (text != "true" && text != "false") refuse(node, fmt::format("\"{}\" is neither true nor false", text));
  return text == "true";
}

std::string choice_of(const YAML::Node& node, std::initializer_list<std::string_view> choices) {
  std::string text = text_of(node);
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    refuse(node, fmt::format("\"{}\" is not one of {}", text, fmt::join(choices, ", ")));
  return text;
}

Field into(std::string& to) {
  return [&to](const YAML::Node& node) { to = text_of(node); };
}
Field into(std::vector<std::string>& to) {
  return [&to](const YAML::Node& node) { to = list_of(node); };
}
Field into(std::map<std::string, std::string>& to) {
  return [&to](const YAML::Node& node) { to = map_of(node); };
}
Field into(bool& to) {
  return [&to](const YAML::Node& node) { to = bool_of(node); };
}

// Compose's durations, as far as whole seconds go: "20s", "1m30s".
std::chrono::seconds seconds_of(const YAML::Node& node) {
  const std::string text = text_of(node);
  std::int64_t seconds = 0, number = -1;
  for (const char c : text) {
    if (c >= '0' && c <= '9' && number < 100'000)
      number = std::max<std::int64_t>(number, 0) * 10 + (c - '0');
    else if ((c == 's' || c == 'm') && number >= 0)
      seconds += std::exchange(number, -1) * (c == 'm' ? 60 : 1);
    else
      refuse(node, fmt::format("\"{}\" is no duration of seconds and minutes, such as 20s", text));
  }
  if (number >= 0 || text.empty()) refuse(node, fmt::format("\"{}\" lacks its unit, s or m", text));
  return std::chrono::seconds(seconds);
}

std::string absolute_path(const YAML::Node& node) {
  std::string path = text_of(node);
  if (!path.starts_with('/')) refuse(node, fmt::format("\"{}\" is not an absolute path", path));
  return path;
}

ManifestMount mount_of(const YAML::Node& node) {
  ManifestMount mount;
  std::string type;
  read_fields(node, "a volume",
              {{"type", [&](const YAML::Node& n) { type = choice_of(n, {"bind"}); }},
               {"source", [&](const YAML::Node& n) { mount.source = absolute_path(n); }},
               {"target", [&](const YAML::Node& n) { mount.target = absolute_path(n); }},
               {"read_only", into(mount.is_read_only)},
               {"bind", [&](const YAML::Node& n) {
                  read_fields(n, "bind",
                              {{"propagation", [&](const YAML::Node& p) {
                                  mount.propagation = choice_of(p, {"rslave", "rshared", "rprivate"});
                                }}});
                }}});
  if (type.empty() || mount.source.empty() || mount.target.empty())
    refuse(node, "a volume needs type, source and target");
  if (mount.propagation == "rprivate") mount.propagation.clear();
  return mount;
}

// "127.0.0.1:6443:6443"; an address is asked for, since without one every address of the host would serve it.
ManifestPort port_of(const YAML::Node& node) {
  const std::string text = text_of(node);
  const auto last = text.rfind(':');
  const auto middle = last == std::string::npos ? last : text.rfind(':', last - 1);
  ManifestPort port;
  if (middle != std::string::npos) {
    port.host_address = text.substr(0, middle);
    port.host_port = parse_port(text.substr(middle + 1, last - middle - 1)).value_or(0);
    port.container_port = parse_port(text.substr(last + 1)).value_or(0);
  }
  if (port.host_address.empty() || !port.host_port || !port.container_port)
    refuse(node, fmt::format("\"{}\" is not ADDRESS:PORT:PORT", text));
  return port;
}

template <class Read, class T>
Field each_into(std::vector<T>& to, Read read) {
  return [&to, read](const YAML::Node& node) {
    if (!node.IsSequence()) refuse(node, "a list is expected");
    for (const auto& each : node) to.push_back(read(each));
  };
}

void read_attachment(const YAML::Node& node, ManifestService& service) {
  if (!node.IsMap() || node.size() != 1) refuse(node, "exactly one network with an address is expected");
  service.network = node.begin()->first.Scalar();
  read_fields(node.begin()->second, "the network of a service", {{"ipv4_address", into(service.address)}});
}

ManifestService service_of(const std::string& key, const YAML::Node& node) {
  ManifestService service;
  service.key = key;
  read_fields(node, "service " + key,
              {{"image", into(service.image)},
               {"container_name", into(service.container_name)},
               {"hostname", into(service.hostname)},
               {"entrypoint", into(service.entrypoint)},
               {"command", into(service.command)},
               {"networks", [&](const YAML::Node& n) { read_attachment(n, service); }},
               {"network_mode", into(service.network_mode)},
               {"pid", [&](const YAML::Node& n) { service.pid_mode = choice_of(n, {"host"}); }},
               {"privileged", into(service.is_privileged)},
               {"cap_add", into(service.add_capabilities)},
               {"sysctls", into(service.sysctls)},
               {"volumes", each_into(service.mounts, mount_of)},
               {"ports", each_into(service.ports, port_of)},
               {"depends_on", into(service.depends_on)},
               {"labels", into(service.labels)},
               {"restart",
                [&](const YAML::Node& n) {
                  service.restart = choice_of(n, {"no", "always", "on-failure", "unless-stopped"});
                }},
               {"stop_grace_period", [&](const YAML::Node& n) { service.stop_grace = seconds_of(n); }},
               {"stop_signal", into(service.stop_signal)}});
  if (service.image.empty() || service.container_name.empty())
    refuse(node, fmt::format("service {} needs an image and a container_name", key));
  if (service.network.empty() == service.network_mode.empty())
    refuse(node, fmt::format("service {} needs either networks or network_mode", key));
  return service;
}

void read_pool(const YAML::Node& node, ManifestNetwork& network) {
  if (!node.IsSequence() || node.size() != 1) refuse(node, "exactly one block of addresses is expected");
  read_fields(node[0], "an address block",
              {{"subnet", into(network.subnet)}, {"gateway", into(network.gateway)}});
}

void read_driver_options(const YAML::Node& node, ManifestNetwork& network) {
  read_fields(node, "driver_opts",
              {{"com.docker.network.bridge.name", into(network.bridge_name)},
               {"com.docker.network.driver.mtu", [&](const YAML::Node& n) {
                  const auto mtu = parse_port(text_of(n));  // the same numbers
                  if (!mtu) refuse(n, fmt::format("\"{}\" is no MTU", text_of(n)));
                  network.mtu = *mtu;
                }}});
}

ManifestNetwork network_of(const std::string& key, const YAML::Node& node) {
  ManifestNetwork network;
  network.key = key;
  read_fields(
      node, "network " + key,
      {{"name", into(network.name)},
       {"driver", [](const YAML::Node& n) { choice_of(n, {"bridge"}); }},
       {"driver_opts", [&](const YAML::Node& n) { read_driver_options(n, network); }},
       {"ipam",
        [&](const YAML::Node& n) {
          read_fields(n, "ipam", {{"config", [&](const YAML::Node& pools) { read_pool(pools, network); }}});
        }},
       {"labels", into(network.labels)}});
  if (const auto label = network.labels.find(bridge_label); label != network.labels.end())
    network.bridge_name = label->second;
  if (network.name.empty() || network.subnet.empty() || network.gateway.empty())
    refuse(node, fmt::format("network {} needs a name, a subnet and a gateway", key));
  return network;
}

template <class T, class Read>
void read_section(const YAML::Node& node, std::vector<T>& to, Read read) {
  if (!node.IsMap()) refuse(node, "a mapping is expected");
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    if (std::any_of(to.begin(), to.end(), [&](const T& other) { return other.key == key; }))
      refuse(entry.first, fmt::format("\"{}\" is there twice", key));
    to.push_back(read(key, entry.second));
  }
}

constexpr std::string_view of_service = "service:";

void check_network(const Manifest& manifest, const ManifestService& service) {
  const auto is_network = [&](const ManifestNetwork& network) { return network.key == service.network; };
  if (!service.network.empty()) {
    if (std::none_of(manifest.networks.begin(), manifest.networks.end(), is_network))
      throw Broken{
          fmt::format("service {} is in network {}, which is not there", service.key, service.network)};
    if (service.address.empty())
      throw Broken{fmt::format("service {} has no ipv4_address in network {}", service.key, service.network)};
  } else if (const std::string& mode = service.network_mode;
             mode != "host" && mode != "none" && !mode.starts_with(of_service)) {
    throw Broken{fmt::format("network_mode \"{}\" of service {} is not one of host, none, service:NAME", mode,
                             service.key)};
  }
}

void check(const Manifest& manifest) {
  std::set<std::string> names, addresses;
  for (const auto& service : manifest.services) {
    check_network(manifest, service);
    for (const auto& need : needs_of(service))
      if (!manifest.find(need))
        throw Broken{fmt::format("service {} needs service {}, which is not there", service.key, need)};
    if (!names.insert(service.container_name).second)
      throw Broken{fmt::format("two services have the container_name {}", service.container_name)};
    if (!service.address.empty() && !addresses.insert(service.network + " " + service.address).second)
      throw Broken{fmt::format("two services have the address {}", service.address)};
  }
  if (manifest.start_order().size() != manifest.services.size())
    throw Broken{"services depend on each other in a circle"};
}

}  // namespace

std::vector<std::string> needs_of(const ManifestService& service) {
  std::vector<std::string> needs = service.depends_on;
  if (service.network_mode.starts_with(of_service))
    needs.push_back(service.network_mode.substr(of_service.size()));
  return needs;
}

const ManifestService* Manifest::find(std::string_view key) const {
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const ManifestService& each) { return each.key == key; });
  return found == services.end() ? nullptr : &*found;
}

std::vector<const ManifestService*> Manifest::start_order() const {
  std::vector<const ManifestService*> out;
  std::set<std::string> done;
  for (bool is_progress = true; is_progress;) {
    is_progress = false;
    for (const auto& service : services) {
      const auto needs = needs_of(service);
      if (done.contains(service.key) ||
          !std::all_of(needs.begin(), needs.end(),
                       [&](const std::string& need) { return done.contains(need); }))
        continue;
      out.push_back(&service);
      done.insert(service.key);
      is_progress = true;
    }
  }
  return out;
}

Result<Manifest> read_manifest(std::string_view text) {
  try {
    Manifest manifest;
    const YAML::Node root = YAML::Load(std::string(text));
    std::string version;
    read_fields(root, "the manifest",
                {{"version", into(version)},
                 {"networks", [&](const YAML::Node& n) { read_section(n, manifest.networks, network_of); }},
                 {"services", [&](const YAML::Node& n) { read_section(n, manifest.services, service_of); }}});
    if (version != "2.4") throw Broken{fmt::format("its version is \"{}\" instead of \"2.4\"", version)};
    check(manifest);
    return manifest;
  } catch (const Broken& broken) {
    return failure("ManifestBroken", "the manifest cannot be used: " + broken.message);
  } catch (const YAML::Exception& error) {
    return failure("ManifestBroken", fmt::format("the manifest is not YAML: {}", error.what()));
  }
}

}  // namespace rusternetes::launcher
