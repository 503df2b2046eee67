#include "api-server/bootstrap/rule_values.h"

#include <string>
#include <vector>

#include "apimachinery/edit.h"

namespace rusternetes::api_server::bootstrap {

using apimachinery::Arena;
using apimachinery::Value;
using apimachinery::ValueKind;
using Rule = apimachinery::rbac_v1::PolicyRule;

void append_rules(Arena& arena, Value& list, std::span<const PolicyRule> rules) {
  for (const PolicyRule& rule : rules) {
    Value& out = apimachinery::append_structure(arena, list);
    const auto set = [&](int field, const std::vector<std::string>& texts) {
      if (texts.empty()) return;
      Value& strings = apimachinery::ensure(arena, out, field, ValueKind::list);
      for (const std::string& text : texts) apimachinery::append_string(arena, strings, text);
    };
    set(Rule::f_verbs, rule.verbs);
    set(Rule::f_apiGroups, rule.api_groups);
    set(Rule::f_resources, rule.resources);
    set(Rule::f_resourceNames, rule.resource_names);
    set(Rule::f_nonResourceURLs, rule.non_resource_urls);
  }
}

void set_rules(Arena& arena, Value& role, int field, std::span<const PolicyRule> rules) {
  if (rules.empty()) {
    apimachinery::erase_field(role, field);
    return;
  }
  Value& list = apimachinery::set_field(arena, role, field);
  apimachinery::assign(list, Value::empty(ValueKind::list));
  append_rules(arena, list, rules);
}

}  // namespace rusternetes::api_server::bootstrap
