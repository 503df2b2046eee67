#pragma once
// The order in which Kubernetes' controllers write ports and subsets: by a hash of a text of all their
// fields. Who compares objects of two control planes, or takes over from the other one, finds nothing to
// rewrite.

#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"

namespace rusternetes::controller_manager {

__extension__ typedef unsigned __int128 OrderHash;

// FNV-1a of 128 bits (draft-eastlake-fnv).
OrderHash fnv1a_128(std::string_view text);

// The texts that are hashed: the fields with their Go types, as k8s.io/apimachinery/pkg/util/dump prints
// them.
std::string order_text(const apimachinery::discovery_v1::EndpointPort& port);
std::string order_text(const apimachinery::core_v1::EndpointPort& port);
std::string order_text(const apimachinery::core_v1::EndpointSubset& subset);

// Sorts values that T is a view of.
template <class T>
void sort_by_hash(std::vector<apimachinery::Value>& values);
extern template void sort_by_hash<apimachinery::discovery_v1::EndpointPort>(
    std::vector<apimachinery::Value>&);
extern template void sort_by_hash<apimachinery::core_v1::EndpointPort>(std::vector<apimachinery::Value>&);
extern template void sort_by_hash<apimachinery::core_v1::EndpointSubset>(std::vector<apimachinery::Value>&);

}  // namespace rusternetes::controller_manager
