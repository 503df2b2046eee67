#pragma once
// What has to be so before a new cluster is begun, whether `create` or `clone` makes it
// (commands/create.cpp).

#include <string>

#include "base/status.h"
#include "launcher/ports/engine_port.h"
#include "launcher/session.h"

namespace rusternetes::launcher {

// NotRoot, BinaryMissing, PathTooLong.
Result<> check_host(Invocation& invocation, const std::string& mode);
// An engine that answers, of that kind if it is not empty, or a Podman of the cluster's own.
Result<EngineChoice> choose_engine(Invocation& invocation, const std::string& kind);
// Nothing of the name may be around, whichever home it came from: names of links, rules and containers carry
// it. ClusterExists, FolderInTheWay.
Result<> check_is_new(Invocation& invocation, Session& session, const EngineChoice& engine);

}  // namespace rusternetes::launcher
