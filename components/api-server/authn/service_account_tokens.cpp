#include "api-server/authn/service_account_tokens.h"

#include <algorithm>

#include "api-server/authz/policy_rule.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/errors.h"
#include "apimachinery/quote.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

namespace core = apimachinery::core_v1;
using apimachinery::Document;
using apimachinery::quote;

namespace {

// How far the clocks of those who issue and those who check may differ.
constexpr std::int64_t leeway_seconds = 60;

// Kubernetes' words at each turn, since clients of TokenReview see them.
Status refused(std::string message) { return internal_error(std::move(message)); }

bool was_deleted_before(apimachinery::meta_v1::ObjectMeta metadata, std::int64_t limit_seconds) {
  return metadata.deletionTimestamp(INT64_MAX) < limit_seconds * 1'000'000;
}

struct BoundKind {
  std::string_view word, claim;  // as errors name them
};

// Of a Pod, Secret or Node; their metadata stands at the same place.
Result<> check_bound(const Document& document, const ObjectIdentity& claimed, BoundKind kind,
                     std::int64_t limit_seconds) {
  if (!document) return refused("service account token has been invalidated");
  const apimachinery::meta_v1::ObjectMeta metadata = core::Pod(&document.root()).metadata();
  if (metadata.uid() != claimed.uid)
    return refused(std::string(kind.word) + " UID (" + std::string(metadata.uid()) +
                   ") does not match service account " + std::string(kind.claim) + " ref claim (" +
                   claimed.uid + ")");
  if (was_deleted_before(metadata, limit_seconds))
    return refused("service account token has been invalidated");
  return {};
}

}  // namespace

ServiceAccountTokens::ServiceAccountTokens(ServiceAccountTokenOptions options, const ObjectSource& source,
                                           const Clock& clock)
    : options_(std::move(options)), source_(source), clock_(clock) {
  if (options_.api_audiences.empty()) options_.api_audiences = options_.issuers;
  if (options_.signing_key) keys_.push_back(*options_.signing_key);
  for (const JwtKey& key : options_.verification_keys)
    if (std::none_of(keys_.begin(), keys_.end(),
                     [&key](const JwtKey& known) { return known.id() == key.id(); }))
      keys_.push_back(key);
}

std::int64_t ServiceAccountTokens::now_seconds() const {
  return std::chrono::floor<std::chrono::seconds>(clock_.now().time_since_epoch()).count();
}

Result<ServiceAccountClaims> ServiceAccountTokens::verified_claims(std::string_view token,
                                                                   const Jwt& jwt) const {
  const std::string digest = sha256(token);
  {
    std::lock_guard lock(verified_mutex_);
    if (const auto found = verified_.find(digest); found != verified_.end()) return found->second;
  }
  if (auto verified = verify_jwt(jwt, keys_); !verified) return std::move(verified).error();
  RN_TRY(ServiceAccountClaims claims, parse_claims(jwt.payload));
  std::lock_guard lock(verified_mutex_);
  if (verified_.size() >= verified_limit) verified_.clear();
  verified_.emplace(digest, claims);
  return claims;
}

Result<> ServiceAccountTokens::check_times(const ServiceAccountClaims& claims) const {
  const std::int64_t now = now_seconds();
  if (claims.not_before && now + leeway_seconds < *claims.not_before)
    return refused("service account token is not valid yet");
  if (claims.expires_at && now - leeway_seconds > *claims.expires_at)
    return refused("service account token has expired");
  if (claims.issued_at && now + leeway_seconds < *claims.issued_at)
    return refused("service account token is issued in the future");
  return {};
}

Result<> ServiceAccountTokens::check_objects(const ServiceAccountClaims& claims) const {
  const std::int64_t limit = now_seconds() - leeway_seconds;
  const std::string& name = claims.service_account.name;
  const Document account = source_.get("", "serviceaccounts", claims.name_space, name);
  if (!account) return apimachinery::not_found({"", "serviceaccounts"}, name);
  const apimachinery::meta_v1::ObjectMeta metadata = core::ServiceAccount(&account.root()).metadata();
  if (metadata.uid() != claims.service_account.uid)
    return refused("service account UID (" + std::string(metadata.uid()) + ") does not match claim (" +
                   claims.service_account.uid + ")");
  if (was_deleted_before(metadata, limit))
    return refused("service account " + claims.name_space + "/" + name + " has been deleted");

  if (claims.secret)
    RN_CHECK(check_bound(source_.get("", "secrets", claims.name_space, claims.secret->name), *claims.secret,
                         {"secret", "secret"}, limit));
  if (claims.pod)
    RN_CHECK(check_bound(source_.get("", "pods", claims.name_space, claims.pod->name), *claims.pod,
                         {"pod", "pod"}, limit));
  // A Pod's token only mentions its node.
  if (claims.node && !claims.pod)
    RN_CHECK(
        check_bound(source_.get("", "nodes", "", claims.node->name), *claims.node, {"node", "node"}, limit));
  return {};
}

Result<std::optional<Authenticated>> ServiceAccountTokens::authenticate(
    std::string_view token, std::span<const std::string> wanted) const {
  const auto jwt = parse_jwt(token);
  if (!jwt) return std::optional<Authenticated>{};
  const std::optional<std::string> issuer = peek_issuer(jwt->payload);
  if (!issuer ||
      std::find(options_.issuers.begin(), options_.issuers.end(), *issuer) == options_.issuers.end())
    return std::optional<Authenticated>{};

  RN_TRY(const ServiceAccountClaims claims, verified_claims(token, *jwt));
  const Audiences& offered = claims.audiences.empty() ? options_.api_audiences : claims.audiences;
  Audiences audiences = intersect(offered, wanted);
  if (audiences.empty() && !options_.api_audiences.empty())
    return refused("token audiences " + quote_list(offered) + " is invalid for the target audiences " +
                   quote_list(wanted));
  RN_CHECK(check_times(claims));
  RN_CHECK(check_objects(claims));
  return std::optional<Authenticated>(Authenticated{user_of_claims(claims), std::move(audiences)});
}

}  // namespace rusternetes::api_server
