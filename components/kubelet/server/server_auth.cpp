#include "kubelet/server/server_auth.h"

#include <fmt/format.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <memory>

#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/authorization_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "client/object_builder.h"

namespace rusternetes::kubelet {

using namespace apimachinery;

namespace {

constexpr std::size_t kMostKnown = 4096;
constexpr auto kTokenKept = std::chrono::minutes(2);
constexpr auto kAllowedKept = std::chrono::minutes(5);
constexpr auto kDeniedKept = std::chrono::seconds(30);

std::string entry_text(X509_NAME_ENTRY* entry) {
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
  if (length < 0) return {};
  std::string out(reinterpret_cast<char*>(text), static_cast<std::size_t>(length));
  OPENSSL_free(text);
  return out;
}

std::string digest(std::string_view text) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

bool is_below(std::string_view path, std::string_view base) {
  return path == base || (path.starts_with(base) && path[base.size()] == '/');
}

}  // namespace

std::optional<Caller> caller_of_certificate(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  std::unique_ptr<X509, decltype(&X509_free)> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  if (!certificate) return {};
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  Caller out;
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    const int kind = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (kind == NID_commonName) out.name = entry_text(entry);
    if (kind == NID_organizationName) out.groups.push_back(entry_text(entry));
  }
  if (out.name.empty()) return {};
  out.groups.emplace_back("system:authenticated");
  return out;
}

std::vector<std::string> node_subresources(std::string_view path) {
  std::vector<std::string> out;
  if (is_below(path, "/pods") || is_below(path, "/runningpods")) out.emplace_back("pods");
  if (is_below(path, "/healthz")) out.emplace_back("healthz");
  if (is_below(path, "/configz")) out.emplace_back("configz");
  if (is_below(path, "/stats"))
    out.emplace_back("stats");
  else if (is_below(path, "/metrics"))
    out.emplace_back("metrics");
  else if (is_below(path, "/logs"))
    out.emplace_back("log");
  else if (is_below(path, "/checkpoint"))
    out.emplace_back("checkpoint");
  else if (is_below(path, "/statusz"))
    out.emplace_back("statusz");
  else if (is_below(path, "/flagz"))
    out.emplace_back("configz");
  else
    out.emplace_back("proxy");
  return out;
}

std::string api_verb(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return {};
}

Task<Result<Caller>> ServerAuth::review_token(std::string token) {
  using R = authentication_v1::TokenReview;
  const auto now = clock_.steady_now();
  const std::string key = digest(token);
  if (auto it = tokens_.find(key); it != tokens_.end() && now < it->second.until) co_return it->second.caller;
  client::ObjectBuilder builder(R::schema_type());
  Value& spec = ensure(builder.arena(), builder.root(), R::f_spec);
  set_string(builder.arena(), spec, authentication_v1::TokenReviewSpec::f_token, token);
  const client::Resource reviews{"authentication.k8s.io", "v1", "tokenreviews"};
  auto answer = co_await client_.create(reviews, "", "", "", builder.freeze(), {});
  if (!answer) co_return answer.error();
  const auto status = R(&answer->root()).status();
  if (!status.authenticated()) co_return unauthorized();
  Caller caller;
  caller.name = status.user().username();
  caller.uid = status.user().uid();
  for (const auto group : status.user().groups()) caller.groups.emplace_back(group);
  if (tokens_.size() >= kMostKnown) tokens_.clear();
  tokens_[key] = {caller, now + kTokenKept};
  co_return caller;
}

Task<Result<bool>> ServerAuth::review_access(Caller caller, std::string verb, std::string subresource) {
  using R = authorization_v1::SubjectAccessReview;
  using S = authorization_v1::SubjectAccessReviewSpec;
  using A = authorization_v1::ResourceAttributes;
  const auto now = clock_.steady_now();
  const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", caller.name, caller.uid, fmt::join(caller.groups, "\n"), verb, subresource);
  if (auto it = accesses_.find(key); it != accesses_.end() && now < it->second.until) co_return it->second.is_allowed;
  client::ObjectBuilder builder(R::schema_type());
  Arena& arena = builder.arena();
  Value& spec = ensure(arena, builder.root(), R::f_spec);
  set_string(arena, spec, S::f_user, caller.name);
  if (!caller.uid.empty()) set_string(arena, spec, S::f_uid, caller.uid);
  Value& groups = ensure(arena, spec, S::f_groups, ValueKind::list);
  for (const auto& group : caller.groups) append_string(arena, groups, group);
  Value& attributes = ensure(arena, spec, S::f_resourceAttributes);
  set_string(arena, attributes, A::f_verb, verb);
  set_string(arena, attributes, A::f_version, "v1");
  set_string(arena, attributes, A::f_resource, "nodes");
  set_string(arena, attributes, A::f_subresource, subresource);
  set_string(arena, attributes, A::f_name, node_name_);
  const client::Resource reviews{"authorization.k8s.io", "v1", "subjectaccessreviews"};
  auto answer = co_await client_.create(reviews, "", "", "", builder.freeze(), {});
  if (!answer) co_return answer.error();
  const bool is_allowed = R(&answer->root()).status().allowed();
  if (accesses_.size() >= kMostKnown) accesses_.clear();
  accesses_[key] = {is_allowed, now + (is_allowed ? std::chrono::steady_clock::duration(kAllowedKept) : std::chrono::steady_clock::duration(kDeniedKept))};
  co_return is_allowed;
}

Task<Result<Caller>> ServerAuth::check(const http::Peer& peer, const http::RequestHead& head) {
  std::optional<Caller> caller;
  if (!peer.verified_chain.empty()) caller = caller_of_certificate(peer.verified_chain.front());
  if (!caller) {
    const auto header = head.headers.get("authorization").value_or("");
    constexpr std::string_view kBearer = "Bearer ";
    if (!header.starts_with(kBearer)) co_return unauthorized();
    auto reviewed = co_await review_token(std::string(header.substr(kBearer.size())));
    if (!reviewed) co_return reviewed.error();
    caller = *std::move(reviewed);
  }
  const auto path = std::string_view(head.target).substr(0, head.target.find('?'));
  const std::string verb = api_verb(head.method);
  const auto subresources = node_subresources(path);
  for (const auto& subresource : subresources) {
    auto allowed = co_await review_access(*caller, verb, subresource);
    if (!allowed) co_return allowed.error();
    if (*allowed) co_return *std::move(caller);
  }
  co_return Status{403, "Forbidden",
                   fmt::format("Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])", caller->name, verb,
                               fmt::join(subresources, " "))};
}

}  // namespace rusternetes::kubelet
