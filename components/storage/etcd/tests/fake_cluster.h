#pragma once
// Members of a made-up etcd in this process, over one map of keys: what each does with a transaction is told.

#include <grpcpp/server.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "etcd/rpc.grpc.pb.h"
#include "storage/etcd/endpoints.h"

namespace rusternetes::storage::etcd::testing {

class FakeCluster {
 public:
  // Of a member's puts and transactions; its reads are answered, unless it is paused.
  enum class Mode {
    well,
    lose,             // it keeps the request and never answers: its leader has died
    apply_and_hang,   // it happens, and nobody hears of it
    apply_and_break,  // it happens, and the connection breaks
    delay,            // it happens when release() is called, and is answered then
    paused,           // nothing is answered at all
  };
  struct Value {
    std::string value;
    std::int64_t create_revision = 0, mod_revision = 0, version = 0;
  };

  explicit FakeCluster(std::size_t members);
  ~FakeCluster();

  void set(std::size_t member, Mode mode) { members_[member]->mode = mode; }
  EtcdOptions options() const;
  // What was kept by `delay` happens now.
  void release();
  std::map<std::string, Value> data();
  // How many transactions reached the member.
  int transactions(std::size_t member) const { return members_[member]->transactions; }
  // How many it decided upon.
  int decided(std::size_t member) const { return members_[member]->decided; }

 private:
  struct Member;
  friend struct Member;
  bool apply(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& response);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_over_ = false, is_released_ = false;
  std::map<std::string, Value> data_;
  std::int64_t revision_ = 1;
  std::vector<std::unique_ptr<Member>> members_;

  struct Member final : etcdserverpb::KV::Service {
    explicit Member(FakeCluster& owner);
    grpc::Status Range(grpc::ServerContext* context, const etcdserverpb::RangeRequest* request,
                       etcdserverpb::RangeResponse* response) override;
    grpc::Status Put(grpc::ServerContext* context, const etcdserverpb::PutRequest* request,
                     etcdserverpb::PutResponse* response) override;
    grpc::Status Txn(grpc::ServerContext* context, const etcdserverpb::TxnRequest* request,
                     etcdserverpb::TxnResponse* response) override;
    // Until the caller, or the test, gives up.
    grpc::Status hang(grpc::ServerContext& context);

    struct Leases final : etcdserverpb::Lease::Service {
      explicit Leases(Member& owner) : member(owner) {}
      grpc::Status LeaseGrant(grpc::ServerContext* context, const etcdserverpb::LeaseGrantRequest* request,
                              etcdserverpb::LeaseGrantResponse* response) override;
      Member& member;
    };

    FakeCluster& cluster;
    Leases leases{*this};
    std::atomic<Mode> mode{Mode::well};
    std::atomic<int> transactions{0}, decided{0};
    int port = 0;
    std::unique_ptr<grpc::Server> server;
  };
};

}  // namespace rusternetes::storage::etcd::testing
