// EnginePort::read_logs: files of either engine's format, several at a time.
#include <poll.h>

#include <algorithm>

#include "engine/container_log.h"
#include "launcher/components/engine.h"

namespace rusternetes::launcher {
namespace {

// How soon a user's interrupt is seen while nothing is written.
constexpr int look_pause_ms = 250;

struct Source {
  std::string key;
  std::unique_ptr<engine::ContainerLogReader> reader;
  std::string rest;  // of a line that is not whole yet
  bool is_over = false;
};

using OnLine = std::function<bool(const std::string&, std::string_view)>;

// False when `on_line` wants no more.
bool give_lines(Source& source, std::string_view bytes, const OnLine& on_line) {
  source.rest += bytes;
  std::size_t begin = 0;
  for (std::size_t end; (end = source.rest.find('\n', begin)) != std::string::npos; begin = end + 1)
    if (!on_line(source.key, std::string_view(source.rest).substr(begin, end - begin))) return false;
  source.rest.erase(0, begin);
  return true;
}

// What there is now.
Result<bool> drain(Source& source, const OnLine& on_line) {
  while (!source.is_over) {
    RN_TRY(const auto piece, source.reader->read());
    if (!give_lines(source, piece.bytes, on_line)) return false;
    if (piece.more == engine::ContainerLogReader::More::later) break;
    source.is_over = piece.more == engine::ContainerLogReader::More::never;
  }
  if (source.is_over && !source.rest.empty()) return on_line(source.key, source.rest);
  return true;
}

void wait_for_changes(std::vector<Source>& sources) {
  std::vector<pollfd> waits;
  for (const Source& source : sources)
    if (!source.is_over) waits.push_back({source.reader->change_fd(), POLLIN, 0});
  ::poll(waits.data(), waits.size(), look_pause_ms);
  for (Source& source : sources)
    if (!source.is_over) source.reader->drain_changes();
}

}  // namespace

Result<> EngineApi::read_logs(const LogRequest& request, const OnLine& on_line,
                              const std::function<bool()>& goes_on) {
  engine::LogOptions options{.follow = request.follow};
  if (request.tail >= 0) options.tail_lines = request.tail;
  std::vector<Source> sources;
  for (const auto& [key, file] : request.files) {
    auto reader = engine::ContainerLogReader::open(file, options);
    if (!reader && reader.error().is("NotFound") && request.files.size() > 1) continue;
    if (!reader) return reader.error();
    sources.push_back({key, std::move(*reader), {}, false});
  }
  for (;;) {
    for (Source& source : sources) {
      RN_TRY(const bool wants_more, drain(source, on_line));
      if (!wants_more) return {};
    }
    const bool is_over = std::all_of(sources.begin(), sources.end(), [](const auto& one) { return one.is_over; });
    if (is_over || !goes_on()) return {};
    wait_for_changes(sources);
  }
}

}  // namespace rusternetes::launcher
