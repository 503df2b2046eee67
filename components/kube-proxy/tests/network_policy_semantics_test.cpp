// Random policies, Pods and Namespaces that change step by step: what the rules let pass is what the API
// says, read by another, simpler hand. Rules are run here by a small interpreter of the lines that are
// written.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

#include "network/names.h"
#include "policy_objects.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::network_policy;
using namespace rusternetes::kube_proxy::testing;

namespace {

struct Random {
  std::uint32_t state;
  std::uint32_t below(std::uint32_t limit) {
    return state = state * 1664525 + 1013904223, (state >> 16) % limit;
  }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
};

const char* const protocols[] = {"TCP", "UDP", "SCTP"};
// The last is none, as an API of another version may have stored it: it is nobody's address.
const char* const cidrs[] = {"10.244.0.0/16", "10.244.1.0/24", "0.0.0.0/0", "fd00::/8", "10.244.0.0/33"};
const char* const excepts[] = {"10.244.1.0/24", "10.244.1.0/30", "10.0.0.0/8", "fd00:0:0:1::/64"};

// ---- what is thought up, and what the API says of it
struct ThePod {
  std::string name, name_space, address, label;
  bool is_here = false;
  int http = 0;  // number of its TCP port "http"; 0: none
};
struct ThePeer {
  std::optional<std::string> pod_label, namespace_label;  // "": any
  int cidr = -1, except = -1;
  bool is_nothing = false;  // a peer without a word in it
};
struct ThePort {
  int protocol = 0, first = 0, last = 0;  // 0: all
  bool is_http = false;
};
struct TheRule {
  std::vector<ThePeer> peers;
  std::vector<ThePort> ports;
};
struct ThePolicy {
  std::string name_space, target;  // target's label; "": all
  bool is_typed = false, is_ingress = false, is_egress = false;
  std::vector<TheRule> rules[2];
};

struct Cluster {
  std::map<std::string, std::string> namespaces;  // name to its label
  std::map<std::string, ThePod> pods;
  std::map<std::string, ThePolicy> policies;

