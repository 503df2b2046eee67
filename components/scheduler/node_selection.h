#pragma once
// Tolerations and node selector terms, shared by plugins.

#include "apimachinery/api/core_v1.h"

namespace rusternetes::scheduler {

bool tolerates(const apimachinery::core_v1::Toleration& toleration, const apimachinery::core_v1::Taint& taint);
// Whether a Node matches spec.nodeSelector and required node affinity.
bool matches_node(const apimachinery::core_v1::Pod& pod, const apimachinery::core_v1::Node& node);
bool matches_term(const apimachinery::core_v1::NodeSelectorTerm& term, const apimachinery::core_v1::Node& node);

}  // namespace rusternetes::scheduler
