#include "api-server/authn/reviews.h"

#include "api-server/authz/policy_rule.h"
#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

namespace authentication = apimachinery::authentication_v1;
using apimachinery::Arena;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

void append_strings(Arena& arena, Value& list, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) apimachinery::append_string(arena, list, text);
}

}  // namespace

void set_user_info(Arena& arena, Value& user_info, const User& user) {
  using Info = authentication::UserInfo;
  if (!user.name.empty()) apimachinery::set_string(arena, user_info, Info::f_username, user.name);
  if (!user.uid.empty()) apimachinery::set_string(arena, user_info, Info::f_uid, user.uid);
  if (!user.groups.empty())
    append_strings(arena, apimachinery::ensure(arena, user_info, Info::f_groups, ValueKind::list),
                   user.groups);
  if (user.extra.empty()) return;
  Value& extra = apimachinery::ensure(arena, user_info, Info::f_extra, ValueKind::map);
  for (const auto& [key, values] : user.extra) {
    Value list = Value::empty(ValueKind::list);
    append_strings(arena, list, values);
    apimachinery::assign(apimachinery::set_key(arena, extra, key), list);
  }
}

Result<> evaluate_token_review(const Authenticator& authenticator, Arena& arena, Value& review) {
  using Review = authentication::TokenReview;
  using Status = authentication::TokenReviewStatus;
  const std::string token(Review(&review).spec().token());
  if (token.empty()) return apimachinery::bad_request("token is required for TokenReview in authentication");
  Audiences wanted = to_strings(Review(&review).spec().audiences());
  if (wanted.empty()) wanted = authenticator.api_audiences();

  // The token is taken as a header would be: spaces end it.
  const std::string header = "Bearer " + token;
  auto authenticated = authenticator.authenticate_token(bearer_token(header), wanted);
  Value& status = apimachinery::assign(apimachinery::set_field(arena, review, Review::f_status),
                                       Value::empty(ValueKind::structure));
  if (!authenticated) {
    apimachinery::set_string(arena, status, Status::f_error, authenticated.error().message);
    return {};
  }
  apimachinery::set_boolean(arena, status, Status::f_authenticated, true);
  set_user_info(arena, apimachinery::ensure(arena, status, Status::f_user), authenticated->user);
  if (!authenticated->audiences.empty())
    append_strings(arena, apimachinery::ensure(arena, status, Status::f_audiences, ValueKind::list),
                   authenticated->audiences);
  return {};
}

void evaluate_self_subject_review(const User& user, std::int64_t now_us, Arena& arena, Value& review) {
  using Review = authentication::SelfSubjectReview;
  Value& metadata = apimachinery::assign(apimachinery::set_field(arena, review, Review::f_metadata),
                                         Value::empty(ValueKind::structure));
  apimachinery::set_time(arena, metadata, apimachinery::meta_v1::ObjectMeta::f_creationTimestamp, now_us);
  Value& status = apimachinery::assign(apimachinery::set_field(arena, review, Review::f_status),
                                       Value::empty(ValueKind::structure));
  set_user_info(
      arena, apimachinery::ensure(arena, status, authentication::SelfSubjectReviewStatus::f_userInfo), user);
}

}  // namespace rusternetes::api_server
