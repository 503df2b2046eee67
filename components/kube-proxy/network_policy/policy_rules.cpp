#include "kube-proxy/network_policy/policy_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace rusternetes::kube_proxy {
template class BasicRuleSet<network_policy::SetElement>;
}

namespace rusternetes::kube_proxy::network_policy {

namespace {

// Part of a rule, for one family or both.
struct Match {
  std::optional<Family> family;
  std::string text;  // with a blank at its end; empty: everything
};

std::string pods_set(const PodSelection& selection, Family family) {
  return fmt::format("pods-{}-{}", selection.id, digit(family));
}
std::string port_set(const NamedPort& port, Family family) {
  return fmt::format("port-{}-{}-{}", word(port.protocol), port.name, digit(family));
}
std::string_view address_type(Family family) { return family == Family::v4 ? "ipv4_addr" : "ipv6_addr"; }

// nft takes no overlapping ranges in one set. Adjacent ones are one.
std::vector<PortRange> merged(std::vector<PortRange> ranges, Protocol protocol) {
  std::erase_if(ranges, [&](const PortRange& each) { return each.protocol != protocol; });
  std::ranges::sort(ranges);
  std::vector<PortRange> out;
  for (const auto& each : ranges)
    if (!out.empty() && each.first <= out.back().last + 1)
      out.back().last = std::max(out.back().last, each.last);
    else
      out.push_back(each);
  return out;
}

// Writes the chain of one policy and direction.
class PolicyChain {
 public:
  PolicyChain(const Policy& policy, Direction direction, const NameServers& servers, PolicyRules& out)
      : policy_(policy), direction_(direction), servers_(servers), out_(out) {}

  void write() {
    auto& lines = out_.chains[policy_.chain(direction_)];
    for (const auto& rule : policy_.rules[static_cast<int>(direction_)]) {
      // Both, whether or not their product is empty: they declare the sets that Pods are put into.
      const auto peers = peers_of(rule), ports = ports_of(rule);
      for (const auto& peer : peers)
        for (const auto& port : ports) {
          if (peer.family && port.family && *peer.family != *port.family) continue;
          lines.push_back(fmt::format("{}{}accept", peer.text, port.text));
        }
      if (direction_ == Direction::egress) name_servers(rule, lines);
    }
  }

 private:
  // The other side's address.
  const char* side() const { return direction_ == Direction::ingress ? "saddr" : "daddr"; }

  std::vector<Match> peers_of(const Rule& rule) {
    if (rule.is_for_all_peers) return {{std::nullopt, ""}};
    std::vector<Match> out;
    for (const auto& peer : rule.peers)
      if (const auto* selection = std::get_if<PodSelection>(&peer))
        for (const Family family : kFamilies) {
          const std::string set = pods_set(*selection, family);
          out_.sets[set] = fmt::format("type {};", address_type(family));
          out.push_back({family, fmt::format("{} {} @{} ", word(family), side(), set)});
        }
      else
        block(std::get<Block>(peer), out);
    return out;
  }

  void block(const Block& block, std::vector<Match>& out) const {
    const Family family = family_of(block.range.address());
    const auto excepts = without_nested(block.except, family);
    std::vector<std::string> texts;
    for (const auto& each : excepts) {
      if (each.overlaps(block.range) && each.length() <= block.range.length()) return;  // nothing is left
      texts.push_back(each.to_string());
    }
    std::string text = block.range.is_everything()
                           ? fmt::format("meta nfproto {} ", family == Family::v4 ? "ipv4" : "ipv6")
                           : fmt::format("{} {} {} ", word(family), side(), block.range.to_string());
    if (!texts.empty())
      text += fmt::format("{} {} != {{ {} }} ", word(family), side(), fmt::join(texts, ", "));
    out.push_back({family, std::move(text)});
  }

  std::vector<Match> ports_of(const Rule& rule) {
    if (rule.is_for_all_ports) return {{std::nullopt, ""}};
    std::vector<Match> out;
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
      std::vector<std::string> texts;
      const auto ranges = merged(rule.ports, protocol);
      for (const auto& each : ranges)
        texts.push_back(each.first == each.last ? fmt::format("{}", each.first)
                                                : fmt::format("{}-{}", each.first, each.last));
      const bool is_all = ranges.size() == 1 && ranges[0].first == 0 && ranges[0].last == 65535;
      if (is_all)
        out.push_back({std::nullopt, fmt::format("meta l4proto {} ", word(protocol))});
      else if (!texts.empty())
        out.push_back({std::nullopt, fmt::format("meta l4proto {} th dport {{ {} }} ", word(protocol),
                                                 fmt::join(texts, ", "))});
    }
    for (const auto& name : rule.names)
      for (const Family family : kFamilies) {
        const std::string set = port_set(name, family);
        out_.sets[set] = fmt::format("type {} . inet_service;", address_type(family));
        out.push_back({family, fmt::format("meta l4proto {} {} daddr . th dport @{} ", word(name.protocol),
                                           word(family), set)});
      }
    return out;
  }

  bool allows_port(const Rule& rule, const NameServers::Port& port) const {
    if (rule.is_for_all_ports) return true;
    const auto has = [&](std::uint16_t number) {
      return std::ranges::any_of(rule.ports, [&](const PortRange& each) {
        return each.protocol == port.protocol && each.first <= number && number <= each.last;
      });
    };
    return has(port.service_port) || has(port.port) ||
           std::ranges::find(rule.names, NamedPort{port.protocol, port.name}) != rule.names.end();
  }

  bool allows_peer(const Rule& rule, const NameServers::Port& port) const {
    return rule.is_for_all_peers || std::ranges::any_of(rule.peers, [&](const Peer& peer) {
             if (const auto* selection = std::get_if<PodSelection>(&peer))
               return selects_name_servers(*selection, servers_);
             return std::get<Block>(peer).contains(port.address);
           });
  }

  void name_servers(const Rule& rule, std::vector<std::string>& lines) const {
    for (const Family family : kFamilies) {
      std::vector<std::string> keys;
      for (const auto& port : servers_.ports)
        if (family_of(port.address) == family && allows_port(rule, port) && allows_peer(rule, port))
          keys.push_back(
              fmt::format("{} . {} . {}", port.address.to_string(), word(port.protocol), port.port));
      if (!keys.empty() && !(rule.is_for_all_peers && rule.is_for_all_ports))
        lines.push_back(fmt::format("{} daddr . meta l4proto . th dport {{ {} }} accept", word(family),
                                    fmt::join(keys, ", ")));
    }
  }

  const Policy& policy_;
  const Direction direction_;
  const NameServers& servers_;
  PolicyRules& out_;
};

}  // namespace

PolicyRules rules_of(const Policy& policy, const NameServers& servers) {
  PolicyRules out;
  for (const auto direction : kDirections)
    if (policy.isolates[static_cast<int>(direction)]) PolicyChain(policy, direction, servers, out).write();
  return out;
}

}  // namespace rusternetes::kube_proxy::network_policy
