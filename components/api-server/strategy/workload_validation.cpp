#include "api-server/strategy/workload_validation.h"

#include <fmt/format.h>

#include <charconv>

#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::LabelSelector;

namespace {

BadValue shown(const Value* value, const Type& type) {
  if (!value) return nullptr;
  std::string json;
  encode_json(json, *value, type);
  return BadValue::json(std::move(json));
}

bool is_percent(const Value* value) {
  return value && value->kind == ValueKind::string && is_valid_percent(value->str()).empty();
}

std::int64_t leading_number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

bool is_bad_selector(const LabelSelector& selector) {
  FieldErrorList errors;
  check_label_selector(selector, FieldPath(), errors);
  return !errors.empty();
}

void validate_workload_selector(const LabelSelector& selector, std::string_view kind, const FieldPath& path,
                                FieldErrorList& errors) {
  if (!selector) {
    errors.push_back(field::required(path));
    return;
  }
  check_label_selector(selector, path, errors);
  if (selector.matchLabels().empty() && selector.matchExpressions().empty())
    errors.push_back(field::invalid(path, BadValue::json("{}"), fmt::format("empty selector is invalid for {}", kind)));
}

void validate_always_restarting(const core::PodTemplateSpec& template_, std::string_view kind,
                                const FieldPath& template_path, FieldErrorList& errors) {
  const FieldPath spec = template_path.child("spec");
  const auto pod = template_.spec();
  if (pod.restartPolicy() != "Always")
    errors.push_back(field::not_supported(spec.child("restartPolicy"), pod.restartPolicy(), {"Always"}));
  if (pod.has_activeDeadlineSeconds())
    errors.push_back(field::forbidden(spec.child("activeDeadlineSeconds"), fmt::format("activeDeadlineSeconds in {} is not Supported", kind)));
}

void validate_selected_template(const LabelSelector& selector, const core::PodTemplateSpec& template_,
                                std::string_view kind, const FieldPath& spec_path, const PodValidationOptions& options,
                                FieldErrorList& errors) {
  const FieldPath path = spec_path.child("template");
  if (is_bad_selector(selector)) {
    errors.push_back(field::invalid(spec_path.child("selector"), shown(selector.value(), LabelSelector::schema_type()), "invalid label selector"));
    return;
  }
  // No selector selects nothing.
  const auto labels = template_.metadata().labels();
  if (!selector || !selects(selector, labels))
    errors.push_back(field::invalid(path.child("metadata").child("labels"), BadValue::json(labels_json(labels)), "`selector` does not match template `labels`"));
  validate_pod_template(template_, path, options, errors);
  validate_always_restarting(template_, kind, path, errors);
}

BadValue shown_int_or_string(const Value* value) {
  if (value && value->kind == ValueKind::string) return value->str();
  return value ? value->integer : std::int64_t{0};
}

void validate_int_or_percent(const Value* value, const FieldPath& path, FieldErrorList& errors) {
  if (value && value->kind == ValueKind::string)
    errors.push_invalid(path, value->str(), is_valid_percent(value->str()));
  else
    check_nonnegative(value ? value->integer : 0, path, errors);
}

std::int64_t int_or_percent(const Value* value) {
  if (!value) return 0;
  return value->kind == ValueKind::string ? leading_number(value->str()) : value->integer;
}

void validate_at_most_100_percent(const Value* value, const FieldPath& path, FieldErrorList& errors) {
  if (is_percent(value) && leading_number(value->str()) > 100)
    errors.push_back(field::invalid(path, value->str(), "must not be greater than 100%"));
}

void validate_immutable(const Value* now, const Value* then, const Type& type, const FieldPath& path,
                        FieldErrorList& errors) {
  if (!is_same(now, then)) errors.push_back(field::invalid(path, shown(now, type), field_is_immutable));
}

void validate_not_decremented(const Value* now, const Value* then, const FieldPath& path, FieldErrorList& errors) {
  if (!then) return;
  if (!now || now->integer < then->integer)
    errors.push_back(field::invalid(path, now ? now->integer : 0, "cannot be decremented"));
}

void validate_at_most(const ReplicaCount& count, std::int64_t limit, std::string_view detail, const FieldPath& status,
                      FieldErrorList& errors) {
  if (count.count > limit) errors.push_back(field::invalid(status.child(count.name), count.count, detail));
}

PodValidationOptions template_options(bool allow_privileged) {
  PodValidationOptions options;
  options.allow_privileged = allow_privileged;
  return options;
}

PodValidationOptions template_update_options(const core::PodTemplateSpec& old, bool allow_privileged) {
  PodValidationOptions options = pod_update_options(old.spec(), old.metadata().annotations());
  options.allow_privileged = allow_privileged;
  return options;
}

}  // namespace rusternetes::api_server
