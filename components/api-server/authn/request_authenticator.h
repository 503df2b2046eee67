#pragma once
// Authenticator and impersonation together, on a request as a connection gives it.

#include "api-server/authn/authenticator.h"
#include "api-server/authorizer.h"
#include "http/message.h"
#include "http/server.h"

namespace rusternetes::api_server {

// Whom the request is from. Errors: 401, and for impersonation 400 and 403. Thread-safe.
Result<User> authenticate_request(const Authenticator& authenticator, const Authorizer& authorizer,
                                  const http::RequestHead& head, const http::Peer& peer);

}  // namespace rusternetes::api_server
