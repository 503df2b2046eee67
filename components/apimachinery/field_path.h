#pragma once
// Where in an object a value stands, as validation names it: `spec.containers[0].env[name]`. Segments live on
// the stack of the validation and point at their parents, so that walking a valid object allocates nothing;
// only an error prints.

#include <cstdint>
#include <string>
#include <string_view>

namespace rusternetes::apimachinery {

// A segment refers to its parent and to the text it was given: both must outlive it. A chain of temporaries
// is fine inside one expression, `errors.push_back(field::required(path.child("spec").index(0), ""))`; to
// name a deep path, name each step, or give child() several at once: `path.child("spec.template.spec")`.
class FieldPath {
 public:
  // The path of nothing, which prints as "<nil>"; its children are roots.
  constexpr FieldPath() = default;
  constexpr explicit FieldPath(std::string_view name) : kind_(Kind::name), text_(name) {}

  constexpr FieldPath child(std::string_view name) const [[clang::lifetimebound]] {
    return FieldPath(this, Kind::name, name, 0);
  }
  constexpr FieldPath index(std::int64_t index) const [[clang::lifetimebound]] {
    return FieldPath(this, Kind::index, {}, index);
  }
  // A subscript that is not a number: the key of a map.
  constexpr FieldPath key(std::string_view key) const [[clang::lifetimebound]] {
    return FieldPath(this, Kind::key, key, 0);
  }

  std::string to_string() const;
  void append_to(std::string& out) const;

 private:
  enum class Kind : std::uint8_t { none, name, index, key };
  constexpr FieldPath(const FieldPath* parent, Kind kind, std::string_view text, std::int64_t index)
      : parent_(parent), kind_(kind), text_(text), index_(index) {}

  const FieldPath* parent_ = nullptr;
  Kind kind_ = Kind::none;
  std::string_view text_;
  std::int64_t index_ = 0;
};

}  // namespace rusternetes::apimachinery
