#pragma once
// The framing of a process's output without a terminal, on attach and exec: an 8-byte head (stream, three
// zeros, length big-endian), then bytes. Sans-I/O.

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::engine {

enum class StdStream { in = 0, out = 1, err = 2 };

class StdStreamDecoder {
 public:
  // Passes on what is there of each frame, without waiting for its end.
  Result<void> feed(std::string_view bytes, const std::function<void(StdStream, std::string_view)>& on_bytes);

 private:
  std::string head_;
  std::size_t left_ = 0;
  StdStream stream_ = StdStream::out;
};

}  // namespace rusternetes::engine
