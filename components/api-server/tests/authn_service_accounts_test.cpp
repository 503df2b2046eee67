#include <catch2/catch.hpp>

#include "api-server/authn/authenticator.h"
#include "api-server/authn/reviews.h"
#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/time.h"
#include "authn_keys.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
namespace authentication = apimachinery::authentication_v1;
using apimachinery::Value;
using namespace std::chrono_literals;

namespace {

const std::string issuer = "https://kubernetes.default.svc";
const Audiences api_audiences{issuer};

struct Fixture {
  TestObjects objects;
  ManualClock clock{SystemTime{1'800'000'000s}};
  ServiceAccountTokenOptions options;
  std::unique_ptr<ServiceAccountTokens> tokens;

  Fixture() {
    objects.put("{apiVersion: v1, kind: ServiceAccount, metadata: {name: bot, namespace: dev, uid: sa-uid}}");
    objects.put(
        "{apiVersion: v1, kind: Pod, metadata: {name: pod, namespace: dev, uid: pod-uid}, "
        "spec: {serviceAccountName: bot, nodeName: node}}");
    objects.put("{apiVersion: v1, kind: Node, metadata: {name: node, uid: node-uid}}");
    objects.put("{apiVersion: v1, kind: Secret, metadata: {name: secret, namespace: dev, uid: secret-uid}}");
    options.issuers = {issuer};
    options.signing_key = test_key("P-256");
    make();
  }
  void make() { tokens = std::make_unique<ServiceAccountTokens>(options, objects, clock); }

  struct Answer {
    std::string token, error, reason;
    std::int64_t expires_at_us = 0, expiration_seconds = 0;
    std::vector<std::string> warnings;
    std::string json;
  };
  Answer request(std::string_view yaml, std::string_view name = "bot") {
    apimachinery::Arena arena;
    const auto& type = authentication::TokenRequest::schema_type();
    Value value = typed_value(arena, type, yaml);
    Warnings warnings;
    const auto issued = tokens->issue("dev", name, arena, value, warnings);
    Answer answer;
    answer.warnings = warnings.texts;
    if (!issued) {
      answer.error = issued.error().message;
      answer.reason = issued.error().reason;
      return answer;
    }
    const authentication::TokenRequest view(&value);
    answer.token = view.status().token();
    answer.expires_at_us = view.status().expirationTimestamp();
    answer.expiration_seconds = view.spec().expirationSeconds();
    answer.json = json_of(value.get(authentication::TokenRequest::f_metadata),
                          apimachinery::meta_v1::ObjectMeta::schema_type());
    return answer;
  }
  std::string why(const std::string& token, const Audiences& wanted = api_audiences) {
    const auto result = tokens->authenticate(token, wanted);
    if (!result) return result.error().message;
    return *result ? "good" : "no opinion";
  }
};

ServiceAccountClaims claims_of(const std::string& token) {
  const auto jwt = parse_jwt(token);
  REQUIRE(jwt);
  const auto claims = parse_claims(jwt->payload);
  REQUIRE(claims);
  return *claims;
}

}  // namespace

TEST_CASE("an issued token makes its service account the user", "[authn]") {
  Fixture f;
  const auto answer = f.request("{spec: {}}");
  REQUIRE(answer.error.empty());
  CHECK(answer.expiration_seconds == 3600);
  CHECK(answer.expires_at_us == 1'800'003'600'000'000);
  CHECK(answer.json ==
        R"({"name":"bot","namespace":"dev","uid":"sa-uid","creationTimestamp":"2027-01-15T08:00:00Z"})");
  const auto result = f.tokens->authenticate(answer.token, api_audiences);
  REQUIRE(result);
  REQUIRE(*result);
  const User& user = (*result)->user;
  CHECK(user.name == "system:serviceaccount:dev:bot");
  CHECK(user.uid == "sa-uid");
  CHECK(user.groups == std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:dev"});
  CHECK(user.extra.size() == 1);
  CHECK(user.extra.at("authentication.kubernetes.io/credential-id").front() ==
        "JTI=" + claims_of(answer.token).id);
  CHECK((*result)->audiences == api_audiences);
}

TEST_CASE("a Pod's token names Pod and node and dies with the Pod", "[authn]") {
  Fixture f;
  const auto answer =
      f.request("{spec: {boundObjectRef: {kind: Pod, apiVersion: v1, name: pod, uid: pod-uid}}}");
  REQUIRE(answer.error.empty());
  const auto result = f.tokens->authenticate(answer.token, api_audiences);
  REQUIRE(result);
  REQUIRE(*result);
  const auto& extra = (*result)->user.extra;
  CHECK(extra.at("authentication.kubernetes.io/pod-name").front() == "pod");
  CHECK(extra.at("authentication.kubernetes.io/pod-uid").front() == "pod-uid");
  CHECK(extra.at("authentication.kubernetes.io/node-name").front() == "node");
  CHECK(extra.at("authentication.kubernetes.io/node-uid").front() == "node-uid");

  // A node that is gone, or another one of its name, changes nothing for a Pod's token.
  f.objects.remove("", "nodes", "", "node");
  CHECK(f.why(answer.token) == "good");

  const std::string deleted_at =
      apimachinery::format_time(apimachinery::to_microseconds(f.clock.now() + 30s));
  f.objects.put(
      "{apiVersion: v1, kind: Pod, metadata: {name: pod, namespace: dev, uid: pod-uid, deletionTimestamp: '" +
      deleted_at + "'}, spec: {serviceAccountName: bot}}");
  CHECK(f.why(answer.token) == "good");
  f.clock.advance(90s);
  CHECK(f.why(answer.token) == "good");
  f.clock.advance(1s);
  CHECK(f.why(answer.token) == "service account token has been invalidated");
  f.objects.put("{apiVersion: v1, kind: Pod, metadata: {name: pod, namespace: dev, uid: other}}");
  CHECK(f.why(answer.token) == "pod UID (other) does not match service account pod ref claim (pod-uid)");
  f.objects.remove("", "pods", "dev", "pod");
  CHECK(f.why(answer.token) == "service account token has been invalidated");
}

TEST_CASE("tokens bound to Secrets and Nodes die with them", "[authn]") {
  Fixture f;
  const auto of_secret = f.request("{spec: {boundObjectRef: {kind: Secret, apiVersion: v1, name: secret}}}");
  const auto of_node = f.request("{spec: {boundObjectRef: {kind: Node, apiVersion: v1, name: node}}}");
  CHECK(f.why(of_secret.token) == "good");
  CHECK(f.why(of_node.token) == "good");
  f.objects.put("{apiVersion: v1, kind: Node, metadata: {name: node, uid: other}}");
  CHECK(f.why(of_node.token) == "node UID (other) does not match service account node ref claim (node-uid)");
  f.objects.put("{apiVersion: v1, kind: Secret, metadata: {name: secret, namespace: dev, uid: other}}");
  CHECK(f.why(of_secret.token) ==
        "secret UID (other) does not match service account secret ref claim (secret-uid)");
  f.objects.remove("", "secrets", "dev", "secret");
  f.objects.remove("", "nodes", "", "node");
  CHECK(f.why(of_secret.token) == "service account token has been invalidated");
  CHECK(f.why(of_node.token) == "service account token has been invalidated");
}

TEST_CASE("a token is good for its time, its account and its audience", "[authn]") {
  Fixture f;
  const std::string token = f.request("{spec: {expirationSeconds: 600}}").token;
  CHECK(f.why(token) == "good");
  CHECK(
      f.why(token, {"other"}) ==
      R"(token audiences ["https://kubernetes.default.svc"] is invalid for the target audiences ["other"])");
  f.clock.advance(-61s);
  CHECK(f.why(token) == "service account token is not valid yet");
  f.clock.advance(1s);
  CHECK(f.why(token) == "good");
  f.clock.advance(60s + 660s);
  CHECK(f.why(token) == "good");
  f.clock.advance(1s);
  CHECK(f.why(token) == "service account token has expired");
  f.clock.advance(-100s);
  f.objects.put("{apiVersion: v1, kind: ServiceAccount, metadata: {name: bot, namespace: dev, uid: new}}");
  CHECK(f.why(token) == "service account UID (new) does not match claim (sa-uid)");
  f.objects.remove("", "serviceaccounts", "dev", "bot");
  CHECK(f.why(token) == R"(serviceaccounts "bot" not found)");
}

TEST_CASE("other issuers' tokens get no opinion, forged ones an error", "[authn]") {
  Fixture f;
  const std::string token = f.request("{spec: {}}").token;
  CHECK(f.why("not.a.token") == "no opinion");
  CHECK(f.why("opaque") == "no opinion");
  const auto foreign = sign_jwt(test_key("P-256"), R"({"iss":"https://elsewhere"})");
  REQUIRE(foreign);
  CHECK(f.why(*foreign) == "no opinion");
  std::string forged = token;
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  CHECK(f.why(forged) == "invalid signature");
  CHECK(f.why(token) == "good");
  const auto by_other_key = sign_jwt(test_key("RSA"), claims_json(claims_of(token)));
  REQUIRE(by_other_key);
  CHECK(f.why(*by_other_key) == "invalid signature, no keys found");
  f.options.verification_keys = {test_key("RSA", false)};
  f.make();
  CHECK(f.why(*by_other_key) == "good");
  CHECK(f.tokens->keys().size() == 2);
}

TEST_CASE("token requests that cannot be met are refused in Kubernetes' words", "[authn]") {
  Fixture f;
  CHECK(
      f.request("{spec: {expirationSeconds: 10}}").error ==
      R"(TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes)");
  CHECK(
      f.request("{spec: {expirationSeconds: 4294967297}}").error ==
      R"(TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds)");
  CHECK(
      f.request("{metadata: {name: x}, spec: {}}").error ==
      R"(TokenRequest.authentication.k8s.io "bot" is invalid: metadata.name: Invalid value: "x": must match the service account name if specified)");
  const auto uid = f.request("{metadata: {uid: x}, spec: {}}");
  CHECK(uid.reason == "Conflict");
  CHECK(
      uid.error ==
      R"(Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "bot": the UID in the token request (x) does not match the UID of the service account (sa-uid))");
  CHECK(f.request("{spec: {}}", "nope").error == R"(serviceaccounts "nope" not found)");
  const auto bound = [&f](std::string_view reference) {
    return f.request("{spec: {boundObjectRef: {" + std::string(reference) + "}}}");
  };
  CHECK(bound("kind: Pod, apiVersion: v1, name: nope").error == R"(pods "nope" not found)");
  CHECK(bound("kind: Secret, name: nope").error == R"(secrets "nope" not found)");
  CHECK(bound("kind: Node, apiVersion: v1, name: nope").error == R"(nodes "nope" not found)");
  CHECK(bound("kind: Foo, apiVersion: a/v1, name: nope").error ==
        "cannot bind token to object of type a/v1, Kind=Foo");
  const auto conflict = bound("kind: Pod, apiVersion: v1, name: pod, uid: x");
  CHECK(conflict.reason == "Conflict");
  CHECK(
      conflict.error ==
      R"(Operation cannot be fulfilled on Pod "pod": the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated)");
  f.objects.put("{apiVersion: v1, kind: ServiceAccount, metadata: {name: other, namespace: dev, uid: o}}");
  CHECK(f.request("{spec: {boundObjectRef: {kind: Pod, apiVersion: v1, name: pod}}}", "other").error ==
        R"(cannot bind token for serviceaccount "other" to pod running with different serviceaccount name.)");
}

TEST_CASE("projected tokens live on for a year and say when they should have been renewed", "[authn]") {
  Fixture f;
  const std::string spec = "expirationSeconds: 3607, boundObjectRef: {kind: Pod, apiVersion: v1, name: pod}";
  const auto extended = f.request("{spec: {" + spec + "}}");
  CHECK(extended.expires_at_us == (1'800'000'000LL + 3607) * 1'000'000);
  CHECK(claims_of(extended.token).expires_at == 1'800'000'000 + 365 * 24 * 3600);
  CHECK(claims_of(extended.token).warn_after == 1'800'000'000 + 3607);
  const auto for_others = f.request("{spec: {audiences: [vault], " + spec + "}}");
  CHECK(claims_of(for_others.token).expires_at == 1'800'000'000 + 3607);
  CHECK_FALSE(claims_of(for_others.token).warn_after);
  f.options.extend_expiration = false;
  f.make();
  CHECK(claims_of(f.request("{spec: {" + spec + "}}").token).expires_at == 1'800'000'000 + 3607);
  f.options.max_expiration_seconds = 1000;
  f.make();
  const auto shortened = f.request("{spec: {" + spec + "}}");
  CHECK(shortened.expiration_seconds == 1000);
  CHECK(claims_of(shortened.token).expires_at == 1'800'000'000 + 1000);
  CHECK(shortened.warnings ==
        std::vector<std::string>{"requested expiration of 3607 seconds shortened to 1000 seconds"});
}

TEST_CASE("a TokenReview tells the user or the error", "[authn]") {
  Fixture f;
  const std::string token = f.request("{spec: {}}").token;
  Authenticator::Options options;
  options.api_audiences = api_audiences;
  options.service_accounts = std::make_shared<ServiceAccountTokens>(f.options, f.objects, f.clock);
  const Authenticator authenticator(std::move(options));
  const auto review = [&](std::string_view spec) {
    apimachinery::Arena arena;
    Value value =
        typed_value(arena, authentication::TokenReview::schema_type(), "{spec: {" + std::string(spec) + "}}");
    const auto result = evaluate_token_review(authenticator, arena, value);
    if (!result) return result.error().message;
    return json_of(value.get(authentication::TokenReview::f_status),
                   authentication::TokenReviewStatus::schema_type());
  };
  CHECK(
      review("token: " + token) ==
      R"({"authenticated":true,"user":{"username":"system:serviceaccount:dev:bot","uid":"sa-uid","groups":["system:serviceaccounts","system:serviceaccounts:dev","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=)" +
          claims_of(token).id + R"("]}},"audiences":["https://kubernetes.default.svc"]})");
  CHECK(review("token: abc") == R"({"user":{},"error":"invalid bearer token"})");
  CHECK(
      review("audiences: [foo], token: " + token) ==
      R"({"user":{},"error":"[invalid bearer token, token audiences [\"https://kubernetes.default.svc\"] is invalid for the target audiences [\"foo\"]]"})");
  CHECK(review("") == "token is required for TokenReview in authentication");
}
