#pragma once
// Acting as somebody else: the Impersonate-* headers, what the requester must be allowed for each of them,
// and who the request then is from.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

struct Impersonation {
  // Each must be allowed to the requester (verb `impersonate` on users, groups, serviceaccounts, userextras,
  // uids).
  std::vector<Attributes> needed;
  User user;
};

// `headers` are all of the request's, names in lower case. Nothing if there is no Impersonate-* header;
// BadRequest if there is one but no Impersonate-User.
Result<std::optional<Impersonation>> parse_impersonation(
    std::span<const std::pair<std::string, std::string>> headers, const User& requester);

// The user that a request is from: `requester`, or the one it may act as. BadRequest, or 403 Forbidden for
// the first thing that is not allowed.
Result<User> impersonate(const Authorizer& authorizer,
                         std::span<const std::pair<std::string, std::string>> headers, User requester);

}  // namespace rusternetes::api_server
