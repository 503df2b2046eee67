#pragma once
// What the error stream of exec and attach tells at the end: JSON of a Status from v4 on, plain text before.
// And what the resize stream tells: JSON objects of the terminal's size, one behind the other. Without I/O.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace rusternetes::http {

struct RemoteStatus {
  std::string json;
  std::string text;  // empty: success

  static RemoteStatus success();
  // Success for 0. `command` is named in the message.
  static RemoteStatus exited(int exit_code, std::string_view command);
  // 500 InternalError; `what` is "error executing command in container: ...".
  static RemoteStatus failed(std::string_view what);
};

struct TerminalSize {
  std::uint16_t width = 0, height = 0;
  friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};

class ResizeDecoder {
 public:
  // The newest size that is complete in what came; of several only the last matters. After the first thing
  // that is no size (or more than 1 KiB without an end) everything is ignored.
  std::optional<TerminalSize> feed(std::string_view bytes);

 private:
  std::string object_;
  bool is_broken_ = false;
};

}  // namespace rusternetes::http
