#pragma once

#include <set>
#include <string_view>

namespace rusternetes::api_server {

// kube-apiserver v1.35's flags that have no counterpart here (yet); without dashes.
const std::set<std::string_view>& unsupported_flags();

}  // namespace rusternetes::api_server
