#pragma once
// OpenAPI documents in gnostic's protobuf messages (openapi.v2.Document and openapi.v3.Document), which older
// and Go clients ask for: application/com.github.proto-openapi.spec.v2@v1.0+protobuf and its sibling of
// version 3.

#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::api_server::openapi {

// `json` is the document in its JSON form. Members that gnostic has no place for are an error: they would be
// lost silently.
Result<std::string> gnostic_v2(std::string_view json);
Result<std::string> gnostic_v3(std::string_view json);

}  // namespace rusternetes::api_server::openapi
