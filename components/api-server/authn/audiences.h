#pragma once
// For whom a credential is meant.

#include <span>
#include <string>
#include <vector>

namespace rusternetes::api_server {

using Audiences = std::vector<std::string>;

// Those of `wanted`, in its order, that `offered` has.
Audiences intersect(std::span<const std::string> offered, std::span<const std::string> wanted);

}  // namespace rusternetes::api_server
