#include <openssl/x509.h>

#include <catch2/catch.hpp>

#include "api-server/authn/authenticator.h"
#include "api-server/authn/impersonation.h"
#include "api-server/authn/reviews.h"
#include "api-server/authn/x509.h"
#include "apimachinery/api/authentication_v1.h"
#include "authn_keys.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;

namespace {

// A certificate with these subject entries: "CN", "O", or an OID.
std::string certificate(const std::vector<std::pair<std::string, std::string>>& subject) {
  const X509Ptr made(X509_new());
  X509_NAME* name = X509_get_subject_name(made.get());
  for (const auto& [type, value] : subject) {
    ASN1_OBJECT* object = OBJ_txt2obj(type.c_str(), 0);
    REQUIRE(X509_NAME_add_entry_by_OBJ(name, object, MBSTRING_UTF8, openssl_bytes(value),
                                       static_cast<int>(value.size()), -1, 0) == 1);
    ASN1_OBJECT_free(object);
  }
  X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  EVP_PKEY* key = test_evp_key("P-256");
  X509_set_pubkey(made.get(), key);
  REQUIRE(X509_sign(made.get(), key, EVP_sha256()) > 0);
  unsigned char* der = nullptr;
  const int length = i2d_X509(made.get(), &der);
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

Authenticator make(bool is_anonymous_allowed, std::string_view tokens) {
  Authenticator::Options options;
  options.is_anonymous_allowed = is_anonymous_allowed;
  options.api_audiences = {"api"};
  auto file = TokenFile::parse(tokens, "tokens.csv");
  REQUIRE(file);
  options.token_file = *std::move(file);
  return Authenticator(std::move(options));
}

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

std::string wants(const Attributes& attributes) {
  return attributes.verb + " " + attributes.api_group + "/" + attributes.api_version + "/" +
         attributes.resource + (attributes.subresource.empty() ? "" : "/" + attributes.subresource) + " " +
         attributes.name_space + "/" + attributes.name;
}

class Only final : public Authorizer {
 public:
  explicit Only(std::string resource) : resource_(std::move(resource)) {}
  Verdict authorize(const Attributes& attributes) const override {
    return {attributes.resource == resource_ ? Decision::allow : Decision::no_opinion, {}, {}};
  }

 private:
  std::string resource_;
};

}  // namespace

TEST_CASE("a certificate's subject is the user", "[authn]") {
  const std::string der =
      certificate({{"CN", "jané"}, {"O", "dev"}, {"O", "ops"}, {"OU", "x"}, {"1.3.6.1.4.1.57683.2", "u1"}});
  const auto user = user_from_certificate(der);
  REQUIRE(user);
  REQUIRE(*user);
  CHECK((*user)->name == "jané");
  CHECK((*user)->uid == "u1");
  CHECK((*user)->groups == std::vector<std::string>{"dev", "ops"});
  const std::string& id = (*user)->extra.at("authentication.kubernetes.io/credential-id").front();
  CHECK(id.size() == 11 + 64);
  CHECK(id.starts_with("X509SHA256="));

  const auto nameless = user_from_certificate(certificate({{"O", "dev"}}));
  REQUIRE(nameless);
  CHECK_FALSE(*nameless);
  const auto two_ids = user_from_certificate(
      certificate({{"CN", "x"}, {"1.3.6.1.4.1.57683.2", "a"}, {"1.3.6.1.4.1.57683.2", "b"}}));
  REQUIRE_FALSE(two_ids);
  CHECK(two_ids.error().message == "expected 1 UID, but found multiple: [a b]");
  CHECK_FALSE(user_from_certificate("garbage"));
}

TEST_CASE("a token file is CSV with quoted groups", "[authn]") {
  const auto file = TokenFile::parse(
      "t1,ann,1\r\n\nt2,bob,2,\"a,b\"\nt3,\"c\"\"x\",3,solo,ignored\n,empty,4\nt1,last,5\n", "f");
  REQUIRE(file);
  CHECK(file->size() == 3);
  REQUIRE(file->find("t1"));
  CHECK(file->find("t1")->name == "last");
  CHECK(file->find("t1")->groups.empty());
  CHECK(file->find("t2")->groups == std::vector<std::string>{"a", "b"});
  CHECK(file->find("t3")->name == "c\"x");
  CHECK_FALSE(file->find(""));
  CHECK_FALSE(file->find("t"));

  const auto error = [](std::string_view text) {
    const auto parsed = TokenFile::parse(text, "f");
    return parsed ? std::string() : parsed.error().message;
  };
  CHECK(error("t1,ann,1\nt2,bob\n") ==
        "token file 'f' must have at least 3 columns (token, user name, user uid), found 2 in line 2");
  CHECK(error("t1,a\"b,1") == "token file 'f': line 1: bare \" in non-quoted field");
  CHECK(error("t1,\"ab,1") == "token file 'f': line 1: extraneous or missing \" in quoted-field");
  CHECK(error("t1,\"a\"b,1") == "token file 'f': line 1: extraneous or missing \" in quoted-field");
  CHECK_FALSE(TokenFile::load("/nonexistent/tokens.csv"));
}

TEST_CASE("certificate, then token, then nobody; a bad token is never nobody", "[authn]") {
  const Authenticator authenticator = make(true, "t1,ann,1,\"g1,g2\"\nt2,root,2,system:masters\n");
  const std::vector<std::string> chain{certificate({{"CN", "kim"}, {"O", "ops"}})};
  Credentials credentials;
  const auto name = [&authenticator](const Credentials& given) {
    const auto user = authenticator.authenticate(given);
    return user ? user->name : std::to_string(user.error().code);
  };
  CHECK(name(credentials) == "system:anonymous");
  CHECK(authenticator.authenticate(credentials)->groups ==
        std::vector<std::string>{"system:unauthenticated"});

  credentials.authorization = "Bearer t1";
  CHECK(name(credentials) == "ann");
  CHECK(authenticator.authenticate(credentials)->groups ==
        std::vector<std::string>{"g1", "g2", "system:authenticated"});
  credentials.authorization = "  bearer t1 trailing";
  CHECK(name(credentials) == "ann");
  credentials.authorization = "Bearer wrong";
  CHECK(name(credentials) == "401");
  // Other schemes are no credentials of ours.
  credentials.authorization = "Basic dDE6";
  CHECK(name(credentials) == "system:anonymous");

  credentials.authorization = "Bearer wrong";
  credentials.verified_chain = chain;
  CHECK(name(credentials) == "kim");
  CHECK(authenticator.authenticate(credentials)->groups ==
        std::vector<std::string>{"ops", "system:authenticated"});
  const std::vector<std::string> garbage{"garbage"};
  credentials.verified_chain = garbage;
  credentials.authorization = "Bearer t1";
  CHECK(name(credentials) == "ann");
  credentials.authorization = "";
  CHECK(name(credentials) == "401");

  CHECK(make(false, "").authenticate({}).error().message == "Unauthorized");
}

TEST_CASE("browsers bring a token as a WebSocket subprotocol", "[authn]") {
  const Authenticator authenticator = make(true, "t1,ann,1\n");
  const std::string token = "base64url.bearer.authorization.k8s.io." + base64url_encode("t1");
  const auto name = [&authenticator](std::vector<std::string_view> protocols) {
    Credentials credentials;
    credentials.websocket_protocols = protocols;
    const auto user = authenticator.authenticate(credentials);
    return user ? user->name : std::to_string(user.error().code);
  };
  const std::string joined = token + ", v4.channel.k8s.io", twice = token + "," + token + ",x";
  CHECK(name({joined}) == "ann");
  CHECK(name({token, "v5.channel.k8s.io"}) == "ann");
  CHECK(name({token}) == "401");
  CHECK(name({twice}) == "401");
  CHECK(name({"base64url.bearer.authorization.k8s.io.=, x"}) == "401");
  CHECK(name({"v4.channel.k8s.io"}) == "system:anonymous");
}

TEST_CASE("impersonation asks for each thing it takes on", "[authn]") {
  User requester;
  requester.name = "me";
  const auto parsed = [&requester](const HeaderFields& headers) {
    return parse_impersonation(headers, requester);
  };

  const auto none = parsed({{"accept", "x"}, {"impersonate-user", ""}});
  REQUIRE(none);
  CHECK_FALSE(*none);

  const auto full = parsed({{"impersonate-user", "bob"},
                            {"impersonate-group", "g1"},
                            {"impersonate-group", "g2"},
                            {"impersonate-uid", "u"},
                            {"impersonate-extra-example.com%2fkey", "v1"},
                            {"impersonate-extra-example.com%2fkey", "v2"},
                            {"impersonate-extra-bad%zz", "v"}});
  REQUIRE(full);
  REQUIRE(*full);
  std::vector<std::string> wanted;
  for (const Attributes& attributes : (*full)->needed) {
    CHECK(attributes.user.name == "me");
    CHECK(attributes.is_resource);
    wanted.push_back(wants(attributes));
  }
  CHECK(wanted == std::vector<std::string>{
                      "impersonate //users /bob", "impersonate //groups /g1", "impersonate //groups /g2",
                      "impersonate authentication.k8s.io/v1/userextras/example.com/key /v1",
                      "impersonate authentication.k8s.io/v1/userextras/example.com/key /v2",
                      "impersonate authentication.k8s.io/v1/userextras/bad%zz /v",
                      "impersonate authentication.k8s.io/v1/uids /u"});
  const User& user = (*full)->user;
  CHECK(user.name == "bob");
  CHECK(user.uid == "u");
  CHECK(user.groups == std::vector<std::string>{"g1", "g2", "system:authenticated"});
  CHECK(user.extra.at("example.com/key") == std::vector<std::string>{"v1", "v2"});

  const auto account = parsed({{"impersonate-user", "system:serviceaccount:dev:bot"}});
  REQUIRE(account);
  CHECK(wants((*account)->needed.front()) == "impersonate //serviceaccounts dev/bot");
  CHECK((*account)->user.groups == std::vector<std::string>{"system:serviceaccounts",
                                                            "system:serviceaccounts:dev",
                                                            "system:authenticated"});
  const auto no_account = parsed({{"impersonate-user", "system:serviceaccount:Dev:bot"}});
  REQUIRE(no_account);
  CHECK((*no_account)->needed.front().resource == "users");

  const auto anonymous = parsed({{"impersonate-user", "system:anonymous"}});
  REQUIRE(anonymous);
  CHECK((*anonymous)->user.groups == std::vector<std::string>{"system:unauthenticated"});
  const auto unauthenticated =
      parsed({{"impersonate-user", "x"}, {"impersonate-group", "system:unauthenticated"}});
  REQUIRE(unauthenticated);
  CHECK((*unauthenticated)->user.groups == std::vector<std::string>{"system:unauthenticated"});

  const auto without_user = parsed({{"impersonate-group", "a"}, {"impersonate-extra-foo", "b"}});
  REQUIRE_FALSE(without_user);
  CHECK(without_user.error().message ==
        "requested [{Group  a    } {UserExtra  b  authentication.k8s.io/v1  foo}] without impersonating a "
        "user");
  CHECK(without_user.error().code == 400);
}

TEST_CASE("impersonation is refused for the first thing that is not allowed", "[authn]") {
  User requester;
  requester.name = "me";
  const HeaderFields headers{{"impersonate-user", "bob"}, {"impersonate-group", "system:masters"}};
  const auto refused = impersonate(Only("users"), headers, requester);
  REQUIRE_FALSE(refused);
  CHECK(
      refused.error().message ==
      R"(groups "system:masters" is forbidden: User "me" cannot impersonate resource "groups" in API group "" at the cluster scope)");
  const auto allowed = impersonate(Only("users"), HeaderFields{{"impersonate-user", "bob"}}, requester);
  REQUIRE(allowed);
  CHECK(allowed->name == "bob");
  const auto same = impersonate(Only(""), {}, requester);
  REQUIRE(same);
  CHECK(same->name == "me");
}

TEST_CASE("a SelfSubjectReview says who asks", "[authn]") {
  apimachinery::Arena arena;
  const apimachinery::Type& type = apimachinery::authentication_v1::SelfSubjectReview::schema_type();
  apimachinery::Value review = typed_value(arena, type, "{kind: SelfSubjectReview, metadata: {name: x}}");
  User me;
  me.name = "me";
  me.groups = {"g"};
  me.extra["k"] = {"v"};
  evaluate_self_subject_review(me, 1'800'000'000'000'000, arena, review);
  CHECK(
      json_of(&review, type) ==
      R"({"kind":"SelfSubjectReview","metadata":{"creationTimestamp":"2027-01-15T08:00:00Z"},"status":{"userInfo":{"username":"me","groups":["g"],"extra":{"k":["v"]}}}})");
}
