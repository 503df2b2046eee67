#include "rhino/snapshot_save.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/sync.h"
#include "rhino/snapshot_import.h"
#include "rhino/snapshot_read.h"
#include "rhino/snapshot_sum.h"

namespace rusternetes::rhino {
namespace {

using storage::etcd::Endpoint;
using storage::etcd::Endpoints;

constexpr std::chrono::seconds read_timeout{7};  // longer than etcd itself waits for its cluster

Status refused(const Endpoint& endpoint, const std::string& why) {
  return Status{503, "Unavailable", fmt::format("{}: {}", endpoint.name, why)};
}

std::string reason_of(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return "it does not answer in time";
  std::string text = status.error_message();
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text.empty() ? fmt::format("gRPC error {}", static_cast<int>(status.error_code())) : text;
}

// Says at once whether the server is there. A linearizable one waits until the member has caught up with its
// cluster; Snapshot alone gives whatever it has.
Result<void> read_first(Endpoint& endpoint, bool is_serializable) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + read_timeout);
  etcdserverpb::RangeRequest request;
  request.set_key(std::string(1, '\0'));
  request.set_limit(1);
  request.set_keys_only(true);
  request.set_serializable(is_serializable);
  etcdserverpb::RangeResponse response;
  const auto status = endpoint.kv->Range(&context, request, &response);
  if (status.ok()) return {};
  std::string why = reason_of(status);
  // etcd's words for a member without a quorum.
  if (!is_serializable && (why.find("etcdserver: request timed out") != why.npos ||
                           why.find("etcdserver: no leader") != why.npos))
    why += " (--consistency=s takes what this one member has)";
  return refused(endpoint, why);
}

Result<void> write_all(int fd, const std::string& bytes, const std::string& path) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t wrote = ::write(fd, bytes.data() + at, bytes.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return errno_error(fmt::format("cannot write {}", path), wrote < 0 ? errno : EIO);
    at += static_cast<std::size_t>(wrote);
  }
  return {};
}

// The stream's bytes into the empty file; returns the server's version.
Result<std::string> receive(Endpoint& endpoint, int fd, const std::string& path) {
  // Without a deadline: how long it takes depends on the size. A server that has gone is found by pings.
  grpc::ClientContext context;
  const auto stream = endpoint.maintenance->Snapshot(&context, etcdserverpb::SnapshotRequest());
  etcdserverpb::SnapshotResponse response;
  std::string version;
  while (stream->Read(&response)) {
    version = response.version();
    if (auto written = write_all(fd, response.blob(), path); !written) {
      context.TryCancel();
      (void)stream->Finish();
      return written.error();
    }
  }
  if (const auto status = stream->Finish(); !status.ok()) return refused(endpoint, reason_of(status));
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error(fmt::format("cannot look at {}", path), errno);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (!has_sum(size)) return refused(endpoint, "what it sent has no SHA-256 at its end");
  RN_TRY(const bool is_right, is_sum_right(fd, size));
  if (!is_right) return refused(endpoint, "what it sent is damaged: its SHA-256 is another one");
  if (::fsync(fd) != 0) return errno_error(fmt::format("cannot write {}", path), errno);
  return version;
}

// Of the first server that gives one, in `path`, which is made.
Result<SaveSummary> receive_from_any(const SaveOptions& options, const std::string& path) {
  RN_TRY(const auto endpoints, Endpoints::make(options.etcd));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(fmt::format("cannot make {}", path), errno);
  std::string refusals;
  for (std::size_t i = 0; i < endpoints->size(); ++i) {
    auto& endpoint = *endpoints->at(i);
    auto version = [&]() -> Result<std::string> {
      RN_CHECK(read_first(endpoint, options.is_serializable));
      if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
        return errno_error(fmt::format("cannot write {}", path), errno);
      return receive(endpoint, fd, path);
    }();
    const bool is_final = version || !version.error().is("Unavailable");
    if (is_final) ::close(fd);
    if (version) return SaveSummary{endpoint.name, *version, 0, 0, 0};
    if (is_final) return version.error();
    refusals += (refusals.empty() ? "" : "; ") + version.error().message;
  }
  ::close(fd);
  return Status{503, "Unavailable", "no snapshot was to be had: " + refusals};
}

Result<void> name_snapshot(const std::string& part, const std::string& path, SaveSummary& summary) {
  RN_TRY(const auto status, snapshot_status(part));
  summary.revision = status.revision;
  summary.keys = status.total_keys;
  if (::link(part.c_str(), path.c_str()) != 0) return errno_error(fmt::format("cannot make {}", path), errno);
  return sync_folder_of(path);
}

Result<void> make_store(const std::string& part, const std::string& path, std::int64_t bump_revision,
                        SaveSummary& summary) {
  const std::string lock = path + ".lock";
  const bool had_lock = ::access(lock.c_str(), F_OK) == 0;
  RN_TRY(const auto imported, import_snapshot(part, path, {bump_revision, false}));
  if (!had_lock) ::unlink(lock.c_str());
  summary.revision = imported.revision;
  summary.keys = imported.keys;
  return {};
}

}  // namespace

Result<SaveSummary> save_snapshot(const SaveOptions& options, const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored)))
    return Status{409, "AlreadyExists",
                  fmt::format("{} exists already: choose another name, or move it away", path)};
  const std::string part = path + ".part";
  ::unlink(part.c_str());  // of an attempt that was cut off
  auto saved = receive_from_any(options, part);
  if (saved) {
    auto named = options.makes_store ? make_store(part, path, options.bump_revision, *saved)
                                     : name_snapshot(part, path, *saved);
    if (!named) saved = named.error();
  }
  ::unlink(part.c_str());
  if (saved) saved->size_bytes = static_cast<std::int64_t>(std::filesystem::file_size(path, ignored));
  return saved;
}

}  // namespace rusternetes::rhino
