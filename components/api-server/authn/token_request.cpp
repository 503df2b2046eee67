// ServiceAccountTokens::issue: the TokenRequest subresource of service accounts.

#include <algorithm>

#include "api-server/authn/service_account_tokens.h"
#include "api-server/authz/policy_rule.h"
#include "api-server/authz/service_account_names.h"
#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/field_error.h"
#include "apimachinery/quote.h"
#include "apimachinery/time.h"
#include "apimachinery/uid.h"

namespace rusternetes::api_server {

namespace authentication = apimachinery::authentication_v1;
namespace core = apimachinery::core_v1;
namespace field = apimachinery::field;
using apimachinery::Arena;
using apimachinery::Document;
using apimachinery::FieldPath;
using apimachinery::Value;
using apimachinery::ValueKind;
using Meta = apimachinery::meta_v1::ObjectMeta;
using Request = authentication::TokenRequest;
using Spec = authentication::TokenRequestSpec;

namespace {

constexpr std::string_view group = "authentication.k8s.io", kind = "TokenRequest";
constexpr std::int64_t default_expiration_seconds = 3600;
constexpr std::int64_t least_expiration_seconds = 600;
constexpr std::int64_t greatest_expiration_seconds = std::int64_t{1} << 32;
// What the ServiceAccount admission plugin asks for in projected volumes; only such tokens are extended.
constexpr std::int64_t projected_expiration_seconds = 60 * 60 + 7;
constexpr std::int64_t extended_expiration_seconds = 365 * 24 * 60 * 60;

Result<> must_match(std::string_view name, std::string_view field_name, std::string_view value,
                    std::string_view expected, std::string_view complaint) {
  if (value.empty() || value == expected) return {};
  apimachinery::FieldErrorList errors;
  const FieldPath metadata("metadata");
  errors.push_back(field::invalid(metadata.child(field_name), value, complaint));
  return errors.to_status(group, kind, name);
}

Result<> check_expiration(std::int64_t seconds) {
  apimachinery::FieldErrorList errors;
  const FieldPath spec("spec"), path = spec.child("expirationSeconds");
  if (seconds < least_expiration_seconds)
    errors.push_back(field::invalid(path, seconds, "may not specify a duration less than 10 minutes"));
  if (seconds > greatest_expiration_seconds)
    errors.push_back(field::invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"));
  if (errors.empty()) return {};
  return errors.to_status(group, kind, "");
}

// "apps/v1" and a kind as errors show them: "apps/v1, Kind=Deployment".
struct ReferencedKind {
  std::string group, version, kind;
  explicit ReferencedKind(authentication::BoundObjectReference reference) : kind(reference.kind()) {
    const std::string_view api_version = reference.apiVersion();
    const std::size_t slash = api_version.find('/');
    if (slash == std::string_view::npos) {
      version = api_version;
    } else if (api_version.find('/', slash + 1) == std::string_view::npos) {
      group = api_version.substr(0, slash);
      version = api_version.substr(slash + 1);
    }
  }
  std::string text() const { return group + "/" + version + ", Kind=" + kind; }
};

ObjectIdentity identity_of(Meta metadata) {
  return {std::string(metadata.name()), std::string(metadata.uid())};
}

// Fills in what the client left out.
void complete_metadata(Arena& arena, Value& request, Meta account, std::int64_t now_us) {
  Value& metadata = apimachinery::ensure(arena, request, Request::f_metadata);
  const auto set_missing = [&](int index, std::string_view text) {
    const Value* present = metadata.get(index);
    if (!present || present->str().empty()) apimachinery::set_string(arena, metadata, index, text);
  };
  set_missing(Meta::f_name, account.name());
  set_missing(Meta::f_namespace_, account.namespace_());
  set_missing(Meta::f_uid, account.uid());
  apimachinery::set_time(arena, metadata, Meta::f_creationTimestamp, now_us);
}

}  // namespace

// Looks up the object of spec.boundObjectRef, and for a Pod its node, into the claims.
Result<> ServiceAccountTokens::bind(Value& request, std::string_view name_space, std::string_view name,
                                    ServiceAccountClaims& claims) const {
  const authentication::BoundObjectReference reference = Request(&request).spec().boundObjectRef();
  const ReferencedKind referenced(reference);
  const bool is_core = referenced.group.empty();
  ObjectIdentity found;
  if (is_core && referenced.kind == "Pod") {
    const Document document = source_.get("", "pods", name_space, reference.name());
    if (!document) return apimachinery::not_found({"", "pods"}, reference.name());
    const core::Pod pod(&document.root());
    if (pod.spec().serviceAccountName() != name)
      return apimachinery::bad_request("cannot bind token for serviceaccount " + apimachinery::quote(name) +
                                       " to pod running with different serviceaccount name.");
    found = identity_of(pod.metadata());
    claims.pod = found;
    if (const std::string_view node_name = pod.spec().nodeName(); !node_name.empty()) {
      const Document node = source_.get("", "nodes", "", node_name);
      claims.node = node ? identity_of(core::Node(&node.root()).metadata())
                         : ObjectIdentity{std::string(node_name), ""};
    }
  } else if (is_core && (referenced.kind == "Node" || referenced.kind == "Secret")) {
    const bool is_node = referenced.kind == "Node";
    const std::string_view resource = is_node ? "nodes" : "secrets";
    const Document document =
        source_.get("", resource, is_node ? std::string_view{} : name_space, reference.name());
    if (!document) return apimachinery::not_found({"", resource}, reference.name());
    found = identity_of(core::Secret(&document.root()).metadata());
    (is_node ? claims.node : claims.secret) = found;
  } else {
    return apimachinery::bad_request("cannot bind token to object of type " + referenced.text());
  }
  if (!reference.uid().empty() && reference.uid() != found.uid)
    return apimachinery::conflict(
        {referenced.group, referenced.kind}, reference.name(),
        "the UID in the bound object reference (" + std::string(reference.uid()) +
            ") does not match the UID in record. The object might have been deleted and then recreated");
  return {};
}

Result<std::string> ServiceAccountTokens::issue(std::string_view name_space, std::string_view name,
                                                Arena& arena, Value& request, Warnings& warnings) const {
  if (!options_.signing_key || options_.issuers.empty())
    return internal_error("this server has no key to sign service account tokens with");
  const Meta sent = Request(&request).metadata();
  RN_CHECK(must_match(name, "name", sent.name(), name, "must match the service account name if specified"));
  RN_CHECK(must_match(name, "namespace", sent.namespace_(), name_space,
                      "must match the service account namespace if specified"));
  const Document document = source_.get("", "serviceaccounts", name_space, name);
  if (!document) return apimachinery::not_found({"", "serviceaccounts"}, name);
  const Meta account = core::ServiceAccount(&document.root()).metadata();
  if (!sent.uid().empty() && sent.uid() != account.uid())
    return apimachinery::conflict({group, kind}, name,
                                  "the UID in the token request (" + std::string(sent.uid()) +
                                      ") does not match the UID of the service account (" +
                                      std::string(account.uid()) + ")");

  const std::int64_t now_us = apimachinery::to_microseconds(clock_.now());
  complete_metadata(arena, request, account, now_us);
  apimachinery::erase_field(request, Request::f_status);
  Value& spec = apimachinery::ensure(arena, request, Request::f_spec);
  if (Spec(&spec).audiences().empty()) {
    Value& list = apimachinery::ensure(arena, spec, Spec::f_audiences, ValueKind::list);
    for (const std::string& audience : options_.api_audiences)
      apimachinery::append_string(arena, list, audience);
  }
  std::int64_t expiration = Spec(&spec).expirationSeconds(default_expiration_seconds);
  RN_CHECK(check_expiration(expiration));

  ServiceAccountClaims claims;
  claims.name_space = account.namespace_();
  claims.service_account = identity_of(account);
  if (Spec(&spec).has_boundObjectRef()) RN_CHECK(bind(request, name_space, name, claims));

  if (options_.max_expiration_seconds > 0 && expiration > options_.max_expiration_seconds) {
    warnings.add("requested expiration of " + std::to_string(expiration) + " seconds shortened to " +
                 std::to_string(options_.max_expiration_seconds) + " seconds");
    expiration = options_.max_expiration_seconds;
  }
  apimachinery::set_integer(arena, spec, Spec::f_expirationSeconds, expiration);

  const std::int64_t now = now_us / 1'000'000;
  claims.issuer = options_.issuers.front();
  claims.subject = service_account_user_name(claims.name_space, claims.service_account.name);
  claims.audiences = to_strings(Spec(&spec).audiences());
  claims.issued_at = claims.not_before = now;
  claims.expires_at = now + expiration;
  claims.id = apimachinery::new_uid();
  // Clients that never read their projected token again would fail after an hour: theirs lives on, and is
  // reported.
  const bool is_for_us =
      intersect(options_.api_audiences, claims.audiences).size() == claims.audiences.size();
  if (options_.extend_expiration && claims.pod && expiration == projected_expiration_seconds && is_for_us) {
    claims.warn_after = claims.expires_at;
    claims.expires_at = now + extended_expiration_seconds;
  }
  RN_TRY(const std::string token, sign_jwt(*options_.signing_key, claims_json(claims)));

  Value& status = apimachinery::ensure(arena, request, Request::f_status);
  apimachinery::set_string(arena, status, authentication::TokenRequestStatus::f_token, token);
  apimachinery::set_time(arena, status, authentication::TokenRequestStatus::f_expirationTimestamp,
                         now_us + expiration * 1'000'000);
  return "JTI=" + claims.id;
}

}  // namespace rusternetes::api_server
