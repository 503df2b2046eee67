#include "kube-proxy/network_policy/policy_loader.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "network/names.h"
#include "network/namespace.h"
#include "network/nft.h"

namespace rusternetes::kube_proxy::network_policy {

PolicyLoader::PolicyLoader(std::shared_ptr<NftSession> session, PolicySettings settings)
    : settings_(std::move(settings)),
      session_(std::move(session)),
      table_(session_, table(settings_.cluster)),
      denied_before_(std::size(kDeniedCounters)) {}

std::string PolicyLoader::table(std::string_view cluster) { return network::table_name(cluster, "policy"); }

Result<void> PolicyLoader::shut(const network::NetworkNamespace& where, const PolicySettings& settings) {
  const std::string name = table(settings.cluster);
  RN_TRY(const bool is_there, network::has_table(where, name));
  if (is_there) return {};
  const std::string commands = whole_transaction(policy_table(name, settings, {}, 0));
  return network::inside(where, [&]() -> Result<void> {
    RN_TRY(auto nft, network::Nft::open());
    RN_CHECK(nft.run(commands));
    return {};
  });
}

void PolicyLoader::decide(const Changes& changes) {
  for (const auto& change : changes.policies)
    policies_.set(change.key,
                  change.policy ? std::make_shared<const Policy>(read_policy(change.policy)) : nullptr);
  if (changes.name_servers && *changes.name_servers != name_servers_) {
    name_servers_ = *changes.name_servers;
    for (const auto& [key, policy] : policies_.all())
      put(kPolicyOwner + key, rules_of(*policy, name_servers_));
  }
  for (const auto& change : changes.policies) {
    const auto policy = policies_.get(change.key);
    put(kPolicyOwner + change.key, policy ? rules_of(*policy, name_servers_) : PolicyRules{});
  }
  for (const auto& change : changes.pods) {
    PodRules decided = rules_of(change.pod, change.name_space, policies_, settings_);
    if (decided.is_isolated[0] || decided.is_isolated[1])
      isolated_[change.key] = {decided.is_isolated[0], decided.is_isolated[1]};
    else
      isolated_.erase(change.key);
    put(kPodOwner + change.key, std::move(decided.rules));
  }
}

void PolicyLoader::put(const std::string& owner, PolicyRules rules) {
  if (const auto held = held_.find(owner); held != held_.end()) {
    if (held->second.wanted == rules) return;
    held_.erase(held);
  }
  if (!absent_.empty() && owner.starts_with(kPolicyOwner)) {
    const auto is_absent = [&](const auto& each) { return absent_.contains(each.first); };
    // Pods are without what is here again.
    if (std::ranges::any_of(rules.sets, is_absent) || std::ranges::any_of(rules.chains, is_absent))
      table_.forget();
  } else if (!absent_.empty()) {
    auto adapted = without(rules, absent_);
    if (adapted != rules) {
      held_[owner] = {std::move(rules), false};
      rules = std::move(adapted);
    }
  }
  rules_.set(owner, std::move(rules));
}

// A chain that several owners share has one text: no part of them may have another while the rest has it
// still.
void PolicyLoader::replace(std::map<std::string, PolicyRules> owners) {
  for (const auto& [owner, unused] : owners) rules_.set(owner, {});
  for (auto& [owner, rules] : owners) rules_.set(owner, std::move(rules));
}

Result<bool> PolicyLoader::load_all() {
  return table_.load(policy_table(table_.name(), settings_, rules_.take_all(), table_.next_mark()));
}

// All that is wanted; or, if it is not taken, all but those that are at fault. Answers as KernelTable::load().
Result<bool> PolicyLoader::load_whole() {
  std::map<std::string, PolicyRules> wanted;
  for (auto& [owner, held] : std::exchange(held_, {})) wanted.emplace(owner, std::move(held.wanted));
  replace(std::move(wanted));
  absent_.clear();
  auto loaded = load_all();
  if (loaded || !leave_out_refused()) return loaded;
  return load_all();
}

bool PolicyLoader::leave_out_refused() {
  const auto try_rules = [this](const PolicyRules& rules) -> Result<void> {
    RN_CHECK(session_->run(trial_policy_transaction(table_.name() + "-trial", rules)));
    return {};
  };
  Refused refused = find_refused(rules_.by_owner(), try_rules);
  absent_ = std::move(refused.absent);
  std::map<std::string, PolicyRules> instead;
  for (auto& [owner, stand_in] : refused.owners) {
    const bool is_policy = owner.starts_with(kPolicyOwner);
    log::error("network-policy", "the rules of {} {} are not taken, {} until it changes: {}",
               is_policy ? "NetworkPolicy" : "Pod", owner.substr(owner.find('/') + 1),
               is_policy ? "what it would allow is forbidden" : "it is shut", stand_in.why);
    held_[owner] = {rules_.by_owner().at(owner), true};
    instead.emplace(owner, std::move(stand_in.rules));
  }
  for (const auto& [owner, wanted] : rules_.by_owner()) {
    if (absent_.empty() || !owner.starts_with(kPodOwner) || held_.contains(owner)) continue;
    auto adapted = without(wanted, absent_);
    if (adapted == wanted) continue;
    held_[owner] = {wanted, false};
    instead.emplace(owner, std::move(adapted));
  }
  replace(std::move(instead));
  return !refused.owners.empty();
}

Result<PolicySyncResult> PolicyLoader::sync(Changes changes) {
  RN_CHECK(session_->open());
  decide(changes);
  PolicySyncResult out;
  if (table_.is_loaded()) {
    RN_TRY(out.has_changed, table_.change(rules_.take()));
  } else {
    const auto counted = read_counters();
    RN_TRY(const bool is_refilled, load_whole());
    if (counted && !is_refilled)  // by the table that is gone now
      for (std::size_t i = 0; i < denied_before_.size(); ++i) denied_before_[i] += (*counted)[i];
    out.is_whole = out.has_changed = true;
  }
  out.sweep_at = table_.sweep_at();
  out.policies = policies_.all().size();
  for (const auto& [owner, held] : held_) out.refused += held.is_refused;
  for (const auto& [key, isolated] : isolated_) {
    out.isolated[0] += isolated.first;
    out.isolated[1] += isolated.second;
  }
  return out;
}

Result<std::vector<std::uint64_t>> PolicyLoader::read_counters() {
  std::vector<std::uint64_t> out;
  for (const char* counter : kDeniedCounters) {
    RN_TRY(const auto packets, session_->counted_packets(table_.name(), counter));
    out.push_back(packets);
  }
  return out;
}

Result<std::vector<std::uint64_t>> PolicyLoader::denied() {
  RN_TRY(auto out, read_counters());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += denied_before_[i];
  return out;
}

}  // namespace rusternetes::kube_proxy::network_policy
