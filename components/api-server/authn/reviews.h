#pragma once
// authentication.k8s.io/v1: who a token is for (TokenReview), and who asks (SelfSubjectReview). Each fills in
// the `status` of a decoded review.

#include "api-server/authn/authenticator.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::api_server {

// A token that is not right is no error: the status says so. BadRequest without a token.
Result<> evaluate_token_review(const Authenticator& authenticator, apimachinery::Arena& arena,
                               apimachinery::Value& review);
// Kubernetes gives the answer a creationTimestamp: `now_us`.
void evaluate_self_subject_review(const User& user, std::int64_t now_us, apimachinery::Arena& arena,
                                  apimachinery::Value& review);

// Writes an authentication.k8s.io/v1 UserInfo.
void set_user_info(apimachinery::Arena& arena, apimachinery::Value& user_info, const User& user);

}  // namespace rusternetes::api_server
