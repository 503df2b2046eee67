#pragma once
// Writes the fence (repeat.h) anew: by all members at once and again each moment, until one says that it is
// written. That one has a leader, and is asked from then on.

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/etcd/call.h"
#include "storage/etcd/endpoints.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

class FenceCall final : public PendingCalls::Pending, public std::enable_shared_from_this<FenceCall> {
 public:
  // The fence's revision.
  using Done = std::function<void(Result<Revision>)>;
  // `done` is called once, on a thread of gRPC's (or on this one if the store is closing).
  static void begin(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Done done);

  FenceCall(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, Done done);
  void cancel() override;

 private:
  struct Attempt {
    std::shared_ptr<Endpoint> endpoint;
    grpc::ClientContext context;
    etcdserverpb::PutResponse response;
    bool is_in_flight = true;
  };
  void ask_all();
  void ended(Attempt& attempt, const grpc::Status& status);
  void on_alarm();
  void finish(std::unique_lock<std::mutex> lock, Result<Revision> result);
  void retire(std::unique_lock<std::mutex> lock);
  bool is_any_in_flight() const;  // under the lock

  Endpoints& endpoints_;
  PendingCalls& pending_;
  Done done_;
  const std::chrono::system_clock::time_point deadline_;
  etcdserverpb::PutRequest request_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::unique_ptr<grpc::Alarm> alarm_;  // a new one each time, since it is set from its own callback
  bool is_done_ = false, has_told_ = false, is_removed_ = false;
  Status last_error_ = Status{500, "InternalError", "etcdserver: request timed out"};
};

}  // namespace rusternetes::storage::etcd
