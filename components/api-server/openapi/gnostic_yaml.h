#pragma once
// Extensions, enum values and defaults are YAML text within gnostic's messages.

#include <boost/json/fwd.hpp>
#include <string>

namespace rusternetes::api_server::openapi {

// Block style with a line end, as Go's encoder writes it.
std::string yaml_text(const boost::json::value& value);

}  // namespace rusternetes::api_server::openapi
