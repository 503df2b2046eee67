#pragma once
// How a refusal reads.

#include <string>
#include <string_view>

#include "api-server/request_context.h"
#include "base/status.h"

namespace rusternetes::api_server {

// `User "x" cannot list resource "pods/log" in API group "" in the namespace "default"`, or of a path. What
// HTML would take for markup is escaped.
std::string forbidden_message(const Attributes& attributes);

// 403 Forbidden: `pods is forbidden: User "x" cannot ...: reason`.
Status forbidden_status(const Attributes& attributes, std::string_view reason);

}  // namespace rusternetes::api_server
