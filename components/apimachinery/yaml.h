#pragma once
// YAML in and out, by way of JSON as sigs.k8s.io/yaml does it: plain scalars take their YAML 1.1 types.

#include "apimachinery/json.h"

namespace rusternetes::apimachinery {

// One document. Duplicate keys and unknown fields are issues, as in JSON.
Result<Value> decode_yaml(Arena& arena, std::string_view text, const Type& type, DecodeIssues* issues = nullptr);
// A JSON text as YAML.
std::string yaml_from_json(std::string_view json);

}  // namespace rusternetes::apimachinery
