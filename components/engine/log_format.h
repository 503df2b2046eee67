#pragma once
// One raw line of a container's log file: Docker's json-file
// ({"log":"text\n","stream":"stdout","time":"..."}; a text of over 16 KiB is split, and only its last piece
// ends in a newline) or the CRI format that Podman writes ("TIME stdout F text", with P for a piece of a
// line). Which one is told by the first byte, line by line. Sans-I/O.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::engine {

enum class LogStream { out, err };

struct LogRecord {
  std::int64_t time_ns = 0;
  LogStream stream = LogStream::out;
  std::string text;  // with its newline if the record ends a line
  bool ends_line = true;
};

// `line` without its newline. An error for what is no log line.
Result<LogRecord> parse_log_line(std::string_view line);

}  // namespace rusternetes::engine
