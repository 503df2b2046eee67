#include "store/words.h"

#include <fmt/format.h>

#include "store/fleet.h"
#include "store/requests.h"

namespace rusternetes::bench {
namespace {

// Until a read is answered: what a restart takes, as a client sees it.
Result<std::string> run_ready(const StoreFlags& flags) {
  const auto begin = std::chrono::steady_clock::now();
  EndpointOptions one = flags.endpoint;
  one.connections = 1;
  RN_TRY(const auto channels, connect(one, std::chrono::seconds(120)));
  etcdserverpb::RangeRequest request;
  etcdserverpb::RangeResponse answer;
  make_get(object_key(0), request);
  for (;;) {
    if (auto asked = ask(*channels[0], request, answer))
      break;
    else if (milliseconds_since(begin) > 120'000)
      return asked.error();
  }
  return fmt::format(R"({{"ready_ms":{:.2f},"revision":{}}})", milliseconds_since(begin), answer.header().revision());
}

}  // namespace

Result<std::string> run_word(const std::string& word, const StoreFlags& flags) {
  if (word == "ready") return run_ready(flags);
  RN_TRY(const auto channels, connect(flags.endpoint));
  if (word == "page") return run_pages(channels, flags);
  if (word == "older") return run_older(channels, flags);
  if (word == "watch") return run_watch(channels, flags);
  if (word == "watchers") return run_watchers(channels, flags);
  return run_rate(word, channels, flags);
}

}  // namespace rusternetes::bench
