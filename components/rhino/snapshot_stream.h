#pragma once
// Maintenance.Snapshot: the file that snapshot_file.h makes, in pieces, and its SHA-256 behind it.

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "base/worker.h"
#include "etcd/rpc.grpc.pb.h"
#include "rhino/member.h"
#include "rhino/streams.h"

namespace rusternetes::rhino {

class SnapshotStream final : public StreamReactor<grpc::ServerWriteReactor<etcdserverpb::SnapshotResponse>> {
 public:
  SnapshotStream(Member& member, Streams& streams, WorkerThread& worker);
  ~SnapshotStream() override;
  void OnWriteDone(bool ok) override;

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  void start() override;
  void make_file();
  void send_next();

  Member& member_;
  WorkerThread& worker_;
  int fd_ = -1;  // of the file, which has no name any more
  std::int64_t left_ = 0;
  bool has_sent_sum_ = false;
  std::unique_ptr<EVP_MD_CTX, Free> sum_;
  etcdserverpb::SnapshotResponse response_;
};

}  // namespace rusternetes::rhino
