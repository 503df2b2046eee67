#pragma once
// Field selectors: `metadata.name=x,status.phase!=Running`. Which fields a resource offers is the schema's
// matter; an absent field is the empty string.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::apimachinery {

struct FieldRequirement {
  std::string field;
  std::string value;
  bool is_negated = false;

  bool matches(std::string_view actual) const { return (actual == value) != is_negated; }
  std::string to_string() const;
  friend bool operator==(const FieldRequirement&, const FieldRequirement&) = default;
};

// The conjunction of requirements.
class FieldSelector {
 public:
  FieldSelector() = default;  // everything
  // BadRequest on bad text.
  static Result<FieldSelector> parse(std::string_view text);
  static FieldSelector field_equals(std::string field, std::string value);

  // `lookup(field)` returns something a std::string_view can be made of.
  template <class Lookup>
  bool matches(Lookup&& lookup) const {
    for (const FieldRequirement& requirement : requirements_)
      if (!requirement.matches(lookup(std::string_view(requirement.field)))) return false;
    return true;
  }

  bool empty() const { return requirements_.empty(); }
  const std::vector<FieldRequirement>& requirements() const { return requirements_; }
  // The value that `field` must have, if a requirement demands one.
  std::optional<std::string_view> required_value(std::string_view field) const;
  // Adapts each requirement in place (old field names, values to canonical form); one whose field and value
  // both become empty is dropped. The first error is returned.
  Result<FieldSelector> transform(const std::function<Result<>(FieldRequirement&)>& change) const;

  std::string to_string() const;
  friend bool operator==(const FieldSelector&, const FieldSelector&) = default;

 private:
  std::vector<FieldRequirement> requirements_;
};

// Puts a backslash before \ , and =.
std::string escape_field_value(std::string_view value);

}  // namespace rusternetes::apimachinery
