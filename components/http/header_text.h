#pragma once
// Text as HTTP compares and lists it: ASCII alone has upper and lower case, whatever the process' locale is.

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace rusternetes::http {

char lower_case(char c);
std::string lower_case(std::string_view text);
// "Connection refused" as Go's net package has it: "connection refused". What begins with an abbreviation
// ("I/O error") stays.
std::string uncapitalized(std::string_view text);

// The parts between commas, without blanks around them and without empty ones.
std::vector<std::string> comma_separated(std::string_view list);
// Those of all fields of that name (RFC 9110, 5.3).
std::vector<std::string> comma_separated(const Headers& headers, std::string_view name);

// A Connection field says upgrade: another protocol is asked for.
bool is_upgrade(const Headers& headers);

}  // namespace rusternetes::http
