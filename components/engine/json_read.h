#pragma once
// Reading an engine's JSON: a missing or null field is the empty value, because both engines leave fields out
// freely.

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::engine {

Result<boost::json::value> parse_json(std::string_view text);
// The member, or null. `value` may be anything.
const boost::json::value& json_at(const boost::json::value& value, std::string_view key);
std::string json_string(const boost::json::value& value, std::string_view key);
std::int64_t json_int(const boost::json::value& value, std::string_view key);
bool json_bool(const boost::json::value& value, std::string_view key);
std::map<std::string, std::string> json_map(const boost::json::value& value, std::string_view key);
std::vector<std::string> json_strings(const boost::json::value& value, std::string_view key);

boost::json::array to_json(const std::vector<std::string>& values);
boost::json::object to_json(const std::map<std::string, std::string>& values);

// RFC 3339 with up to nine digits of fraction, in ns since 1970; 0 for the engines' zero time and for what is
// none.
std::int64_t parse_time_ns(std::string_view text);

}  // namespace rusternetes::engine
