#pragma once
// All owners' rules of a table together, and what changed since they were last taken. The work of a change is
// that of the owners that changed. Services' table and network policies' are both kept so.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "kube-proxy/rules.h"

namespace rusternetes::kube_proxy {

// From one set of rules to another.
template <class E>
struct BasicDifference {
  std::vector<E> removed;  // sorted; also those whose value changes
  std::vector<BasicEntry<E>> added;  // sorted
  std::map<std::string, std::vector<std::string>> chains;  // new
  std::map<std::string, std::vector<std::string>> changed_chains;
  std::vector<std::string> stale_chains;
  std::map<std::string, std::string> sets;  // new
  std::vector<std::string> stale_sets;
  bool is_empty() const {
    return removed.empty() && added.empty() && chains.empty() && changed_chains.empty() &&
           stale_chains.empty() && sets.empty() && stale_sets.empty();
  }
  bool operator==(const BasicDifference&) const = default;
};

template <class E>
class BasicRuleSet {
 public:
  // Takes the place of what `owner` ("namespace/name") had; empty rules take it out. `rules` are normalised.
  void set(const std::string& owner, BasicRules<E> rules);
  std::vector<std::string> owners() const;
  const std::map<std::string, BasicRules<E>>& by_owner() const { return owners_; }
  // What is different from the last call, or from nothing.
  BasicDifference<E> take();
  // Everything; take() then begins from here.
  BasicRules<E> take_all();
  std::size_t size() const { return claims_.size(); }  // elements

 private:
  struct ElementHash {
    std::size_t operator()(const E& element) const { return element.hash(); }
  };
  using Owner =
      const std::pair<const std::string, BasicRules<E>>*;  // an entry of owners_, whose address stays
  struct Chain {
    std::size_t owners = 0;
    std::vector<std::string> rules;
  };
  struct Set {
    std::size_t owners = 0;
    std::string inside;
  };
  // Of several owners that claim an element, the first by name has it, or where they differ nobody:
  // E::kContested stands there, if E has such a value. As without a value, all have.
  std::optional<std::string> value_of(const E& element) const;
  void claim(Owner owner);
  void release(Owner owner);
  void touch(const BasicRules<E>& rules);

  std::map<std::string, BasicRules<E>> owners_;
  std::unordered_map<E, std::vector<Owner>, ElementHash> claims_;
  std::map<std::string, Chain> chains_;
  std::map<std::string, Set> sets_;
  // As it was at the last take(), of what may have changed since.
  std::unordered_map<E, std::optional<std::string>, ElementHash> elements_before_;
  std::map<std::string, std::optional<std::vector<std::string>>> chains_before_;
  std::map<std::string, bool> sets_before_;
};

template <class E>
std::optional<std::string> BasicRuleSet<E>::value_of(const E& element) const {
  const auto found = claims_.find(element);
  if (found == claims_.end()) return std::nullopt;
  const auto value = [&](Owner owner) -> const std::string& {
    return std::ranges::lower_bound(owner->second.entries, element, {}, &BasicEntry<E>::element)->value;
  };
  const auto first = *std::ranges::min_element(found->second, {},
                                               [](Owner owner) { return std::string_view(owner->first); });
  if constexpr (requires { E::kContested; })
    for (const Owner each : found->second)
      if (value(each) != value(first)) return E::kContested;
  return value(first);
}

template <class E>
void BasicRuleSet<E>::touch(const BasicRules<E>& rules) {
  for (const auto& entry : rules.entries)
    if (!elements_before_.contains(entry.element))
      elements_before_.emplace(entry.element, value_of(entry.element));
  for (const auto& [name, unused] : rules.chains) {
    if (chains_before_.contains(name)) continue;
    const auto found = chains_.find(name);
    chains_before_.emplace(name, found == chains_.end() ? std::nullopt : std::optional(found->second.rules));
  }
  for (const auto& [name, unused] : rules.sets) sets_before_.try_emplace(name, sets_.contains(name));
}

template <class E>
void BasicRuleSet<E>::claim(Owner owner) {
  for (const auto& entry : owner->second.entries) claims_[entry.element].push_back(owner);
  for (const auto& [name, rules] : owner->second.chains) {
    Chain& chain = chains_[name];
    if (chain.owners++ == 0) chain.rules = rules;
  }
  for (const auto& [name, inside] : owner->second.sets) {
    Set& set = sets_[name];
    ++set.owners;
    set.inside = inside;
  }
}

template <class E>
void BasicRuleSet<E>::release(Owner owner) {
  for (const auto& entry : owner->second.entries) {
    const auto found = claims_.find(entry.element);
    std::erase(found->second, owner);
    if (found->second.empty()) claims_.erase(found);
  }
  for (const auto& [name, unused] : owner->second.chains)
    if (--chains_[name].owners == 0) chains_.erase(name);
  for (const auto& [name, unused] : owner->second.sets)
    if (--sets_[name].owners == 0) sets_.erase(name);
}

template <class E>
void BasicRuleSet<E>::set(const std::string& owner, BasicRules<E> rules) {
  auto found = owners_.find(owner);
  const bool is_gone = rules.is_empty();
  if (found == owners_.end() && is_gone) return;
  if (found != owners_.end() && found->second == rules) return;
  if (found != owners_.end()) {
    touch(found->second);
    touch(rules);
    release(&*found);
  } else {
    touch(rules);
    found = owners_.try_emplace(owner).first;
  }
  found->second = std::move(rules);
  if (is_gone)
    owners_.erase(found);
  else
    claim(&*found);
}

template <class E>
std::vector<std::string> BasicRuleSet<E>::owners() const {
  std::vector<std::string> out;
  for (const auto& [name, unused] : owners_) out.push_back(name);
  return out;
}

template <class E>
BasicDifference<E> BasicRuleSet<E>::take() {
  BasicDifference<E> out;
  for (const auto& [element, before] : elements_before_) {
    auto now = value_of(element);
    if (now == before) continue;
    if (before) out.removed.push_back(element);
    if (now) out.added.push_back({element, *std::move(now)});
  }
  std::ranges::sort(out.removed);
  std::ranges::sort(out.added, {}, &BasicEntry<E>::element);
  for (const auto& [name, before] : chains_before_) {
    const auto now = chains_.find(name);
    if (now == chains_.end()) {
      if (before) out.stale_chains.push_back(name);
    } else if (!before) {
      out.chains.emplace(name, now->second.rules);
    } else if (*before != now->second.rules) {
      out.changed_chains.emplace(name, now->second.rules);
    }
  }
  for (const auto& [name, was_there] : sets_before_) {
    const auto now = sets_.find(name);
    if (now == sets_.end() && was_there) out.stale_sets.push_back(name);
    if (now != sets_.end() && !was_there) out.sets.emplace(name, now->second.inside);
  }
  elements_before_.clear();
  chains_before_.clear();
  sets_before_.clear();
  return out;
}

template <class E>
BasicRules<E> BasicRuleSet<E>::take_all() {
  BasicRules<E> out;
  for (const auto& [element, owners] : claims_) out.entries.push_back({element, *value_of(element)});
  out.normalise();
  for (const auto& [name, chain] : chains_) out.chains.emplace(name, chain.rules);
  for (const auto& [name, set] : sets_) out.sets.emplace(name, set.inside);
  elements_before_.clear();
  chains_before_.clear();
  sets_before_.clear();
  return out;
}

using Difference = BasicDifference<Element>;
using RuleSet = BasicRuleSet<Element>;
extern template class BasicRuleSet<Element>;

}  // namespace rusternetes::kube_proxy
