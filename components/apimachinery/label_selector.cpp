#include "apimachinery/label_selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "apimachinery/json_text.h"
#include "apimachinery/names.h"
#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

using Op = SelectorOperator;

Status bad_selector(std::string message) { return Status(400, "BadRequest", std::move(message)); }

std::string joined(const std::vector<std::string>& messages, std::string_view separator) {
  return fmt::format("{}", fmt::join(messages, separator));
}

BadValue json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return BadValue::json(std::move(out));
}

// An absent list is null in Kubernetes' messages.
BadValue json_list(const std::vector<std::string>& texts) {
  if (texts.empty()) return nullptr;
  std::string out;
  for (const std::string& text : texts) {
    out += out.empty() ? '[' : ',';
    append_json_string(out, text);
  }
  return BadValue::json(out + ']');
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view symbol(Op op) {
  switch (op) {
    case Op::in:
      return " in ";
    case Op::not_in:
      return " notin ";
    case Op::equals:
      return "=";
    case Op::double_equals:
      return "==";
    case Op::not_equals:
      return "!=";
    case Op::greater_than:
      return ">";
    case Op::less_than:
      return "<";
    default:
      return "";
  }
}

std::optional<Op> expression_operator(std::string_view text) {
  if (text == "In") return Op::in;
  if (text == "NotIn") return Op::not_in;
  if (text == "Exists") return Op::exists;
  if (text == "DoesNotExist") return Op::does_not_exist;
  return std::nullopt;
}

}  // namespace

bool LabelRequirement::matches(std::optional<std::string_view> value) const {
  switch (op) {
    case Op::exists:
      return value.has_value();
    case Op::does_not_exist:
      return !value;
    case Op::in:
    case Op::equals:
    case Op::double_equals:
      return value && std::ranges::find(values, *value) != values.end();
    case Op::not_in:
    case Op::not_equals:
      return !value || std::ranges::find(values, *value) == values.end();
    case Op::greater_than:
    case Op::less_than: {
      const auto own = value ? parse_integer(*value) : std::nullopt;
      const auto bound = values.size() == 1 ? parse_integer(values[0]) : std::nullopt;
      return own && bound && (op == Op::greater_than ? *own > *bound : *own < *bound);
    }
  }
  return false;
}

std::string LabelRequirement::to_string() const {
  if (op == Op::does_not_exist) return "!" + key;
  if (op == Op::exists) return key;
  const bool is_set = op == Op::in || op == Op::not_in;
  std::vector<std::string_view> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return fmt::format("{}{}{}{}{}", key, symbol(op), is_set ? "(" : "", fmt::join(sorted, ","),
                     is_set ? ")" : "");
}

LabelSelector LabelSelector::nothing() {
  LabelSelector out;
  out.selects_nothing_ = true;
  return out;
}

Result<LabelSelector> LabelSelector::from_parts(const LabelSelectorParts* parts) {
  if (parts == nullptr) return nothing();
  LabelSelector out;
  const auto append = [&out](LabelRequirement requirement) -> Result<> {
    if (const auto errors = validate_requirement(requirement); !errors.empty())
      return bad_selector(errors.aggregate());
    out.requirements_.push_back(std::move(requirement));
    return {};
  };
  for (const auto& [key, value] : parts->match_labels) RN_CHECK(append({key, Op::equals, {value}}));
  for (const LabelExpression& expression : parts->match_expressions) {
    const auto op = expression_operator(expression.op);
    if (!op) return bad_selector(quote(expression.op) + " is not a valid label selector operator");
    RN_CHECK(append({expression.key, *op, expression.values}));
  }
  out.sort();
  return out;
}

LabelSelector LabelSelector::from_labels(std::span<const std::pair<std::string, std::string>> labels) {
  LabelSelector out;
  for (const auto& [key, value] : labels) out.requirements_.push_back({key, Op::equals, {value}});
  out.sort();
  return out;
}

