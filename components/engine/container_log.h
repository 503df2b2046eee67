#pragma once
// Reads a container's log file as `kubectl logs` shows it, whichever engine wrote it: from its end (tail),
// from a time, up to a number of bytes, with times, one stream or both, and on as it grows, through rotation,
// truncation and removal.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/task.h"
#include "base/worker.h"
#include "engine/log_format.h"

namespace rusternetes::engine {

// After PodLogOptions of the core API.
struct LogOptions {
  bool follow = false;
  std::optional<std::int64_t> tail_lines;
  std::optional<std::int64_t> since_ns;  // records before it are left out
  std::optional<std::int64_t> limit_bytes;
  bool has_timestamps = false;
  std::optional<LogStream> stream;
};

// Plain blocking functions over one file; from one thread at a time. Reads at most 64 KiB of the file a call.
class ContainerLogReader {
 public:
  // Status NotFound when there is no file. `path` may be a link.
  static Result<std::unique_ptr<ContainerLogReader>> open(std::string path, LogOptions options);
  ~ContainerLogReader();
  ContainerLogReader(const ContainerLogReader&) = delete;
  ContainerLogReader& operator=(const ContainerLogReader&) = delete;

  enum class More {
    now,    // call again
    later,  // caught up: call again when changed() says so
    never,  // the end: not following, the limit reached, or the writer has finished
  };
  struct Piece {
    std::string bytes;  // may be empty
    More more = More::now;
  };
  Result<Piece> read();
  // Readable when the file or its folder changed, and after finish(); -1 unless following. Owned by the
  // reader.
  int change_fd() const { return wake_fd_; }
  // Makes change_fd() wait for the next change.
  void drain_changes();
  // The container has stopped: what is in the file now is all. From any thread.
  void finish();

 private:
  ContainerLogReader(std::string path, LogOptions options) : path_(std::move(path)), options_(options) {}
  Result<void> open_file();
  Result<void> start_watching();
  void watch_file();
  Result<std::int64_t> tail_offset() const;
  Result<bool> fill();
  // The next file after a rotation (or the same from its start after a truncation); false when there is none.
  Result<bool> next_file();
  void take_lines(std::string& out);
  void emit(const LogRecord& record, std::string& out);

  std::string path_;
  LogOptions options_;
  int fd_ = -1;
  std::int64_t offset_ = 0;
  std::string rest_;          // an unfinished raw line
  bool is_skipping_ = false;  // inside a raw line that exceeds the bound
  bool at_line_start_ = true;
  std::int64_t bytes_left_ = -1;  // -1: no limit
  int inotify_fd_ = -1;
  int file_watch_ = -1;
  int finish_fd_ = -1;  // an eventfd
  int wake_fd_ = -1;    // epoll over both
  std::atomic<bool> is_finished_ = false;
};

// The same for a coroutine: file reads on `worker`, waiting on the executor. Belongs to the executor of its
// first next().
class ContainerLogStream {
 public:
  ContainerLogStream(std::unique_ptr<ContainerLogReader> reader, WorkerThread& worker);
  ~ContainerLogStream();
  // At least one byte, or empty at the end.
  Task<Result<std::string>> next();
  // From the executor's thread.
  void finish();

 private:
  struct Waiter;
  std::shared_ptr<ContainerLogReader> reader_;
  WorkerThread& worker_;
  std::unique_ptr<Waiter> waiter_;
};

}  // namespace rusternetes::engine
