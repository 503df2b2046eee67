#include "child_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

namespace {

constexpr size_t piece_size = 16 << 10;

// A disk that is full loses what does not fit: the child must not stand still for it.
void write_all(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = write(1, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

long file_size() {
  struct stat info;
  return fstat(1, &info) == 0 ? info.st_size : 0;
}

}  // namespace

bool ChildLog::open(const char* path, long max_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  path_ = path;
  limit_ = max_bytes_ = max_bytes;
  if (!reopen()) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    errno = error;
    return false;
  }
  // One pipe for all children; ours is the only end that never waits.
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  source_ = ends[0];
  sink_ = ends[1];
  return true;
}

bool ChildLog::reopen() {
  take_over();  // what was said until now belongs to the old file
  const int fd = ::open(path_, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return false;
  dup2(fd, 1);
  dup2(fd, 2);
  close(fd);
  limit_ = max_bytes_;
  return true;
}

void ChildLog::become_output() const {
  if (sink_ < 0) return;
  dup2(sink_, 1);
  dup2(sink_, 2);
}

void ChildLog::take_over() {
  if (source_ < 0) return;
  static char piece[piece_size];
  // A child that writes faster than we do must not keep us from signals: at most what a pipe holds.
  for (size_t taken = 0; taken < (64 << 10);) {
    const ssize_t got = read(source_, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    taken += static_cast<size_t>(got);
    write_lines(piece, static_cast<size_t>(got));
  }
}

// Never leaves an empty file: one that is full stays until there is a line for the next.
void ChildLog::write_lines(const char* bytes, size_t size) {
  if (file_size() + static_cast<long>(size) > limit_) {
    const char* end = is_at_line_start_ ? bytes : static_cast<const char*>(memchr(bytes, '\n', size));
    const size_t before = end ? static_cast<size_t>(end - bytes) + (is_at_line_start_ ? 0 : 1) : size;
    write_all(bytes, before);
    bytes += before;
    size -= before;
    is_at_line_start_ = end != nullptr;
    // A line that is longer than any should be is cut.
    if (size > 0 || (!end && file_size() > limit_ + static_cast<long>(piece_size))) rotate();
    if (size == 0) return;
  }
  write_all(bytes, size);
  is_at_line_start_ = bytes[size - 1] == '\n';
}

void ChildLog::rotate() {
  char older[PATH_MAX];
  const size_t length = strlen(path_);
  int error = ENAMETOOLONG;
  if (length + 3 <= sizeof older) {
    memcpy(older, path_, length);
    memcpy(older + length, ".1", 3);
    const int fd = rename(path_, older) == 0 ? ::open(path_, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640) : -1;
    error = errno;
    if (fd >= 0) {
      dup2(fd, 1);
      dup2(fd, 2);
      close(fd);
      limit_ = max_bytes_;
      return;
    }
  }
  limit_ = file_size() + max_bytes_;
  print_error("cannot put aside", path_, error);
}
