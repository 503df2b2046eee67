#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Line& Line::add(const char* text) {
  while (*text && size_ + 1 < sizeof bytes_) bytes_[size_++] = *text++;
  bytes_[size_] = 0;
  return *this;
}

Line& Line::add(long number) {
  char digits[24];
  char* p = digits + sizeof digits;
  *--p = 0;
  unsigned long rest =
      number < 0 ? 0UL - static_cast<unsigned long>(number) : static_cast<unsigned long>(number);
  do *--p = static_cast<char>('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) *--p = '-';
  return add(p);
}

void Line::print() { [[maybe_unused]] ssize_t written = write(2, bytes_, size_); }

void print_error(const char* what, const char* object, int error_number) {
  Line()
      .add("supervisor: ")
      .add(what)
      .add(" ")
      .add(object)
      .add(": errno ")
      .add(error_number)
      .add("\n")
      .print();
}

bool replace_file(const char* path, const Line& content) {
  char temporary[PATH_MAX];
  const size_t length = strlen(path);
  if (length + 5 > sizeof temporary) return errno = ENAMETOOLONG, false;
  memcpy(temporary, path, length);
  memcpy(temporary + length, ".tmp", 5);
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool is_written = write(fd, content.text(), content.size()) == static_cast<ssize_t>(content.size());
  const int error = errno;
  close(fd);
  if (is_written && rename(temporary, path) == 0) return true;
  const int final_error = is_written ? errno : error;
  unlink(temporary);
  errno = final_error;
  return false;
}
