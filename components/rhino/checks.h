#pragma once
// What etcd refuses before it looks at its data, and in which words (server/etcdserver/api/v3rpc/key.go).

#include <cstddef>

#include <grpcpp/support/status.h>

#include "etcd/rpc.pb.h"

namespace rusternetes::rhino {

grpc::Status check(const etcdserverpb::RangeRequest& request);
grpc::Status check(const etcdserverpb::PutRequest& request);
grpc::Status check(const etcdserverpb::DeleteRangeRequest& request);
// Sizes, keys, and that no key is put twice, or put and removed.
grpc::Status check(const etcdserverpb::TxnRequest& request, std::size_t max_ops);

bool is_read_only(const etcdserverpb::TxnRequest& request);
bool has_put(const etcdserverpb::TxnRequest& request);

}  // namespace rusternetes::rhino
