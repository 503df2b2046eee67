#include "apimachinery/field_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "apimachinery/quote.h"

namespace rusternetes::apimachinery {
namespace {

struct TypeText {
  std::string_view reason;
  std::string_view description;
};

// In the order of FieldErrorType.
constexpr TypeText kTypeTexts[] = {{"FieldValueNotFound", "Not found"},
                                   {"FieldValueRequired", "Required value"},
                                   {"FieldValueDuplicate", "Duplicate value"},
                                   {"FieldValueInvalid", "Invalid value"},
                                   {"FieldValueNotSupported", "Unsupported value"},
                                   {"FieldValueForbidden", "Forbidden"},
                                   {"FieldValueTooLong", "Too long"},
                                   {"FieldValueTooMany", "Too many"},
                                   {"InternalError", "Internal error"},
                                   {"FieldValueTypeInvalid", "Invalid value"}};

const TypeText& text_of(FieldErrorType type) { return kTypeTexts[static_cast<std::size_t>(type)]; }

FieldError make(FieldErrorType type, const FieldPath& path, BadValue value, std::string_view detail) {
  return FieldError{type, path.to_string(), value.text(), std::string(detail)};
}

}  // namespace

std::string_view reason(FieldErrorType type) { return text_of(type).reason; }
std::string_view description(FieldErrorType type) { return text_of(type).description; }

BadValue::BadValue(std::string_view text) : text_(quote(text)) {}

// As Go's %v: the shortest digits, with an exponent below 1e-4 and from 1e6.
BadValue::BadValue(double value) {
  if (!std::isfinite(value)) {
    text_ = std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
    return;
  }
  const double magnitude = std::fabs(value);
  const bool is_plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e6);
  char buffer[64];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value,
                                    is_plain ? std::chars_format::fixed : std::chars_format::scientific);
  text_.assign(buffer, result.ptr);
}

std::string FieldError::body() const {
  std::string out(description(type));
  if (!bad_value.empty()) out += ": " + bad_value;
  if (!detail.empty()) out += ": " + detail;
  return out;
}

std::string FieldError::message() const { return field + ": " + body(); }

namespace field {

FieldError not_found(const FieldPath& path, BadValue value) {
  return make(FieldErrorType::not_found, path, std::move(value), {});
}
FieldError required(const FieldPath& path, std::string_view detail) {
  return make(FieldErrorType::required, path, BadValue::omitted(), detail);
}
FieldError duplicate(const FieldPath& path, BadValue value) {
  return make(FieldErrorType::duplicate, path, std::move(value), {});
}
FieldError invalid(const FieldPath& path, BadValue value, std::string_view detail) {
  return make(FieldErrorType::invalid, path, std::move(value), detail);
}
FieldError type_invalid(const FieldPath& path, BadValue value, std::string_view detail) {
  return make(FieldErrorType::type_invalid, path, std::move(value), detail);
}

FieldError not_supported(const FieldPath& path, BadValue value, std::span<const std::string_view> supported) {
  std::string detail;
  for (const std::string_view choice : supported) {
    detail += detail.empty() ? "supported values: " : ", ";
    append_quoted(detail, choice);
  }
  return make(FieldErrorType::not_supported, path, std::move(value), detail);
}
FieldError not_supported(const FieldPath& path, BadValue value,
                         std::initializer_list<std::string_view> supported) {
  return not_supported(path, std::move(value), std::span(supported.begin(), supported.size()));
}

FieldError forbidden(const FieldPath& path, std::string_view detail) {
  return make(FieldErrorType::forbidden, path, BadValue::omitted(), detail);
}

FieldError too_long(const FieldPath& path, std::int64_t max_length) {
  const std::string detail =
      max_length < 0 ? "value is too long"
                     : fmt::format("may not be more than {} byte{}", max_length, max_length == 1 ? "" : "s");
  return make(FieldErrorType::too_long, path, BadValue::omitted(), detail);
}

FieldError too_many(const FieldPath& path, std::int64_t actual, std::int64_t max_count) {
  const std::string detail =
      max_count < 0 ? "has too many items"
                    : fmt::format("must have at most {} item{}", max_count, max_count == 1 ? "" : "s");
  return make(FieldErrorType::too_many, path, actual < 0 ? BadValue::omitted() : BadValue(actual), detail);
}

FieldError internal_error(const FieldPath& path, std::string_view detail) {
  return make(FieldErrorType::internal, path, BadValue::omitted(), detail);
}

}  // namespace field

void FieldErrorList::append(FieldErrorList other) {
  errors_.insert(errors_.end(), std::make_move_iterator(other.errors_.begin()),
                 std::make_move_iterator(other.errors_.end()));
}

void FieldErrorList::push_invalid(const FieldPath& path, std::string_view value,
                                  std::span<const std::string> messages) {
  for (const std::string& message : messages) push_back(field::invalid(path, value, message));
}

std::string FieldErrorList::aggregate() const {
  std::vector<std::string> messages;
  for (const FieldError& error : errors_) {
    std::string message = error.message();
    if (std::ranges::find(messages, message) == messages.end()) messages.push_back(std::move(message));
  }
  if (messages.size() == 1) return std::move(messages.front());
  return messages.empty() ? "" : fmt::format("[{}]", fmt::join(messages, ", "));
}

std::vector<StatusCause> FieldErrorList::causes() const {
  std::vector<StatusCause> out;
  out.reserve(errors_.size());
  for (const FieldError& error : errors_)
    out.push_back({std::string(reason(error.type)), error.body(), error.field});
  return out;
}

Status FieldErrorList::to_status(std::string_view group, std::string_view kind, std::string_view name) const {
  auto details = std::make_shared<StatusDetails>();
  details->group = group;
  details->kind = kind;
  details->name = name;
  details->causes = causes();
  std::string message =
      fmt::format("{}{}{} {} is invalid", kind, group.empty() ? "" : ".", group, quote(name));
  if (!errors_.empty()) message += ": " + aggregate();
  return Status(422, "Invalid", std::move(message), std::move(details));
}

}  // namespace rusternetes::apimachinery
