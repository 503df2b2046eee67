#include "api-server/authn/service_account_claims.h"

#include <cmath>

#include "api-server/authn/x509.h"
#include "api-server/authz/service_account_names.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"

namespace rusternetes::api_server {

using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

// Members of one JSON object, in the order they are added.
class ObjectWriter {
 public:
  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    apimachinery::append_json_string(member(name), value);
  }
  void number(std::string_view name, std::optional<std::int64_t> value) {
    if (value) member(name) += std::to_string(*value);
  }
  void raw(std::string_view name, std::string_view json) { member(name) += json; }
  std::string finish() { return out_ + "}"; }

 private:
  std::string& member(std::string_view name) {
    if (out_.size() > 1) out_ += ',';
    apimachinery::append_json_string(out_, name);
    return out_ += ':';
  }
  std::string out_ = "{";
};

std::string identity_json(const ObjectIdentity& identity) {
  ObjectWriter out;
  out.text("name", identity.name);
  out.text("uid", identity.uid);
  return out.finish();
}

Status bad_claim(std::string_view name) {
  return apimachinery::bad_request("the token's claim " + std::string(name) + " has a wrong type");
}

// A field of a claims object; null pointer when it is absent or null.
const Value* member(const Value& object, std::string_view name) {
  const Value* found = object.lookup(name);
  return found && !found->is_null() ? found : nullptr;
}

Result<> read_text(const Value& object, std::string_view name, std::string& to) {
  const Value* found = member(object, name);
  if (!found) return {};
  if (found->kind != ValueKind::string) return bad_claim(name);
  to = found->str();
  return {};
}

Result<> read_time(const Value& object, std::string_view name, std::optional<std::int64_t>& to) {
  constexpr double limit =
      9.0e15;  // whole in a double, and far from overflow when seconds become nanoseconds elsewhere
  const Value* found = member(object, name);
  if (!found) return {};
  if (found->kind == ValueKind::integer && std::abs(static_cast<double>(found->integer)) < limit)
    to = found->integer;
  else if (found->kind == ValueKind::floating && std::abs(found->floating) < limit)
    to = static_cast<std::int64_t>(found->floating);
  else
    return bad_claim(name);
  return {};
}

Result<> read_audiences(const Value& object, std::vector<std::string>& to) {
  const Value* found = member(object, "aud");
  if (!found) return {};
  if (found->kind == ValueKind::string) {
    to.emplace_back(found->str());
    return {};
  }
  if (found->kind != ValueKind::list) return bad_claim("aud");
  for (const Value& audience : found->children()) {
    if (audience.kind != ValueKind::string) return bad_claim("aud");
    to.emplace_back(audience.str());
  }
  return {};
}

Result<> read_identity(const Value& object, std::string_view name, std::optional<ObjectIdentity>& to) {
  const Value* found = member(object, name);
  if (!found) return {};
  if (found->kind != ValueKind::map) return bad_claim(name);
  to.emplace();
  RN_CHECK(read_text(*found, "name", to->name));
  return read_text(*found, "uid", to->uid);
}

Result<> read_private_claims(const Value& object, ServiceAccountClaims& to) {
  const Value* found = member(object, "kubernetes.io");
  if (!found) return {};
  if (found->kind != ValueKind::map) return bad_claim("kubernetes.io");
  RN_CHECK(read_text(*found, "namespace", to.name_space));
  std::optional<ObjectIdentity> service_account;
  RN_CHECK(read_identity(*found, "serviceaccount", service_account));
  if (service_account) to.service_account = *std::move(service_account);
  RN_CHECK(read_identity(*found, "pod", to.pod));
  RN_CHECK(read_identity(*found, "secret", to.secret));
  RN_CHECK(read_identity(*found, "node", to.node));
  return read_time(*found, "warnafter", to.warn_after);
}

}  // namespace

std::string claims_json(const ServiceAccountClaims& claims) {
  ObjectWriter kubernetes;
  kubernetes.text("namespace", claims.name_space);
  if (claims.node) kubernetes.raw("node", identity_json(*claims.node));
  if (claims.pod) kubernetes.raw("pod", identity_json(*claims.pod));
  if (claims.secret) kubernetes.raw("secret", identity_json(*claims.secret));
  kubernetes.raw("serviceaccount", identity_json(claims.service_account));
  kubernetes.number("warnafter", claims.warn_after);

  ObjectWriter out;
  if (!claims.audiences.empty()) {
    std::string list = "[";
    for (const std::string& audience : claims.audiences) {
      if (list.size() > 1) list += ',';
      apimachinery::append_json_string(list, audience);
    }
    out.raw("aud", list + "]");
  }
  out.number("exp", claims.expires_at);
  out.number("iat", claims.issued_at);
  out.text("iss", claims.issuer);
  out.text("jti", claims.id);
  out.raw("kubernetes.io", kubernetes.finish());
  out.number("nbf", claims.not_before);
  out.text("sub", claims.subject);
  return out.finish();
}

Result<ServiceAccountClaims> parse_claims(std::string_view json) {
  apimachinery::Arena arena;
  RN_TRY(const Value root, apimachinery::decode_json_any(arena, json));
  if (root.kind != ValueKind::map) return bad_claim("(all)");
  ServiceAccountClaims claims;
  RN_CHECK(read_text(root, "iss", claims.issuer));
  RN_CHECK(read_text(root, "sub", claims.subject));
  RN_CHECK(read_text(root, "jti", claims.id));
  RN_CHECK(read_audiences(root, claims.audiences));
  RN_CHECK(read_time(root, "iat", claims.issued_at));
  RN_CHECK(read_time(root, "nbf", claims.not_before));
  RN_CHECK(read_time(root, "exp", claims.expires_at));
  RN_CHECK(read_private_claims(root, claims));
  return claims;
}

std::optional<std::string> peek_issuer(std::string_view json) {
  apimachinery::Arena arena;
  const auto root = apimachinery::decode_json_any(arena, json);
  if (!root || root->kind != ValueKind::map) return std::nullopt;
  const Value* issuer = root->lookup("iss");
  if (!issuer || issuer->kind != ValueKind::string) return std::nullopt;
  return std::string(issuer->str());
}

User user_of_claims(const ServiceAccountClaims& claims) {
  User user;
  user.name = service_account_user_name(claims.name_space, claims.service_account.name);
  user.uid = claims.service_account.uid;
  user.groups = service_account_groups(claims.name_space);
  const auto extra = [&user](std::string_view name, const std::string& value) {
    user.extra[std::string(name)] = {value};
  };
  if (claims.pod && !claims.pod->name.empty() && !claims.pod->uid.empty()) {
    extra("authentication.kubernetes.io/pod-name", claims.pod->name);
    extra("authentication.kubernetes.io/pod-uid", claims.pod->uid);
  }
  if (!claims.id.empty()) extra(extra_credential_id, "JTI=" + claims.id);
  if (claims.node && !claims.node->name.empty()) {
    extra("authentication.kubernetes.io/node-name", claims.node->name);
    if (!claims.node->uid.empty()) extra("authentication.kubernetes.io/node-uid", claims.node->uid);
  }
  return user;
}

}  // namespace rusternetes::api_server
