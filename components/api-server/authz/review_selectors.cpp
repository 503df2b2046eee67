#include "api-server/authz/review_selectors.h"

#include <string_view>

#include "api-server/authz/policy_rule.h"
#include "apimachinery/field_selector.h"
#include "apimachinery/label_selector.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

namespace authorization = apimachinery::authorization_v1;
namespace field = apimachinery::field;
using apimachinery::FieldErrorList;
using apimachinery::FieldPath;

namespace {

template <class Selector>
void validate_shape(Selector selector, const FieldPath& path, FieldErrorList& errors) {
  if (!selector.rawSelector().empty() && !selector.requirements().empty())
    errors.push_back(field::invalid(path.child("rawSelector"), selector.rawSelector(),
                                    "may not specified at the same time as requirements"));
  if (selector.rawSelector().empty() && selector.requirements().empty())
    errors.push_back(field::required(
        path.child("requirements"),
        "when " + path.to_string() + " is specified, requirements or rawSelector is required"));
}

template <class Requirement>
void validate_values(Requirement requirement, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view op = requirement.operator_();
  if ((op == "In" || op == "NotIn") && requirement.values().empty())
    errors.push_back(
        field::required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"));
  if ((op == "Exists" || op == "DoesNotExist") && !requirement.values().empty())
    errors.push_back(field::forbidden(path.child("values"),
                                      "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
}

}  // namespace

void validate_review_selectors(authorization::ResourceAttributes attributes, FieldErrorList& errors) {
  const FieldPath root("spec.resourceAttributes");
  if (attributes.has_fieldSelector()) {
    const FieldPath path = root.child("fieldSelector"), list = path.child("requirements");
    validate_shape(attributes.fieldSelector(), path, errors);
    std::int64_t i = 0;
    for (const auto requirement : attributes.fieldSelector().requirements()) {
      const FieldPath at = list.index(i++);
      if (requirement.key().empty()) errors.push_back(field::required(at.child("key"), "must be specified"));
      validate_values(requirement, at, errors);
    }
  }
  if (attributes.has_labelSelector()) {
    const FieldPath path = root.child("labelSelector"), list = path.child("requirements");
    validate_shape(attributes.labelSelector(), path, errors);
    std::int64_t i = 0;
    for (const auto requirement : attributes.labelSelector().requirements()) {
      const FieldPath at = list.index(i++);
      validate_values(requirement, at, errors);
      errors.push_invalid(at.child("key"), requirement.key(),
                          apimachinery::is_qualified_name(requirement.key()));
      const FieldPath values = at.child("values");
      std::int64_t v = 0;
      for (const std::string_view value : requirement.values())
        errors.push_invalid(values.index(v++), value, apimachinery::is_valid_label_value(value));
    }
  }
}

ReviewedSelector review_field_selector(authorization::FieldSelectorAttributes selector) {
  ReviewedSelector out;
  if (!selector.rawSelector().empty()) {
    const auto parsed = apimachinery::FieldSelector::parse(selector.rawSelector());
    out.is_valid = parsed.has_value();
    if (parsed) out.text = parsed->to_string();
    return out;
  }
  for (const auto requirement : selector.requirements()) {
    const bool is_in = requirement.operator_() == "In", is_not_in = requirement.operator_() == "NotIn";
    if ((!is_in && !is_not_in) || requirement.values().size() != 1) {
      out.is_valid = false;
      continue;
    }
    if (!out.text.empty()) out.text += ',';
    out.text += apimachinery::FieldRequirement{std::string(requirement.key()),
                                               std::string(requirement.values()[0]), is_not_in}
                    .to_string();
  }
  return out;
}

ReviewedSelector review_label_selector(authorization::LabelSelectorAttributes selector) {
  ReviewedSelector out;
  if (!selector.rawSelector().empty()) {
    const auto parsed = apimachinery::LabelSelector::parse(selector.rawSelector());
    out.is_valid = parsed.has_value();
    if (parsed) out.text = parsed->to_string();
    return out;
  }
  for (const auto requirement : selector.requirements()) {
    using Operator = apimachinery::SelectorOperator;
    apimachinery::LabelRequirement parsed{std::string(requirement.key()), Operator::exists, {}};
    parsed.values = to_strings(requirement.values());
    const std::string_view op = requirement.operator_();
    bool is_known = true;
    if (op == "In")
      parsed.op = Operator::in;
    else if (op == "NotIn")
      parsed.op = Operator::not_in;
    else if (op == "DoesNotExist")
      parsed.op = Operator::does_not_exist;
    else
      is_known = op == "Exists";
    if (!is_known || !apimachinery::validate_requirement(parsed).empty()) {
      out.is_valid = false;
      continue;
    }
    if (!out.text.empty()) out.text += ',';
    out.text += parsed.to_string();
  }
  return out;
}

}  // namespace rusternetes::api_server
