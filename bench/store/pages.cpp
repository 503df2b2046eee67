// Ranges: whole ones, first pages, and second pages at the revision of the first.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "store/fleet.h"
#include "store/requests.h"
#include "store/words.h"

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;

// Creates beside the objects at an even pace, from a few threads that wait for their answers.
class PacedWrites {
 public:
  PacedWrites(const Channels& channels, const StoreFlags& flags) {
    for (std::size_t i = 0; i < threads_count; ++i)
      threads_.emplace_back([this, &channel = *channels[i % channels.size()], &flags, i] { run(channel, flags, i); });
  }
  ~PacedWrites() { stop(); }
  void stop() {
    is_ending_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  std::size_t written() const { return written_; }
  bool has_failed() const { return has_failed_; }

 private:
  static constexpr std::size_t threads_count = 4;
  void run(grpc::Channel& channel, const StoreFlags& flags, std::size_t thread) {
    const std::chrono::nanoseconds gap(static_cast<std::int64_t>(1e9 * threads_count) /
                                       static_cast<std::int64_t>(std::max<std::size_t>(flags.writes_per_second, 1)));
    auto due = Steady::now();
    for (std::size_t n = 0; !is_ending_; ++n) {
      etcdserverpb::TxnRequest request;
      etcdserverpb::TxnResponse answer;
      make_create(fmt::format("/registry/beside/{}/{}-{}", flags.prefix, thread, n), fresh_value(flags.value_bytes), request);
      if (auto done = ask(channel, request, answer); !done || !answer.succeeded()) {
        has_failed_ = true;
        return;
      }
      ++written_;
      due = std::max<Steady::time_point>(due + gap, Steady::now() - std::chrono::milliseconds(50));
      std::this_thread::sleep_until(due);
    }
  }
  std::atomic<bool> is_ending_{false}, has_failed_{false};
  std::atomic<std::size_t> written_{0};
  std::vector<std::thread> threads_;
};

float median(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return static_cast<float>(percentile(values, 50));
}

}  // namespace

Result<std::string> run_pages(const Channels& channels, const StoreFlags& flags) {
  std::vector<float> walls_ms;
  std::size_t bytes = 0, keys = 0;
  for (std::size_t i = 0; i < flags.count; ++i) {
    etcdserverpb::RangeRequest request;
    etcdserverpb::RangeResponse answer;
    make_page(objects_prefix, objects_prefix, flags.limit, 0, request);
    const auto begin = Steady::now();
    RN_CHECK(ask(*channels[0], request, answer));
    walls_ms.push_back(milliseconds_since(begin));
    bytes = answer.ByteSizeLong();
    keys = static_cast<std::size_t>(answer.kvs_size());
    const auto least = flags.limit > 0 ? std::min(flags.keys, static_cast<std::size_t>(flags.limit)) : flags.keys;
    if (keys < least) return internal_error(fmt::format("the range has {} keys, not {}", keys, least));
  }
  return fmt::format(R"({{"walls_ms":[{:.3f}],"bytes":{},"keys":{},"client_cpu_seconds":{:.3f}}})",
                     fmt::join(walls_ms, ","), bytes, keys, own_cpu_seconds());
}

Result<std::string> run_older(const Channels& channels, const StoreFlags& flags) {
  PacedWrites writes(channels, flags);
  const auto begin = Steady::now();
  std::vector<float> walls_ms, behind;
  for (std::size_t i = 0; i < flags.count; ++i) {
    etcdserverpb::RangeRequest request;
    etcdserverpb::RangeResponse first, second, newest;
    make_page(objects_prefix, objects_prefix, flags.limit, 0, request);
    RN_CHECK(ask(*channels[0], request, first));
    if (first.kvs_size() == 0) return internal_error("there are no keys");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the reader of the first page works on it
    request.Clear();
    make_page(first.kvs(first.kvs_size() - 1).key() + '\0', objects_prefix, flags.limit, first.header().revision(), request);
    const auto asked = Steady::now();
    RN_CHECK(ask(*channels[0], request, second));
    walls_ms.push_back(milliseconds_since(asked));
    if (second.kvs_size() == 0) return internal_error("the second page is empty");
    behind.push_back(static_cast<float>(second.header().revision() - first.header().revision()));
  }
  writes.stop();
  const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  if (writes.has_failed()) return internal_error("a write beside the pages failed");
  return fmt::format(R"({{"walls_ms":[{:.3f}],"revisions_behind":{:.0f},"writes_per_second":{:.1f}}})",
                     fmt::join(walls_ms, ","), median(behind), static_cast<double>(writes.written()) / seconds);
}

}  // namespace rusternetes::bench
