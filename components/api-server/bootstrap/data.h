#pragma once
#include <string_view>

namespace rusternetes::api_server::bootstrap {

// The text of bootstrap.yaml; lives as long as the process.
std::string_view data();

}  // namespace rusternetes::api_server::bootstrap
