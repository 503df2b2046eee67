#pragma once
// JSON in and out, driven by the schema; what kube-apiserver would print for the same object, byte for byte.

#include <string>
#include <string_view>

#include "apimachinery/typed_builder.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// Decodes one JSON document. The error is a BadRequest with Go's wording where clients see it.
Result<Value> decode_json(Arena& arena, std::string_view text, const Type& type, DecodeIssues* issues = nullptr);
// A schemaless tree: objects are maps.
Result<Value> decode_json_any(Arena& arena, std::string_view text);
// Decodes a schemaless tree into a type, as if it had been printed and read again.
Result<Value> convert_any(Arena& arena, const Value& any, const Type& type, DecodeIssues* issues = nullptr);
// The reverse: what decode_json_any(encode_json(value)) would give. raw values are opened.
Result<Value> to_any(Arena& arena, const Value& value, const Type& type);

struct JsonOptions {
  // The body of a cached object has no TypeMeta; the envelope is added when sending. Written first when not empty.
  std::string_view api_version, kind;
  bool skip_type_meta = true;  // fields kind and apiVersion of the root are not written from the value
};
// Appends. `value` may be null: then what the zero value of the type prints.
void encode_json(std::string& out, const Value* value, const Type& type, const JsonOptions& options);
// With the TypeMeta that the value itself holds.
void encode_json(std::string& out, const Value& value, const Type& type);
void encode_json_any(std::string& out, const Value& value);

}  // namespace rusternetes::apimachinery
