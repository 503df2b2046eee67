// A Pod's token that a kube-apiserver v1.35.4 issued, with what its own TokenReview and key set said.

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "api-server/authn/openid_documents.h"
#include "api-server/authn/reviews.h"
#include "api-server/authn/service_account_tokens.h"
#include "apimachinery/api/authentication_v1.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
using apimachinery::Value;

TEST_CASE("a token of kube-apiserver's is read as kube-apiserver reads it", "[authn]") {
  std::ifstream in(RUSTERNETES_SOURCE_DIR "/components/api-server/tests/authn_peer_token.json",
                   std::ios::binary);
  REQUIRE(in);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  apimachinery::Arena arena;
  const auto recorded = apimachinery::decode_json_any(arena, text);
  REQUIRE(recorded);
  const auto at = [&recorded](std::string_view name) { return std::string(recorded->lookup(name)->str()); };
  const auto identity = [&recorded](std::string_view name) {
    const Value& found = *recorded->lookup(name);
    return "name: " + std::string(found.lookup("name")->str()) +
           ", uid: " + std::string(found.lookup("uid")->str());
  };

  TestObjects objects;
  const std::string in_namespace = ", namespace: " + at("namespace") + "}}";
  objects.put("{apiVersion: v1, kind: ServiceAccount, metadata: {" + identity("serviceAccount") +
              in_namespace);
  objects.put("{apiVersion: v1, kind: Pod, metadata: {" + identity("pod") + in_namespace);
  ManualClock clock{SystemTime{std::chrono::seconds{recorded->lookup("issuedAt")->integer + 10}}};
  ServiceAccountTokenOptions options;
  options.issuers = {"https://kubernetes.default.svc"};
  auto keys = JwtKey::all_from_pem(at("publicKey"));
  REQUIRE(keys);
  options.verification_keys = *keys;
  const ServiceAccountTokens tokens(options, objects, clock);

  const auto result = tokens.authenticate(at("token"), tokens.api_audiences());
  REQUIRE(result);
  REQUIRE(*result);
  User user = (*result)->user;
  user.groups.emplace_back(group_authenticated);
  Value info = Value::empty(apimachinery::ValueKind::structure);
  set_user_info(arena, info, user);
  const auto printed =
      apimachinery::to_any(arena, info, apimachinery::authentication_v1::UserInfo::schema_type());
  REQUIRE(printed);
  std::string ours, theirs;
  apimachinery::encode_json_any(ours, *printed);
  apimachinery::encode_json_any(theirs, *recorded->lookup("user"));
  CHECK(ours == theirs);

  const auto jwt = parse_jwt(at("token"));
  REQUIRE(jwt);
  const auto claims = parse_claims(jwt->payload);
  REQUIRE(claims);
  CHECK(claims_json(*claims) == jwt->payload);
  const auto documents = openid_documents(options.issuers[0], "", "h", *keys);
  REQUIRE(documents);
  CHECK(documents->keys == at("jwks"));
}
