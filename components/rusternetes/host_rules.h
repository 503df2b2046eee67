#pragma once
// Keeps what the cluster needs of rules on the host: its accepts in Docker's DOCKER-USER chain and, for a node that is a
// namespace of its own, the drop rule, the masquerade and the published ports. They are looked at when it starts and whenever
// a rule of the host changes. They stay when it stops; the link's owner takes them away.

#include <memory>

#include "base/status.h"
#include "network/namespace.h"
#include "network/rule_keeper.h"
#include "rusternetes/options.h"
#include "rusternetes/service_ranges.h"

namespace rusternetes {

// To be started. `ranges`: what is dropped on the host when it stands for a node. What is refused is logged,
// since the cluster works without Docker's consent elsewhere.
Result<std::unique_ptr<network::RuleKeeper>> make_host_rules(const network::NetworkNamespace& host,
                                                             const ProcessOptions& options,
                                                             std::shared_ptr<const ServiceRanges> ranges);

}  // namespace rusternetes
