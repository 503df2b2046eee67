#pragma once
// Strategic merge patch: a merge patch that knows from the schema which lists are merged, by which key, and
// that may carry directives ($patch, $retainKeys, $setElementOrder/<list>, $deleteFromPrimitiveList/<list>).
// The order of what results is kube-apiserver's, also where its rules leave it open.

#include "apimachinery/schema.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// `document` and `patch` are schemaless trees (to_any, decode_json_any); `type` is the structure that the
// document is. Members that the schema does not know pass through. The result shares text and nodes with its
// inputs, which must outlive it, and is for reading (convert_any). Errors have the code and text of
// kube-apiserver, which answers many malformed patches with 500 and no reason.
Result<Value> apply_strategic_patch(Arena& arena, const Value& document, const Value& patch,
                                    const Type& type);

}  // namespace rusternetes::apimachinery
