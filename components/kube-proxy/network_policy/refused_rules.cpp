#include "kube-proxy/network_policy/refused_rules.h"

#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace rusternetes::kube_proxy::network_policy {

namespace {

using Owners = std::map<std::string, PolicyRules>;
using Owner = const Owners::value_type*;

// All together, as the table has them.
PolicyRules merged(const Owners& base, std::span<const Owner> owners) {
  PolicyRuleSet all;
  for (const auto& [name, rules] : base) all.set(name, rules);
  for (const Owner each : owners) all.set(each->first, each->second);
  return all.take_all();
}

// Looks for those of `owners` that are not taken, each beside `base`, which is.
class Search {
 public:
  Search(const std::function<Result<void>(const PolicyRules&)>& try_rules, const Owners& base)
      : try_(try_rules), base_(base) {}

  void look(std::span<const Owner> owners) {
    if (owners.empty()) return;
    const auto done = try_(merged(base_, owners));
    if (done) return;
    if (owners.size() == 1) {
      found.emplace(owners[0]->first, done.error().message);
      return;
    }
    look(owners.first(owners.size() / 2));
    look(owners.subspan(owners.size() / 2));
  }

  // The first of them that is taken; else nothing.
  PolicyRules choose(const std::string& owner, std::vector<PolicyRules> stand_ins) const {
    for (auto& each : stand_ins) {
      const Owners one{{owner, each}};
      const Owner only = &*one.begin();
      if (try_(merged(base_, std::span(&only, 1)))) return std::move(each);
    }
    return {};
  }

  std::map<std::string, std::string> found;  // why, by owner

 private:
  const std::function<Result<void>(const PolicyRules&)>& try_;
  const Owners& base_;
};

std::vector<Owner> all_of(const Owners& owners, std::string_view prefix) {
  std::vector<Owner> out;
  for (const auto& each : owners)
    if (each.first.starts_with(prefix)) out.push_back(&each);
  return out;
}

// Still isolates, and allows nothing; with its sets, so that Pods' elements have their place, or without.
std::vector<PolicyRules> instead_of_policy(const PolicyRules& policy) {
  PolicyRules with_sets;
  for (const auto& [name, unused] : policy.chains) with_sets.chains[name];
  PolicyRules alone = with_sets;
  with_sets.sets = policy.sets;
  return {std::move(with_sets), std::move(alone)};
}

// Its links, shut. Without any they are those of a Pod that was not heard of, which is the same but for the
// counter.
std::vector<PolicyRules> instead_of_pod(const PolicyRules& pod) {
  PolicyRules out;
  for (const auto& entry : pod.entries)
    if (!entry.value.empty()) out.add(entry.element, SetElement::kContested);
  return {std::move(out)};
}

std::set<std::string> names_of(const PolicyRules& rules) {
  std::set<std::string> out;
  for (const auto& [name, unused] : rules.chains) out.insert(name);
  for (const auto& [name, unused] : rules.sets) out.insert(name);
  return out;
}

}  // namespace

PolicyRules without(PolicyRules rules, const std::set<std::string>& absent) {
  std::erase_if(rules.entries, [&](const auto& entry) { return absent.contains(entry.element.set); });
  for (auto& [unused, lines] : rules.chains)
    std::erase_if(lines, [&](const std::string& line) {
      return line.starts_with("jump ") && absent.contains(line.substr(5));
    });
  return rules;
}

Refused find_refused(const Owners& owners, const std::function<Result<void>(const PolicyRules&)>& try_rules) {
  Refused out;
  if (!try_rules({})) return out;
  const Owners nobody;
  Search policies(try_rules, nobody);
  policies.look(all_of(owners, kPolicyOwner));
  Owners base;
  for (const Owner each : all_of(owners, kPolicyOwner)) base.insert(*each);
  for (const auto& [owner, why] : policies.found) {
    StandIn instead{policies.choose(owner, instead_of_policy(owners.at(owner))), why};
    base[owner] = instead.rules;
    out.owners.emplace(owner, std::move(instead));
  }
  const auto present = names_of(merged(base, {}));
  for (const auto& [owner, unused] : policies.found)
    for (const auto& name : names_of(owners.at(owner)))
      if (!present.contains(name)) out.absent.insert(name);

  Owners adapted;
  for (const Owner each : all_of(owners, kPodOwner))
    adapted.emplace(each->first, without(each->second, out.absent));
  Search pods(try_rules, base);
  pods.look(all_of(adapted, kPodOwner));
  for (const auto& [owner, why] : pods.found)
    out.owners.emplace(owner, StandIn{pods.choose(owner, instead_of_pod(adapted.at(owner))), why});
  return out;
}

}  // namespace rusternetes::kube_proxy::network_policy
