#include "api-server/authn/request_authenticator.h"

#include <string_view>
#include <vector>

#include "api-server/authn/impersonation.h"

namespace rusternetes::api_server {

Result<User> authenticate_request(const Authenticator& authenticator, const Authorizer& authorizer,
                                  const http::RequestHead& head, const http::Peer& peer) {
  const std::vector<std::string_view> protocols = head.headers.all("sec-websocket-protocol");
  Credentials credentials;
  credentials.verified_chain = peer.verified_chain;
  credentials.authorization = head.headers.get("authorization").value_or(std::string_view{});
  credentials.websocket_protocols = protocols;
  RN_TRY(User user, authenticator.authenticate(credentials));
  return impersonate(authorizer, head.headers.fields(), std::move(user));
}

}  // namespace rusternetes::api_server
