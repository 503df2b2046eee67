#pragma once
// JSON as YAML, as sigs.k8s.io/yaml writes it: block style, keys in order, lines folded behind column 80.

#include <string>
#include <string_view>

namespace rusternetes::api_server {

// `json` is an object or array that we wrote ourselves; text that is no JSON gives nothing.
std::string yaml_of_json(std::string_view json);

}  // namespace rusternetes::api_server
