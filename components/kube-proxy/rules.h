#pragma once
// What stands in the kernel for Services, as values without I/O: elements of a few sets and maps that are the
// same whatever the Services, and chains for those Services that a map alone cannot express.
//
// A plain Service is elements only: its address, protocol and port lead to a chain that all Services with as
// many endpoints share, and that draws a number and looks the endpoint up under it. So a change of one
// Service touches its own elements, and nothing grows with the number of the others.

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"

namespace rusternetes::kube_proxy {

using network::IpAddress;
using network::IpPrefix;

enum class Family : std::uint8_t { v4, v6 };
constexpr Family kFamilies[] = {Family::v4, Family::v6};
Family family_of(const IpAddress& address);
// "ip" or "ip6".
std::string_view word(Family family);
// '4' or '6'.
char digit(Family family);

enum class Protocol : std::uint8_t { tcp, udp, sctp };
// As nftables writes it.
std::string_view word(Protocol protocol);

// Sets and maps, each once for a family.
enum class Container : std::uint8_t {
  cluster_ips,            // address
  service_ips,            // address . protocol . port : verdict
  masquerade_ips,         // address . protocol . port
  nodeports,              // protocol . port : verdict
  masquerade_nodeports,   // protocol . port
  no_endpoint_ips,        // address . protocol . port : verdict
  no_endpoint_nodeports,  // protocol . port : verdict
  firewall_ips,           // address . protocol . port : verdict
  hairpin,                // address . address
  service_endpoints_tcp,  // address . port . number : address . port
  service_endpoints_udp,
  service_endpoints_sctp,
  nodeport_endpoints_tcp,  // port . number : address . port
  nodeport_endpoints_udp,
  nodeport_endpoints_sctp,
};
constexpr std::size_t kContainers = 15;
Container service_endpoints(Protocol protocol);
Container nodeport_endpoints(Protocol protocol);
std::string container_name(Container container, Family family);  // "service-ips-4"
// The declaration's inside: "type ipv4_addr . inet_proto . inet_service : verdict;".
std::string container_type(Container container, Family family);
bool is_map(Container container);

// Of a set or map of Services. Whatever takes its place in the templates below says the same of itself, and
// is ordered so that elements of one set or map stand together.
struct Element {
  Container container{};
  Family family{};
  std::string key;
  auto operator<=>(const Element&) const = default;
  std::string set_name() const { return container_name(container, family); }
  bool is_beside(const Element& other) const {  // in the same set or map
    return container == other.container && family == other.family;
  }
  std::size_t hash() const {
    return std::hash<std::string>()(key) * 31 + static_cast<std::size_t>(container) * 2 +
           static_cast<std::size_t>(family);
  }
};

template <class E>
struct BasicEntry {
  E element;
  std::string value;  // empty in a set
  bool operator==(const BasicEntry&) const = default;
};

// What one owner (a Service, for one), or all, need of a table. Chains are sequences of rules.
template <class E>
struct BasicRules {
  std::vector<BasicEntry<E>> entries;  // after normalise(): sorted, each element once
  std::map<std::string, std::vector<std::string>> chains;
  // Sets that come and go, each with its inside: "type ipv4_addr;".
  std::map<std::string, std::string> sets;
  void add(E element, std::string value = {}) { entries.push_back({std::move(element), std::move(value)}); }
  // Of several entries with one element the first added stays.
  void normalise() {
    std::ranges::stable_sort(entries, {}, &BasicEntry<E>::element);
    const auto doubled = std::ranges::unique(entries, {}, &BasicEntry<E>::element);
    entries.erase(doubled.begin(), doubled.end());
    entries.shrink_to_fit();
  }
  bool is_empty() const { return entries.empty() && chains.empty() && sets.empty(); }
  bool operator==(const BasicRules&) const = default;
};

using Entry = BasicEntry<Element>;
using Rules = BasicRules<Element>;

// Of clients' addresses, which the kernel adds and forgets.
std::string affinity_set(Family family);

// What does not depend on Services. A change of it replaces the whole table.
struct Base {
  std::string table;  // of family inet
  // What names of the cluster's links begin with; empty: nobody's links are told apart.
  std::string own_links;
  // The bit that carries from the translation to postrouting that the source is to be translated, too.
  std::uint32_t masquerade_mark = 1u << 14;
  bool masquerade_all = false;
  // Sources that keep their address on the way to a ClusterIP. A family without any: all keep it.
  std::vector<IpPrefix> pod_cidrs;
  // NodePorts are served on the node's addresses in these; a flag for each family, since none at all is not
  // the same as all.
  bool limits_nodeports[2] = {false, false};
  std::vector<IpPrefix> nodeport_addresses;
  bool limits_nodeports_of(Family family) const { return limits_nodeports[static_cast<int>(family)]; }
  bool operator==(const Base&) const = default;
};

// Without those that lie within others, sorted: overlapping ranges would not load as one set.
std::vector<IpPrefix> without_nested(std::vector<IpPrefix> ranges, Family family);

constexpr const char* kRejectChain = "reject-packet";
// Chains that all Services with `count` endpoints share; `endpoints` is one of the maps of endpoints.
std::string pick_chain(Container endpoints, Family family, std::size_t count);
std::vector<std::string> pick_rules(Container endpoints, Family family, std::size_t count);

}  // namespace rusternetes::kube_proxy
