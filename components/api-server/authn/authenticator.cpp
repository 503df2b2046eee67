#include "api-server/authn/authenticator.h"

#include <algorithm>

#include "api-server/authn/x509.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"
#include "base/log.h"

namespace rusternetes::api_server {

namespace {

constexpr std::string_view websocket_prefix = "base64url.bearer.authorization.k8s.io.";

std::string_view trim(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

User with_authenticated_group(User user) {
  if (user.name != user_anonymous && !user.is_in(group_authenticated) && !user.is_in(group_unauthenticated))
    user.groups.emplace_back(group_authenticated);
  return user;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const apimachinery::Rune rune = apimachinery::decode_rune(text);
    if (rune.is_invalid_byte()) return false;
    text.remove_prefix(rune.width);
  }
  return true;
}

}  // namespace

std::string_view bearer_token(std::string_view authorization) {
  authorization = trim(authorization);
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !equals_ignoring_case(authorization.substr(0, space), "bearer"))
    return {};
  authorization.remove_prefix(space + 1);
  return authorization.substr(0, authorization.find(' '));
}

Result<std::string> websocket_bearer_token(std::span<const std::string_view> protocols) {
  std::string token;
  bool has_token = false, has_other = false;
  for (std::string_view header : protocols)
    while (true) {
      const std::size_t comma = header.find(',');
      const std::string_view protocol = trim(header.substr(0, comma));
      if (!protocol.starts_with(websocket_prefix)) {
        has_other |= !protocol.empty();
      } else {
        if (has_token)
          return apimachinery::bad_request("multiple base64.bearer.authorization tokens specified");
        has_token = true;
        auto decoded = base64url_decode(protocol.substr(websocket_prefix.size()));
        if (!decoded) return apimachinery::bad_request("invalid base64.bearer.authorization token encoding");
        if (!is_utf8(*decoded)) return apimachinery::bad_request("invalid base64.bearer.authorization token");
        token = *std::move(decoded);
      }
      if (comma == std::string_view::npos) break;
      header.remove_prefix(comma + 1);
    }
  if (!token.empty() && !has_other) return apimachinery::bad_request("missing additional subprotocol");
  return token;
}

Result<std::optional<Authenticated>> Authenticator::try_token(std::string_view token,
                                                              std::span<const std::string> wanted) const {
  if (options_.token_file) {
    const Audiences audiences = intersect(options_.api_audiences, wanted);
    if (const User* user = audiences.empty() ? nullptr : options_.token_file->find(token))
      return std::optional<Authenticated>(Authenticated{*user, audiences});
  }
  if (options_.service_accounts) return options_.service_accounts->authenticate(token, wanted);
  return std::optional<Authenticated>{};
}

Result<Authenticated> Authenticator::authenticate_token(std::string_view token,
                                                        std::span<const std::string> wanted) const {
  auto tried = try_token(token, wanted);
  if (!tried) return Status{401, "Unauthorized", "[invalid bearer token, " + tried.error().message + "]"};
  if (!*tried) return Status{401, "Unauthorized", "invalid bearer token"};
  Authenticated out = **std::move(tried);
  out.user = with_authenticated_group(std::move(out.user));
  return out;
}

Result<User> Authenticator::authenticate(const Credentials& credentials) const {
  bool is_certificate_bad = false;
  if (!credentials.verified_chain.empty()) {
    auto user = user_from_certificate(credentials.verified_chain.front());
    if (user && *user) return with_authenticated_group(**std::move(user));
    if (!user) {
      log::warn("api-server", "client certificate refused: {}", user.error().message);
      is_certificate_bad = true;
    }
  }
  std::string token(bearer_token(credentials.authorization));
  if (token.empty()) {
    auto of_websocket = websocket_bearer_token(credentials.websocket_protocols);
    if (!of_websocket) return apimachinery::unauthorized();
    token = *std::move(of_websocket);
  }
  if (!token.empty()) {
    auto authenticated = authenticate_token(token, options_.api_audiences);
    if (authenticated) return std::move(authenticated->user);
    log::debug("api-server", "bearer token refused: {}", authenticated.error().message);
    return apimachinery::unauthorized();
  }
  if (is_certificate_bad || !options_.is_anonymous_allowed) return apimachinery::unauthorized();
  User nobody;
  nobody.name = user_anonymous;
  nobody.groups = {std::string(group_unauthenticated)};
  return nobody;
}

}  // namespace rusternetes::api_server
