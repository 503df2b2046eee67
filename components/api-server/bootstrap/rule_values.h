#pragma once
// Rules back into objects.

#include <span>

#include "api-server/authz/policy_rule.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server::bootstrap {

void append_rules(apimachinery::Arena& arena, apimachinery::Value& list, std::span<const PolicyRule> rules);
// Replaces the list that `field` of a role holds.
void set_rules(apimachinery::Arena& arena, apimachinery::Value& role, int field,
               std::span<const PolicyRule> rules);

}  // namespace rusternetes::api_server::bootstrap
