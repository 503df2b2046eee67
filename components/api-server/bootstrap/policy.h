#pragma once
// What a new cluster holds: the objects of bootstrap.yaml, as typed documents in the order of creation.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authz/policy_rule.h"
#include "apimachinery/document.h"
#include "apimachinery/schema.h"
#include "base/status.h"

namespace rusternetes::api_server::bootstrap {

struct Object {
  const apimachinery::Kind* kind;  // of the builtin registry
  apimachinery::Document
      document;  // with kind, apiVersion, metadata.name and, where it has one, metadata.namespace
};

// Every object: Namespaces, RBAC, flow control, PriorityClasses, APIServices, the ServiceCIDR `kubernetes`.
// Parsed at the first call; lives as long as the process. Thread-safe. The data is part of the program, so it
// is asserted to be right.
const std::vector<Object>& objects();

// The same for a cluster with these service ranges ("10.96.0.0/16", at most one of each family).
std::vector<Object> objects_with_service_cidrs(std::span<const std::string> cidrs);

// The rules of ClusterRole system:node, which the Node authorizer gives to every node.
std::vector<PolicyRule> node_rules();

// For tests: what objects() does with its own text. BadRequest names the object that is not right.
Result<std::vector<Object>> parse_objects(std::string_view yaml);

}  // namespace rusternetes::api_server::bootstrap
