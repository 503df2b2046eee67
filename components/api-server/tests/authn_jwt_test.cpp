#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>

#include "api-server/authn/jwt.h"
#include "api-server/authn/openid_documents.h"
#include "api-server/authn/service_account_claims.h"
#include "authn_keys.h"

using namespace rusternetes;
using namespace rusternetes::api_server;

TEST_CASE("base64url is canonical and has no padding", "[authn]") {
  for (const std::string_view text : {"", "f", "fo", "foo", "foob", "\xff\xfe\xfd"}) {
    const auto decoded = base64url_decode(base64url_encode(text));
    REQUIRE(decoded);
    CHECK(*decoded == text);
  }
  CHECK(base64url_encode("\xfb\xff") == "-_8");
  for (const std::string_view bad : {"a", "Zg==", "Zh", "Zm9+", "Zm9/", "Zg\n"})
    CHECK_FALSE(base64url_decode(bad));
}

TEST_CASE("tokens signed by each kind of key verify with it alone", "[authn]") {
  const std::vector<JwtKey> keys{test_key("RSA"), test_key("P-256"), test_key("P-384"), test_key("P-521")};
  const std::vector<std::string> algorithms{"RS256", "ES256", "ES384", "ES512"};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    INFO(algorithms[i]);
    CHECK(keys[i].algorithm() == algorithms[i]);
    CHECK(keys[i].id().size() == 43);
    const auto token = sign_jwt(keys[i], R"({"iss":"x"})");
    REQUIRE(token);
    const auto jwt = parse_jwt(*token);
    REQUIRE(jwt);
    CHECK(jwt->algorithm == algorithms[i]);
    CHECK(jwt->key_id == keys[i].id());
    CHECK(jwt->payload == R"({"iss":"x"})");
    CHECK(verify_jwt(*jwt, keys));
    for (std::size_t j = 0; j < keys.size(); ++j)
      CHECK(verify_jwt(*jwt, std::span(&keys[j], 1)).has_value() == (i == j));

    Jwt forged = *jwt;
    forged.signature[forged.signature.size() / 2] =
        static_cast<char>(forged.signature[forged.signature.size() / 2] ^ 1);
    CHECK_FALSE(verify_jwt(forged, keys));
    forged = *jwt;
    forged.signed_text.back() = forged.signed_text.back() == 'A' ? 'B' : 'A';
    CHECK_FALSE(verify_jwt(forged, keys));
    forged = *jwt;
    forged.signature.clear();
    CHECK_FALSE(verify_jwt(forged, keys));
  }
}

TEST_CASE("the token does not choose the algorithm", "[authn]") {
  const JwtKey key = test_key("P-256");
  const auto token = sign_jwt(key, "{}");
  REQUIRE(token);
  auto jwt = parse_jwt(*token);
  REQUIRE(jwt);
  for (const char* algorithm : {"none", "HS256", "RS256", "es256", ""}) {
    jwt->algorithm = algorithm;
    CHECK_FALSE(verify_jwt(*jwt, std::span(&key, 1)));
  }
  jwt->algorithm = "ES256";
  CHECK(verify_jwt(*jwt, std::span(&key, 1)));
  jwt->key_id = "another";
  const auto other = verify_jwt(*jwt, std::span(&key, 1));
  REQUIRE_FALSE(other);
  CHECK(other.error().message == "invalid signature, no keys found");
  jwt->key_id.clear();
  CHECK(verify_jwt(*jwt, std::span(&key, 1)));
}

TEST_CASE("what is no compact token is refused", "[authn]") {
  const std::string header = base64url_encode(R"({"alg":"ES256"})"), payload = base64url_encode("{}");
  CHECK(parse_jwt(header + "." + payload + ".AAAA"));
  for (const std::string& bad :
       {std::string(), std::string("a.b"), header + "." + payload, header + "." + payload + ".AAAA.AAAA",
        header + "." + payload + ".A", base64url_encode("[]") + "." + payload + ".AAAA",
        base64url_encode(R"({"alg":5})") + "." + payload + ".AAAA",
        base64url_encode(R"({"alg":"ES256","crit":["x"]})") + "." + payload + ".AAAA",
        std::string(R"({"payload":"","signatures":[]})")})
    CHECK_FALSE(parse_jwt(bad));
}

