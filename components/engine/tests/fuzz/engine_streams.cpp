// What an engine or a container's log may throw at us: framed streams, JSON streams, log lines, references,
// times.
#include <boost/json/value.hpp>
#include <cstdint>

#include "engine/json_lines.h"
#include "engine/json_read.h"
#include "engine/log_format.h"
#include "engine/oom_log.h"
#include "engine/reference.h"
#include "engine/std_stream.h"

using namespace rusternetes;
using namespace rusternetes::engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      StdStreamDecoder decoder;
      std::size_t total = 0;
      (void)decoder.feed(text, [&total](StdStream, std::string_view bytes) { total += bytes.size(); });
      RN_ASSERT(total <= text.size(), "more came out than went in");
      break;
    }
    case 1: {
      JsonLines lines;
      auto half = text.size() / 2;
      auto ignore = [](const boost::json::value&) {};
      if (lines.feed(text.substr(0, half), ignore)) (void)lines.feed(text.substr(half), ignore);
      break;
    }
    case 2:
      (void)parse_log_line(text);
      break;
    case 3:
      if (auto reference = parse_reference(text)) {
        auto again = parse_reference(reference->str());
        RN_ASSERT(again && again->str() == reference->str(), "a normal reference parses to itself");
      }
      break;
    case 4: {
      (void)parse_time_ns(text);
      OomLog log("/dev/null");
      log.add_record(text);
      break;
    }
  }
  return 0;
}
