#include "host-agent/flags.h"

#include <fmt/format.h>

#include <algorithm>

#include "network/nft.h"

namespace rusternetes::host_agent {

namespace {

Status wrong(std::string message) { return {400, "BadRequest", std::move(message)}; }

Result<std::vector<IpPrefix>> ranges(const char* flag, const std::vector<std::string>& texts,
                                     const char* example, const char* what) {
  if (texts.empty()) return wrong(fmt::format("--{} is missing: {}", flag, what));
  std::vector<IpPrefix> out;
  for (const auto& text : texts) {
    const auto range = IpPrefix::parse(text);
    if (!range) return wrong(fmt::format("--{}: \"{}\" is no range such as {}", flag, text, example));
    out.push_back(range->masked());
  }
  return out;
}

// Of two flags; a route would lead where the other's belong.
Result<> check_apart(const char* a_flag, const std::vector<IpPrefix>& a, const char* b_flag,
                     const std::vector<IpPrefix>& b) {
  for (const auto& one : a)
    for (const auto& other : b)
      if (one.overlaps(other))
        return wrong(
            fmt::format("--{} {} overlaps --{} {}", a_flag, one.to_string(), b_flag, other.to_string()));
  return {};
}

Result<> read_gateways(const std::vector<std::string>& texts, HostAgentOptions& out) {
  if (texts.empty()) return wrong("--gateway is missing: the host's address in the cluster's network");
  for (const auto& text : texts) {
    const auto address = IpAddress::parse(text);
    if (!address) return wrong(fmt::format("--gateway: \"{}\" is no IP address", text));
    if (std::ranges::none_of(out.networks, [&](const IpPrefix& range) { return range.contains(*address); }))
      return wrong(fmt::format("--gateway: {} is outside --network-cidr", text));
    if (std::ranges::find(out.gateways, address->family(), &IpAddress::family) != out.gateways.end())
      return wrong("--gateway: one address of each family is enough");
    out.gateways.push_back(*address);
  }
  return {};
}

Result<> read_published(const std::vector<std::string>& texts, HostAgentOptions& out) {
  for (const auto& text : texts) {
    const auto port = network::PublishedPort::parse(text);
    if (!port) return wrong(fmt::format("--publish: {}", port.error().message));
    for (const auto& other : out.published)
      if (other.host_port == port->host_port)
        return wrong(fmt::format("--publish: the host's port {} is named twice", port->host_port));
    out.published.push_back(*port);
  }
  return {};
}

}  // namespace

Result<> check_cluster_name(const Flags& flags) {
  if (!network::is_safe_name(flags.cluster_name))
    return wrong(fmt::format("--cluster-name: \"{}\" is no name", flags.cluster_name));
  return {};
}

Result<HostAgentOptions> options_of(const Flags& flags) {
  HostAgentOptions out;
  RN_CHECK(check_cluster_name(flags));
  out.cluster = flags.cluster_name;
  if (!flags.bridge.empty() && (!network::is_safe_name(flags.bridge) || flags.bridge.size() > 15))
    return wrong(fmt::format("--bridge: \"{}\" is no link's name", flags.bridge));
  out.bridge = flags.bridge;
  RN_TRY(out.networks, ranges("network-cidr", flags.network_cidrs, "10.214.3.0/24",
                              "the range of the engine's network on which the nodes are"));
  RN_CHECK(read_gateways(flags.gateways, out));
  RN_TRY(out.pod_ranges,
         ranges("cluster-cidr", flags.cluster_cidrs, "10.244.0.0/16", "the range of the Pods of all nodes"));
  RN_TRY(out.service_ranges, ranges("service-cluster-ip-range", flags.service_ranges, "10.96.0.0/16",
                                    "the range of Services' addresses"));
  RN_CHECK(check_apart("cluster-cidr", out.pod_ranges, "network-cidr", out.networks));
  RN_CHECK(check_apart("service-cluster-ip-range", out.service_ranges, "network-cidr", out.networks));
  RN_CHECK(check_apart("service-cluster-ip-range", out.service_ranges, "cluster-cidr", out.pod_ranges));
  RN_CHECK(read_published(flags.publish, out));
  out.service_cidr_condition = flags.service_cidr_condition;
  return out;
}

}  // namespace rusternetes::host_agent
