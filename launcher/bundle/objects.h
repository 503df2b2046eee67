#pragma once
// API objects without what may hold secrets by its meaning: values of environment variables, commands and
// their arguments, headers of probes, annotations' values, and the data of ConfigMaps. Names of keys stay.

#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::launcher::bundle {

// Of a list, or of one object, as JSON. An error for what is none, and for Secrets.
Result<std::string> without_secrets(std::string_view json);

}  // namespace rusternetes::launcher::bundle
