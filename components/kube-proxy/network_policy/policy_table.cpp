// The table of network policies: what stands whatever policies there are.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kube-proxy/network_policy/policy_rules.h"
#include "kube-proxy/whole_table.h"
#include "network/names.h"

namespace rusternetes::kube_proxy::network_policy {

namespace {

// After Services' refusals, before the drop rule of the service ranges. At these hooks a packet's addresses
// are those of Pods on both sides: translated to the endpoint already, and not masqueraded yet. An accept
// ends one chain alone, so each direction has one of its own.
constexpr int kEgressPriority = 1;
constexpr int kIngressPriority = 2;

// Before anything else, connection tracking too.
constexpr int kSourcePriority = -300;

// What both directions let pass: answers and what belongs to a connection; neighbours' discovery, without
// which IPv6 has no link.
constexpr const char* kAlways =
    "    ct state established,related accept\n"
    "    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } "
    "accept\n";

// Links of Pods that the map does not have are those of Pods that were not heard of yet.
std::string by_link(std::string_view side, Direction direction, const std::string& links) {
  return fmt::format("    {0} vmap @{1}-links\n    {0} \"{2}*\" counter name {3} drop\n", side,
                     word(direction), links, kDeniedCounters[2]);
}

std::vector<std::string> of_family(const std::vector<IpAddress>& all, Family family) {
  std::vector<std::string> out;
  for (const auto& each : all)
    if (family_of(each) == family) out.push_back(each.to_string());
  return out;
}

// The host's own connections, as the node's, whose packets to Pods are at none of these hooks. Not those to a
// NodePort: published ports bring there whoever connects to the host, Pods of the cluster among them.
std::string from_host(const PolicySettings& settings, const std::string& links) {
  std::string text;
  for (const Family family : kFamilies) {
    const auto hosts = of_family(settings.host_addresses, family);
    const auto nodes = of_family(settings.node_addresses, family);
    if (hosts.empty()) continue;
    const std::string unless = nodes.empty() ? ""
                                             : fmt::format("ct original {} daddr != {{ {} }} ", word(family),
                                                           fmt::join(nodes, ", "));
    text += fmt::format("    iifname != \"{}*\" {} saddr {{ {} }} {}accept\n", links, word(family),
                        fmt::join(hosts, ", "), unless);
  }
  return text;
}

// Others' ingress rules go by the source address: a Pod's packets leave with its own alone, which the node
// has a route to over the Pod's link. Addresses that belong to the link itself, and none yet while duplicates
// are looked for, are IPv6's neighbours' talk, which is never forwarded.
std::string sources(const std::string& links) {
  return fmt::format(
      "    iifname != \"{}*\" accept\n    ip6 saddr {{ ::, fe80::/10 }} accept\n"
      "    fib saddr . iif oif missing counter name {} drop\n",
      links, kDeniedCounters[3]);
}

// All but what is at a hook.
Frame unhooked_frame() {
  Frame frame;
  for (const char* counter : kDeniedCounters) frame.add_counter(counter);
  for (const auto direction : kDirections)
    frame.add_container("map", fmt::format("{}-links", word(direction)), "type ifname : verdict;");
  frame.add_container("set", "own-links", "type ifname . ifname;");
  return frame;
}

}  // namespace

std::string trial_policy_transaction(const std::string& table, const PolicyRules& rules) {
  return whole_transaction(whole_table(table, unhooked_frame(), rules, 0)) +
         fmt::format("delete table inet {}\n", table);
}

WholeTable policy_table(const std::string& table, const PolicySettings& settings, PolicyRules rules,
                        std::uint64_t mark) {
  const std::string links = network::interface_prefix(settings.cluster) + 'p';
  Frame frame = unhooked_frame();
  frame.add_base_chain("sources", "filter", "prerouting", kSourcePriority, sources(links));
  // A Pod cannot be kept from itself, also where it goes by way of its Service.
  const std::string own = "    iifname . oifname @own-links accept\n";
  frame.add_base_chain("egress-forward", "filter", "forward", kEgressPriority,
                       kAlways + own + by_link("iifname", Direction::egress, links));
  frame.add_base_chain(
      "ingress-forward", "filter", "forward", kIngressPriority,
      kAlways + own + from_host(settings, links) + by_link("oifname", Direction::ingress, links));
  // To the node itself: its API, its name server, its NodePorts that are no Pods.
  frame.add_base_chain("egress-input", "filter", "input", kEgressPriority,
                       kAlways + by_link("iifname", Direction::egress, links));
  return whole_table(table, std::move(frame), std::move(rules), mark);
}

}  // namespace rusternetes::kube_proxy::network_policy
