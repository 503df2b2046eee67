#pragma once
// Writes an object that shall be there and say certain things.

#include "client/api_client.h"

namespace rusternetes::client {

// Creates `wanted`, whose metadata names it, or writes what it says over the object of that name: every top-level field it
// has and each of its labels; what else the object says stays. No write where it says so already. An object that refuses
// the change as Invalid (an immutable field) is removed and created anew when `may_replace`.
Task<Result<void>> ensure_object(ApiClient& client, Resource resource, Document wanted, bool may_replace = false);

}  // namespace rusternetes::client
