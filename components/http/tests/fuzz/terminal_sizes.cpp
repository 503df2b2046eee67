// Any bytes on the resize stream of a terminal: however they are cut, the same sizes are read, and nothing that is no size.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "http/streams/remote_status.h"

using namespace rusternetes::http;

namespace {

// The newest size of all.
std::optional<TerminalSize> read(std::string_view bytes, std::size_t piece) {
  ResizeDecoder decoder;
  std::optional<TerminalSize> newest;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    if (const auto size = decoder.feed(bytes.substr(0, piece))) newest = size;
  return newest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = read(bytes, size + 1);
  for (const std::size_t piece : {1u, 7u})
    if (read(bytes, piece) != whole) std::abort();
  if (whole && bytes.find('}') == std::string_view::npos) std::abort();
  // What was read is read again, behind whatever else is well formed.
  if (!whole) return 0;
  const std::string text = "{\"Width\":" + std::to_string(whole->width) + ",\"Height\":" + std::to_string(whole->height) + "}";
  if (read(text, 3) != whole) std::abort();
  return 0;
}
