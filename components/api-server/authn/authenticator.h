#pragma once
// Who makes a request: a client certificate, else a bearer token (static file, then service accounts), else
// nobody in particular. A token that is not right is never taken for no token.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api-server/authn/service_account_tokens.h"
#include "api-server/authn/token_file.h"
#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

// What a request brings. Views; all outlive the call.
struct Credentials {
  std::span<const std::string> verified_chain;  // DER, leaf first; empty without a (verified) certificate
  std::string_view authorization;               // the Authorization header
  std::span<const std::string_view> websocket_protocols;  // Sec-WebSocket-Protocol, each header's value
};

class Authenticator {
 public:
  struct Options {
    bool is_anonymous_allowed = true;                              // --anonymous-auth
    Audiences api_audiences;                                       // of the certificates and the token file
    std::optional<TokenFile> token_file;                           // --token-auth-file
    std::shared_ptr<const ServiceAccountTokens> service_accounts;  // may be null
  };
  explicit Authenticator(Options options) : options_(std::move(options)) {}

  // The user, with system:authenticated (or, for nobody, system:anonymous in system:unauthenticated). The
  // error is 401 Unauthorized, which tells clients nothing more; the reason is logged. Thread-safe.
  Result<User> authenticate(const Credentials& credentials) const;

  // A token for one of the audiences. The error's message is what TokenReview shows.
  Result<Authenticated> authenticate_token(std::string_view token, std::span<const std::string> wanted) const;

  const Audiences& api_audiences() const { return options_.api_audiences; }

 private:
  Result<std::optional<Authenticated>> try_token(std::string_view token,
                                                 std::span<const std::string> wanted) const;
  Options options_;
};

// The token of an Authorization header, empty if it holds none.
std::string_view bearer_token(std::string_view authorization);
// The token among WebSocket subprotocols (`base64url.bearer.authorization.k8s.io.TOKEN`), which browsers
// need; empty if there is none. Error: two of them, bad encoding, or no other subprotocol beside it.
Result<std::string> websocket_bearer_token(std::span<const std::string_view> protocols);

}  // namespace rusternetes::api_server
