#pragma once
// Objects as a file, and a file as objects.

#include <string>
#include <string_view>
#include <vector>

#include "addons/object.h"
#include "base/status.h"

namespace rusternetes::addons {

// YAML, a document an object.
std::string print_manifest(const std::vector<Object>& objects);

// YAML or JSON: documents between lines of "---", each an object of a built-in kind or a List of such.
// Strict: a field that is unknown or said twice, a missing name and a namespace too few or too many are
// errors, in one sentence that says which object of the file it is.
Result<std::vector<Object>> parse_manifest(std::string_view text);

}  // namespace rusternetes::addons
