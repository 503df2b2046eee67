#pragma once
// How Pods are chosen by their labels and namespaces: shared by the cache and by the plugins that look at
// other Pods.

#include <set>
#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/label_selector.h"

namespace rusternetes::scheduler {

using Labels = apimachinery::MapView<std::string_view>;

// Of a LabelSelector object: an absent one selects nothing, an empty one everything.
apimachinery::LabelSelector selector_of(const apimachinery::meta_v1::LabelSelector& selector);
// For each of `keys` that `own` has: the same value (in), or another one or none (not_in), as matchLabelKeys
// and mismatchLabelKeys ask. The api-server has done so already for Pods that came through it; nothing is
// demanded twice.
void add_label_keys(apimachinery::LabelSelector& selector, apimachinery::SelectorOperator op,
                    const apimachinery::ListView<std::string_view>& keys, const Labels& own);
bool matches(const apimachinery::LabelSelector& selector, const Labels& labels);

// A required term of Pod affinity or anti-affinity.
struct AffinityTerm {
  std::set<std::string, std::less<>> namespaces;
  apimachinery::LabelSelector namespace_selector, selector;
  std::string topology_key;
  bool matches(const apimachinery::core_v1::Pod& pod, const Labels& labels_of_its_namespace) const;
};

// Those of the Pod `owner`, whose namespace is meant where a term names none.
std::vector<AffinityTerm> required_affinity(const apimachinery::core_v1::Pod& owner);
std::vector<AffinityTerm> required_anti_affinity(const apimachinery::core_v1::Pod& owner);

}  // namespace rusternetes::scheduler
