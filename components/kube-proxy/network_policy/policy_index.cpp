#include "kube-proxy/network_policy/policy_index.h"

namespace rusternetes::kube_proxy::network_policy {

namespace {

template <class Map, class Key, class Make>
void change_count(Map& map, const Key& key, bool is_added, Make uses) {
  if (is_added) {
    ++uses(map.try_emplace(key).first->second);
    return;
  }
  const auto found = map.find(key);
  if (found != map.end() && --uses(found->second) == 0) map.erase(found);
}

}  // namespace

void PolicyIndex::count(const Policy& policy, bool is_added) {
  Scope& own = scopes_[policy.name_space];
  for (const auto direction : kDirections)
    for (const auto& rule : policy.rules[static_cast<int>(direction)]) {
      for (const auto& peer : rule.peers)
        if (const auto* selection = std::get_if<PodSelection>(&peer))
          change_count((selection->namespaces ? wide_ : own).selections, selection->id, is_added,
                       [&](Counted& counted) -> std::size_t& {
                         counted.selection = *selection;
                         return counted.uses;
                       });
      for (const auto& name : rule.names)
        change_count((direction == Direction::egress ? wide_ : own).names, name, is_added,
                     [](std::size_t& uses) -> std::size_t& { return uses; });
    }
}

void PolicyIndex::set(const std::string& key, PolicyPtr policy) {
  if (const auto found = policies_.find(key); found != policies_.end()) {
    const std::string name_space = found->second->name_space;
    count(*found->second, false);
    Scope& own = scopes_[name_space];
    own.policies.erase(key);
    policies_.erase(found);
    if (own.policies.empty() && own.selections.empty() && own.names.empty()) scopes_.erase(name_space);
  }
  if (!policy) return;
  count(*policy, true);
  scopes_[policy->name_space].policies.emplace(key, policy);
  policies_.emplace(key, std::move(policy));
}

PolicyIndex::PolicyPtr PolicyIndex::get(const std::string& key) const {
  const auto found = policies_.find(key);
  return found == policies_.end() ? nullptr : found->second;
}

const PolicyIndex::Scope* PolicyIndex::scope(std::string_view name_space) const {
  static const Scope none;
  const auto found = scopes_.find(name_space);
  return found == scopes_.end() ? &none : &found->second;
}

const std::map<std::string, PolicyIndex::PolicyPtr>& PolicyIndex::in(std::string_view name_space) const {
  return scope(name_space)->policies;
}
const PolicyIndex::Selections& PolicyIndex::selections_in(std::string_view name_space) const {
  return scope(name_space)->selections;
}
const PolicyIndex::Names& PolicyIndex::names_in(std::string_view name_space) const {
  return scope(name_space)->names;
}

}  // namespace rusternetes::kube_proxy::network_policy
