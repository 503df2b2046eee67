#pragma once
// etcdserverpb.KV.

#include "base/worker.h"
#include "etcd/rpc.grpc.pb.h"
#include "rhino/member.h"

namespace rusternetes::rhino {

// Range takes and gives bytes: its answers are the large ones, see RangeWire.
class KvService final
    : public etcdserverpb::KV::WithRawCallbackMethod_Range<etcdserverpb::KV::CallbackService> {
 public:
  explicit KvService(Member& member) : member_(member) {}

  grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const etcdserverpb::PutRequest* request,
                                etcdserverpb::PutResponse* response) override;
  grpc::ServerUnaryReactor* DeleteRange(grpc::CallbackServerContext* context,
                                        const etcdserverpb::DeleteRangeRequest* request,
                                        etcdserverpb::DeleteRangeResponse* response) override;
  grpc::ServerUnaryReactor* Txn(grpc::CallbackServerContext* context, const etcdserverpb::TxnRequest* request,
                                etcdserverpb::TxnResponse* response) override;
  grpc::ServerUnaryReactor* Compact(grpc::CallbackServerContext* context,
                                    const etcdserverpb::CompactionRequest* request,
                                    etcdserverpb::CompactionResponse* response) override;

 private:
  // Refused before the store is asked: too large, no room, corrupt.
  grpc::Status check_write(std::size_t bytes, bool has_put);
  grpc::Status answer(const etcdserverpb::RangeRequest& request, grpc::ByteBuffer& response);

  Member& member_;
  // Long ranges are read here, so that they hold up no thread of gRPC's.
  WorkerThread reader_{"rhino-range"};
};

}  // namespace rusternetes::rhino
