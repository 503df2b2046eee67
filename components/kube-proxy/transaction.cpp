#include "kube-proxy/transaction.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>

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

std::string declare_sets(const Base& base) {
  std::string text;
  for (const Family family : kFamilies) {
    for (std::size_t i = 0; i < kContainers; ++i) {
      const auto container = static_cast<Container>(i);
      fmt::format_to(Out(text), "  {} {} {{ {} }}\n", is_map(container) ? "map" : "set",
                     container_name(container, family), container_type(container, family));
    }
    if (!base.limits_nodeports_of(family)) continue;
    std::vector<std::string> ranges;
    for (const auto& range : without_nested(base.nodeport_addresses, family))
      ranges.push_back(range.to_string());
    fmt::format_to(Out(text), "  set nodeport-addresses-{} {{ type {}; flags interval;{} }}\n", digit(family),
                   family == Family::v4 ? "ipv4_addr" : "ipv6_addr",
                   ranges.empty() ? "" : fmt::format(" elements = {{ {} }};", fmt::join(ranges, ", ")));
  }
  return text;
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

std::string service_chains(const Base& base) {
  std::string text = "  chain services {\n";
  for (const Family family : kFamilies) {
    const std::string address = fmt::format("{} daddr . meta l4proto . th dport ", word(family));
    const char f = digit(family);
    text += cluster_ip_masquerade(base, family);
    fmt::format_to(Out(text), "    {}@masquerade-ips-{} {}\n    {}vmap @service-ips-{}\n", address, f,
                   set_mark(base), address, f);
    const std::string port = is_node_port(base, family);
    fmt::format_to(Out(text), "    {}@masquerade-nodeports-{} {}\n    {}vmap @nodeports-{}\n", port, f,
                   set_mark(base), port, f);
  }
  text += "  }\n  chain refuse {\n";
  for (const Family family : kFamilies)
    fmt::format_to(Out(text), "    {} daddr . meta l4proto . th dport vmap @no-endpoint-ips-{}\n",
                   word(family), digit(family));
  text += "  }\n  chain refuse-unknown {\n";
  for (const Family family : kFamilies)
    fmt::format_to(Out(text), "    {} daddr @cluster-ips-{} goto {}\n", word(family), digit(family),
                   kRejectChain);
  fmt::format_to(Out(text),
                 "  }}\n  chain {} {{\n    meta l4proto tcp reject with tcp reset\n    reject\n  }}\n",
                 kRejectChain);
  text += "  chain refuse-nodeports {\n";
  for (const Family family : kFamilies)
    fmt::format_to(Out(text), "    {}vmap @no-endpoint-nodeports-{}\n", is_node_port(base, family),
                   digit(family));
  text += "  }\n  chain firewall {\n";
  for (const Family family : kFamilies)
    fmt::format_to(Out(text), "    {} daddr . meta l4proto . th dport vmap @firewall-ips-{}\n", word(family),
                   digit(family));
  return text + "  }\n";
}

std::string postrouting(const Base& base) {
  std::string text =
      fmt::format("  chain nat-postrouting {{\n    type nat hook postrouting priority {}; policy accept;\n",
                  kSnatPriority);
  for (const Family family : kFamilies)
    fmt::format_to(Out(text),
                   "    ct status dnat {0} saddr . {0} daddr @hairpin-{1} masquerade fully-random\n",
                   word(family), digit(family));
  fmt::format_to(Out(text),
                 "    meta mark & {0:#x} == 0 return\n    meta mark set meta mark & {1:#x}\n    ct status "
                 "dnat masquerade "
                 "fully-random\n  }}\n",
                 base.masquerade_mark, ~base.masquerade_mark);
  return text;
}

// Where the node is the host, other clusters have links there, too: Services are not for their Pods.
std::string others_links(const Base& base) {
  if (base.own_links.empty()) return {};
  return fmt::format("    iifname \"{}*\" iifname != \"{}*\" return\n", network::link_prefix, base.own_links);
}

std::string base_chains(const Base& base) {
  std::string text;
  const auto chain = [&](const char* name, const char* type, const char* hook, int priority,
                         std::string_view rules) { text += base_chain(name, type, hook, priority, rules); };
  chain("firewall-prerouting", "filter", "prerouting", kFirewallPriority, "    ct state new jump firewall\n");
  chain("firewall-output", "filter", "output", kFirewallPriority, "    ct state new jump firewall\n");
  chain("nat-prerouting", "nat", "prerouting", kDnatPriority, others_links(base) + "    jump services\n");
  chain("nat-output", "nat", "output", kDnatPriority, "    jump services\n");
  chain("filter-input", "filter", "input", kFilterPriority,
        "    ct state new jump refuse-nodeports\n    ct state new jump refuse\n");
  chain("filter-forward", "filter", "forward", kFilterPriority,
        "    ct state new jump refuse\n    ct state new jump refuse-unknown\n");
  chain("filter-output", "filter", "output", kFilterPriority,
        "    ct state new jump refuse\n    ct state new jump refuse-unknown\n");
  return text + postrouting(base);
}

}  // namespace

std::string set_declarations(const std::map<std::string, std::string>& sets) {
  std::string text;
  for (const auto& [name, inside] : sets) fmt::format_to(Out(text), "  set {} {{ {} }}\n", name, inside);
  return text;
}

std::string chain_declarations(const std::map<std::string, std::vector<std::string>>& chains) {
  std::string text;
  for (const auto& [name, rules] : chains)
    fmt::format_to(Out(text), "  chain {} {{\n    {}\n  }}\n", name, fmt::join(rules, "\n    "));
  return text;
}

std::string base_chain(std::string_view name, std::string_view type, std::string_view hook, int priority,
                       std::string_view rules) {
  return fmt::format("  chain {} {{\n    type {} hook {} priority {}; policy accept;\n{}  }}\n", name, type,
                     hook, priority, rules);
}

std::string mark_chain(std::uint64_t mark) { return fmt::format("loaded-{:x}", mark); }
std::string mark_declaration(std::uint64_t mark) {
  return fmt::format("  chain {} {{\n    return\n  }}\n", mark_chain(mark));
}

std::string whole_transaction(const Base& base, const Rules& rules, std::uint64_t mark,
                              const std::vector<AffinityElement>& kept) {
  std::string text =
      fmt::format("add table inet {0}\ndelete table inet {0}\ntable inet {0} {{\n", base.table);
  text += declare_sets(base);
  text += set_declarations(rules.sets);
  text += service_chains(base);
  text += chain_declarations(rules.chains);
  text += base_chains(base);
  text += mark_declaration(mark) + "}\n";
  text += element_commands("add", base.table, rules.entries);
  for (const auto& each : kept)
    if (rules.sets.contains(each.set))
      fmt::format_to(Out(text), "add element inet {} {} {{ {} timeout {}s expires {}s }}\n", base.table,
                     each.set, each.address, each.timeout_s, each.expires_s);
  return text;
}

std::string sweep_transaction(const std::string& table, const std::vector<std::string>& chains,
                              const std::vector<std::string>& sets) {
  std::string text;
  for (const auto& name : chains) fmt::format_to(Out(text), "delete chain inet {} {}\n", table, name);
  for (const auto& name : sets) fmt::format_to(Out(text), "delete set inet {} {}\n", table, name);
  return text;
}

}  // namespace rusternetes::kube_proxy
