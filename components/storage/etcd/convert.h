#pragma once
// Between the store's requests and etcd's messages.

#include "etcd/rpc.pb.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

void to_proto(const RangeRequest& request, etcdserverpb::RangeRequest& out);
void to_proto(const TxnRequest& request, etcdserverpb::TxnRequest& out);

KeyValue from_proto(mvccpb::KeyValue& kv, bool has_value = true);  // takes the value
RangeResponse from_proto(etcdserverpb::RangeResponse& response, bool has_values);
// `request` says which of the answers come without values; `revision`: of nested answers, whose headers are
// empty.
TxnResponse from_proto(const TxnRequest& request, etcdserverpb::TxnResponse& response, Revision revision);
Event from_proto(mvccpb::Event& event);

}  // namespace rusternetes::storage::etcd
