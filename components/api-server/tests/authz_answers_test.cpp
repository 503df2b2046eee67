// What a kube-apiserver v1.35.4 with --authorization-mode=Node,RBAC answered to SubjectAccessReviews and
// SelfSubjectRulesReviews, with the bootstrap policy and the objects of authz_answers.json, against ours.

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "api-server/authz/access_reviews.h"
#include "api-server/authz/modes.h"
#include "api-server/bootstrap/policy.h"
#include "apimachinery/api/authorization_v1.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
namespace authorization = apimachinery::authorization_v1;
using apimachinery::Value;

namespace {

struct Answers {
  apimachinery::Arena arena;
  Value root;
  TestObjects objects;
  AuthorizerSet authorizers;

  Answers() {
    std::ifstream in(RUSTERNETES_SOURCE_DIR "/components/api-server/tests/authz_answers.json",
                     std::ios::binary);
    REQUIRE(in);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    auto parsed = apimachinery::decode_json_any(arena, text);
    REQUIRE(parsed);
    root = *parsed;
    for (const bootstrap::Object& object : bootstrap::objects()) objects.put(*object.kind, object.document);
    for (const Value& item : root.lookup("objects")->children()) {
      std::string json;
      apimachinery::encode_json_any(json, *item.lookup("object"));
      objects.put(json);
    }
    const std::vector<std::string> modes{"Node", "RBAC"};
    auto made = make_authorizer(modes, objects);
    REQUIRE(made);
    authorizers = *std::move(made);
  }
};

bool flag(const Value& status, std::string_view name) {
  const Value* found = status.lookup(name);
  return found && found->boolean;
}
std::string_view text(const Value& object, std::string_view name) {
  const Value* found = object.lookup(name);
  return found ? found->str() : std::string_view{};
}

std::vector<std::string> sorted_rules(const Value* list) {
  std::vector<std::string> out;
  if (list)
    for (const Value& rule : list->children()) apimachinery::encode_json_any(out.emplace_back(), rule);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

TEST_CASE("recorded SubjectAccessReviews get the same answers and reasons", "[authz]") {
  Answers answers;
  std::size_t compared = 0, allowed = 0;
  for (const Value& item : answers.root.lookup("reviews")->children()) {
    apimachinery::Arena arena;
    std::string spec;
    apimachinery::encode_json_any(spec, *item.lookup("spec"));
    Value review =
        typed_value(arena, authorization::SubjectAccessReview::schema_type(), "{\"spec\":" + spec + "}");
    INFO(spec);
    REQUIRE(evaluate_subject_access_review(*answers.authorizers.chain, arena, review));
    const auto status = authorization::SubjectAccessReview(&review).status();
    const Value& expected = *item.lookup("status");
    CHECK(status.allowed() == flag(expected, "allowed"));
    CHECK(status.denied() == flag(expected, "denied"));
    CHECK(status.evaluationError() == text(expected, "evaluationError"));
    // Where several bindings allow something, kube-apiserver names any of them.
    std::vector<std::string> reasons;
    for (const Value& reason : item.lookup("reasons")->children()) reasons.emplace_back(reason.str());
    CHECK_THAT(reasons, Catch::Matchers::VectorContains(std::string(status.reason())));
    ++compared;
    allowed += status.allowed();
  }
  CHECK(compared > 1000);
  CHECK(allowed > 200);
}

TEST_CASE("recorded SelfSubjectRulesReviews list the same rules", "[authz]") {
  Answers answers;
  std::size_t compared = 0;
  for (const Value& item : answers.root.lookup("rules")->children()) {
    User user;
    user.name = text(item, "user");
    for (const Value& group : item.lookup("groups")->children()) user.groups.emplace_back(group.str());
    INFO(user.name << " in " << text(item, "namespace"));
    apimachinery::Arena arena;
    const apimachinery::Type& type = authorization::SelfSubjectRulesReview::schema_type();
    Value review =
        typed_value(arena, type, "{spec: {namespace: " + std::string(text(item, "namespace")) + "}}");
    REQUIRE(evaluate_self_subject_rules_review(*answers.authorizers.chain, user, arena, review));
    const auto printed = apimachinery::to_any(arena, review, type);
    REQUIRE(printed);
    const Value& status = *printed->lookup("status");
    const Value& expected = *item.lookup("status");
    CHECK(sorted_rules(status.lookup("resourceRules")) == sorted_rules(expected.lookup("resourceRules")));
    CHECK(sorted_rules(status.lookup("nonResourceRules")) ==
          sorted_rules(expected.lookup("nonResourceRules")));
    CHECK(flag(status, "incomplete") == flag(expected, "incomplete"));
    CHECK(text(status, "evaluationError") == text(expected, "evaluationError"));
    ++compared;
  }
  CHECK(compared >= 40);
}
