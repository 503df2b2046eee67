#include "rhino/snapshot_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "rhino/errors.h"
#include "rhino/snapshot_file.h"

namespace rusternetes::rhino {
namespace {

constexpr std::int64_t piece_bytes = 256 << 10;

}  // namespace

SnapshotStream::SnapshotStream(Member& member, Streams& streams, WorkerThread& worker)
    : StreamReactor(streams), member_(member), worker_(worker), sum_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(sum_.get(), EVP_sha256(), nullptr);
}

SnapshotStream::~SnapshotStream() {
  if (fd_ >= 0) ::close(fd_);
}

void SnapshotStream::start() {
  worker_.post([this, self = shared_from_this()] { make_file(); });
}

void SnapshotStream::make_file() {
  if (is_finished()) return;
  static std::atomic<int> count{0};
  const std::string path =
      fmt::format("{}/snapshot-{}-{}.tmp", member_.options().scratch_folder, ::getpid(), ++count);
  SnapshotIdentity identity;
  identity.cluster_id = member_.cluster_id();
  identity.member_id = member_.member_id();
  identity.name = member_.options().name;
  identity.client_urls = member_.options().client_urls;
  identity.peer_urls = member_.options().peer_urls;
  identity.has_nospace_alarm = member_.has_alarm(etcdserverpb::NOSPACE);
  auto made = write_snapshot(member_.store(), identity, path);
  if (made) fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::unlink(path.c_str());
  if (!made) return finish(to_grpc(made.error()));
  if (fd_ < 0) return finish({grpc::StatusCode::UNKNOWN, "etcdserver: the snapshot's file cannot be read"});
  left_ = made->size_bytes;
  log::info("rhino", "a snapshot of {} bytes at revision {} is being sent", left_, made->revision);
  send_next();
}

void SnapshotStream::OnWriteDone(bool ok) {
  if (!ok) return finish(grpc::Status::CANCELLED);
  if (has_sent_sum_) return finish(grpc::Status::OK);
  worker_.post([this, self = shared_from_this()] { send_next(); });
}

void SnapshotStream::send_next() {
  if (is_finished()) return;
  response_.Clear();
  response_.set_version(etcd_cluster_version);
  std::string& blob = *response_.mutable_blob();
  if (left_ > 0) {
    blob.resize(static_cast<std::size_t>(std::min(left_, piece_bytes)));
    const ssize_t got = ::read(fd_, blob.data(), blob.size());
    if (got <= 0)
      return finish({grpc::StatusCode::UNKNOWN, "etcdserver: the snapshot's file cannot be read"});
    blob.resize(static_cast<std::size_t>(got));
    EVP_DigestUpdate(sum_.get(), blob.data(), blob.size());
    left_ -= got;
    response_.set_remaining_bytes(static_cast<std::uint64_t>(left_));
  } else {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(sum_.get(), sum, &length);
    blob.assign(reinterpret_cast<const char*>(sum), length);
    has_sent_sum_ = true;
  }
  write(response_);
}

}  // namespace rusternetes::rhino
