#pragma once
// A host's state as text (network/tests/world.h), to compare before with after.

#include "world.h"

namespace rusternetes::host_agent::testing {

// Without what the kernel does by itself, some of it seconds after a link has come up: link-local addresses,
// and its own table of routes.
inline std::vector<std::string> host_lines(const network::NetworkNamespace& host) {
  auto lines = network::testing::lines_of(host);
  std::erase_if(lines, [](const std::string& line) {
    return line.find("fe80:") != line.npos || line.find("ff00:") != line.npos ||
           line.find(" table 255 ") != line.npos;
  });
  return lines;
}

}  // namespace rusternetes::host_agent::testing
