#include "storage/etcd/keep_alive.h"

#include <grpcpp/support/client_callback.h>

#include <memory>
#include <mutex>

namespace rusternetes::storage::etcd {
namespace {

class KeepAlive final : public grpc::ClientBidiReactor<etcdserverpb::LeaseKeepAliveRequest,
                                                       etcdserverpb::LeaseKeepAliveResponse>,
                        public PendingCalls::Pending {
 public:
  KeepAlive(Endpoints& endpoints, PendingCalls& pending, std::function<void(Result<std::int64_t>)> done)
      : endpoints_(endpoints), pending_(pending), endpoint_(endpoints.current()), done_(std::move(done)) {}

  void begin(LeaseId id, std::chrono::milliseconds timeout) {
    prepare(*context_);
    context_->set_deadline(std::chrono::system_clock::now() + timeout);
    request_.set_id(id);
    endpoint_->lease->async()->LeaseKeepAlive(context_.get(), this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }
  void cancel() override {
    std::lock_guard lock(mutex_);
    if (context_) context_->TryCancel();
  }
  void refuse() { done_(Status{503, "Closed", "the store is closing"}); }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    has_answer_ = true;
  }
  void OnDone(const grpc::Status& status) override {
    const std::unique_ptr<KeepAlive> self(this);  // cancel() may be called until remove() has returned
    if (const auto done = std::move(done_); has_answer_) {
      done(response_.ttl());
    } else {
      if (is_server_failing(status)) endpoints_.failed(endpoint_);
      done(status.ok() ? internal_error("etcd: a lease's renewal was not answered") : to_status(status));
    }
    {
      std::lock_guard lock(mutex_);
      // On this thread of gRPC's nobody may be the last to hold a channel.
      context_.reset();
      endpoint_.reset();
    }
    pending_.remove(this);
  }

 private:
  Endpoints& endpoints_;
  PendingCalls& pending_;
  std::shared_ptr<Endpoint> endpoint_;
  std::function<void(Result<std::int64_t>)> done_;
  std::mutex mutex_;  // guards what cancel() looks at
  std::unique_ptr<grpc::ClientContext> context_ = std::make_unique<grpc::ClientContext>();
  etcdserverpb::LeaseKeepAliveRequest request_;
  etcdserverpb::LeaseKeepAliveResponse response_;
  bool has_answer_ = false;
};

}  // namespace

void keep_alive_once(Endpoints& endpoints, PendingCalls& pending, const EtcdOptions& options, LeaseId id,
                     std::function<void(Result<std::int64_t>)> done) {
  auto call = std::make_unique<KeepAlive>(endpoints, pending, std::move(done));
  if (!pending.add(call.get())) return call->refuse();
  call.release()->begin(id, options.attempt_timeout);  // it ends itself
}

}  // namespace rusternetes::storage::etcd
