#pragma once
// The small pieces of JSON text, written as Go's encoder writes them (HTML characters escaped, shortest doubles).

#include <string>
#include <string_view>

namespace rusternetes::apimachinery {

// With quotes. Invalid UTF-8 becomes U+FFFD; < > & and U+2028/9 are escaped.
void append_json_string(std::string& out, std::string_view text);
void append_json_double(std::string& out, double value);

}  // namespace rusternetes::apimachinery
