#include "kube-proxy/transaction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

#include "kube-proxy/whole_table.h"
#include "network/names.h"

namespace rusternetes::kube_proxy {

namespace {

// Before Docker's and other tools' translations, as measured to work beside them.
constexpr int kDnatPriority = -105;
constexpr int kFirewallPriority = kDnatPriority - 10;
// Refusals come before what stands at the service ranges for packets that nothing has translated.
constexpr int kFilterPriority = 0;
constexpr int kSnatPriority = 100;

using Out = std::back_insert_iterator<std::string>;

void declare_sets(const Base& base, Frame& frame) {
  for (const Family family : kFamilies) {
    for (std::size_t i = 0; i < kContainers; ++i) {
      const auto container = static_cast<Container>(i);
      frame.add_container(is_map(container) ? "map" : "set", container_name(container, family),
                          container_type(container, family));
    }
    if (!base.limits_nodeports_of(family)) continue;
    std::vector<std::string> ranges;
    for (const auto& range : without_nested(base.nodeport_addresses, family))
      ranges.push_back(range.to_string());
    frame.add_container(
        "set", fmt::format("nodeport-addresses-{}", digit(family)),
        fmt::format("type {}; flags interval;", family == Family::v4 ? "ipv4_addr" : "ipv6_addr"),
        fmt::format("{}", fmt::join(ranges, ", ")));
  }
}

std::string set_mark(const Base& base) {
  return fmt::format("meta mark set meta mark | {:#x}", base.masquerade_mark);
}

std::string cluster_ip_masquerade(const Base& base, Family family) {
  if (base.masquerade_all)
    return fmt::format("    {} daddr @cluster-ips-{} {}\n", word(family), digit(family), set_mark(base));
  std::vector<std::string> pods;
  for (const auto& range : without_nested(base.pod_cidrs, family)) pods.push_back(range.to_string());
  if (pods.empty()) return {};
  return fmt::format("    {0} daddr @cluster-ips-{1} {0} saddr != {{ {2} }} {3}\n", word(family),
                     digit(family), fmt::join(pods, ", "), set_mark(base));
}

// What a packet to a NodePort has in common.
std::string is_node_port(const Base& base, Family family) {
  std::string out = fmt::format("fib daddr type local {} daddr != {} ", word(family),
                                family == Family::v4 ? "127.0.0.0/8" : "::1");
  if (base.limits_nodeports_of(family))
    out += fmt::format("{} daddr @nodeport-addresses-{} ", word(family), digit(family));
  return out + "meta l4proto . th dport ";
}

void service_chains(const Base& base, Frame& frame) {
  std::string services, refuse, refuse_unknown, refuse_nodeports, firewall;
  for (const Family family : kFamilies) {
    const std::string address = fmt::format("{} daddr . meta l4proto . th dport ", word(family));
    const std::string port = is_node_port(base, family);
    const char f = digit(family);
    services += cluster_ip_masquerade(base, family);
    fmt::format_to(Out(services), "    {}@masquerade-ips-{} {}\n    {}vmap @service-ips-{}\n", address, f,
                   set_mark(base), address, f);
    fmt::format_to(Out(services), "    {}@masquerade-nodeports-{} {}\n    {}vmap @nodeports-{}\n", port, f,
                   set_mark(base), port, f);
    fmt::format_to(Out(refuse), "    {}vmap @no-endpoint-ips-{}\n", address, f);
    fmt::format_to(Out(refuse_unknown), "    {} daddr @cluster-ips-{} goto {}\n", word(family), f,
                   kRejectChain);
    fmt::format_to(Out(refuse_nodeports), "    {}vmap @no-endpoint-nodeports-{}\n", port, f);
    fmt::format_to(Out(firewall), "    {}vmap @firewall-ips-{}\n", address, f);
  }
  frame.add_chain("services", services);
  frame.add_chain("refuse", refuse);
  frame.add_chain("refuse-unknown", refuse_unknown);
  frame.add_chain(kRejectChain, "    meta l4proto tcp reject with tcp reset\n    reject\n");
  frame.add_chain("refuse-nodeports", refuse_nodeports);
  frame.add_chain("firewall", firewall);
}

std::string postrouting(const Base& base) {
  std::string text;
  for (const Family family : kFamilies)
    fmt::format_to(Out(text),
                   "    ct status dnat {0} saddr . {0} daddr @hairpin-{1} masquerade fully-random\n",
                   word(family), digit(family));
  fmt::format_to(Out(text),
                 "    meta mark & {0:#x} == 0 return\n    meta mark set meta mark & {1:#x}\n    ct status "
                 "dnat masquerade fully-random\n",
                 base.masquerade_mark, ~base.masquerade_mark);
  return text;
}

// Where the node is the host, other clusters have links there, too: Services are not for their Pods.
std::string others_links(const Base& base) {
  if (base.own_links.empty()) return {};
  return fmt::format("    iifname \"{}*\" iifname != \"{}*\" return\n", network::link_prefix, base.own_links);
}

void base_chains(const Base& base, Frame& frame) {
  frame.add_base_chain("firewall-prerouting", "filter", "prerouting", kFirewallPriority,
                       "    ct state new jump firewall\n");
  frame.add_base_chain("firewall-output", "filter", "output", kFirewallPriority,
                       "    ct state new jump firewall\n");
  frame.add_base_chain("nat-prerouting", "nat", "prerouting", kDnatPriority,
                       others_links(base) + "    jump services\n");
  frame.add_base_chain("nat-output", "nat", "output", kDnatPriority, "    jump services\n");
  frame.add_base_chain("filter-input", "filter", "input", kFilterPriority,
                       "    ct state new jump refuse-nodeports\n    ct state new jump refuse\n");
  frame.add_base_chain("filter-forward", "filter", "forward", kFilterPriority,
                       "    ct state new jump refuse\n    ct state new jump refuse-unknown\n");
  frame.add_base_chain("filter-output", "filter", "output", kFilterPriority,
                       "    ct state new jump refuse\n    ct state new jump refuse-unknown\n");
  frame.add_base_chain("nat-postrouting", "nat", "postrouting", kSnatPriority, postrouting(base));
}

}  // namespace

WholeTable services_table(const Base& base, Rules rules, std::uint64_t mark) {
  Frame frame;
  declare_sets(base, frame);
  service_chains(base, frame);
  base_chains(base, frame);
  return whole_table(base.table, std::move(frame), std::move(rules), mark);
}

std::string sweep_transaction(const std::string& table, const std::vector<std::string>& chains,
                              const std::vector<std::string>& sets) {
  std::string text;
  for (const auto& name : chains) fmt::format_to(Out(text), "delete chain inet {} {}\n", table, name);
  for (const auto& name : sets) fmt::format_to(Out(text), "delete set inet {} {}\n", table, name);
  return text;
}

}  // namespace rusternetes::kube_proxy
