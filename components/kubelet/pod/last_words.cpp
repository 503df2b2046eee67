#include "kubelet/pod/last_words.h"

#include "engine/container_log.h"

namespace rusternetes::kubelet {

std::string end_of_log(const std::string& path) {
  constexpr std::int64_t kLines = 80;
  constexpr std::size_t kBytes = 2048;
  engine::LogOptions options;
  options.tail_lines = kLines;
  auto reader = engine::ContainerLogReader::open(path, options);
  if (!reader) return {};
  std::string out;
  for (;;) {
    auto piece = (*reader)->read();
    if (!piece) break;
    out += piece->bytes;
    if (out.size() > 2 * kBytes) out.erase(0, out.size() - kBytes);
    if (piece->more != engine::ContainerLogReader::More::now) break;
  }
  if (out.size() > kBytes) out.erase(0, out.size() - kBytes);
  return out;
}

}  // namespace rusternetes::kubelet
