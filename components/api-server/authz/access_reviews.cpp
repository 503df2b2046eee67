#include "api-server/authz/access_reviews.h"

#include <string>
#include <utility>
#include <vector>

#include "api-server/authz/review_selectors.h"
#include "apimachinery/api/authorization_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/field_error.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"

namespace rusternetes::api_server {

namespace authorization = apimachinery::authorization_v1;
namespace field = apimachinery::field;
using apimachinery::Arena;
using apimachinery::BadValue;
using apimachinery::FieldErrorList;
using apimachinery::FieldPath;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

// Kubernetes shows its internal type here, whose fields have no JSON names.
BadValue shown(authorization::NonResourceAttributes attributes) {
  if (!attributes) return BadValue(nullptr);
  std::string json = "{\"Path\":";
  apimachinery::append_json_string(json, attributes.path());
  json += ",\"Verb\":";
  apimachinery::append_json_string(json, attributes.verb());
  return BadValue::json(json + "}");
}

// `Spec` is that of a review of oneself or of another.
template <class Spec>
void validate_attributes(Spec spec, const FieldPath& path, FieldErrorList& errors) {
  if (spec.has_resourceAttributes() && spec.has_nonResourceAttributes())
    errors.push_back(field::invalid(path.child("nonResourceAttributes"), shown(spec.nonResourceAttributes()),
                                    "cannot be specified in combination with resourceAttributes"));
  if (!spec.has_resourceAttributes() && !spec.has_nonResourceAttributes())
    errors.push_back(
        field::invalid(path.child("resourceAttributes"), BadValue(nullptr),
                       "exactly one of nonResourceAttributes or resourceAttributes must be specified"));
}

void validate_spec(authorization::SubjectAccessReviewSpec spec, const FieldPath& path,
                   FieldErrorList& errors) {
  validate_attributes(spec, path, errors);
  if (spec.user().empty() && spec.groups().empty())
    errors.push_back(
        field::invalid(path.child("user"), "", "at least one of user or group must be specified"));
  validate_review_selectors(spec.resourceAttributes(), errors);
}

// Reviews have no metadata, but for the namespace of local ones and for managed fields.
void validate_metadata(apimachinery::meta_v1::ObjectMeta metadata, bool may_have_namespace,
                       std::string_view complaint, FieldErrorList& errors) {
  using Meta = apimachinery::meta_v1::ObjectMeta;
  if (!metadata) return;
  for (const Value& child : metadata.value()->children()) {
    const bool is_allowed =
        child.field == Meta::f_managedFields || (may_have_namespace && child.field == Meta::f_namespace_);
    const bool is_empty =
        child.is_null() ||
        ((child.kind == ValueKind::map || child.kind == ValueKind::list || child.kind == ValueKind::string) &&
         child.size == 0);
    if (is_allowed || is_empty) continue;
    std::string json;
    apimachinery::encode_json(json, *metadata.value(), Meta::schema_type());
    errors.push_back(field::invalid(FieldPath("metadata"), BadValue::json(std::move(json)), complaint));
    return;
  }
}

Result<> invalid_if_any(const FieldErrorList& errors) {
  if (errors.empty()) return {};
  return errors.to_status("authorization.k8s.io", "", "");
}

// What could not be understood of the selectors is told, and then taken as not there.
struct ReviewedAttributes {
  Attributes attributes;
  std::vector<std::string> complaints;
};

ReviewedAttributes attributes_of(User user, authorization::ResourceAttributes resource,
                                 authorization::NonResourceAttributes non_resource) {
  ReviewedAttributes out;
  Attributes& attributes = out.attributes;
  attributes.user = std::move(user);
  if (!resource) {
    attributes.path = non_resource.path();
    attributes.verb = non_resource.verb();
    return out;
  }
  attributes.is_resource = true;
  attributes.verb = resource.verb();
  attributes.name_space = resource.namespace_();
  attributes.api_group = resource.group();
  attributes.api_version = resource.version().empty() ? "*" : resource.version();
  attributes.resource = resource.resource();
  attributes.subresource = resource.subresource();
  attributes.name = resource.name();
  const auto take = [&out](ReviewedSelector selector, std::string& to, std::string_view name) {
    if (!selector.is_valid)
      out.complaints.push_back(
          "spec.resourceAttributes." + std::string(name) +
          (selector.text.empty() ? " ignored due to parse error" : " partially ignored due to parse error"));
    to = std::move(selector.text);
  };
  take(review_field_selector(resource.fieldSelector()), attributes.field_selector, "fieldSelector");
  take(review_label_selector(resource.labelSelector()), attributes.label_selector, "labelSelector");
  return out;
}

User user_of(authorization::SubjectAccessReviewSpec spec) {
  User user;
  user.name = spec.user();
  user.uid = spec.uid();
  user.groups = to_strings(spec.groups());
  for (const auto& [key, values] : spec.extra()) user.extra[std::string(key)] = to_strings(values);
  return user;
}

void fill_status(Arena& arena, Value& review, int status_field, const Verdict& verdict,
                 const ReviewedAttributes& reviewed) {
  using Review = authorization::SubjectAccessReviewStatus;
  Value& status = apimachinery::assign(apimachinery::set_field(arena, review, status_field),
                                       Value::empty(ValueKind::structure));
  // `allowed` is always printed, whether stored or not.
  if (verdict.decision == Decision::allow) apimachinery::set_boolean(arena, status, Review::f_allowed, true);
  if (verdict.decision == Decision::deny) apimachinery::set_boolean(arena, status, Review::f_denied, true);
  if (!verdict.reason.empty()) apimachinery::set_string(arena, status, Review::f_reason, verdict.reason);
  std::string error = verdict.error;
  for (const std::string& complaint : reviewed.complaints) {
    if (!error.empty()) error += "; ";
    error += complaint;
  }
  if (!error.empty()) apimachinery::set_string(arena, status, Review::f_evaluationError, error);
}

void set_strings(Arena& arena, Value& rule, int list_field, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  Value& list = apimachinery::ensure(arena, rule, list_field, ValueKind::list);
  for (const std::string& text : texts) apimachinery::append_string(arena, list, text);
}

}  // namespace

