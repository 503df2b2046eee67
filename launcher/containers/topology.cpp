#include "launcher/containers/topology.h"

#include <fmt/format.h>

#include <algorithm>

#include "addons/addons.h"
#include "state/pools.h"

namespace rusternetes::launcher {
namespace {

using state::Range;

// Offsets in the network's block. The first is the host's.
constexpr std::uint64_t first_store = 2, first_api_server = 5, first_controller = 8, first_scheduler = 10,
                        first_dns = 12, first_node = 16;
constexpr std::size_t last_node = 254 - first_node + 1;
constexpr int api_server_port = 6443, store_port = 2379;

std::string at(const ClusterSettings& settings, std::uint64_t offset) {
  const auto range = Range::parse(settings.network_cidr);
  return range ? range->at(offset).to_string() : std::string();
}

// "api-server", or with `count` over one "api-server-1" and so on.
void add(std::vector<Member>& out, const ClusterSettings& settings, const std::string& component, int count,
         std::uint64_t first) {
  for (int i = 1; i <= count; ++i)
    out.push_back({.key = count == 1 ? component : fmt::format("{}-{}", component, i),
                   .component = component,
                   .address = at(settings, first + static_cast<std::uint64_t>(i) - 1),
                   .node = {},
                   .leaf = std::to_string(i)});
}

const char* store_of(const ClusterSettings& settings) { return settings.mode == "etcd" ? "etcd" : "rhino"; }

// The number at the end of "node-3".
std::string number_of(const std::string& node) { return node.substr(node.rfind('-') + 1); }

std::vector<std::string> urls(const std::vector<Member>& members, int port) {
  std::vector<std::string> out;
  for (const Member& one : members) out.push_back(fmt::format("https://{}:{}", one.address, port));
  return out;
}

std::vector<certs::PkiHost> hosts(const std::vector<Member>& members) {
  std::vector<certs::PkiHost> out;
  for (const Member& one : members) out.push_back({one.leaf, {one.key, one.address}});
  return out;
}

}  // namespace

std::vector<Member> members_of(const ClusterSettings& s) {
  std::vector<Member> out;
  const bool is_many = s.is_highly_available;
  add(out, s, store_of(s), is_many ? 3 : 1, first_store);
  add(out, s, "api-server", is_many ? 3 : 1, first_api_server);
  add(out, s, "controller-manager", is_many ? 2 : 1, first_controller);
  add(out, s, "scheduler", is_many ? 2 : 1, first_scheduler);
  add(out, s, "dns", is_many ? 2 : 1, first_dns);
  out.push_back({.key = "host-agent", .component = "host-agent", .address = {}, .node = {}, .leaf = {}});
  out.push_back({.key = "api-proxy", .component = "api-proxy", .address = {}, .node = {}, .leaf = {}});
  for (const NodeSettings& node : s.nodes) {
    const std::string number = number_of(node.name);
    out.push_back({node.name, "node", node.address, node.name, {}});
    out.push_back({"kube-proxy-" + number, "kube-proxy", {}, node.name, {}});
    out.push_back({"kubelet-" + number, "kubelet", {}, node.name, {}});
  }
  return out;
}

std::vector<Member> members_of(const ClusterSettings& settings, std::string_view component) {
  std::vector<Member> out = members_of(settings);
  std::erase_if(out, [&](const Member& one) { return one.component != component; });
  return out;
}

std::vector<std::string> components_of(const ClusterSettings& settings) {
  std::vector<std::string> out;
  for (const Member& one : members_of(settings))
    if (std::find(out.begin(), out.end(), one.component) == out.end()) out.push_back(one.component);
  return out;
}

bool is_store(std::string_view component) { return component == "rhino" || component == "etcd"; }

std::string container_name(const ClusterSettings& settings, std::string_view key) {
  return fmt::format("rusternetes-{}-{}", settings.name, key);
}

NodeSettings next_node(const ClusterSettings& settings) {
  for (std::uint64_t number = 1;; ++number) {
    NodeSettings node{fmt::format("node-{}", number), at(settings, first_node + number - 1)};
    if (std::find(settings.nodes.begin(), settings.nodes.end(), node) == settings.nodes.end()) return node;
  }
}

std::size_t most_nodes() { return last_node; }

std::string gateway_of(const ClusterSettings& settings) { return at(settings, 1); }

std::string dns_service_address(const ClusterSettings& settings) {
  const auto address = addons::dns_service_address(joined(settings.service_cidrs));
  return address ? *address : std::string();
}

std::vector<std::string> api_server_urls(const ClusterSettings& settings) {
  return urls(members_of(settings, "api-server"), api_server_port);
}

std::vector<std::string> store_urls(const ClusterSettings& settings) {
  return urls(members_of(settings, store_of(settings)), store_port);
}

Result<certs::PkiOptions> container_pki(const ClusterSettings& settings) {
  certs::PkiOptions options;
  RN_TRY(options.algorithm, certs::parse_key_algorithm(settings.key_algorithm));
  options.service_cidr = joined(settings.service_cidrs);
  options.has_separate_components = true;
  for (const NodeSettings& node : settings.nodes) options.nodes.push_back({node.name, {node.address}});
  options.api_servers = hosts(members_of(settings, "api-server"));
  options.etcd_members = hosts(members_of(settings, store_of(settings)));
  // The host's own address of the cluster; the proxy there does not look into TLS.
  options.api_server_names = {settings.bind_address};
  return options;
}

}  // namespace rusternetes::launcher
