#include "api-server/bootstrap/reconcile.h"

#include <string_view>
#include <vector>

#include "api-server/authz/policy_rule.h"
#include "api-server/bootstrap/rule_values.h"
#include "apimachinery/api/flowcontrol_v1.h"
#include "apimachinery/edit.h"

namespace rusternetes::api_server::bootstrap {

namespace rbac = apimachinery::rbac_v1;
namespace meta = apimachinery::meta_v1;
using apimachinery::Arena;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

constexpr std::string_view rbac_autoupdate = "rbac.authorization.kubernetes.io/autoupdate";
constexpr std::string_view flow_autoupdate = "apf.kubernetes.io/autoupdate-spec";

// In every kind the first fields are kind, apiVersion, metadata.
constexpr int f_metadata = rbac::ClusterRole::f_metadata;
static_assert(f_metadata == rbac::RoleBinding::f_metadata &&
              f_metadata == apimachinery::flowcontrol_v1::FlowSchema::f_metadata);
static_assert(rbac::ClusterRole::f_rules == rbac::Role::f_rules);
static_assert(rbac::ClusterRoleBinding::f_subjects == rbac::RoleBinding::f_subjects);

meta::ObjectMeta metadata_of(const Value& object) { return rbac::ClusterRole(&object).metadata(); }

// Adds the expected labels (or annotations) that are missing; those that are there win. True if something was
// added.
bool merge_texts(Arena& arena, Value& object, const Value& expected, int field) {
  const Value* wanted = apimachinery::descend(&expected, f_metadata, field);
  if (!wanted) return false;
  bool has_changed = false;
  Value& metadata = apimachinery::ensure(arena, object, f_metadata);
  Value& texts = apimachinery::ensure(arena, metadata, field, ValueKind::map);
  for (std::uint32_t i = 0; i < wanted->size; ++i) {
    const std::string_view key = wanted->items[2 * i].str();
    if (texts.lookup(key)) continue;
    apimachinery::set_map_string(arena, texts, key, wanted->items[2 * i + 1].str());
    has_changed = true;
  }
  return has_changed;
}

bool merge_metadata(Arena& arena, Value& object, const Value& expected) {
  const bool annotations = merge_texts(arena, object, expected, meta::ObjectMeta::f_annotations);
  const bool labels = merge_texts(arena, object, expected, meta::ObjectMeta::f_labels);
  return annotations || labels;
}

bool add_missing_rules(Arena& arena, Value& object, const Value& existing, const Value& expected) {
  const std::vector<PolicyRule> held = policy_rules(rbac::ClusterRole(&existing).rules());
  const std::vector<PolicyRule> wanted = policy_rules(rbac::ClusterRole(&expected).rules());
  const std::vector<PolicyRule> missing = uncovered_rules(held, wanted);
  if (missing.empty()) return false;
  append_rules(arena, apimachinery::ensure(arena, object, rbac::ClusterRole::f_rules, ValueKind::list),
               missing);
  return true;
}

bool add_missing_selectors(Arena& arena, Value& object, const Value& expected) {
  constexpr int f_rule = rbac::ClusterRole::f_aggregationRule;
  constexpr int f_selectors = rbac::AggregationRule::f_clusterRoleSelectors;
  const Value* wanted = apimachinery::descend(&expected, f_rule, f_selectors);
  if (!wanted) return false;
  Value& rule = apimachinery::ensure(arena, object, f_rule);
  Value& selectors = apimachinery::ensure(arena, rule, f_selectors, ValueKind::list);
  bool has_changed = false;
  for (const Value& selector : wanted->children()) {
    bool is_there = false;
    for (const Value& held : selectors.children()) is_there |= apimachinery::equal(held, selector);
    if (is_there) continue;
    apimachinery::append(arena, selectors, apimachinery::deep_copy(arena, selector));
    has_changed = true;
  }
  return has_changed;
}

bool opts_out(const Value& existing) {
  return metadata_of(existing).annotations().get(rbac_autoupdate) == "false";
}

Reconciled reconcile_role(Arena& arena, bool is_cluster_role, const Value& existing, const Value& expected) {
  if (opts_out(existing)) return {};
  Value object = apimachinery::deep_copy(arena, existing);
  bool has_changed = merge_metadata(arena, object, expected);
  const bool is_aggregated = is_cluster_role && rbac::ClusterRole(&expected).has_aggregationRule();
  // The rules of an aggregated role are the aggregation controller's.
  if (!is_aggregated) has_changed |= add_missing_rules(arena, object, existing, expected);
  if (is_aggregated) {
    has_changed |= add_missing_selectors(arena, object, expected);
  } else if (is_cluster_role && rbac::ClusterRole(&existing).has_aggregationRule()) {
    apimachinery::erase_field(object, rbac::ClusterRole::f_aggregationRule);
    has_changed = true;
  }
  return {has_changed ? Change::update : Change::none, object};
}

bool add_missing_subjects(Arena& arena, Value& object, const Value& expected) {
  const Value* wanted = expected.get(rbac::RoleBinding::f_subjects);
  if (!wanted) return false;
  bool has_changed = false;
  Value& subjects = apimachinery::ensure(arena, object, rbac::RoleBinding::f_subjects, ValueKind::list);
  for (const Value& subject : wanted->children()) {
    bool is_there = false;
    for (const Value& held : subjects.children()) is_there |= apimachinery::equal(held, subject);
    if (is_there) continue;
    apimachinery::append(arena, subjects, apimachinery::deep_copy(arena, subject));
    has_changed = true;
  }
  return has_changed;
}

Reconciled reconcile_binding(Arena& arena, const Value& existing, const Value& expected) {
  if (opts_out(existing)) return {};
  const rbac::RoleRef held = rbac::RoleBinding(&existing).roleRef(),
                      wanted = rbac::RoleBinding(&expected).roleRef();
  if (held.apiGroup() != wanted.apiGroup() || held.kind() != wanted.kind() || held.name() != wanted.name())
    return {Change::recreate, apimachinery::deep_copy(arena, expected)};
  Value object = apimachinery::deep_copy(arena, existing);
  bool has_changed = merge_metadata(arena, object, expected);
  has_changed |= add_missing_subjects(arena, object, expected);
  return {has_changed ? Change::update : Change::none, object};
}

// `exempt` and `catch-all` must be as they are defined for flow control to work at all.
bool is_mandatory(std::string_view name) { return name == "exempt" || name == "catch-all"; }

Reconciled reconcile_flow_control(Arena& arena, const Value& existing, const Value& expected) {
  constexpr int f_spec = apimachinery::flowcontrol_v1::FlowSchema::f_spec;
  static_assert(f_spec == apimachinery::flowcontrol_v1::PriorityLevelConfiguration::f_spec);
  const meta::ObjectMeta metadata = metadata_of(existing);
  const std::string_view autoupdate = metadata.annotations().get(flow_autoupdate);
  // Without the annotation, an object that nobody has changed since its creation is still ours (KEP-1040).
  const bool may_update = is_mandatory(metadata.name()) || autoupdate == "true" ||
                          (autoupdate != "false" && metadata.generation() == 1);
  if (!may_update) return {};
  const Value* held = existing.get(f_spec);
  const Value* wanted = expected.get(f_spec);
  const std::string_view wanted_mark = metadata_of(expected).annotations().get(flow_autoupdate);
  const bool is_same = held && wanted ? apimachinery::equal(*held, *wanted) : held == wanted;
  if (is_same && autoupdate == wanted_mark) return {};
  Value object = apimachinery::deep_copy(arena, existing);
  apimachinery::take_field(arena, object, expected, f_spec);
  Value& metadata_value = apimachinery::ensure(arena, object, f_metadata);
  Value& annotations =
      apimachinery::ensure(arena, metadata_value, meta::ObjectMeta::f_annotations, ValueKind::map);
  apimachinery::set_map_string(arena, annotations, flow_autoupdate, wanted_mark);
  return {Change::update, object};
}

}  // namespace

Reconciled reconcile(Arena& arena, const apimachinery::Kind& kind, const Value& existing,
                     const Value& expected) {
  if (kind.kind == "ClusterRole" || kind.kind == "Role")
    return reconcile_role(arena, kind.kind == "ClusterRole", existing, expected);
  if (kind.kind == "ClusterRoleBinding" || kind.kind == "RoleBinding")
    return reconcile_binding(arena, existing, expected);
  if (kind.kind == "FlowSchema" || kind.kind == "PriorityLevelConfiguration")
    return reconcile_flow_control(arena, existing, expected);
  return {};
}

}  // namespace rusternetes::api_server::bootstrap
