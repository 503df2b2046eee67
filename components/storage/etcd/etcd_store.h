#pragma once
// The Store on an etcd cluster, or on anything that speaks its v3 API: etcd 3.4 to 3.6, rhino. Reads are
// linearizable. A write whose server went silent ends in an error that leaves open whether it happened, as
// with etcd's own client.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "storage/etcd/call.h"
#include "storage/etcd/endpoints.h"
#include "storage/etcd/shared_call.h"
#include "storage/etcd/watch_session.h"
#include "storage/store.h"

namespace rusternetes::storage::etcd {

class EtcdStore final : public Store, private SessionHost {
 public:
  // Waits until a server answers a read. Blocking.
  static Result<std::unique_ptr<EtcdStore>> open(EtcdOptions options);
  // Ends what is under way with an error. All watches must be gone.
  ~EtcdStore() override;

  Result<RangeResponse> range(const RangeRequest& request) override;
  void range(RangeRequest request, RangeCallback done) override;
  void newest_revision(std::function<void(Result<Revision>)> done) override;
  void txn(TxnRequest request, TxnCallback done) override;
  // A watch goes on over broken connections and other servers. Without a start it begins behind the newest
  // revision, which is asked for; blocking, then. "Compacted" comes as a batch.
  Result<std::unique_ptr<Watch>> watch(WatchRequest request, WatchCallback on_batch) override;
  bool has_other_writers() const override { return true; }
  Revision current_revision() const override { return revision_.load(std::memory_order_acquire); }
  Revision compact_revision() const override { return compact_revision_.load(std::memory_order_acquire); }
  void compact(Revision revision, std::function<void(Result<void>)> done) override;
  void lease_grant(LeaseId id, std::int64_t ttl_s, std::function<void(Result<LeaseInfo>)> done) override;
  void lease_revoke(LeaseId id, std::function<void(Result<void>)> done) override;
  void lease_keep_alive(LeaseId id, std::function<void(Result<LeaseInfo>)> done) override;
  Result<LeaseInfo> lease_time_to_live(LeaseId id, bool with_keys) override;
  Result<std::vector<LeaseId>> leases() override;
  std::int64_t size_bytes() const override;

  // The version that the server asked now says it has; empty if none answers.
  std::string server_version();

 private:
  class EtcdWatch;
  using Kind = CallKind;
  explicit EtcdStore(EtcdOptions options) : options_(std::move(options)) {}
  Result<void> connect();
  void learn_versions();
  void read_newest(std::function<void(Result<Revision>)> done);
  // A member has said that it is so far.
  void expect(Revision revision);
  void write_fence(std::function<void(Result<Revision>)> done);
  void range(Kind kind, RangeRequest request, RangeCallback done);

  // SessionHost
  Endpoints& endpoints() override { return *endpoints_; }
  PendingCalls& pending() override { return pending_; }
  const EtcdOptions& options() const override { return options_; }
  void observe(Revision revision) override;
  void observe_compacted(Revision revision) override;
  bool has_progress_requests() const override { return has_progress_requests_; }
  void newest(std::function<void(Result<Revision>)> done) override { newest_revision(std::move(done)); }

  template <class Async, class Request, class Response>
  using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                                 std::function<void(grpc::Status)>);
  template <class Stub, class Async, class Request, class Response, class Ended>
  void call(Kind kind, Request request, std::unique_ptr<Stub> Endpoint::*stub,
            Method<Async, Request, Response> method, Ended ended);

  const EtcdOptions options_;
  std::unique_ptr<Endpoints> endpoints_;
  mutable PendingCalls pending_;
  std::atomic<Revision> revision_{0}, compact_revision_{-1};
  std::atomic<bool> has_progress_requests_{false};

  std::atomic<Revision> fence_{0};
  SharedCall newest_{[this](auto done) { read_newest(std::move(done)); }};
  SharedCall raise_fence_{[this](auto done) { write_fence(std::move(done)); }};

  std::mutex sessions_mutex_;
  std::set<std::shared_ptr<WatchSession>> sessions_;
};

}  // namespace rusternetes::storage::etcd
