#pragma once
// The rules of an aggregated ClusterRole, for the controller that fills them in.

#include <span>
#include <vector>

#include "api-server/authz/policy_rule.h"
#include "apimachinery/document.h"
#include "base/status.h"

namespace rusternetes::api_server {

// The rules of every ClusterRole of `all` that one of the role's `aggregationRule.clusterRoleSelectors`
// selects, without repetitions: selector by selector, roles by name, itself left out. Error: a selector that
// is not valid.
Result<std::vector<PolicyRule>> aggregate_cluster_roles(apimachinery::rbac_v1::ClusterRole role,
                                                        std::span<const apimachinery::Document> all);

}  // namespace rusternetes::api_server
