#pragma once
// What a bound service account token says (KEP-1205, KEP-4193): the JSON of its payload, and what each claim
// means.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

struct ObjectIdentity {
  std::string name, uid;
};

// Times are in seconds since 1970.
struct ServiceAccountClaims {
  std::string issuer, subject, id;
  std::vector<std::string> audiences;
  std::optional<std::int64_t> issued_at, not_before, expires_at;
  // Of the private claim `kubernetes.io`.
  std::string name_space;
  ObjectIdentity service_account;
  std::optional<ObjectIdentity> pod, secret, node;
  std::optional<std::int64_t> warn_after;
};

// As Kubernetes prints it: names sorted, what is empty left out.
std::string claims_json(const ServiceAccountClaims& claims);
// BadRequest if it is no JSON object or a claim has another type than it must have.
Result<ServiceAccountClaims> parse_claims(std::string_view json);
// Only `iss`, of a payload that nobody has verified yet; nothing if there is none.
std::optional<std::string> peek_issuer(std::string_view json);

// The user that the claims make, with Pod and node in its extra.
User user_of_claims(const ServiceAccountClaims& claims);

}  // namespace rusternetes::api_server
