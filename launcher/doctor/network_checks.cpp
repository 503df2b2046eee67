// What the kernel's network can do, who filters in it, and who has the port.
#include <fmt/format.h>

#include <algorithm>

#include "launcher/doctor/checks.h"

namespace rusternetes::launcher::doctor {
namespace {

// What every link of every cluster begins with (components/network/names.h).
constexpr std::string_view link_pattern = "rn*";

Finding feature(const std::string& what, const std::string& name, const std::string& error,
                const std::string& fix) {
  if (error.empty()) return {Level::ok, what, name + " can be used", ""};
  return {Level::problem, what, fmt::format("{} cannot be used: {}", name, error), fix};
}

bool does_match(std::string_view pattern, std::string_view link) {
  if (!pattern.ends_with('*')) return pattern == link;
  return link.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool is_accepted(const std::vector<std::string>& patterns, std::string_view link) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return does_match(pattern, link); });
}

std::string name_of(const FilterChain& chain) {
  return fmt::format("{} {} {}", chain.family, chain.table, chain.name);
}

bool does_drop(const FilterChain& chain) { return chain.is_policy_drop || chain.ends_in_drop; }

const FilterChain* docker_user_for(const FirewallFacts& facts, const FilterChain& chain) {
  if (chain.table != "filter" || chain.name != "FORWARD") return nullptr;
  for (const FilterChain& one : facts.docker_user)
    if (one.family == chain.family) return &one;
  return nullptr;
}

// An accept in a table of our own lifts nobody's drop (measured): it has to be in this chain, or in
// DOCKER-USER.
Finding check_forward(const FirewallFacts& facts, const FilterChain& chain) {
  const auto* docker_user = docker_user_for(facts, chain);
  if (is_accepted(chain.accepted_in, link_pattern) && is_accepted(chain.accepted_out, link_pattern))
    return {Level::ok, "firewall-forward",
            fmt::format("{} drops, but accepts the links of clusters", name_of(chain)), ""};
  if (docker_user == nullptr)
    return {
        chain.family == "ip6" ? Level::warning : Level::problem, "firewall-forward",
        fmt::format("{} drops what crosses this host{}: Pods do not reach the outside, nor, where "
                    "bridge-nf-call-iptables is 1, components that are containers each other",
                    name_of(chain), chain.family == "ip6" ? " by IPv6" : ""),
        fmt::format("nft insert rule {0} iifname \"rn*\" accept; nft insert rule {0} oifname \"rn*\" accept "
                    "(ufw: ufw default allow routed); keep it in the firewall's own configuration",
                    name_of(chain))};
  std::string lacking;
  for (const std::string& link : facts.node_links)
    if (!is_accepted(docker_user->accepted_in, link) || !is_accepted(docker_user->accepted_out, link))
      lacking += (lacking.empty() ? "" : ", ") + link;
  if (!lacking.empty() && chain.family != "ip6")
    return {
        Level::problem, "firewall-forward",
        fmt::format("Docker drops what crosses this host, and DOCKER-USER has no accepts for {}", lacking),
        "rusternetes-ctl start NAME, for the cluster of the link, puts them there again."};
  return {Level::ok, "firewall-forward",
          facts.node_links.empty()
              ? "Docker drops what crosses this host; a cluster puts its accepts into DOCKER-USER"
              : "Docker drops what crosses this host; DOCKER-USER has the clusters' accepts",
          ""};
}

}  // namespace

