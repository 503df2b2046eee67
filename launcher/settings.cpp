#include "launcher/settings.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "launcher/command.h"
#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

json::array list_json(const std::vector<std::string>& parts) {
  json::array out;
  for (const std::string& part : parts) out.emplace_back(part);
  return out;
}

json::array nodes_json(const std::vector<NodeSettings>& nodes) {
  json::array out;
  for (const NodeSettings& node : nodes)
    out.push_back(json::object{{"name", node.name}, {"address", node.address}});
  return out;
}

json::object map_json(const std::map<std::string, std::string>& values) {
  json::object out;
  for (const auto& [key, value] : values) out[key] = value;
  return out;
}

json::value previous_json(const std::optional<PreviousRelease>& previous) {
  if (!previous) return nullptr;
  return json::object{{"release", previous->release},   {"kubernetes", previous->kubernetes},
                      {"program", previous->program},   {"manifest", previous->manifest},
                      {"images", map_json(previous->images)}, {"snapshot", previous->snapshot},
                      {"registry", previous->registry}, {"shape", previous->shape}};
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t integer_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::vector<std::string> list_of(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& part : value->get_array())
    if (part.is_string()) out.emplace_back(part.get_string());
  return out;
}

std::map<std::string, std::string> map_of(const json::object& object, std::string_view key) {
  std::map<std::string, std::string> out;
  const auto* value = object.if_contains(key);
  if (value == nullptr || !value->is_object()) return out;
  for (const auto& [name, one] : value->get_object())
    if (one.is_string()) out[name] = one.get_string();
  return out;
}

bool bool_of(const json::object& object, std::string_view key, bool otherwise) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

std::vector<NodeSettings> nodes_of(const json::object& object) {
  std::vector<NodeSettings> out;
  const auto* value = object.if_contains("nodes");
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& node : value->get_array())
    if (node.is_object())
      out.push_back({text_of(node.get_object(), "name"), text_of(node.get_object(), "address")});
  return out;
}

}  // namespace

std::string ClusterSettings::server() const {
  return fmt::format("https://{}:{}",
                     bind_address.find(':') == std::string::npos ? bind_address : "[" + bind_address + "]",
                     api_port);
}

std::string ClusterSettings::context() const { return "rusternetes-" + name; }

std::string shape_of(const ClusterSettings& s) {
  std::string out = fmt::format("{}{} {}", s.mode, s.is_highly_available ? " ha" : "", joined(s.published_ports));
  for (const NodeSettings& node : s.nodes) out += fmt::format(" {}={}", node.name, node.address);
  return out;
}

std::string to_json(const ClusterSettings& s) {
  json::object out{
      {"name", s.name},
      {"mode", s.mode},
      {"nodeNetwork", s.node_network},
      {"nodeName", s.node_name},
      {"keyAlgorithm", s.key_algorithm},
      {"engine", json::object{{"kind", s.engine.kind},
                              {"socket", s.engine.socket},
                              {"version", s.engine.version},
                              {"private", s.engine.is_private}}},
      {"bindAddress", s.bind_address},
      {"apiPort", s.api_port},
      {"podCIDRs", list_json(s.pod_cidrs)},
      {"serviceCIDRs", list_json(s.service_cidrs)},
      {"nodeLinks", list_json(s.node_links)},
      {"hostAddresses", list_json(s.host_addresses)},
      {"nodeAddresses", list_json(s.node_addresses)},
      {"publishedPorts", list_json(s.published_ports)},
      {"networkPolicy", s.has_network_policy},
      {"userKubeconfig", s.user_kubeconfig},
      {"createdAtMs", s.created_at_ms},
      {"highlyAvailable", s.is_highly_available},
      {"networkCIDR", s.network_cidr},
      {"bridge", s.bridge},
      {"nodes", nodes_json(s.nodes)},
      {"registry", s.registry},
      {"images", map_json(s.images)},
      {"release", s.release},
      {"kubernetes", s.kubernetes},
      {"program", s.program},
      {"manifest", s.manifest},
      {"previous", previous_json(s.previous)},
  };
  if (const auto& schedule = s.snapshot_schedule)
    out["snapshotSchedule"] = json::object{{"everySeconds", schedule->every.count()},
                                           {"keep", schedule->keep},
                                           {"passphraseFile", schedule->passphrase_file}};
  return json::serialize(out);
}

