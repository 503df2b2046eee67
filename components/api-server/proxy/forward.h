#pragma once
// One request passed on to a backend, and what it answers passed back.

#include <memory>
#include <string>

#include "api-server/proxy/backend.h"
#include "api-server/proxy/location.h"
#include "api-server/server.h"

namespace rusternetes::api_server {

struct ForwardTarget {
  Location location;
  std::shared_ptr<const BackendTls> tls;  // null when the location needs none
  std::string path, query;                // the path decoded, the query as it is sent
};

// The client asked to change the protocol: so is the backend, and after its 101 the connections become one. What it answers
// instead is the client's answer. Until then an error is the answer.
Task<Result<void>> forward_upgrade(HandlerContext context, ForwardTarget target);
// Anything else. Links and redirects of the answer get `prefix` (decoded) in front.
Task<Result<void>> forward_plain(HandlerContext context, ForwardTarget target, std::string prefix);

}  // namespace rusternetes::api_server
