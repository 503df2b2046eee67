#pragma once
// The subresources with a kind of their own: binding, eviction, scale, finalize.

#include "api-server/server.h"

namespace rusternetes::api_server {

void add_core_actions(ApiServer& server);

}  // namespace rusternetes::api_server
