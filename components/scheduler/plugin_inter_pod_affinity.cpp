// Required Pod affinity and anti-affinity: which Pods a topology domain must, and must not, hold.
// Anti-affinity binds both sides: Pods that are there keep away those that their own terms name.

#include <algorithm>
#include <set>

#include "scheduler/framework.h"

namespace rusternetes::scheduler {
namespace {

using namespace apimachinery;
using core_v1::Pod;

// A topology key and a node's value of it.
using Domain = std::pair<std::string_view, std::string_view>;
using Domains = std::set<Domain>;

struct State {
  std::vector<AffinityTerm> affinity, anti_affinity;
  Domains wanted;    // hold a Pod that matches all terms of affinity
  Domains unwanted;  // hold a Pod that a term of anti-affinity matches
  Domains closed;    // hold a Pod whose anti-affinity matches ours
  bool is_first_of_its_group = false;
};

const Value* label_of(const NodeInfo& node, std::string_view key) {
  return core_v1::Node(&node.node.root()).metadata().labels().find(key);
}

void add_domain(Domains& to, const NodeInfo& node, std::string_view key) {
  if (const Value* value = label_of(node, key)) to.emplace(key, value->str());
}

bool matches_all(const std::vector<AffinityTerm>& terms, const Pod& pod, const Labels& name_space) {
  return !terms.empty() && std::all_of(terms.begin(), terms.end(),
                                       [&](const auto& term) { return term.matches(pod, name_space); });
}

void look_at_existing(State& state, const Pod& pod, const Labels& name_space, const Cache& cache) {
  for (const auto& [uid, existing] : cache.anti_affine()) {
    const auto node = cache.nodes().find(existing.node);
    if (node == cache.nodes().end()) continue;
    for (const auto& term : existing.terms)
      if (term.matches(pod, name_space)) add_domain(state.closed, node->second, term.topology_key);
  }
}

void look_for_terms(State& state, const Cache& cache) {
  if (state.affinity.empty() && state.anti_affinity.empty()) return;
  for (const auto& [name, node] : cache.nodes()) {
    for (const auto& [uid, document] : node.pods) {
      const Pod existing(&document.root());
      const Labels name_space = cache.namespace_labels(existing.metadata().namespace_());
      if (matches_all(state.affinity, existing, name_space))
        for (const auto& term : state.affinity) add_domain(state.wanted, node, term.topology_key);
      for (const auto& term : state.anti_affinity)
        if (term.matches(existing, name_space)) add_domain(state.unwanted, node, term.topology_key);
    }
  }
}

bool satisfies_affinity(const State& state, const NodeInfo& node) {
  bool is_wanted = true;
  for (const auto& term : state.affinity) {
    const Value* value = label_of(node, term.topology_key);
    if (!value) return false;
    is_wanted &= state.wanted.contains(Domain(term.topology_key, value->str()));
  }
  return is_wanted || state.is_first_of_its_group;
}

bool stands_in(const Domains& domains, const NodeInfo& node) {
  return std::any_of(domains.begin(), domains.end(), [&](const Domain& domain) {
    const Value* value = label_of(node, domain.first);
    return value && value->str() == domain.second;
  });
}

std::vector<Refusal> judge(const State& state, const NodeInfo& node) {
  if (!satisfies_affinity(state, node)) return {{"node(s) didn't match pod affinity rules", true}};
  if (stands_in(state.unwanted, node)) return {{"node(s) didn't match pod anti-affinity rules", false}};
  if (stands_in(state.closed, node))
    return {{"node(s) didn't satisfy existing pods anti-affinity rules", false}};
  return {};
}

class InterPodAffinity final : public Plugin {
 public:
  std::string_view name() const override { return "InterPodAffinity"; }
  bool heeds_pods() const override { return true; }
  NodeFilter prepare(const Pod& pod, const Cache& cache) const override {
    // Shared, since the domains are views of the terms' keys, too, and a function may be copied.
    auto state = std::make_shared<State>();
    state->affinity = required_affinity(pod);
    state->anti_affinity = required_anti_affinity(pod);
    const Labels name_space = cache.namespace_labels(pod.metadata().namespace_());
    look_at_existing(*state, pod, name_space, cache);
    if (state->closed.empty() && state->affinity.empty() && state->anti_affinity.empty()) return {};
    look_for_terms(*state, cache);
    // Pods that want to be together could otherwise never begin: nobody matches yet, but this one does
    // itself.
    state->is_first_of_its_group = state->wanted.empty() && matches_all(state->affinity, pod, name_space);
    return [state](const NodeInfo& node) { return judge(*state, node); };
  }
};

}  // namespace
std::unique_ptr<Plugin> make_inter_pod_affinity() { return std::make_unique<InterPodAffinity>(); }
}  // namespace rusternetes::scheduler
