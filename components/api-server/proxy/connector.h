#pragma once
// pods/exec, attach and portforward, and the proxies of Pods, Services and Nodes.

#include <memory>
#include <optional>

#include "api-server/server.h"
#include "http/client.h"

namespace rusternetes::api_server {

// `kubelet_client` identifies the api-server to kubelets; without it what leads to one is refused.
void add_connects(ApiServer& server, std::optional<http::ClientTls> kubelet_client);

}  // namespace rusternetes::api_server
