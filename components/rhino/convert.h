#pragma once
// Between etcd's messages and the store's requests. What the store does not know (sorting, filters by
// revision) is done here, on its answers.

#include "etcd/rpc.pb.h"
#include "storage/store.h"

namespace rusternetes::rhino {

storage::RangeRequest to_store(const etcdserverpb::RangeRequest& request);
// Whether the store's answer is the answer: nothing is left to be sorted, filtered or cut off.
bool is_as_stored(const etcdserverpb::RangeRequest& request);
storage::PutRequest to_store(etcdserverpb::PutRequest& request);  // takes the value
storage::DeleteRequest to_store(const etcdserverpb::DeleteRangeRequest& request);
storage::TxnRequest to_store(etcdserverpb::TxnRequest& request);  // takes the values

void to_proto(const storage::KeyValue& kv, mvccpb::KeyValue& out);
// `request` is the one that `answer` came from, and says what is to be sorted, filtered and cut off. The
// header's revision alone is set.
void to_proto(const etcdserverpb::RangeRequest& request, storage::RangeResponse answer,
              etcdserverpb::RangeResponse& out);
void to_proto(const storage::PutResponse& answer, etcdserverpb::PutResponse& out);
void to_proto(const storage::DeleteResponse& answer, etcdserverpb::DeleteRangeResponse& out);
void to_proto(const etcdserverpb::TxnRequest& request, storage::TxnResponse answer,
              etcdserverpb::TxnResponse& out);
void to_proto(const storage::Event& event, mvccpb::Event& out);

}  // namespace rusternetes::rhino
