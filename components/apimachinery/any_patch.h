#pragma once
// JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on schemaless trees (decode_json_any, to_any), with
// the freedoms that kube-apiserver takes: negative indexes count from the end, and `replace` of an absent
// member adds it.
//
// Results share text and nodes with their inputs, which must outlive them; they are for reading
// (convert_any).

#include <string_view>

#include "apimachinery/typed_builder.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

inline constexpr std::size_t max_json_patch_operations = 10'000;

// `issues` is given where the client wants to hear of unknown or repeated members of operations
// (fieldValidation Warn and Strict); it also decides how a malformed patch is worded. A patch that does not
// apply is 422 Invalid, without a word on why: kube-apiserver gives none. More operations than allowed are
// 413.
Result<Value> apply_json_patch(Arena& arena, const Value& document, std::string_view patch_text,
                               DecodeIssues* issues = nullptr);

// Null members of the patch remove; what replaces something that is no object keeps none of its nulls. 400 if
// the patch is neither object nor list (a list becomes the result, which then is no object of any kind).
Result<Value> apply_merge_patch(Arena& arena, const Value& document, const Value& patch);
// The same with the patch as it was sent; `issues` as for JSON patch.
Result<Value> apply_merge_patch_text(Arena& arena, const Value& document, std::string_view patch_text,
                                     DecodeIssues* issues);

// A tree whose lists and maps are copied and whose text is shared: the copy may be changed in place.
Value copy_nodes(Arena& arena, const Value& value);

}  // namespace rusternetes::apimachinery
