#pragma once
// Maintenance.Snapshot: the file that snapshot_file.h makes, in pieces, and its SHA-256 behind it.

#include <openssl/evp.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/worker.h"
#include "etcd/rpc.grpc.pb.h"
#include "rhino/member.h"
#include "rhino/streams.h"

namespace rusternetes::rhino {

class SnapshotStream final : public grpc::ServerWriteReactor<etcdserverpb::SnapshotResponse>, public Stream {
 public:
  SnapshotStream(Member& member, Streams& streams, WorkerThread& worker);
  ~SnapshotStream() override;
  void begin();
  void end() override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  void make_file();
  void send_next();
  void finish(grpc::Status status);

  Member& member_;
  Streams& streams_;
  WorkerThread& worker_;
  std::shared_ptr<Stream> self_;  // while gRPC has it
  std::atomic<bool> is_finished_{false};
  int fd_ = -1;  // of the file, which has no name any more
  std::int64_t left_ = 0;
  bool has_sent_sum_ = false;
  std::unique_ptr<EVP_MD_CTX, Free> sum_;
  etcdserverpb::SnapshotResponse response_;
};

}  // namespace rusternetes::rhino
