#pragma once
// POST serviceaccounts/NAME/token: admission, which ties nodes to their own Pods, and then the token.

#include "api-server/admission.h"
#include "api-server/authn/service_account_tokens.h"
#include "api-server/server.h"

namespace rusternetes::api_server {

// `admission` and `tokens` outlive the server.
void add_token_action(ApiServer& server, const AdmissionChain& admission, const ServiceAccountTokens& tokens);

}  // namespace rusternetes::api_server