Result<ClusterSettings> settings_from_json(std::string_view text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !parsed.is_object())
    return failure("StateDamaged", "the settings kept about a cluster do not parse");
  const json::object& object = parsed.get_object();
  ClusterSettings s;
  s.name = text_of(object, "name");
  s.mode = text_of(object, "mode");
  s.node_network = text_of(object, "nodeNetwork");
  s.node_name = text_of(object, "nodeName");
  s.key_algorithm = text_of(object, "keyAlgorithm");
  if (const auto* engine = object.if_contains("engine"); engine != nullptr && engine->is_object()) {
    const json::object& fields = engine->get_object();
    s.engine = {text_of(fields, "kind"), text_of(fields, "socket"), text_of(fields, "version"),
                bool_of(fields, "private", false)};
  }
  s.bind_address = text_of(object, "bindAddress");
  s.api_port = static_cast<std::uint16_t>(integer_of(object, "apiPort"));
  s.pod_cidrs = list_of(object, "podCIDRs");
  s.service_cidrs = list_of(object, "serviceCIDRs");
  s.node_links = list_of(object, "nodeLinks");
  s.host_addresses = list_of(object, "hostAddresses");
  s.node_addresses = list_of(object, "nodeAddresses");
  s.published_ports = list_of(object, "publishedPorts");
  s.has_network_policy = bool_of(object, "networkPolicy", true);
  s.user_kubeconfig = text_of(object, "userKubeconfig");
  s.created_at_ms = integer_of(object, "createdAtMs");
  s.is_highly_available = bool_of(object, "highlyAvailable", false);
  s.network_cidr = text_of(object, "networkCIDR");
  s.bridge = text_of(object, "bridge");
  s.nodes = nodes_of(object);
  s.registry = text_of(object, "registry");
  s.images = map_of(object, "images");
  s.release = text_of(object, "release");
  s.kubernetes = text_of(object, "kubernetes");
  s.program = text_of(object, "program");
  s.manifest = text_of(object, "manifest");
  if (const auto* previous = object.if_contains("previous"); previous != nullptr && previous->is_object()) {
    const json::object& fields = previous->get_object();
    s.previous = PreviousRelease{.release = text_of(fields, "release"),
                                 .kubernetes = text_of(fields, "kubernetes"),
                                 .program = text_of(fields, "program"),
                                 .manifest = text_of(fields, "manifest"),
                                 .images = map_of(fields, "images"),
                                 .registry = text_of(fields, "registry"),
                                 .snapshot = text_of(fields, "snapshot"),
                                 .shape = text_of(fields, "shape")};
  }
  if (const auto* found = object.if_contains("snapshotSchedule"); found != nullptr && found->is_object()) {
    const json::object& fields = found->get_object();
    s.snapshot_schedule = {std::chrono::seconds(integer_of(fields, "everySeconds")),
                           static_cast<int>(integer_of(fields, "keep")), text_of(fields, "passphraseFile")};
  }
  return s;
}

std::vector<state::Reservation> reservations_of(const ClusterSettings& s) {
  std::vector<state::Reservation> out;
  const auto add = [&](const char* kind, const std::vector<std::string>& values) {
    for (const std::string& value : values) out.push_back({s.name, kind, value});
  };
  add("pod-cidr", s.pod_cidrs);
  add("service-cidr", s.service_cidrs);
  add("node-link", s.node_links);
  if (!s.network_cidr.empty()) add("engine-network", {s.network_cidr});
  add("api-port", {std::to_string(s.api_port)});
  for (const std::string& text : s.published_ports)
    if (const auto port = parse_published_port(text)) add("published-port", {std::to_string(port->host)});
  return out;
}

NodeNetwork node_network_of(const ClusterSettings& s, const std::string& netns) {
  return {s.name,           s.node_name, netns,           s.host_addresses,
          s.node_addresses, s.pod_cidrs, s.service_cidrs, s.published_ports, s.bridge};
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0 || port > 65535)
    return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

Result<PublishedPort> parse_published_port(std::string_view text) {
  const auto colon = text.find(':');
  const auto host = parse_port(text.substr(0, colon));
  const auto node = colon == std::string_view::npos ? std::nullopt : parse_port(text.substr(colon + 1));
  if (!host || !node)
    return failure(
        "BadRequest",
        fmt::format("--publish \"{}\" is not HOST:NODEPORT, two port numbers such as 8080:30080", text));
  return PublishedPort{*host, *node};
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

Result<> check_cluster_name(std::string_view name) {
  constexpr std::size_t limit = 40;
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  bool is_good = !name.empty() && name.size() <= limit && is_letter(name.front()) && name.back() != '-';
  for (const char c : name) is_good = is_good && (is_letter(c) || (c >= '0' && c <= '9') || c == '-');
  if (!is_good) return failure("InvalidName", fmt::format("\"{}\" cannot be the name of a cluster", name));
  if (is_command_word(name))
    return failure("InvalidName",
                   fmt::format("\"{}\" is a command and cannot be the name of a cluster", name));
  return {};
}

}  // namespace rusternetes::launcher
