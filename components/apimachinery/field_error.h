#pragma once
// What is wrong with a field of an object, in the words of Kubernetes' field errors, and the Status 422 that
// a list of them becomes. kubectl and tests of operators match on these texts and reasons.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apimachinery/field_path.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

enum class FieldErrorType : std::uint8_t {
  not_found,
  required,
  duplicate,
  invalid,
  not_supported,
  forbidden,
  too_long,
  too_many,
  internal,
  type_invalid
};

// The machine-readable reason of a cause: "FieldValueRequired".
std::string_view reason(FieldErrorType type);
// How a message starts: "Required value".
std::string_view description(FieldErrorType type);

// The offending value as a message shows it. Text is quoted as Go's %q does; numbers and booleans are plain;
// all else is JSON that the caller writes.
class BadValue {
 public:
  BadValue(std::string_view text);
  BadValue(const std::string& text) : BadValue(std::string_view(text)) {}
  BadValue(const char* text) : BadValue(std::string_view(text)) {}
  template <std::integral T>
  BadValue(T value) : text_(std::same_as<T, bool> ? (value ? "true" : "false") : std::to_string(value)) {}
  BadValue(double value);
  // An absent pointer.
  BadValue(std::nullptr_t) : text_("null") {}
  static BadValue json(std::string text) { return BadValue(Rendered{std::move(text)}); }
  // Nothing is shown.
  static BadValue omitted() { return BadValue(Rendered{}); }

  const std::string& text() const { return text_; }

 private:
  struct Rendered {
    std::string text;
  };
  explicit BadValue(Rendered rendered) : text_(std::move(rendered.text)) {}
  std::string text_;
};

struct FieldError {
  FieldErrorType type = FieldErrorType::invalid;
  std::string field;
  std::string bad_value;  // as shown; empty if it is not
  std::string detail;

  // Without the field: `Invalid value: "x": must be y`.
  std::string body() const;
  // With it: `spec.x: Invalid value: "x": must be y`.
  std::string message() const;
};

// The constructors, called as Kubernetes' are: field::required(path, "...").
namespace field {
FieldError not_found(const FieldPath& path, BadValue value);
FieldError required(const FieldPath& path, std::string_view detail = {});
FieldError duplicate(const FieldPath& path, BadValue value);
FieldError invalid(const FieldPath& path, BadValue value, std::string_view detail);
FieldError type_invalid(const FieldPath& path, BadValue value, std::string_view detail);
// `supported` is printed in the order given; Kubernetes mostly sorts it.
FieldError not_supported(const FieldPath& path, BadValue value, std::span<const std::string_view> supported);
FieldError not_supported(const FieldPath& path, BadValue value,
                         std::initializer_list<std::string_view> supported);
FieldError forbidden(const FieldPath& path, std::string_view detail);
// In bytes; without a number if it is negative.
FieldError too_long(const FieldPath& path, std::int64_t max_length);
// A negative count is not shown.
FieldError too_many(const FieldPath& path, std::int64_t actual, std::int64_t max_count);
FieldError internal_error(const FieldPath& path, std::string_view detail);
}  // namespace field

class FieldErrorList {
 public:
  FieldErrorList() = default;
  void push_back(FieldError error) { errors_.push_back(std::move(error)); }
  void append(FieldErrorList other);
  // One `invalid` for each message of a names.h check.
  void push_invalid(const FieldPath& path, std::string_view value, std::span<const std::string> messages);

  bool empty() const { return errors_.empty(); }
  std::size_t size() const { return errors_.size(); }
  const FieldError& operator[](std::size_t i) const { return errors_[i]; }
  auto begin() const { return errors_.begin(); }
  auto end() const { return errors_.end(); }

  // The messages without repetitions: alone, or as `[a, b]`. Empty if there are none.
  std::string aggregate() const;
  std::vector<StatusCause> causes() const;
  // 422 Invalid: `Deployment.apps "web" is invalid: ...`. `group` is empty for the core group.
  Status to_status(std::string_view group, std::string_view kind, std::string_view name) const;

 private:
  std::vector<FieldError> errors_;
};

}  // namespace rusternetes::apimachinery
