#include <catch2/catch.hpp>

#include "api-server/authz/access_reviews.h"
#include "api-server/authz/modes.h"
#include "apimachinery/api/authorization_v1.h"
#include "authz_objects.h"

using namespace rusternetes;
using namespace rusternetes::api_server;
namespace authorization = apimachinery::authorization_v1;
using apimachinery::Value;

namespace {

// Allows nothing, and keeps what it was asked.
class Recorder final : public Authorizer {
 public:
  Verdict authorize(const Attributes& attributes) const override {
    asked = attributes;
    return verdict;
  }
  mutable Attributes asked;
  Verdict verdict;
};

std::string subject_review_error(std::string_view yaml) {
  apimachinery::Arena arena;
  Value review = typed_value(arena, authorization::SubjectAccessReview::schema_type(), yaml);
  const auto result = evaluate_subject_access_review(Recorder(), arena, review);
  return result ? std::string() : result.error().message;
}

std::string local_review_error(std::string_view yaml) {
  apimachinery::Arena arena;
  Value review = typed_value(arena, authorization::LocalSubjectAccessReview::schema_type(), yaml);
  const auto result = evaluate_local_subject_access_review(Recorder(), "default", arena, review);
  return result ? std::string() : result.error().message;
}

}  // namespace

TEST_CASE("access reviews that are not valid are refused in Kubernetes' words", "[authz]") {
  CHECK(
      subject_review_error("{spec: {}}") ==
      R"(.authorization.k8s.io "" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or group must be specified])");
  CHECK(
      subject_review_error("{metadata: {name: x, labels: {a: b}}, spec: {resourceAttributes: {verb: get}, "
                           "nonResourceAttributes: {path: /a, verb: get}}}") ==
      R"(.authorization.k8s.io "" is invalid: [spec.nonResourceAttributes: Invalid value: {"Path":"/a","Verb":"get"}: cannot be specified in combination with resourceAttributes, spec.user: Invalid value: "": at least one of user or group must be specified, metadata: Invalid value: {"name":"x","labels":{"a":"b"}}: must be empty])");
  CHECK(
      local_review_error("{metadata: {name: yy, namespace: default}, spec: {user: a, nonResourceAttributes: "
                         "{path: /a, verb: get}}}") ==
      R"(.authorization.k8s.io "" is invalid: [metadata: Invalid value: {"name":"yy","namespace":"default"}: must be empty except for namespace, spec.nonResourceAttributes: Invalid value: {"Path":"/a","Verb":"get"}: disallowed on this kind of request])");
  CHECK(
      local_review_error(
          "{metadata: {namespace: default}, spec: {user: a, resourceAttributes: {namespace: kk}}}") ==
      R"(.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "kk": must match metadata.namespace)");
  CHECK(
      local_review_error(
          "{metadata: {namespace: default}, spec: {user: a, resourceAttributes: {namespace: default, "
          "fieldSelector: {rawSelector: 'a=b,,', requirements: [{key: '', operator: In}]}, labelSelector: "
          "{}}}}") ==
      R"(.authorization.k8s.io "" is invalid: [spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: "a=b,,": may not specified at the same time as requirements, spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified, spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn', spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required])");
}

TEST_CASE("managed fields are no metadata of a review", "[authz]") {
  CHECK(subject_review_error("{metadata: {managedFields: [{manager: curl, operation: Update}]}, "
                             "spec: {user: a, resourceAttributes: {verb: get, resource: pods}}}")
            .empty());
}

TEST_CASE("a review's attributes reach the authorizer and its verdict the status", "[authz]") {
  apimachinery::Arena arena;
  const apimachinery::Type& type = authorization::SubjectAccessReview::schema_type();
  Value review = typed_value(arena, type, R"({spec: {user: a, uid: u, groups: [g], extra: {k: [v]},
    resourceAttributes: {namespace: ns, verb: list, group: apps, resource: deployments, subresource: scale, name: web,
      fieldSelector: {rawSelector: 'a=b,cc'},
      labelSelector: {requirements: [{key: a, operator: Foo}, {key: b, operator: NotIn, values: [x1, x2]}]}}},
    status: {allowed: true, reason: stale}})");
  Recorder recorder;
  recorder.verdict = {Decision::deny, "no", "could not look"};
  REQUIRE(evaluate_subject_access_review(recorder, arena, review));
  CHECK(recorder.asked.user.name == "a");
  CHECK(recorder.asked.user.uid == "u");
  CHECK(recorder.asked.user.groups == std::vector<std::string>{"g"});
  CHECK(recorder.asked.user.extra.at("k") == std::vector<std::string>{"v"});
  CHECK(recorder.asked.is_resource);
  CHECK(recorder.asked.api_version == "*");
  CHECK(recorder.asked.api_group == "apps");
  CHECK(recorder.asked.subresource == "scale");
  CHECK(recorder.asked.field_selector.empty());
  CHECK(recorder.asked.label_selector == "b notin (x1,x2)");
  const Value* status = review.get(authorization::SubjectAccessReview::f_status);
  CHECK(
      json_of(status, authorization::SubjectAccessReviewStatus::schema_type()) ==
      R"({"allowed":false,"denied":true,"reason":"no","evaluationError":"could not look; spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector partially ignored due to parse error"})");
}

TEST_CASE("a review of oneself asks for the requester", "[authz]") {
  apimachinery::Arena arena;
  Value review = typed_value(arena, authorization::SelfSubjectAccessReview::schema_type(),
                             "{spec: {nonResourceAttributes: {path: /healthz, verb: get}}}");
  Recorder recorder;
  recorder.verdict.decision = Decision::allow;
  User me;
  me.name = "me";
  REQUIRE(evaluate_self_subject_access_review(recorder, me, arena, review));
  CHECK(recorder.asked.user.name == "me");
  CHECK_FALSE(recorder.asked.is_resource);
  CHECK(recorder.asked.path == "/healthz");
  CHECK(authorization::SelfSubjectAccessReview(&review).status().allowed());
}

TEST_CASE("a rules review needs a namespace, and prints empty lists", "[authz]") {
  TestObjects objects;
  const RbacAuthorizer authorizer(objects);
  apimachinery::Arena arena;
  const apimachinery::Type& type = authorization::SelfSubjectRulesReview::schema_type();
  Value review = typed_value(arena, type, "{metadata: {name: x}, spec: {}}");
  const auto refused = evaluate_self_subject_rules_review(authorizer, {}, arena, review);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "no namespace on request");
  review =
      typed_value(arena, type, "{kind: SelfSubjectRulesReview, metadata: {name: x}, spec: {namespace: ns}}");
  REQUIRE(evaluate_self_subject_rules_review(authorizer, {}, arena, review));
  CHECK(
      json_of(&review, type) ==
      R"({"kind":"SelfSubjectRulesReview","metadata":{},"spec":{},"status":{"resourceRules":[],"nonResourceRules":[],"incomplete":false}})");
}
