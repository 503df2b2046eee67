// Roles, ClusterRoles and their bindings (pkg/registry/rbac, pkg/apis/rbac).

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/workload_validation.h"
#include "apimachinery/api/rbac_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using rbac_v1::ClusterRole;
using rbac_v1::PolicyRule;
using rbac_v1::RoleBinding;
using rbac_v1::RoleRef;
using rbac_v1::Subject;

// Both bindings, and both roles as far as they go, are laid out alike.
static_assert(RoleBinding::f_subjects == rbac_v1::ClusterRoleBinding::f_subjects && RoleBinding::f_roleRef == rbac_v1::ClusterRoleBinding::f_roleRef);
static_assert(rbac_v1::Role::f_rules == ClusterRole::f_rules);

namespace {

constexpr std::string_view group_name = "rbac.authorization.k8s.io";

class RbacStrategy : public Strategy {
 public:
  std::vector<std::string> name_problems(std::string_view name, bool) const override { return is_valid_path_segment_name(name); }
  bool allows_create_on_update() const override { return true; }
};

void check_rule(const PolicyRule& rule, bool is_namespaced, const FieldPath& path, FieldErrorList& errors) {
  if (rule.verbs().empty()) errors.push_back(field::required(path.child("verbs"), "verbs must contain at least one value"));
  if (!rule.nonResourceURLs().empty()) {
    const auto refuse = [&](std::string_view detail) {
      std::string json = "[";
      for (const auto url : rule.nonResourceURLs()) json += (json.size() > 1 ? ",\"" : "\"") + std::string(url) + "\"";
      errors.push_back(field::invalid(path.child("nonResourceURLs"), BadValue::json(json + "]"), detail));
    };
    if (is_namespaced) refuse("namespaced rules cannot apply to non-resource URLs");
    if (!rule.apiGroups().empty() || !rule.resources().empty() || !rule.resourceNames().empty())
      refuse("rules cannot apply to both regular resources and non-resource URLs");
    return;
  }
  if (rule.apiGroups().empty()) errors.push_back(field::required(path.child("apiGroups"), "resource rules must supply at least one api group"));
  if (rule.resources().empty()) errors.push_back(field::required(path.child("resources"), "resource rules must supply at least one resource"));
}

class RoleStrategy final : public RbacStrategy {
 public:
  explicit RoleStrategy(bool is_namespaced) : is_namespaced_(is_namespaced) {}

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override { check(object, {}, errors); }
  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    SelectorOptions options;
    if (!is_namespaced_)
      for (const auto selector : ClusterRole(&old).aggregationRule().clusterRoleSelectors())
        options.allow_invalid_values |= has_invalid_label_values(selector);
    check(object, options, errors);
  }

 private:
  void check(const Value& object, SelectorOptions options, FieldErrorList& errors) const {
    const ClusterRole role(&object);
    const FieldPath rules("rules");
    std::int64_t i = 0;
    for (const auto rule : role.rules()) check_rule(rule, is_namespaced_, rules.index(i++), errors);
    const auto aggregation = is_namespaced_ ? rbac_v1::AggregationRule() : role.aggregationRule();
    if (!aggregation) return;
    const FieldPath at("aggregationRule"), list = at.child("clusterRoleSelectors");
    if (aggregation.clusterRoleSelectors().empty())
      errors.push_back(field::required(list, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
    i = 0;
    for (const auto selector : aggregation.clusterRoleSelectors()) {
      const FieldPath item = list.index(i++);
      check_label_selector(selector, item, errors, options);
      if (is_bad_selector(selector)) errors.push_back(field::invalid(item, BadValue::omitted(), "invalid label selector."));
    }
  }
  const bool is_namespaced_;
};

class BindingStrategy final : public RbacStrategy {
 public:
  explicit BindingStrategy(bool is_namespaced) : is_namespaced_(is_namespaced) {}

  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    default_text(arena, ensure(arena, object, RoleBinding::f_roleRef), RoleRef::f_apiGroup, group_name);
    each_item(object, RoleBinding::f_subjects, [&](Value& subject) {
      const std::string_view kind = Subject(&subject).kind();
      if (kind == "User" || kind == "Group") default_text(arena, subject, Subject::f_apiGroup, group_name);
    });
  }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const RoleBinding binding(&object);
    const RoleRef reference = binding.roleRef();
    const FieldPath path("roleRef"), subjects("subjects");
    check_supported(reference.apiGroup(), path.child("apiGroup"), {group_name}, errors);
    if (is_namespaced_)
      check_supported(reference.kind(), path.child("kind"), {"Role", "ClusterRole"}, errors);
    else
      check_supported(reference.kind(), path.child("kind"), {"ClusterRole"}, errors);
    if (reference.name().empty())
      errors.push_back(field::required(path.child("name")));
    else
      errors.push_invalid(path.child("name"), reference.name(), is_valid_path_segment_name(reference.name()));
    std::int64_t i = 0;
    for (const auto subject : binding.subjects()) check_subject(subject, subjects.index(i++), errors);
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    validate(context, object, errors);
    const Value *now = object.get(RoleBinding::f_roleRef), *then = old.get(RoleBinding::f_roleRef);
    if (!is_same_loosely(now, then))
      errors.push_back(field::invalid(FieldPath("roleRef"), BadValue::omitted(), "cannot change roleRef"));
  }

 private:
  void check_subject(const Subject& subject, const FieldPath& path, FieldErrorList& errors) const {
    check_required(subject.name(), path.child("name"), errors);
    const FieldPath group = path.child("apiGroup");
    if (subject.kind() == "ServiceAccount") {
      if (!subject.name().empty()) check_dns_subdomain(subject.name(), path.child("name"), errors);
      if (!subject.apiGroup().empty()) errors.push_back(field::not_supported(group, subject.apiGroup(), {""}));
      if (!is_namespaced_ && subject.namespace_().empty()) errors.push_back(field::required(path.child("namespace")));
    } else if (subject.kind() == "User" || subject.kind() == "Group") {
      check_supported(subject.apiGroup(), group, {group_name}, errors);
    } else {
      errors.push_back(field::not_supported(path.child("kind"), subject.kind(), {"ServiceAccount", "User", "Group"}));
    }
  }
  const bool is_namespaced_;
};

}  // namespace

const Strategy& roles_strategy() {
  static const RoleStrategy strategy(true);
  return strategy;
}
const Strategy& clusterroles_strategy() {
  static const RoleStrategy strategy(false);
  return strategy;
}
const Strategy& rolebindings_strategy() {
  static const BindingStrategy strategy(true);
  return strategy;
}
const Strategy& clusterrolebindings_strategy() {
  static const BindingStrategy strategy(false);
  return strategy;
}

}  // namespace rusternetes::api_server