  bool is_peer(const ThePeer& peer, const ThePolicy& policy, const ThePod& pod) const {
    if (peer.is_nothing) return false;
    if (peer.cidr >= 0) {
      const auto address = *IpAddress::parse(pod.address);
      const auto range = IpPrefix::parse(cidrs[peer.cidr]);
      return range && range->contains(address) &&
             !(peer.except >= 0 && IpPrefix::parse(excepts[peer.except])->contains(address));
    }
    if (peer.namespace_label
            ? !peer.namespace_label->empty() && namespaces.at(pod.name_space) != *peer.namespace_label
            : pod.name_space != policy.name_space)
      return false;
    return !peer.pod_label || peer.pod_label->empty() || pod.label == *peer.pod_label;
  }
  static bool is_port(const ThePort& port, const ThePod& destination, int protocol, int number) {
    if (port.protocol != protocol) return false;
    if (port.is_http) return protocol == 0 && destination.http == number;
    return port.first == 0 || (port.first <= number && number <= port.last);
  }
  bool allows(int direction, const ThePod& own, const ThePod& other, int protocol, int number) const {
    bool is_isolated = false;
    for (const auto& [key, policy] : policies) {
      if (policy.name_space != own.name_space || (!policy.target.empty() && policy.target != own.label))
        continue;
      const bool applies = policy.is_typed ? (direction ? policy.is_egress : policy.is_ingress)
                                           : direction == 0 || !policy.rules[1].empty();
      if (!applies) continue;
      is_isolated = true;
      for (const auto& rule : policy.rules[direction]) {
        const bool is_from = rule.peers.empty() || std::ranges::any_of(rule.peers, [&](const ThePeer& peer) {
                               return is_peer(peer, policy, other);
                             });
        const bool is_to = rule.ports.empty() || std::ranges::any_of(rule.ports, [&](const ThePort& port) {
                             return is_port(port, direction ? other : own, protocol, number);
                           });
        if (is_from && is_to) return true;
      }
    }
    return !is_isolated;
  }
};

std::string labels(const std::string& label) { return label.empty() ? "" : R"("l":")" + label + '"'; }
std::string selector(const std::string& label) {
  if (label.empty()) return "{}";
  return R"({"matchExpressions":[{"key":"l","operator":"In","values":[")" + label + R"("]}]})";
}
std::string json(const ThePeer& peer) {
  if (peer.cidr >= 0)
    return fmt::format(R"({{"ipBlock":{{"cidr":"{}"{}}}}})", cidrs[peer.cidr],
                       peer.except < 0 ? "" : fmt::format(R"(,"except":["{}"])", excepts[peer.except]));
  std::string out;
  if (peer.pod_label) out += R"("podSelector":)" + selector(*peer.pod_label);
  if (peer.namespace_label)
    out += (out.empty() ? "" : ",") + (R"("namespaceSelector":)" + selector(*peer.namespace_label));
  return "{" + out + "}";
}
std::string json(const ThePort& port) {
  std::string out = fmt::format(R"("protocol":"{}")", protocols[port.protocol]);
  if (port.is_http) out += R"(,"port":"http")";
  if (port.first) out += fmt::format(R"(,"port":{})", port.first);
  if (port.first && port.last != port.first) out += fmt::format(R"(,"endPort":{})", port.last);
  return "{" + out + "}";
}
template <class T>
std::string list(const std::vector<T>& items) {
  std::string out;
  for (const auto& each : items) out += (out.empty() ? "" : ",") + json(each);
  return "[" + out + "]";
}
std::string rules_json(const std::vector<TheRule>& rules, const char* peers) {
  std::string out;
  for (const auto& rule : rules)
    out += fmt::format(R"({}{{"{}":{},"ports":{}}})", out.empty() ? "" : ",", peers, list(rule.peers),
                       list(rule.ports));
  return "[" + out + "]";
}
Document document(const std::string& name, const ThePolicy& one) {
  std::string types;
  if (one.is_ingress) types += R"("Ingress")";
  if (one.is_egress) types += std::string(types.empty() ? "" : ",") + R"("Egress")";
  return policy(name,
                fmt::format(R"("podSelector":{},"ingress":{},"egress":{}{})", selector(one.target),
                            rules_json(one.rules[0], "from"), rules_json(one.rules[1], "to"),
                            one.is_typed ? R"(,"policyTypes":[)" + types + "]" : ""),
                one.name_space);
}
Document document(const ThePod& one) {
  return pod(
      {one.name, one.address, labels(one.label), one.is_here ? "here" : "other", one.name_space,
       one.http ? fmt::format(R"({{"name":"http","containerPort":{},"protocol":"TCP"}})", one.http) : ""});
}

// ---- the rules, and packets through them
struct Packet {
  std::string source, destination;
  int protocol = 0, port = 0;
};

class Kernel {
 public:
  void change(const PolicyDifference& difference) {
    for (const auto& element : difference.removed) REQUIRE(elements_[element.set].erase(element.key) == 1);
    for (const auto& [name, unused] : difference.sets) sets_.insert(name);
    for (const auto& entry : difference.added)
      REQUIRE(elements_[entry.element.set].emplace(entry.element.key, entry.value).second);
    for (const auto& [name, rules] : difference.chains) REQUIRE(chains_.emplace(name, rules).second);
    for (const auto& [name, rules] : difference.changed_chains) chains_.at(name) = rules;
    for (const auto& name : difference.stale_chains) REQUIRE(chains_.erase(name) == 1);
    for (const auto& name : difference.stale_sets) {
      REQUIRE(sets_.erase(name) == 1);
      REQUIRE(elements_[name].empty());
    }
    for (const auto& [name, elements] : elements_)
      REQUIRE((elements.empty() || name.ends_with("-links") || sets_.contains(name)));
  }
  bool passes(Direction direction, const std::string& uid, const Packet& packet) const {
    const std::string link = '"' + network::interface_name("test", network::LinkPurpose::pod, uid) + '"';
    const std::string verdict = elements_.at(std::string(word(direction)) + "-links").at(link);
    if (verdict == "accept") return true;
    REQUIRE(verdict.starts_with("goto "));
    return run(verdict.substr(5), packet) == "accept";
  }

