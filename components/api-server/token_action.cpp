#include "api-server/token_action.h"

#include "api-server/actions.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

Task<Result<Written>> request_token(Resources& resources, const AdmissionChain& admission, const ServiceAccountTokens& tokens,
                                    Call& call, Value object) {
  // The account, and the Pod that the token is for, may be a moment old.
  RN_CO_CHECK(co_await resources.cacher().wait_for_newest());
  RN_CO_CHECK(co_await admit_create(resources, admission, call, object));
  const auto issued = tokens.issue(call.info.name_space, call.info.name, call.arena, object, call.warnings);
  if (!issued) co_return issued.error();
  const Kind* kind = call.registry->find_kind(call.subresource->kind_group, call.subresource->kind_version, call.subresource->kind);
  co_return Written{object, kind, true, false};
}

}  // namespace

void add_token_action(ApiServer& server, const AdmissionChain& admission, const ServiceAccountTokens& tokens) {
  Resources& resources = server.resources();
  server.add_action("/serviceaccounts/token", [&resources, &admission, &tokens](Call& call, Value object) {
    return request_token(resources, admission, tokens, call, object);
  });
}

}  // namespace rusternetes::api_server
