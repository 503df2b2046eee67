#pragma once
// The log that the supervisor and its child share. The child writes into a pipe and the supervisor alone into the file, so
// that a file which is full can be put aside between two lines without a line being lost.

#include <stddef.h>

class ChildLog {
 public:
  // The file, opened to append, becomes this process's standard output and error. What would make it longer than
  // `max_bytes` (but for the rest of a line) goes into a new one, and the old one becomes PATH.1 in an older one's place. False with errno set; then nothing is changed.
  bool open(const char* path, long max_bytes);
  // Opens the path again, for whoever renamed the file; one that cannot be opened leaves the old one in use.
  bool reopen();
  // In the child: its standard output and error.
  void become_output() const;
  // What to wait for; -1 without a log.
  int source() const { return source_; }
  // Writes what the child has said so far. Never waits for more.
  void take_over();

 private:
  void write_lines(const char* bytes, size_t size);
  void rotate();
  const char* path_ = nullptr;
  long max_bytes_ = 0;
  long limit_ = 0;  // above max_bytes_ after a failure, so that the next try is a file's length away
  int source_ = -1, sink_ = -1;
  bool is_at_line_start_ = true;
};
