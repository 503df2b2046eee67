#pragma once
// What the supervisor writes: lines, and small files replaced atomically. No stdio: its buffers would double
// the memory.

#include <stddef.h>

// A line of bounded length; what does not fit is cut.
class Line {
 public:
  Line& add(const char* text);
  Line& add(long number);
  const char* text() const { return bytes_; }
  size_t size() const { return size_; }
  // To standard error, which is the log once the supervisor is up.
  void print();

 private:
  char bytes_[768] = {};
  size_t size_ = 0;
};

// "supervisor: WHAT OBJECT: errno N" to standard error.
void print_error(const char* what, const char* object, int error_number);

// Writes `path`.tmp and renames it over `path`. False with errno set.
bool replace_file(const char* path, const Line& content);
