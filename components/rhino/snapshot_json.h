#pragma once
// The JSON in etcd's files: names, URLs, lists of them.

#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::rhino {

std::string json_string(std::string_view text);
std::string json_strings(const std::vector<std::string>& texts);

}  // namespace rusternetes::rhino
