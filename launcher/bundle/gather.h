#pragma once
// All that a bundle has about one cluster, cleaned of secrets.

#include <string>
#include <vector>

#include "launcher/bundle/archive.h"
#include "launcher/session.h"

namespace rusternetes::launcher::bundle {

struct Bundle {
  std::vector<Entry> entries;
  std::vector<std::string> missing;  // "network.txt: not root": what could not be had, and why
};

// Never fails: each part stands alone, and "missing.txt" in the bundle names those that could not be had.
Bundle gather(Invocation& invocation, Session& session, const Context& context);

}  // namespace rusternetes::launcher::bundle
