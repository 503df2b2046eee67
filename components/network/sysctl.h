#pragma once
// Values below /proc/sys. Those below /proc/sys/net are the calling thread's namespace's own.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace rusternetes::network {

// `key` is a path below /proc/sys ("net/ipv4/conf/eth0.1/send_redirects"): with slashes, as interface names
// have dots. The value comes without its newline, several numbers separated by one space.
Result<std::string> read_sysctl(std::string_view key);
// Looks first and writes only what differs, so that a read-only /proc/sys with the right value is fine.
// Returns the value that stood before.
Result<std::string> write_sysctl(std::string_view key, std::string_view value);
Result<> write_sysctls(std::initializer_list<std::pair<std::string, std::string>> values);

}  // namespace rusternetes::network
