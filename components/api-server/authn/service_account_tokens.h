#pragma once
// Tokens of service accounts: checking those that clients bring, and issuing new ones (TokenRequest). A token
// is good only while the objects that it is bound to exist.

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api-server/authn/audiences.h"
#include "api-server/authn/jwt.h"
#include "api-server/authn/service_account_claims.h"
#include "api-server/authorizer.h"
#include "apimachinery/value.h"
#include "base/clock.h"
#include "base/status.h"

namespace rusternetes::api_server {

// A user, and for which of the wanted audiences the credential is good.
struct Authenticated {
  User user;
  Audiences audiences;
};

struct ServiceAccountTokenOptions {
  std::vector<std::string> issuers;       // --service-account-issuer: the first signs, all are accepted
  Audiences api_audiences;                // --api-audiences; the issuers when empty
  std::vector<JwtKey> verification_keys;  // --service-account-key-file
  std::optional<JwtKey> signing_key;  // --service-account-signing-key-file; accepted for verification, too
  bool extend_expiration = true;      // --service-account-extend-token-expiration
  std::int64_t max_expiration_seconds = 0;  // --service-account-max-token-expiration; 0: no limit
};

class ServiceAccountTokens {
 public:
  // `source` and `clock` outlive it.
  ServiceAccountTokens(ServiceAccountTokenOptions options, const ObjectSource& source,
                       const Clock& clock = Clock::system());

  // Nothing: no token of one of our issuers. An error's message is what a TokenReview shows. Thread-safe.
  Result<std::optional<Authenticated>> authenticate(std::string_view token,
                                                    std::span<const std::string> wanted) const;

  // Evaluates an authentication.k8s.io/v1 TokenRequest for the service account of the URL: checks and
  // completes `request`, signs, fills in its `status`. Gives the credential's id ("JTI=..."), for the audit
  // annotation authentication.kubernetes.io/issued-credential-id. Errors as Kubernetes': 422, 404, 409, 400.
  // Thread-safe.
  Result<std::string> issue(std::string_view name_space, std::string_view name, apimachinery::Arena& arena,
                            apimachinery::Value& request, Warnings& warnings) const;

  const Audiences& api_audiences() const { return options_.api_audiences; }
  const std::vector<std::string>& issuers() const { return options_.issuers; }
  // Those that verify, the signing key's first.
  const std::vector<JwtKey>& keys() const { return keys_; }

 private:
  Result<ServiceAccountClaims> verified_claims(std::string_view token, const Jwt& jwt) const;
  Result<> check_times(const ServiceAccountClaims& claims) const;
  Result<> check_objects(const ServiceAccountClaims& claims) const;
  Result<> bind(apimachinery::Value& request, std::string_view name_space, std::string_view name,
                ServiceAccountClaims& claims) const;
  std::int64_t now_seconds() const;

  ServiceAccountTokenOptions options_;
  const ObjectSource& source_;
  const Clock& clock_;
  std::vector<JwtKey> keys_;

  // Claims of tokens whose signatures were verified, by SHA-256: a signature stays right, while times and
  // objects are looked at each time. Emptied when full.
  static constexpr std::size_t verified_limit = 4096;
  mutable std::mutex verified_mutex_;
  mutable std::unordered_map<std::string, ServiceAccountClaims> verified_;
};

}  // namespace rusternetes::api_server
