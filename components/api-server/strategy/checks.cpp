#include "api-server/strategy/checks.h"

#include <algorithm>

#include "apimachinery/quote.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::LabelSelector;

void check_dns_label(std::string_view value, const FieldPath& path, FieldErrorList& errors) {
  errors.push_invalid(path, value, is_dns1123_label(value));
}
void check_dns_subdomain(std::string_view value, const FieldPath& path, FieldErrorList& errors) {
  errors.push_invalid(path, value, is_dns1123_subdomain(value));
}
void check_qualified_name(std::string_view value, const FieldPath& path, FieldErrorList& errors) {
  errors.push_invalid(path, value, is_qualified_name(value));
}
void check_nonnegative(std::int64_t value, const FieldPath& path, FieldErrorList& errors) {
  if (value < 0) errors.push_back(field::invalid(path, value, must_not_be_negative));
}
void check_positive(std::int64_t value, const FieldPath& path, FieldErrorList& errors) {
  if (value <= 0) errors.push_back(field::invalid(path, value, "must be greater than zero"));
}
void check_required(std::string_view value, const FieldPath& path, FieldErrorList& errors) {
  if (value.empty()) errors.push_back(field::required(path));
}
void check_enum(std::string_view value, const FieldPath& path, std::initializer_list<std::string_view> supported,
                FieldErrorList& errors) {
  if (value.empty())
    errors.push_back(field::required(path));
  else
    check_supported(value, path, supported, errors);
}
void check_supported(std::string_view value, const FieldPath& path, std::initializer_list<std::string_view> supported,
                     FieldErrorList& errors) {
  if (!is_any_of(value, supported)) errors.push_back(field::not_supported(path, value, supported));
}

bool is_same(const Value* a, const Value* b) { return !a || !b ? !a && !b : equal(*a, *b); }

namespace {
bool is_nothing(const Value* value) {
  return !value || value->is_null() ||
         ((value->kind == ValueKind::list || value->kind == ValueKind::map || value->kind == ValueKind::structure) &&
          value->size == 0);
}
}  // namespace

bool is_same_loosely(const Value* a, const Value* b) {
  if (is_nothing(a) || is_nothing(b)) return is_nothing(a) && is_nothing(b);
  return equal(*a, *b);
}

void check_labels(const TextMap& labels, const FieldPath& path, FieldErrorList& errors) {
  for (const auto& [key, value] : labels) {
    errors.push_invalid(path, key, is_qualified_name(key));
    errors.push_invalid(path, value, is_valid_label_value(value));
  }
}

void check_annotations(const TextMap& annotations, const FieldPath& path, FieldErrorList& errors) {
  std::size_t total = 0;
  for (const auto& [key, value] : annotations) {
    total += key.size() + value.size();
    if (is_qualified_name(key).empty()) continue;
    // Keys compare without case here, and only an invalid one needs the copy.
    std::string lower(key);
    for (char& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    errors.push_invalid(path, key, is_qualified_name(lower));
  }
  if (total > kMaxAnnotationsSize_bytes)
    errors.push_back(field::too_long(path, static_cast<std::int64_t>(kMaxAnnotationsSize_bytes)));
}

namespace {
void check_requirement(const meta_v1::LabelSelectorRequirement& requirement, const FieldPath& path,
                       FieldErrorList& errors, SelectorOptions options) {
  const std::string_view op = requirement.operator_();
  if (op == "In" || op == "NotIn") {
    if (requirement.values().empty())
      errors.push_back(
          field::required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!requirement.values().empty())
      errors.push_back(
          field::forbidden(path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else {
    errors.push_back(field::invalid(path.child("operator"), op, "not a valid selector operator"));
  }
  check_qualified_name(requirement.key(), path.child("key"), errors);
  if (options.allow_invalid_values) return;
  std::int64_t i = 0;
  for (const auto value : requirement.values())
    errors.push_invalid(path.child("values").index(i++), value, is_valid_label_value(value));
}
}  // namespace

void check_label_selector(const LabelSelector& selector, const FieldPath& path, FieldErrorList& errors,
                          SelectorOptions options) {
  if (!selector) return;
  check_labels(selector.matchLabels(), path.child("matchLabels"), errors);
  std::int64_t i = 0;
  for (const auto requirement : selector.matchExpressions())
    check_requirement(requirement, path.child("matchExpressions").index(i++), errors, options);
}

bool has_invalid_label_values(const LabelSelector& selector) {
  for (const auto requirement : selector.matchExpressions())
    for (const auto value : requirement.values())
      if (!is_valid_label_value(value).empty()) return true;
  return false;
}

bool selects(const LabelSelector& selector, const TextMap& labels) {
  for (const auto& [key, value] : selector.matchLabels()) {
    const Value* found = labels.find(key);
    if (!found || found->str() != value) return false;
  }
  for (const auto requirement : selector.matchExpressions()) {
    const Value* found = labels.find(requirement.key());
    const auto values = requirement.values();
    const bool is_in = found && std::any_of(values.begin(), values.end(), [&](auto v) { return v == found->str(); });
    const std::string_view op = requirement.operator_();
    const bool matches = op == "In" ? is_in : op == "NotIn" ? !is_in : op == "Exists" ? found != nullptr : !found;
    if (!matches) return false;
  }
  return true;
}

std::string labels_json(const TextMap& labels) {
  if (!labels.value()) return "null";
  std::string out = "{";
  for (const auto& [key, value] : labels) {
    if (out.size() > 1) out += ',';
    append_quoted(out, key);
    out += ':';
    append_quoted(out, value);
  }
  return out + "}";
}

bool TextSet::contains(std::string_view text) const {
  if (many_) return many_->contains(text);
  return std::find(few_.begin(), few_.begin() + static_cast<std::ptrdiff_t>(count_), text) !=
         few_.begin() + static_cast<std::ptrdiff_t>(count_);
}

bool TextSet::insert(std::string_view text) {
  if (contains(text)) return false;
  if (!many_ && count_ == few_.size()) many_ = std::make_unique<std::set<std::string_view>>(few_.begin(), few_.end());
  if (many_)
    many_->insert(text);
  else
    few_[count_] = text;
  ++count_;
  return true;
}

}  // namespace rusternetes::api_server
