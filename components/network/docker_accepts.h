#pragma once
// Docker sets the policy of the host's forward chain to DROP when it turned forwarding on itself, and leaves one chain
// to others: DOCKER-USER. Where it is, what a cluster's own links send or get needs an accept there; one in a table of
// our own would decide nothing.

#include <string_view>

#include "network/namespace.h"

namespace rusternetes::network {

// Adds what is missing of the two accepts (from and to the cluster's links, whose names begin alike), in each family that
// has the chain; behind the rules that the user put there. True when something was added. Without the chain nothing is done.
Result<bool> ensure_docker_accepts(const NetworkNamespace& host, std::string_view cluster);
// Exactly the cluster's; absent is success.
Result<> remove_docker_accepts(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