 private:
  // accept, drop, or nothing where the chain's end was reached.
  std::string run(const std::string& chain, const Packet& packet) const {
    for (const auto& line : chains_.at(chain)) {
      const std::string verdict = rule(line, packet);
      if (!verdict.empty()) return verdict;
    }
    return {};
  }
  static bool in_braces(std::istringstream& words, const std::function<bool(const std::string&)>& holds) {
    std::string word;
    bool found = false;
    while (words >> word && word != "}") {
      if (word.ends_with(',')) word.pop_back();
      if (word != "{") found |= holds(word);
    }
    return found;
  }
  std::string rule(const std::string& line, const Packet& packet) const {
    std::istringstream words(line);
    const bool is_v4 = packet.source.find(':') == std::string::npos;
    const auto range = [](const std::string& text) {
      return text.find('/') == std::string::npos ? IpPrefix::host(*IpAddress::parse(text))
                                                 : *IpPrefix::parse(text);
    };
    std::string word;
    while (words >> word) {
      if (word == "accept" || word == "drop") return word;
      if (word == "jump") {
        words >> word;
        return run(word, packet);
      }
      if (word == "counter") {
        words >> word >> word;
      } else if (word == "meta") {
        std::string key, value;
        words >> key >> value;
        if (key == "nfproto" && (value == "ipv4") != is_v4) return {};
        if (key == "l4proto" &&
            value != std::string_view(kube_proxy::word(static_cast<Protocol>(packet.protocol))))
          return {};
      } else if (word == "th") {
        words >> word;
        const bool holds = in_braces(words, [&](const std::string& text) {
          const auto dash = text.find('-');
          const int first = std::stoi(text),
                    last = dash == text.npos ? first : std::stoi(text.substr(dash + 1));
          return first <= packet.port && packet.port <= last;
        });
        if (!holds) return {};
      } else if (word == "ip" || word == "ip6") {
        if ((word == "ip") != is_v4) return {};
        std::string side;
        words >> side >> word;
        const std::string& address = side == "saddr" ? packet.source : packet.destination;
        if (word == ".") {
          words >> word >> word >> word;  // th dport @set
          if (!has(word.substr(1), fmt::format("{} . {}", address, packet.port))) return {};
        } else if (word.starts_with('@')) {
          if (!has(word.substr(1), address)) return {};
        } else if (word == "!=") {
          if (in_braces(words, [&](const std::string& text) {
                return range(text).contains(*IpAddress::parse(address));
              }))
            return {};
        } else if (!range(word).contains(*IpAddress::parse(address))) {
          return {};
        }
      } else {
        FAIL("not known: " << word << " in " << line);
      }
    }
    return {};
  }
  bool has(const std::string& set, const std::string& key) const {
    REQUIRE(sets_.contains(set));
    const auto found = elements_.find(set);
    return found != elements_.end() && found->second.contains(key);
  }

  std::map<std::string, std::map<std::string, std::string>> elements_;
  std::map<std::string, std::vector<std::string>> chains_;
  std::set<std::string> sets_;
};

// ---- the walk
std::string some_label(Random& random) { return std::string(1, static_cast<char>('a' + random.below(3))); }
std::string some_or_any(Random& random) { return random.one_in(3) ? "" : some_label(random); }
TheRule some_rule(Random& random) {
  TheRule out;
  for (auto n = random.below(3); n > 0; --n) {
    ThePeer& peer = out.peers.emplace_back();
    const auto kind = random.below(5);
    if (kind == 4) {
      peer.is_nothing = true;
      continue;
    }
    if (kind == 3) {
      peer.cidr = static_cast<int>(random.below(5));
      peer.except = static_cast<int>(random.below(5)) - 1;
      continue;
    }
    if (kind != 1) peer.pod_label = some_or_any(random);
    if (kind != 0) peer.namespace_label = some_or_any(random);
  }
  for (auto n = random.below(3); n > 0; --n) {
    ThePort& port = out.ports.emplace_back();
    port.protocol = static_cast<int>(random.below(3));
    if (random.one_in(4)) continue;
    if (random.one_in(3)) {
      port.protocol = 0;
      port.is_http = true;
      continue;
    }
    port.first = 80 + static_cast<int>(random.below(4));
    port.last = port.first + static_cast<int>(random.below(3));
  }
  return out;
}

}  // namespace

