#pragma once
// What is done to Services of an api-server while a proxy watches it.

#include <string>
#include <vector>

#include "base/status.h"
#include "http/client.h"
#include "rules/objects.h"

namespace rusternetes::bench {

// Creates the node, the Services and their EndpointSlices.
Result<void> make_services(const http::Endpoint& endpoint, const Scale& scale,
                           const std::string& node_address);

struct ChangeReport {
  std::vector<double> rule_ms;    // from just before the request until the new rule was told by the kernel
  std::vector<double> answer_ms;  // until the api-server's answer was read
};
// Changes an endpoint's address, `count` times, each when the kernel has told of no change for `quiet_ms`, so
// that the least time that a proxy leaves between two changes does not count. `from` is the number of changes
// made before.
Result<ChangeReport> change_endpoints(const http::Endpoint& endpoint, const Scale& scale, std::size_t from,
                                      std::size_t count, int quiet_ms);

}  // namespace rusternetes::bench
