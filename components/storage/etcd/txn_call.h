#pragma once
// One transaction. Where no answer comes, or the connection breaks, it may have happened: one that can be
// repeated (repeat.h) is sent to the next server, once the cluster has taken a write again; else the caller
// hears that the outcome is open.

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage/etcd/call.h"
#include "storage/etcd/endpoints.h"
#include "storage/etcd/repeat.h"
#include "storage/etcd/shared_call.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

class TxnCall final : public PendingCalls::Pending, public std::enable_shared_from_this<TxnCall> {
 public:
  using Done = std::function<void(Result<TxnResponse>)>;
  // All outlive the call.
  struct Host {
    Endpoints& endpoints;
    PendingCalls& pending;
    const EtcdOptions& options;
    SharedCall& raise_fence;                // writes the fence anew, and says its revision
    std::atomic<Revision>& fence;           // its revision, as it was seen last
    const std::atomic<Revision>& revision;  // of the store, as it was seen last
  };
  // `done` is called once, on a thread of gRPC's (or on this one if the store is closing).
  static void begin(Host host, TxnRequest request, Done done);

  TxnCall(Host host, TxnRequest request, Done done);
  void cancel() override;

 private:
  struct Attempt {
    enum class State { in_flight, unsent, lost, refused };
    State state = State::in_flight;
    std::shared_ptr<Endpoint> endpoint;
    grpc::ClientContext context;
    etcdserverpb::TxnRequest request;
    etcdserverpb::TxnResponse response;
    Revision fence = 0;
  };
  enum class Wait { retry, patience, last_answers };
  // What is to be done once the lock is free.
  struct Next {
    enum class What { nothing, send, raise, finish } what = What::nothing;
    Result<TxnResponse> result = Status{};
  };

  void send();
  void ended(Attempt& attempt, const grpc::Status& status);
  void on_alarm(std::uint64_t number);
  void on_raised(Result<Revision> fence);
  void run(Next next);
  void retire();
  // Under the lock:
  Next after(Attempt& attempt, const grpc::Status& status);
  Next after_refusal(Attempt& attempt);
  Next raise();
  Next finish(Result<TxnResponse> result);
  Next finish_open();
  Others others_than(const Attempt& attempt) const;
  bool is_any_in_flight() const;
  void set_alarm(Wait wait, std::chrono::milliseconds delay);
  TxnResponse made_up(Revision revision) const;

  const Host host_;
  const Repeat repeat_;
  TxnRequest kept_;  // without values
  etcdserverpb::TxnRequest message_;
  Done done_;
  const Revision begun_at_;
  const std::chrono::system_clock::time_point deadline_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Attempt>> attempts_;
  std::unique_ptr<grpc::Alarm> alarm_;  // a new one each time, since one may be set from its own callback
  Wait waits_for_ = Wait::retry;
  std::uint64_t alarm_number_ = 0;
  int failures_ = 0;
  bool is_raising_ = false, is_done_ = false, has_told_ = false, is_removed_ = false;
  Status last_error_ = Status{500, "InternalError", "etcdserver: request timed out"};
};

}  // namespace rusternetes::storage::etcd