Findings check_kernel(const KernelFacts& facts) {
  const std::string load =
      "Load the module (modprobe {0}) or use a kernel that has it; in a container, load it on the host.";
  const auto by_module = [&](const char* name) { return fmt::format(fmt::runtime(load), name); };
  Findings out{feature(
      "network-namespaces", "network namespaces", facts.namespace_error,
      "Run this as root on a kernel with CONFIG_NET_NS, outside of containers that lack CAP_SYS_ADMIN.")};
  if (facts.namespace_error.empty()) {
    out.push_back(feature("nf_tables", "nf_tables with NAT", facts.nftables_error,
                          by_module("nf_tables nft_chain_nat")));
    out.push_back(feature("veth", "veth", facts.veth_error, by_module("veth")));
  } else {
    for (const char* what : {"nf_tables", "veth"})
      out.push_back({Level::unknown, what, "it is tried in a network namespace, which cannot be made", ""});
  }
  out.push_back({facts.has_overlay ? Level::ok : Level::warning, "overlayfs",
                 facts.has_overlay ? "overlayfs can be used"
                                   : "there is no overlayfs: engines fall back to slow copies of images",
                 facts.has_overlay ? "" : by_module("overlay")});
  return out;
}

Findings check_forwarding(const ForwardingFacts& facts) {
  return {{Level::ok, "ip-forward",
           facts.is_forwarding ? "net.ipv4.ip_forward is on"
                               : "net.ipv4.ip_forward is off; a cluster turns it on",
           ""},
          {Level::ok, "bridge-nf",
           !facts.bridge_nf ? "br_netfilter is not loaded: iptables' rules do not see what stays on a bridge"
           : *facts.bridge_nf
               ? "bridge-nf-call-iptables is 1: rules also see what stays on an engine's bridge, as "
                 "between nodes that are containers; Pods have no bridge"
               : "bridge-nf-call-iptables is 0: rules do not see what stays on an engine's bridge",
           ""}};
}

Findings check_firewall(const FirewallFacts& facts) {
  Findings out;
  for (const FilterChain& chain : facts.chains) {
    if (!does_drop(chain)) continue;
    if (chain.hook == "forward") {
      out.push_back(check_forward(facts, chain));
      continue;
    }
    // The api-server also listens on the node's own address, which such a rule does not reach.
    const bool is_open = is_accepted(chain.accepted_in, link_pattern);
    out.push_back({is_open ? Level::ok : Level::warning, "firewall-input",
                   fmt::format("{} drops what comes to this host{}", name_of(chain),
                               is_open ? ", but accepts the links of clusters"
                                       : ": Pods do not reach its ports (the api-server they do reach)"),
                   is_open
                       ? ""
                       : fmt::format("If Pods need them: nft insert rule {} iifname \"rn*\" accept (ufw: ufw "
                                     "allow in on LINK)",
                                     name_of(chain))});
  }
  const auto has = [&](std::string_view what) {
    return std::any_of(out.begin(), out.end(), [&](const Finding& one) { return one.what == what; });
  };
  if (!facts.legacy_tables.empty()) {
    std::string names;
    for (const std::string& one : facts.legacy_tables) names += (names.empty() ? "" : ", ") + one;
    out.push_back({Level::unknown, "firewall-legacy",
                   fmt::format("rules of the old iptables are in force ({}), which are not read here", names),
                   "Look for a DROP: iptables-legacy -S; better: update-alternatives --set iptables "
                   "/usr/sbin/iptables-nft"});
  }
  if (!has("firewall-forward"))
    out.push_back({Level::ok, "firewall-forward", "nothing drops what crosses this host", ""});
  if (!has("firewall-input"))
    out.push_back({Level::ok, "firewall-input", "nothing drops what comes to this host", ""});
  return out;
}

Findings check_port(std::uint16_t port, const std::vector<Listener>& listeners) {
  const std::string what = fmt::format("port-{}", port);
  if (listeners.empty()) return {{Level::ok, what, "free", ""}};
  const Listener& one = listeners.front();
  if (one.program == "rusternetes" || one.program == "api-proxy")
    return {{Level::ok, what,
             fmt::format("a cluster's ({}, pid {}); the next one gets another", one.program, one.pid), ""}};
  const std::string holder = one.pid == 0 ? std::string("a process that this user cannot see")
                                          : fmt::format("{} (pid {})", one.program, one.pid);
  return {{Level::warning, what,
           fmt::format("{} is taken by {}: a cluster gets another port", one.address, holder),
           "End that program if clusters shall have the port; else nothing is to be done."}};
}

}  // namespace rusternetes::launcher::doctor
