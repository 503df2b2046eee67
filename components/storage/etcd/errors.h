#pragma once
// What a call's failure means for the store's caller, and for the next attempt.

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace rusternetes::storage::etcd {

// By etcd's messages, as its own client does it.
Status to_status(const grpc::Status& status);
// The server did not answer, or is not in a state to: another one may.
bool is_server_failing(const grpc::Status& status);
// No server can have got it.
bool is_surely_unsent(const grpc::Status& status);

}  // namespace rusternetes::storage::etcd
