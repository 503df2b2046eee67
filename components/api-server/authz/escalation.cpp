#include "api-server/authz/escalation.h"

#include <algorithm>
#include <set>
#include <string>

#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

namespace rbac = apimachinery::rbac_v1;
using apimachinery::Value;

namespace {

// The garbage collector may finish what it began on a role that it could not have written.
bool only_garbage_collection_fields_differ(const Value& object, const Value* old,
                                           const apimachinery::Type& type) {
  using Meta = apimachinery::meta_v1::ObjectMeta;
  if (!old) return false;
  const auto content_without = [&type](apimachinery::Arena& arena, const Value& value) {
    Value copy = apimachinery::deep_copy(arena, value);
    if (Value* metadata = copy.get(type.find("metadata")))
      for (const int field :
           {Meta::f_ownerReferences, Meta::f_finalizers, Meta::f_managedFields, Meta::f_selfLink})
        apimachinery::erase_field(*metadata, field);
    return copy;
  };
  apimachinery::Arena arena;
  return apimachinery::equal(content_without(arena, object), content_without(arena, *old));
}

bool may_escalate(const RbacWrite& write, std::string_view resource) {
  if (write.user.is_in(group_masters)) return true;
  Attributes attributes;
  attributes.user = write.user;
  attributes.verb = "escalate";
  attributes.is_resource = true;
  attributes.api_group = rbac_group;
  attributes.api_version = "*";
  attributes.resource = resource;
  attributes.name_space = write.name_space;
  attributes.name = write.name;
  return write.authorizer.authorize(attributes).decision == Decision::allow;
}

bool may_bind(const RbacWrite& write, rbac::RoleRef role) {
  if (role.kind() != "ClusterRole" && role.kind() != "Role") return false;
  Attributes attributes;
  attributes.user = write.user;
  attributes.verb = "bind";
  attributes.is_resource = true;
  attributes.api_group = role.apiGroup();
  attributes.api_version = "*";
  attributes.resource = role.kind() == "ClusterRole" ? "clusterroles" : "roles";
  attributes.name_space = write.name_space;
  attributes.name = role.name();
  return write.authorizer.authorize(attributes).decision == Decision::allow;
}

Result<> confirm(const RbacWrite& write, std::string_view resource, std::string_view name,
                 std::span<const PolicyRule> rules) {
  auto confirmed = confirm_no_escalation(write.rbac, write.user, write.name_space, rules);
  if (!confirmed) return apimachinery::forbidden({rbac_group, resource}, name, confirmed.error().message);
  return {};
}

Result<> check_binding(const RbacWrite& write, std::string_view resource, const Value& object,
                       const Value* old, const apimachinery::Type& type) {
  if (write.user.is_in(group_masters) || only_garbage_collection_fields_differ(object, old, type)) return {};
  const rbac::RoleBinding binding(&object);
  if (may_bind(write, binding.roleRef())) return {};
  RN_TRY(
      const std::vector<PolicyRule> rules,
      write.rbac.role_reference_rules(binding.roleRef().kind(), binding.roleRef().name(), write.name_space));
  return confirm(write, resource, binding.metadata().name(), rules);
}

const std::vector<PolicyRule>& full_authority() {
  static const std::vector<PolicyRule> rules{{{"*"}, {"*"}, {"*"}, {}, {}}, {{"*"}, {}, {}, {}, {"*"}}};
  return rules;
}

bool has_aggregation_rule(const Value& role) {
  return !rbac::ClusterRole(&role).aggregationRule().clusterRoleSelectors().empty();
}

}  // namespace

Result<> confirm_no_escalation(const RbacAuthorizer& rbac, const User& user, std::string_view name_space,
                               std::span<const PolicyRule> rules) {
  const RbacAuthorizer::Holdings held = rbac.holdings(user, name_space);
  const std::vector<PolicyRule> missing = uncovered_rules(held.rules, rules);
  if (missing.empty()) return {};

  std::set<std::string> descriptions;
  for (const PolicyRule& rule : compact_rules(missing)) descriptions.insert(describe_rule(rule));
  std::string message = "user " + apimachinery::quote(user.name) + " (groups=" + quote_list(user.groups) +
                        ") is attempting to grant RBAC permissions not currently held:";
  for (const std::string& description : descriptions) message += "\n" + description;
  if (!held.error.empty()) message += "; resolution errors: [" + held.error + "]";
  return internal_error(std::move(message));
}

Result<> check_role_write(const RbacWrite& write, const Value& role, const Value* old) {
  if (may_escalate(write, "roles") ||
      only_garbage_collection_fields_differ(role, old, rbac::Role::schema_type()))
    return {};
  return confirm(write, "roles", rbac::Role(&role).metadata().name(),
                 policy_rules(rbac::Role(&role).rules()));
}

Result<> check_cluster_role_write(const RbacWrite& write, const Value& role, const Value* old) {
  if (may_escalate(write, "clusterroles") ||
      only_garbage_collection_fields_differ(role, old, rbac::ClusterRole::schema_type()))
    return {};
  const rbac::ClusterRole view(&role);
  RN_CHECK(confirm(write, "clusterroles", view.metadata().name(), policy_rules(view.rules())));
  // Aggregation can gather anything, so it takes everything to ask for it.
  if (!has_aggregation_rule(role) && !(old && has_aggregation_rule(*old))) return {};
  if (!confirm_no_escalation(write.rbac, write.user, write.name_space, full_authority()))
    return apimachinery::forbidden({rbac_group, "clusterroles"}, view.metadata().name(),
                                   "must have cluster-admin privileges to use the aggregationRule");
  return {};
}

Result<> check_role_binding_write(const RbacWrite& write, const Value& binding, const Value* old) {
  return check_binding(write, "rolebindings", binding, old, rbac::RoleBinding::schema_type());
}

Result<> check_cluster_role_binding_write(const RbacWrite& write, const Value& binding, const Value* old) {
  return check_binding(write, "clusterrolebindings", binding, old, rbac::ClusterRoleBinding::schema_type());
}

}  // namespace rusternetes::api_server
