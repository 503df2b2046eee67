#pragma once
// Label selectors: the text of ?labelSelector= and `kubectl -l`, the LabelSelector of objects, and matching.
// Labels are looked up through a callback, so that documents, maps and cached metadata can be matched without
// a copy.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apimachinery/field_error.h"
#include "apimachinery/field_path.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

enum class SelectorOperator : std::uint8_t {
  in,
  not_in,
  equals,
  double_equals,
  not_equals,
  greater_than,
  less_than,
  exists,
  does_not_exist
};

// One condition. All values are valid labels if it comes from parse() or from_parts().
struct LabelRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::exists;
  std::vector<std::string> values;

  // `value` is the label's value, if the object has it.
  bool matches(std::optional<std::string_view> value) const;
  std::string to_string() const;
  friend bool operator==(const LabelRequirement&, const LabelRequirement&) = default;
};

// The `matchExpressions` entry of a LabelSelector object; `op` is In, NotIn, Exists or DoesNotExist.
struct LabelExpression {
  std::string key;
  std::string op;
  std::vector<std::string> values;
};

// A LabelSelector object's content.
struct LabelSelectorParts {
  std::vector<std::pair<std::string, std::string>> match_labels;
  std::vector<LabelExpression> match_expressions;
};

// The conjunction of requirements, sorted by key.
class LabelSelector {
 public:
  LabelSelector() = default;  // everything
  static LabelSelector everything() { return {}; }
  static LabelSelector nothing();
  // `path` only names the field in error texts. BadRequest on bad text.
  static Result<LabelSelector> parse(std::string_view text, const FieldPath& path = {});
  // Of a LabelSelector object. Null selects nothing, an empty one everything. BadRequest if it is not valid.
  static Result<LabelSelector> from_parts(const LabelSelectorParts* parts);
  // Of a map such as a Service's or a ReplicationController's `spec.selector`; the labels are not checked.
  static LabelSelector from_labels(std::span<const std::pair<std::string, std::string>> labels);

  // `lookup(key)` returns std::optional<std::string_view>.
  template <class Lookup>
  bool matches(Lookup&& lookup) const {
    for (const LabelRequirement& requirement : requirements_)
      if (!requirement.matches(lookup(std::string_view(requirement.key)))) return false;
    return !selects_nothing_;
  }

  // Selects everything.
  bool empty() const { return requirements_.empty() && !selects_nothing_; }
  bool selects_nothing() const { return selects_nothing_; }
  const std::vector<LabelRequirement>& requirements() const { return requirements_; }
  // The only value that `key` may have, if the first requirement on it demands one.
  std::optional<std::string_view> required_value(std::string_view key) const;
  void add(LabelRequirement requirement);

  // `a=b,c in (x,y)`: parses to an equal selector; empty for everything and for nothing.
  std::string to_string() const;
  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;

 private:
  void sort();
  std::vector<LabelRequirement> requirements_;
  bool selects_nothing_ = false;
};

// Checks one requirement as labels.NewRequirement does; the fields are `key`, `operator`, `values[i][KEY]`
// below `path`.
FieldErrorList validate_requirement(const LabelRequirement& requirement, const FieldPath& path = {});

struct LabelSelectorValidation {
  bool allow_invalid_values = false;  // for objects stored before values were checked
};
// Checks a LabelSelector object at `path`, as admission to the store does.
FieldErrorList validate_label_selector(const LabelSelectorParts& parts, const FieldPath& path,
                                       LabelSelectorValidation options = {});

}  // namespace rusternetes::apimachinery
