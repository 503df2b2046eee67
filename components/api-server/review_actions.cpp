#include "api-server/review_actions.h"

#include "api-server/authn/reviews.h"
#include "api-server/authz/access_reviews.h"
#include "apimachinery/api/authorization_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

using Evaluate = std::function<Result<void>(Call&, Value&)>;

// Answers with the review itself, its status filled in, by what every write before it left.
ApiServer::Action review(Resources& resources, Evaluate evaluate) {
  return [&resources, evaluate = std::move(evaluate)](Call& call, Value object) -> Task<Result<Written>> {
    auto reached = co_await resources.cacher().wait_for_newest();
    if (!reached) co_return reached.error();
    if (!call.subresource) own_fields(call, *call.kind, object, nullptr);
    auto done = evaluate(call, object);
    if (!done) co_return done.error();
    const Kind* kind = call.subresource ? call.registry->find_kind(call.subresource->kind_group, call.subresource->kind_version, call.subresource->kind) : call.kind;
    co_return Written{object, kind, true, false};
  };
}

}  // namespace

void add_review_actions(ApiServer& server, const Authenticator& authenticator, const RuleResolver& resolver) {
  const Authorizer& authorizer = server.authorizer();
  Resources& resources = server.resources();
  server.add_action("authentication.k8s.io/tokenreviews/", review(resources, [&authenticator](Call& call, Value& object) {
    return evaluate_token_review(authenticator, call.arena, object);
  }));
  server.add_action("authentication.k8s.io/selfsubjectreviews/", review(resources, [](Call& call, Value& object) -> Result<void> {
    evaluate_self_subject_review(call.user, call.now_us, call.arena, object);
    return {};
  }));
  server.add_action("authorization.k8s.io/subjectaccessreviews/", review(resources, [&authorizer](Call& call, Value& object) {
    return evaluate_subject_access_review(authorizer, call.arena, object);
  }));
  server.add_action("authorization.k8s.io/localsubjectaccessreviews/", review(resources, [&authorizer](Call& call, Value& object) -> Result<void> {
    using R = authorization_v1::LocalSubjectAccessReview;
    Value& metadata = ensure(call.arena, object, R::f_metadata);
    if (meta_v1::ObjectMeta(&metadata).namespace_().empty()) set_string(call.arena, metadata, meta_v1::ObjectMeta::f_namespace_, call.info.name_space);
    return evaluate_local_subject_access_review(authorizer, call.info.name_space, call.arena, object);
  }));
  server.add_action("authorization.k8s.io/selfsubjectaccessreviews/", review(resources, [&authorizer](Call& call, Value& object) {
    return evaluate_self_subject_access_review(authorizer, call.user, call.arena, object);
  }));
  server.add_action("authorization.k8s.io/selfsubjectrulesreviews/", review(resources, [&resolver](Call& call, Value& object) {
    return evaluate_self_subject_rules_review(resolver, call.user, call.arena, object);
  }));
}

}  // namespace rusternetes::api_server
