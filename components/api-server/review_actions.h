#pragma once
// Reviews and tokens: kinds that are asked, not stored.

#include "api-server/authn/authenticator.h"
#include "api-server/authz/rule_resolver.h"
#include "api-server/server.h"
#include "http/client.h"

namespace rusternetes::api_server {

// Everything outlives the server.
void add_review_actions(ApiServer& server, const Authenticator& authenticator, const RuleResolver& resolver);
// GET pods/NAME/log, from the kubelet of the Pod's node.
// Without credentials for kubelets, only what needs none is answered.
void add_pod_log(ApiServer& server, std::optional<http::ClientTls> kubelet_client);

}  // namespace rusternetes::api_server