Result<> evaluate_subject_access_review(const Authorizer& authorizer, Arena& arena, Value& review) {
  const authorization::SubjectAccessReview view(&review);
  FieldErrorList errors;
  validate_spec(view.spec(), FieldPath("spec"), errors);
  validate_metadata(view.metadata(), false, "must be empty", errors);
  RN_CHECK(invalid_if_any(errors));
  const ReviewedAttributes reviewed = attributes_of(user_of(view.spec()), view.spec().resourceAttributes(),
                                                    view.spec().nonResourceAttributes());
  fill_status(arena, review, authorization::SubjectAccessReview::f_status,
              authorizer.authorize(reviewed.attributes), reviewed);
  return {};
}

Result<> evaluate_local_subject_access_review(const Authorizer& authorizer, std::string_view name_space,
                                              Arena& arena, Value& review) {
  const authorization::LocalSubjectAccessReview view(&review);
  const authorization::SubjectAccessReviewSpec spec = view.spec();
  FieldErrorList errors;
  validate_spec(spec, FieldPath("spec"), errors);
  validate_metadata(view.metadata(), true, "must be empty except for namespace", errors);
  const std::string_view own_namespace = view.metadata().namespace_();
  if (spec.has_resourceAttributes() && spec.resourceAttributes().namespace_() != own_namespace)
    errors.push_back(field::invalid(FieldPath("spec.resourceAttributes.namespace"),
                                    spec.resourceAttributes().namespace_(), "must match metadata.namespace"));
  if (spec.has_nonResourceAttributes())
    errors.push_back(field::invalid(FieldPath("spec.nonResourceAttributes"),
                                    shown(spec.nonResourceAttributes()),
                                    "disallowed on this kind of request"));
  RN_CHECK(invalid_if_any(errors));
  if (name_space.empty()) return apimachinery::bad_request("namespace is required on this type: ");
  if (name_space != own_namespace)
    return apimachinery::bad_request("spec.resourceAttributes.namespace must match namespace: " +
                                     std::string(name_space));
  const ReviewedAttributes reviewed = attributes_of(user_of(spec), spec.resourceAttributes(), {});
  fill_status(arena, review, authorization::LocalSubjectAccessReview::f_status,
              authorizer.authorize(reviewed.attributes), reviewed);
  return {};
}

Result<> evaluate_self_subject_access_review(const Authorizer& authorizer, const User& user, Arena& arena,
                                             Value& review) {
  const authorization::SelfSubjectAccessReview view(&review);
  FieldErrorList errors;
  const FieldPath path("spec");
  validate_attributes(view.spec(), path, errors);
  validate_review_selectors(view.spec().resourceAttributes(), errors);
  validate_metadata(view.metadata(), false, "must be empty", errors);
  RN_CHECK(invalid_if_any(errors));
  const ReviewedAttributes reviewed =
      attributes_of(user, view.spec().resourceAttributes(), view.spec().nonResourceAttributes());
  fill_status(arena, review, authorization::SelfSubjectAccessReview::f_status,
              authorizer.authorize(reviewed.attributes), reviewed);
  return {};
}

Result<> evaluate_self_subject_rules_review(const RuleResolver& resolver, const User& user, Arena& arena,
                                            Value& review) {
  using Review = authorization::SelfSubjectRulesReview;
  using Status = authorization::SubjectRulesReviewStatus;
  using ResourceRule = authorization::ResourceRule;
  using NonResourceRule = authorization::NonResourceRule;
  const std::string name_space(Review(&review).spec().namespace_());
  if (name_space.empty()) return apimachinery::bad_request("no namespace on request");
  const ResolvedRules rules = resolver.rules_for(user, name_space);

  apimachinery::erase_field(review, Review::f_metadata);
  apimachinery::erase_field(review, Review::f_spec);
  Value& status = apimachinery::assign(apimachinery::set_field(arena, review, Review::f_status),
                                       Value::empty(ValueKind::structure));
  Value& resource_rules = apimachinery::ensure(arena, status, Status::f_resourceRules, ValueKind::list);
  for (const PolicyRule& rule : rules.resource_rules) {
    Value& out = apimachinery::append_structure(arena, resource_rules);
    set_strings(arena, out, ResourceRule::f_verbs, rule.verbs);
    set_strings(arena, out, ResourceRule::f_apiGroups, rule.api_groups);
    set_strings(arena, out, ResourceRule::f_resources, rule.resources);
    set_strings(arena, out, ResourceRule::f_resourceNames, rule.resource_names);
  }
  Value& non_resource_rules =
      apimachinery::ensure(arena, status, Status::f_nonResourceRules, ValueKind::list);
  for (const PolicyRule& rule : rules.non_resource_rules) {
    Value& out = apimachinery::append_structure(arena, non_resource_rules);
    set_strings(arena, out, NonResourceRule::f_verbs, rule.verbs);
    set_strings(arena, out, NonResourceRule::f_nonResourceURLs, rule.non_resource_urls);
  }
  if (rules.is_incomplete) apimachinery::set_boolean(arena, status, Status::f_incomplete, true);
  if (!rules.error.empty()) apimachinery::set_string(arena, status, Status::f_evaluationError, rules.error);
  return {};
}

}  // namespace rusternetes::api_server
