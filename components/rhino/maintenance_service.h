#pragma once
// etcdserverpb.Maintenance.

#include "base/worker.h"
#include "etcd/rpc.grpc.pb.h"
#include "rhino/member.h"
#include "rhino/streams.h"

namespace rusternetes::rhino {

class MaintenanceService final : public etcdserverpb::Maintenance::CallbackService {
 public:
  using Context = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  MaintenanceService(Member& member, Streams& streams) : member_(member), streams_(streams) {}

  Reactor* Alarm(Context* context, const etcdserverpb::AlarmRequest* request,
                 etcdserverpb::AlarmResponse* response) override;
  Reactor* Status(Context* context, const etcdserverpb::StatusRequest* request,
                  etcdserverpb::StatusResponse* response) override;
  Reactor* Defragment(Context* context, const etcdserverpb::DefragmentRequest* request,
                      etcdserverpb::DefragmentResponse* response) override;
  Reactor* Hash(Context* context, const etcdserverpb::HashRequest* request,
                etcdserverpb::HashResponse* response) override;
  Reactor* HashKV(Context* context, const etcdserverpb::HashKVRequest* request,
                  etcdserverpb::HashKVResponse* response) override;
  grpc::ServerWriteReactor<etcdserverpb::SnapshotResponse>* Snapshot(
      Context* context, const etcdserverpb::SnapshotRequest* request) override;
  Reactor* MoveLeader(Context* context, const etcdserverpb::MoveLeaderRequest* request,
                      etcdserverpb::MoveLeaderResponse* response) override;
  Reactor* Downgrade(Context* context, const etcdserverpb::DowngradeRequest* request,
                     etcdserverpb::DowngradeResponse* response) override;

 private:
  Member& member_;
  Streams& streams_;
  WorkerThread worker_{"rhino-upkeep"};  // what reads the whole store
};

}  // namespace rusternetes::rhino
