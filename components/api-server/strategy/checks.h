#pragma once
// The small checks that validation of every kind is made of. Each appends to `errors` and costs nothing but the look when
// the value is valid.

#include <array>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <string_view>

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/field_error.h"
#include "apimachinery/field_path.h"
#include "apimachinery/names.h"
#include "apimachinery/view.h"

namespace rusternetes::api_server {

using apimachinery::FieldErrorList;
using apimachinery::FieldPath;

inline constexpr std::string_view field_is_immutable = "field is immutable";
inline constexpr std::string_view must_not_be_negative = "must be greater than or equal to 0";
inline constexpr std::int64_t max_int32 = std::numeric_limits<std::int32_t>::max();

void check_dns_label(std::string_view value, const FieldPath& path, FieldErrorList& errors);
void check_dns_subdomain(std::string_view value, const FieldPath& path, FieldErrorList& errors);
void check_qualified_name(std::string_view value, const FieldPath& path, FieldErrorList& errors);
void check_nonnegative(std::int64_t value, const FieldPath& path, FieldErrorList& errors);
void check_positive(std::int64_t value, const FieldPath& path, FieldErrorList& errors);
// Required unless present.
void check_required(std::string_view value, const FieldPath& path, FieldErrorList& errors);
// Required when empty, NotSupported when not one of `supported` (in the order that the message lists them).
void check_enum(std::string_view value, const FieldPath& path, std::initializer_list<std::string_view> supported,
                FieldErrorList& errors);
// NotSupported, also when empty.
void check_supported(std::string_view value, const FieldPath& path, std::initializer_list<std::string_view> supported,
                     FieldErrorList& errors);
// Equal: both absent, or both there with the same content.
bool is_same(const apimachinery::Value* a, const apimachinery::Value* b);
// As is_same, where an empty list, map or structure counts as absent.
bool is_same_loosely(const apimachinery::Value* a, const apimachinery::Value* b);

using TextMap = apimachinery::MapView<std::string_view>;
using TextList = apimachinery::ListView<std::string_view>;

void check_labels(const TextMap& labels, const FieldPath& path, FieldErrorList& errors);
void check_annotations(const TextMap& annotations, const FieldPath& path, FieldErrorList& errors);

struct SelectorOptions {
  bool allow_invalid_values = false;
};
// A LabelSelector object; an absent one is valid.
void check_label_selector(const apimachinery::meta_v1::LabelSelector& selector, const FieldPath& path,
                          FieldErrorList& errors, SelectorOptions options = {});
bool has_invalid_label_values(const apimachinery::meta_v1::LabelSelector& selector);
// Whether a LabelSelector object (valid, not absent) selects what has these labels.
bool selects(const apimachinery::meta_v1::LabelSelector& selector, const TextMap& labels);
// A map of labels as JSON, for messages.
std::string labels_json(const TextMap& labels);

// A set of texts that allocates only when it grows beyond what objects usually hold.
class TextSet {
 public:
  bool contains(std::string_view text) const;
  // False if it was there.
  bool insert(std::string_view text);
  bool empty() const { return count_ == 0; }

 private:
  std::array<std::string_view, 16> few_;
  std::size_t count_ = 0;
  std::unique_ptr<std::set<std::string_view>> many_;
};

// Whether `text` is one of a few words.
inline bool is_any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const auto word : words)
    if (word == text) return true;
  return false;
}

}  // namespace rusternetes::api_server
