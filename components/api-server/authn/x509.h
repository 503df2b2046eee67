#pragma once
// Who a client certificate is for: the subject's common name is the user, its organizations are the groups.

#include <optional>
#include <string>
#include <string_view>

#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

// What a request is told about the credential that was used, in UserInfo.extra.
inline constexpr std::string_view extra_credential_id = "authentication.kubernetes.io/credential-id";

// `leaf_der` is the first of a chain that has been verified for client authentication. Nothing if the
// certificate has no common name. Error: it cannot be parsed, or its UID attributes (1.3.6.1.4.1.57683.2) are
// not exactly one.
Result<std::optional<User>> user_from_certificate(std::string_view leaf_der);

}  // namespace rusternetes::api_server
