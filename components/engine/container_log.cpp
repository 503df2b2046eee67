#include "engine/container_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>

namespace rusternetes::engine {
namespace {

constexpr std::size_t kBlock = 64 << 10;
// Docker splits a text at 16 KiB and Podman at 8; escaped that stays far below this.
constexpr std::size_t kLongestRawLine = 1 << 20;

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

std::string format_time(std::int64_t time_ns) {
  std::time_t seconds = static_cast<std::time_t>(time_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, time_ns % 1'000'000'000);
}

Result<std::size_t> read_at(int fd, char* buffer, std::size_t size, std::int64_t offset) {
  for (;;) {
    auto count = ::pread(fd, buffer, size, offset);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return errno_error("read log", errno);
  }
}

}  // namespace

Result<std::unique_ptr<ContainerLogReader>> ContainerLogReader::open(std::string path, LogOptions options) {
  std::unique_ptr<ContainerLogReader> reader(new ContainerLogReader(std::move(path), std::move(options)));
  RN_CHECK(reader->open_file());
  if (reader->options_.follow) RN_CHECK(reader->start_watching());
  if (reader->options_.limit_bytes)
    reader->bytes_left_ = std::max<std::int64_t>(0, *reader->options_.limit_bytes);
  if (reader->options_.tail_lines) {
    RN_TRY(reader->offset_, reader->tail_offset());
  }
  return reader;
}

ContainerLogReader::~ContainerLogReader() {
  for (int* fd : {&fd_, &inotify_fd_, &finish_fd_, &wake_fd_}) close_fd(*fd);
}

Result<void> ContainerLogReader::open_file() {
  int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    int error = errno;
    auto status = errno_error("open " + path_, error);
    if (error == ENOENT) return Status{404, "NotFound", std::move(status.message), nullptr};
    return status;
  }
  close_fd(fd_);
  fd_ = fd;
  offset_ = 0;
  rest_.clear();
  is_skipping_ = false;
  return {};
}

Result<void> ContainerLogReader::start_watching() {
  inotify_fd_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  finish_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  wake_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (inotify_fd_ < 0 || finish_fd_ < 0 || wake_fd_ < 0) return errno_error("inotify", errno);
  for (int fd : {inotify_fd_, finish_fd_}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(wake_fd_, EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll", errno);
  }
  // On Docker the path is a link: rotation happens in the folder of the file itself.
  char resolved[PATH_MAX];
  std::string real = ::realpath(path_.c_str(), resolved) ? resolved : path_;
  auto slash = real.rfind('/');
  std::string folder = slash == std::string::npos ? "." : real.substr(0, slash + 1);
  if (::inotify_add_watch(inotify_fd_, folder.c_str(), IN_CREATE | IN_MOVED_TO | IN_DELETE) < 0)
    return errno_error("watch " + folder, errno);
  watch_file();
  return {};
}

void ContainerLogReader::watch_file() {
  if (inotify_fd_ < 0) return;
  if (file_watch_ >= 0) ::inotify_rm_watch(inotify_fd_, file_watch_);
  // ATTRIB tells of a removed file that is still open.
  file_watch_ =
      ::inotify_add_watch(inotify_fd_, fmt::format("/proc/self/fd/{}", fd_).c_str(), IN_MODIFY | IN_ATTRIB);
}

void ContainerLogReader::drain_changes() {
  char buffer[4096];
  while (inotify_fd_ >= 0 && ::read(inotify_fd_, buffer, sizeof(buffer)) > 0) {
  }
  // finish_fd_ stays readable: nothing is waited for after it.
}

void ContainerLogReader::finish() {
  is_finished_ = true;
  std::uint64_t one = 1;
  if (finish_fd_ >= 0) [[maybe_unused]]
    auto ignored = ::write(finish_fd_, &one, sizeof(one));
}

// Where the last `tail_lines` lines of the chosen stream begin: raw lines are taken from the end, block by
// block.
Result<std::int64_t> ContainerLogReader::tail_offset() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return errno_error("stat " + path_, errno);
  std::int64_t wanted = std::max<std::int64_t>(0, *options_.tail_lines);
  std::int64_t begin = status.st_size;  // of `buffer` in the file
  if (wanted == 0) return begin;
  std::string buffer;
  std::size_t end = 0;  // of what is not taken yet, in `buffer`
  std::int64_t complete = 0;
  bool is_last = true;
  bool has_end = false;
  for (;;) {
    auto newline = end >= 2 ? buffer.rfind('\n', end - 2) : std::string::npos;
    if (!has_end && end > 0) newline = buffer.rfind('\n', end - 1);
    if (newline == std::string::npos && begin > 0) {
      auto size = std::min<std::int64_t>(static_cast<std::int64_t>(kBlock), begin);
      std::string block(static_cast<std::size_t>(size), '\0');
      RN_TRY(auto count, read_at(fd_, block.data(), block.size(), begin - size));
      if (count < block.size()) return 0;  // truncated meanwhile: all of it
      buffer.resize(end);
      buffer.insert(0, block);
      begin -= size;
      end += block.size();
      continue;
    }
    if (!has_end) {
      // What follows the last newline is being written.
      if (newline == std::string::npos) return 0;
      end = newline + 1;
      has_end = true;
      continue;
    }
    std::size_t start = newline == std::string::npos ? 0 : newline + 1;
    if (end == 0) return 0;
    auto record = parse_log_line(std::string_view(buffer).substr(start, end - 1 - start));
    if (record && (!options_.stream || *options_.stream == record->stream)) {
      // An unfinished last line counts as one.
      if (is_last && !record->ends_line) ++complete;
      is_last = false;
      if (record->ends_line && ++complete > wanted) return begin + static_cast<std::int64_t>(end);
    }
    end = start;
  }
}

Result<bool> ContainerLogReader::fill() {
  char buffer[kBlock];
  RN_TRY(auto count, read_at(fd_, buffer, sizeof(buffer), offset_));
  offset_ += static_cast<std::int64_t>(count);
  rest_.append(buffer, count);
  return count > 0;
}

Result<bool> ContainerLogReader::next_file() {
  struct stat opened {
  }, named{};
  if (::fstat(fd_, &opened) != 0) return errno_error("stat " + path_, errno);
  if (::stat(path_.c_str(), &named) != 0) {
    // Removed with its container. A rotation only renames, so the old file would still have a name.
    if (opened.st_nlink == 0) is_finished_ = true;
    return false;
  }
  if (named.st_ino == opened.st_ino && named.st_dev == opened.st_dev) {
    if (named.st_size >= offset_) return false;
    offset_ = 0;
    rest_.clear();
    return true;
  }
  // The old file may have got its last lines after we met its end and before it was renamed.
  RN_TRY(bool has_more, fill());
  if (has_more) return true;
  auto reopened = open_file();
  if (!reopened) {
    if (reopened.error().is("NotFound")) return false;
    return std::move(reopened).error();
  }
  watch_file();
  return true;
}

void ContainerLogReader::take_lines(std::string& out) {
  std::size_t begin = 0;
  for (;;) {
    auto newline = rest_.find('\n', begin);
    if (newline == std::string::npos) break;
    if (is_skipping_)
      is_skipping_ = false;
    else if (auto record = parse_log_line(std::string_view(rest_).substr(begin, newline - begin)))
      emit(*record, out);
    begin = newline + 1;
    if (bytes_left_ == 0) break;
  }
  rest_.erase(0, begin);
  if (rest_.size() > kLongestRawLine) {
    rest_.clear();
    is_skipping_ = true;
  }
}

void ContainerLogReader::emit(const LogRecord& record, std::string& out) {
  if (options_.stream && *options_.stream != record.stream) return;
  if (options_.since_ns && record.time_ns < *options_.since_ns) return;
  std::string text;
  if (options_.has_timestamps && at_line_start_) text = format_time(record.time_ns) + ' ';
  text += record.text;
  at_line_start_ = record.ends_line;
  if (bytes_left_ >= 0) {
    text.resize(std::min<std::size_t>(text.size(), static_cast<std::size_t>(bytes_left_)));
    bytes_left_ -= static_cast<std::int64_t>(text.size());
  }
  out += text;
}

Result<ContainerLogReader::Piece> ContainerLogReader::read() {
  Piece piece;
  if (bytes_left_ == 0) {
    piece.more = More::never;
    return piece;
  }
  // Asked before reading: what was written before finish() is then still read.
  bool was_finished = is_finished_;
  RN_TRY(bool has_more, fill());
  if (!has_more && options_.follow) {
    RN_TRY(has_more, next_file());
  }
  take_lines(piece.bytes);
  if (bytes_left_ == 0)
    piece.more = More::never;
  else if (has_more)
    piece.more = More::now;
  else
    piece.more = options_.follow && !was_finished ? More::later : More::never;
  // A finish() of our own making (the file is gone) has nobody to wake us.
  if (piece.more == More::later && is_finished_) piece.more = More::now;
  return piece;
}

}  // namespace rusternetes::engine
