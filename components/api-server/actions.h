#pragma once
// The subresources with a kind of their own: binding, eviction, scale, finalize.

#include "api-server/admission.h"
#include "api-server/server.h"

namespace rusternetes::api_server {

// `admission` outlives the server.
void add_core_actions(ApiServer& server, const AdmissionChain& admission);

// What an action answers when there is nothing to show: Status Success.
Written success(Call& call, int code);

// Admission of what is POSTed to a subresource that makes no object of its own (Binding, Eviction, TokenRequest): `object` is
// of the subresource's kind. Gives it the namespace of the URL.
Task<Result<void>> admit_create(Resources& resources, const AdmissionChain& admission, Call& call, apimachinery::Value& object);

}  // namespace rusternetes::api_server
