#pragma once
// What to say of a flag that is not ours: one of kube-apiserver's that is not supported, or a typing error.

#include <string>
#include <vector>

namespace CLI {
class Option;
}

namespace rusternetes::api_server {

// Empty when there is nothing to complain of.
std::string explain_unknown_flags(const std::vector<std::string>& words, const std::vector<const CLI::Option*>& known);

}  // namespace rusternetes::api_server
