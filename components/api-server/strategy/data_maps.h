#pragma once
// What ConfigMaps and Secrets have in common.

#include "api-server/strategy/checks.h"

namespace rusternetes::api_server {

// Of all values of one object together.
inline constexpr std::int64_t max_data_bytes = 1024 * 1024;

// Checks the keys; gives the bytes of the values.
inline std::size_t check_data_keys(const TextMap& data, const FieldPath& path, FieldErrorList& errors) {
  std::size_t total = 0;
  for (const auto& [key, value] : data) {
    errors.push_invalid(path.key(key), key, apimachinery::is_config_map_key(key));
    total += value.size();
  }
  return total;
}

inline void check_still_immutable(bool is_immutable, FieldErrorList& errors) {
  if (!is_immutable)
    errors.push_back(apimachinery::field::forbidden(FieldPath("immutable"), "field is immutable when `immutable` is set"));
}
inline void check_same_data(const apimachinery::Value* now, const apimachinery::Value* then, std::string_view name,
                            FieldErrorList& errors) {
  if (!is_same_loosely(now, then))
    errors.push_back(apimachinery::field::forbidden(FieldPath(name), "field is immutable when `immutable` is set"));
}

}  // namespace rusternetes::api_server
