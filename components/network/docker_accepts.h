#pragma once
// Docker sets the policy of the host's forward chain to DROP when it turned forwarding on itself, and leaves one chain
// to others: DOCKER-USER. Where it is, what a cluster's own links send or get needs an accept there; one in a table of
// our own would decide nothing.

#include <string_view>

#include "network/namespace.h"

namespace rusternetes::network {

// Adds what is missing of the two accepts (from and to the cluster's links), in each family that has the
// chain; behind the rules that the user put there. True when something was changed. Without the chain nothing
// is done. `bridge`: the cluster's, where its links are not told by how their names begin (names.h); accepts
// of another one go.
Result<bool> ensure_docker_accepts(const NetworkNamespace& host, std::string_view cluster,
                                   std::string_view bridge = {});
// Exactly the cluster's; absent is success.
Result<> remove_docker_accepts(const NetworkNamespace& host, std::string_view cluster);

}  // namespace rusternetes::network