TEST_CASE("after any changes, what passes is what the policies say") {
  const PolicySettings settings{"test", "here", {}};
  Random random{20251121};
  Cluster cluster;
  PolicyIndex index;
  PolicyRuleSet rules;
  Kernel kernel;
  for (const char* name : {"n1", "n2", "n3"}) cluster.namespaces[name] = "a";
  const auto key_of = [](const auto& one, const std::string& name) { return one.name_space + "/" + name; };
  // As the controller does: a policy's change concerns the Pods of its namespace, or all.
  const auto decide_pods = [&](const std::string& of) {
    for (const auto& [key, each] : cluster.pods)
      if (of.empty() || each.name_space == of)
        rules.set(
            "pod/" + key,
            rules_of(document(each), name_space(each.name_space, labels(cluster.namespaces[each.name_space])),
                     index, settings)
                .rules);
  };
  const auto set_policy = [&](const std::string& key, const std::optional<ThePolicy>& now) {
    const auto before = index.get(key);
    std::shared_ptr<const Policy> policy;
    if (now) policy = std::make_shared<const Policy>(read_policy(document(key.substr(3), *now)));
    index.set(key, policy);
    rules.set("policy/" + key, policy ? rules_of(*policy, {}) : PolicyRules{});
    const bool is_wide =
        (before && before->reaches_beyond_namespace()) || (policy && policy->reaches_beyond_namespace());
    decide_pods(is_wide ? "" : key.substr(0, 2));
  };
  int allowed = 0, denied = 0;
  for (int step = 0; step < 600; ++step) {
    const std::string space = fmt::format("n{}", 1 + random.below(3));
    switch (random.below(4)) {
      case 0:
      case 1: {
        const std::string name = fmt::format("p{}", random.below(4)), key = space + "/" + name;
        if (random.one_in(3)) {
          cluster.policies.erase(key);
          set_policy(key, std::nullopt);
          break;
        }
        ThePolicy one{space, some_or_any(random)};
        one.is_typed = random.one_in(2);
        if (one.is_typed)
          one.is_ingress = random.one_in(2), one.is_egress = !one.is_ingress || random.one_in(2);
        for (auto& each : one.rules)
          for (auto n = random.below(3); n > 0; --n) each.push_back(some_rule(random));
        cluster.policies[key] = one;
        set_policy(key, one);
        break;
      }
      case 2: {
        const int number = static_cast<int>(random.below(8));
        ThePod one{fmt::format("w{}", number), space};
        const std::string key = key_of(one, one.name);
        if (random.one_in(4)) {
          cluster.pods.erase(key);
          rules.set("pod/" + key, {});
          break;
        }
        const auto host = 1 + random.below(6);
        one.address = random.one_in(4) ? fmt::format("fd00:0:0:{}::{}", random.below(2), host)
                                       : fmt::format("10.244.{}.{}", random.below(3), host);
        one.address = IpAddress::parse(one.address)->to_string();
        one.name = key.substr(0, 2) + one.name;  // the uid
        one.label = some_label(random);
        one.is_here = random.below(4) != 0;
        one.http = random.one_in(3) ? 0 : 80 + static_cast<int>(random.below(4));
        cluster.pods[key] = one;
        decide_pods(space);
        break;
      }
      default:
        cluster.namespaces[space] = some_label(random);
        decide_pods(space);
    }
    kernel.change(rules.take());
    // Two Pods with one address are each other's peers wrongly, here and anywhere: not looked at.
    std::map<std::string, int> owners;
    for (const auto& [key, each] : cluster.pods) ++owners[each.address];
    for (const auto& [from_key, from] : cluster.pods)
      for (const auto& [to_key, to] : cluster.pods) {
        if (from_key == to_key || owners[from.address] > 1 || owners[to.address] > 1) continue;
        if ((from.address.find(':') == std::string::npos) != (to.address.find(':') == std::string::npos))
          continue;
        const Packet packet{from.address, to.address, static_cast<int>(random.below(3)),
                            80 + static_cast<int>(random.below(6))};
        for (const auto direction : kDirections) {
          const bool is_in = direction == Direction::ingress;
          const ThePod& own = is_in ? to : from;
          if (!own.is_here) continue;
          const bool wanted = cluster.allows(static_cast<int>(direction), own, is_in ? from : to,
                                             packet.protocol, packet.port);
          INFO("step " << step << " " << word(direction) << " " << from_key << " to " << to_key << " "
                       << protocols[packet.protocol] << " " << packet.port);
          REQUIRE(kernel.passes(direction, own.name, packet) == wanted);
          ++(wanted ? allowed : denied);
        }
      }
  }
  CHECK(allowed > 1000);
  CHECK(denied > 1000);
}
