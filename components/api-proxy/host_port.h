#pragma once
// An address as flags have it: HOST:PORT.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace rusternetes::api_proxy {

struct HostPort {
  std::string host;  // a name or a literal address, without brackets
  std::uint16_t port = 0;

  // "[::1]:6443" where the host has colons.
  std::string text() const;
  bool operator==(const HostPort&) const = default;
};

// "10.0.0.1:6443", "[fd00::1]:6443", "api-1:6443". BadRequest otherwise, in half a sentence without the flag.
Result<HostPort> parse_host_port(const std::string& text);

}  // namespace rusternetes::api_proxy
