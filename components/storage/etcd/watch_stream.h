#pragma once
// One stream of etcdserverpb.Watch with one watch on it. Lives until gRPC is done with it.

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <mutex>

#include "storage/etcd/watch_session.h"

namespace rusternetes::storage::etcd {

class WatchStream final
    : public grpc::ClientBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>,
      public PendingCalls::Pending,
      public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(std::shared_ptr<WatchSession> session, std::shared_ptr<Endpoint> endpoint);
  void begin(const WatchRequest& request, Revision start);
  const std::shared_ptr<Endpoint>& endpoint() const { return endpoint_; }
  // The session takes no more of it. It ends soon.
  void cancel() override;
  // After a response for which there was no room.
  void read_on();
  void request_progress();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void write_locked();
  void let_go_locked();
  std::shared_ptr<WatchSession> session_;
  std::shared_ptr<Endpoint> endpoint_;
  std::shared_ptr<WatchStream> self_;  // until OnDone
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  etcdserverpb::WatchRequest create_, progress_;
  etcdserverpb::WatchResponse response_;
  std::mutex mutex_;
  bool is_cancelled_ = false;
  bool is_held_ = false;  // gRPC waits for more operations of ours
  bool is_writing_ = true, is_progress_due_ = false;
};

}  // namespace rusternetes::storage::etcd