std::optional<std::string_view> LabelSelector::required_value(std::string_view key) const {
  const auto it = std::ranges::find(requirements_, key, &LabelRequirement::key);
  if (it == requirements_.end() || it->values.size() != 1) return std::nullopt;
  if (it->op != Op::equals && it->op != Op::double_equals && it->op != Op::in) return std::nullopt;
  return it->values[0];
}

void LabelSelector::add(LabelRequirement requirement) {
  requirements_.push_back(std::move(requirement));
  sort();
}

void LabelSelector::sort() { std::ranges::stable_sort(requirements_, {}, &LabelRequirement::key); }

std::string LabelSelector::to_string() const {
  std::string out;
  for (const LabelRequirement& requirement : requirements_) {
    if (!out.empty()) out += ',';
    out += requirement.to_string();
  }
  return out;
}

FieldErrorList validate_requirement(const LabelRequirement& requirement, const FieldPath& path) {
  FieldErrorList errors;
  const auto& [key, op, values] = requirement;
  if (const auto messages = is_qualified_name(key); !messages.empty())
    errors.push_back(field::invalid(path.child("key"), key, joined(messages, "; ")));
  const FieldPath values_path = path.child("values");
  const auto bad_values = [&](std::string_view detail) {
    errors.push_back(field::invalid(values_path, json_list(values), detail));
  };
  switch (op) {
    case Op::in:
    case Op::not_in:
      if (values.empty()) bad_values("for 'in', 'notin' operators, values set can't be empty");
      break;
    case Op::equals:
    case Op::double_equals:
    case Op::not_equals:
      if (values.size() != 1) bad_values("exact-match compatibility requires one single value");
      break;
    case Op::exists:
    case Op::does_not_exist:
      if (!values.empty()) bad_values("values set must be empty for exists and does not exist");
      break;
    case Op::greater_than:
    case Op::less_than:
      if (values.size() != 1) bad_values("for 'Gt', 'Lt' operators, exactly one value is required");
      for (std::size_t i = 0; i < values.size(); ++i)
        if (!parse_integer(values[i]))
          errors.push_back(field::invalid(values_path.index(static_cast<std::int64_t>(i)), values[i],
                                          "for 'Gt', 'Lt' operators, the value must be an integer"));
      break;
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    if (const auto messages = is_valid_label_value(values[i]); !messages.empty())
      errors.push_back(field::invalid(values_path.index(static_cast<std::int64_t>(i)).key(key), values[i],
                                      joined(messages, "; ")));
  return errors;
}

FieldErrorList validate_label_selector(const LabelSelectorParts& parts, const FieldPath& path,
                                       LabelSelectorValidation options) {
  FieldErrorList errors;
  const FieldPath labels_path = path.child("matchLabels");
  for (const auto& [key, value] : parts.match_labels) {
    errors.push_invalid(labels_path, key, is_qualified_name(key));
    errors.push_invalid(labels_path, value, is_valid_label_value(value));
  }
  const FieldPath expressions_path = path.child("matchExpressions");
  for (std::size_t i = 0; i < parts.match_expressions.size(); ++i) {
    const auto& [key, op_text, values] = parts.match_expressions[i];
    const FieldPath expression_path = expressions_path.index(static_cast<std::int64_t>(i));
    const FieldPath values_path = expression_path.child("values");
    const auto op = expression_operator(op_text);
    if (!op)
      errors.push_back(field::invalid(expression_path.child("operator"), json_string(op_text),
                                      "not a valid selector operator"));
    else if ((*op == Op::in || *op == Op::not_in) && values.empty())
      errors.push_back(field::required(values_path, "must be specified when `operator` is 'In' or 'NotIn'"));
    else if ((*op == Op::exists || *op == Op::does_not_exist) && !values.empty())
      errors.push_back(field::forbidden(
          values_path, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    errors.push_invalid(expression_path.child("key"), key, is_qualified_name(key));
    if (options.allow_invalid_values) continue;
    for (std::size_t v = 0; v < values.size(); ++v)
      errors.push_invalid(values_path.index(static_cast<std::int64_t>(v)), values[v],
                          is_valid_label_value(values[v]));
  }
  return errors;
}

}  // namespace rusternetes::apimachinery
