// From a write to its event at another client, and what a thousand watchers cost.

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "store/fleet.h"
#include "store/requests.h"
#include "store/watch_client.h"
#include "store/words.h"

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto most_patience = std::chrono::seconds(60);

// Latencies of the events of all streams.
class Arrivals {
 public:
  void add(const mvccpb::Event& event) {
    const float latency = milliseconds_since(made_at(event.kv().value()));
    std::lock_guard lock(mutex_);
    latencies_ms_.push_back(latency);
    wake_.notify_all();
  }
  Result<void> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, most_patience, [&] { return latencies_ms_.size() >= count; })) return {};
    return internal_error(fmt::format("{} of {} events came within {} s", latencies_ms_.size(), count, most_patience.count()));
  }
  std::vector<float> sorted() {
    std::lock_guard lock(mutex_);
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    return latencies_ms_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<float> latencies_ms_;
};

}  // namespace

Result<std::string> run_watch(const Channels& channels, const StoreFlags& flags) {
  const std::string prefix = fmt::format("/registry/{}/", flags.prefix);
  Arrivals arrivals;
  RN_TRY(const auto watch, WatchClient::open(channels.back(), {prefix}, [&](const auto& event) { arrivals.add(event); }));
  std::vector<float> puts_ms;
  for (std::size_t n = 0; n < flags.count; ++n) {
    etcdserverpb::TxnRequest request;
    etcdserverpb::TxnResponse answer;
    make_create(fmt::format("{}{:06}", prefix, n), fresh_value(flags.value_bytes), request);
    const auto begin = Steady::now();
    RN_CHECK(ask(*channels.front(), request, answer));
    puts_ms.push_back(milliseconds_since(begin));
    if (!answer.succeeded()) return internal_error("the key is there already");
    RN_CHECK(arrivals.wait_for(n + 1));
  }
  const auto latencies = arrivals.sorted();
  std::sort(puts_ms.begin(), puts_ms.end());
  return fmt::format(R"({{"operations":{},"p50_ms":{:.4f},"p99_ms":{:.4f},"put_p50_ms":{:.4f}}})", latencies.size(),
                     percentile(latencies, 50), percentile(latencies, 99), percentile(puts_ms, 50));
}

Result<std::string> run_watchers(const Channels& channels, const StoreFlags& flags) {
  auto prefix_of = [&](std::size_t watcher) {
    return flags.is_same ? fmt::format("/registry/{}/same/", flags.prefix)
                         : fmt::format("/registry/{}/distinct-{:04}/", flags.prefix, watcher);
  };
  Arrivals arrivals;
  std::vector<std::unique_ptr<WatchClient>> clients;
  for (std::size_t stream = 0; stream < flags.streams; ++stream) {
    std::vector<std::string> prefixes;
    for (std::size_t i = stream; i < flags.watchers; i += flags.streams) prefixes.push_back(prefix_of(i));
    RN_TRY(auto client, WatchClient::open(channels[stream % channels.size()], std::move(prefixes),
                                          [&](const auto& event) { arrivals.add(event); }));
    clients.push_back(std::move(client));
  }
  Work work{[&](std::size_t n, Operation& operation) {
              make_create(fmt::format("{}{:07}", prefix_of(n % flags.watchers), n), fresh_value(flags.value_bytes), operation.txn);
            },
            [](std::size_t, const Operation& operation) {
              return std::string(operation.txn_answer.succeeded() ? "" : "the key is there already");
            }};
  const auto begin = Steady::now();
  RN_TRY(const auto report, run_fleet(channels, flags.workers, 0, flags.count, work, flags.server_pid));
  RN_CHECK(arrivals.wait_for(flags.count * (flags.is_same ? flags.watchers : 1)));
  const double seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  for (const auto& client : clients)
    if (auto failure = client->failure(); !failure.empty()) return internal_error(failure);
  const auto latencies = arrivals.sorted();
  return fmt::format(
      R"({{"per_second":{:.1f},"events_per_second":{:.1f},"put_p50_ms":{:.3f},"p50_ms":{:.3f},"p99_ms":{:.3f},"events":{},"server_cpu_seconds":{:.2f}}})",
      static_cast<double>(flags.count) / report.seconds, static_cast<double>(latencies.size()) / seconds,
      percentile(report.latencies_ms, 50), percentile(latencies, 50), percentile(latencies, 99), latencies.size(),
      report.server_cpu_seconds);
}

}  // namespace rusternetes::bench