TEST_CASE("a key file may hold several keys, private and public", "[authn]") {
  const std::string first = test_pem("P-256", true), second = test_pem("RSA", false);
  const auto keys = JwtKey::all_from_pem("comment\n" + first + "between\n" + second);
  REQUIRE(keys);
  REQUIRE(keys->size() == 2);
  CHECK((*keys)[0].is_private());
  CHECK_FALSE((*keys)[1].is_private());
  CHECK_FALSE((*keys)[1].sign("x"));
  const auto public_half = JwtKey::from_pem(test_pem("P-256", false));
  REQUIRE(public_half);
  CHECK(public_half->id() == (*keys)[0].id());
  for (const std::string& bad : {std::string(), std::string("text"), first.substr(0, first.size() / 2),
                                 std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
                                 test_pem("ED25519", true)})
    CHECK_FALSE(JwtKey::all_from_pem(bad));
}

TEST_CASE("claims print as Kubernetes prints them and read back", "[authn]") {
  ServiceAccountClaims claims;
  claims.issuer = "https://kubernetes.default.svc";
  claims.audiences = {"https://kubernetes.default.svc"};
  claims.subject = "system:serviceaccount:kube-system:default";
  claims.issued_at = claims.not_before = 1795236414;
  claims.expires_at = 1795240014;
  claims.id = "5ff75b15-c5ef-47de-8b78-08725f9642f1";
  claims.name_space = "kube-system";
  claims.service_account = {"default", "f358413a-d9d7-4eae-9426-f79a950b9043"};
  CHECK(
      claims_json(claims) ==
      R"({"aud":["https://kubernetes.default.svc"],"exp":1795240014,"iat":1795236414,"iss":"https://kubernetes.default.svc","jti":"5ff75b15-c5ef-47de-8b78-08725f9642f1","kubernetes.io":{"namespace":"kube-system","serviceaccount":{"name":"default","uid":"f358413a-d9d7-4eae-9426-f79a950b9043"}},"nbf":1795236414,"sub":"system:serviceaccount:kube-system:default"})");
  claims.pod = ObjectIdentity{"p", "pu"};
  claims.node = ObjectIdentity{"n", ""};
  claims.warn_after = 5;
  const std::string json = claims_json(claims);
  CHECK(
      json.find(
          R"("kubernetes.io":{"namespace":"kube-system","node":{"name":"n"},"pod":{"name":"p","uid":"pu"},"serviceaccount":{"name":"default","uid":"f358413a-d9d7-4eae-9426-f79a950b9043"},"warnafter":5})") !=
      std::string::npos);
  const auto parsed = parse_claims(json);
  REQUIRE(parsed);
  CHECK(claims_json(*parsed) == json);
}

TEST_CASE("claims of a wrong type are refused", "[authn]") {
  CHECK(parse_claims(R"({"aud":"one","exp":1.5e3,"kubernetes.io":null})"));
  for (const char* bad :
       {"[]", "5", "{", R"({"iss":5})", R"({"aud":[5]})", R"({"aud":{}})", R"({"exp":"5"})",
        R"({"exp":1e300})", R"({"kubernetes.io":[]})", R"({"kubernetes.io":{"pod":"x"}})",
        R"({"kubernetes.io":{"pod":{"uid":1}}})", R"({"kubernetes.io":{"warnafter":true}})"})
    CHECK_FALSE(parse_claims(bad));
}

TEST_CASE("discovery names the keys' algorithms and the address of the key set", "[authn]") {
  const std::vector<JwtKey> keys{test_key("RSA"), test_key("P-256")};
  const auto documents = openid_documents("https://kubernetes.default.svc", "", "192.0.2.2:7443", keys);
  REQUIRE(documents);
  CHECK(
      documents->configuration ==
      R"({"issuer":"https://kubernetes.default.svc","jwks_uri":"https://192.0.2.2:7443/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256","RS256"]})");
  CHECK(documents->keys.starts_with(R"({"keys":[{"use":"sig","kty":"RSA","kid":")" + keys[0].id() +
                                    R"(","alg":"RS256","n":")"));
  CHECK(documents->keys.find(R"(","e":"AQAB"},{"use":"sig","kty":"EC","kid":")" + keys[1].id() +
                             R"(","crv":"P-256","alg":"ES256","x":")") != std::string::npos);
  CHECK_FALSE(openid_documents("http://x", "", "h", keys));
  CHECK_FALSE(openid_documents("https://x?y", "", "h", keys));
  CHECK_FALSE(openid_documents("https://x#y", "", "h", keys));
  CHECK_FALSE(openid_documents("https://x", "", "", keys));
  CHECK_FALSE(openid_documents("https://x", "ftp://y", "h", keys));
  CHECK_FALSE(openid_documents("https://x", "", "h", {}));
}
