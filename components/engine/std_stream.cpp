#include "engine/std_stream.h"

#include <algorithm>
#include <cstdint>

namespace rusternetes::engine {

Result<void> StdStreamDecoder::feed(std::string_view bytes,
                                    const std::function<void(StdStream, std::string_view)>& on_bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      auto take = std::min<std::size_t>(8 - head_.size(), bytes.size());
      head_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (head_.size() < 8) return {};
      auto kind = static_cast<unsigned char>(head_[0]);
      // 3 is Docker's own error stream: shown as standard error.
      if (kind > 3) return internal_error("the engine's stream is not framed");
      stream_ = kind == 1 ? StdStream::out : kind == 0 ? StdStream::in : StdStream::err;
      for (int i = 4; i < 8; ++i)
        left_ = left_ << 8 | static_cast<unsigned char>(head_[static_cast<std::size_t>(i)]);
      head_.clear();
      continue;
    }
    auto take = std::min(left_, bytes.size());
    on_bytes(stream_, bytes.substr(0, take));
    bytes.remove_prefix(take);
    left_ -= take;
  }
  return {};
}

}  // namespace rusternetes::engine
