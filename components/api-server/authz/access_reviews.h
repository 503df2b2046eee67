#pragma once
// authorization.k8s.io/v1: the reviews by which clients ask what somebody may do. Each takes a decoded
// review, checks it (422 Invalid, 400 BadRequest), asks the authorizer, and fills in its `status`. Pure but
// for what the authorizer reads.

#include <string_view>

#include "api-server/authorizer.h"
#include "api-server/authz/rule_resolver.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::api_server {

Result<> evaluate_subject_access_review(const Authorizer& authorizer, apimachinery::Arena& arena,
                                        apimachinery::Value& review);
// `name_space` is the URL's; the review's metadata.namespace has been set from it when it was empty.
Result<> evaluate_local_subject_access_review(const Authorizer& authorizer, std::string_view name_space,
                                              apimachinery::Arena& arena, apimachinery::Value& review);
Result<> evaluate_self_subject_access_review(const Authorizer& authorizer, const User& user,
                                             apimachinery::Arena& arena, apimachinery::Value& review);
// The answer keeps neither metadata nor spec, as Kubernetes'.
Result<> evaluate_self_subject_rules_review(const RuleResolver& resolver, const User& user,
                                            apimachinery::Arena& arena, apimachinery::Value& review);

}  // namespace rusternetes::api_server
