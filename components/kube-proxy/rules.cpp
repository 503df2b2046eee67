#include "kube-proxy/rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace rusternetes::kube_proxy {

namespace {

constexpr std::string_view container_words[kContainers] = {"cluster-ips",
                                                           "service-ips",
                                                           "masquerade-ips",
                                                           "nodeports",
                                                           "masquerade-nodeports",
                                                           "no-endpoint-ips",
                                                           "no-endpoint-nodeports",
                                                           "firewall-ips",
                                                           "hairpin",
                                                           "service-endpoints-tcp",
                                                           "service-endpoints-udp",
                                                           "service-endpoints-sctp",
                                                           "nodeport-endpoints-tcp",
                                                           "nodeport-endpoints-udp",
                                                           "nodeport-endpoints-sctp"};

// The modulus of an example, which means nothing.
constexpr int kSomeNumber = 65536;

Protocol protocol_of(Container endpoints) {
  return static_cast<Protocol>(
      (static_cast<int>(endpoints) - static_cast<int>(Container::service_endpoints_tcp)) % 3);
}
bool is_for_nodeports(Container endpoints) { return endpoints >= Container::nodeport_endpoints_tcp; }

// What an endpoint is looked up by. The number's type has no name, so maps are declared by an example of what
// is looked up; and nft 1.0.6 takes the example's protocol for the rule's, so there is a map for each.
std::string lookup(Container endpoints, Family family, std::size_t count) {
  return fmt::format("{}{} dport . numgen random mod {}",
                     is_for_nodeports(endpoints) ? "" : fmt::format("{} daddr . ", word(family)),
                     word(protocol_of(endpoints)), count);
}

}  // namespace

Family family_of(const IpAddress& address) { return address.is_v4() ? Family::v4 : Family::v6; }
std::string_view word(Family family) { return family == Family::v4 ? "ip" : "ip6"; }
char digit(Family family) { return family == Family::v4 ? '4' : '6'; }

std::string_view word(Protocol protocol) {
  return protocol == Protocol::tcp ? "tcp" : protocol == Protocol::udp ? "udp" : "sctp";
}

std::string container_name(Container container, Family family) {
  return fmt::format("{}-{}", container_words[static_cast<std::size_t>(container)], digit(family));
}

bool is_map(Container container) {
  switch (container) {
    case Container::cluster_ips:
    case Container::masquerade_ips:
    case Container::masquerade_nodeports:
    case Container::hairpin:
      return false;
    default:
      return true;
  }
}

std::string container_type(Container container, Family family) {
  const std::string_view address = family == Family::v4 ? "ipv4_addr" : "ipv6_addr";
  const std::string_view ip = word(family);
  switch (container) {
    case Container::cluster_ips:
      return fmt::format("type {};", address);
    case Container::service_ips:
    case Container::no_endpoint_ips:
    case Container::firewall_ips:
      return fmt::format("type {} . inet_proto . inet_service : verdict;", address);
    case Container::masquerade_ips:
      return fmt::format("type {} . inet_proto . inet_service;", address);
    case Container::nodeports:
    case Container::no_endpoint_nodeports:
      return "type inet_proto . inet_service : verdict;";
    case Container::masquerade_nodeports:
      return "type inet_proto . inet_service;";
    case Container::hairpin:
      return fmt::format("type {0} . {0};", address);
    default:
      return fmt::format("typeof {} : {} daddr . {} dport;", lookup(container, family, kSomeNumber), ip,
                         word(protocol_of(container)));
  }
}

std::string affinity_set(Family family) {
  return fmt::format("type {}; flags dynamic,timeout;", family == Family::v4 ? "ipv4_addr" : "ipv6_addr");
}

std::vector<IpPrefix> without_nested(std::vector<IpPrefix> ranges, Family family) {
  std::erase_if(ranges, [&](const IpPrefix& range) { return family_of(range.address()) != family; });
  for (auto& range : ranges) range = range.masked();
  // A range sorts before those within it.
  std::ranges::sort(ranges);
  std::vector<IpPrefix> out;
  for (const auto& range : ranges)
    if (out.empty() || !out.back().overlaps(range)) out.push_back(range);
  return out;
}

Container service_endpoints(Protocol protocol) {
  return static_cast<Container>(static_cast<int>(Container::service_endpoints_tcp) +
                                static_cast<int>(protocol));
}
Container nodeport_endpoints(Protocol protocol) {
  return static_cast<Container>(static_cast<int>(Container::nodeport_endpoints_tcp) +
                                static_cast<int>(protocol));
}

std::string pick_chain(Container endpoints, Family family, std::size_t count) {
  return fmt::format("{}-{}-{}-{}", is_for_nodeports(endpoints) ? "pick-nodeport" : "pick-service",
                     word(protocol_of(endpoints)), digit(family), count);
}

// A packet may come here by what was in the maps a moment ago, and find that its endpoint is gone since the
// table was replaced meanwhile: then there still is the first one, or its sender tries again.
std::vector<std::string> pick_rules(Container endpoints, Family family, std::size_t count) {
  const auto rule = [&](std::size_t modulus) {
    return fmt::format("meta l4proto {} dnat {} to {} map @{}", word(protocol_of(endpoints)), word(family),
                       lookup(endpoints, family, modulus), container_name(endpoints, family));
  };
  std::vector<std::string> out{rule(count)};
  if (count > 1) out.push_back(rule(1));
  out.push_back("drop");
  return out;
}

}  // namespace rusternetes::kube_proxy
