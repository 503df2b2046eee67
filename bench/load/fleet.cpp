#include "load/fleet.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/task.h"

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t answer_limit = 64u << 20;

// What all threads of a run share.
struct Work {
  std::atomic<std::size_t> next;
  std::size_t end;
  MakeRequest make_request;
};

// The workers of one thread.
class Squad {
 public:
  Squad(Work& work, std::string name) : work_(work), thread_(std::move(name)) {}
  ~Squad() {
    // Clients close on their thread, which must still run then.
    run_blocking(thread_.executor(), close());
  }

  Result<void> connect(const http::Endpoint& endpoint, std::size_t connections) {
    for (std::size_t i = 0; i < connections; ++i) {
      RN_TRY(auto client, http::Client::create(thread_.executor(), endpoint));
      clients_.push_back(std::move(client));
    }
    Result<void> outcome;
    run_blocking(thread_.executor(), greet(outcome));
    return outcome;
  }

  void run(std::size_t workers) { run_blocking(thread_.executor(), run_workers(workers)); }

  std::vector<float> latencies_ms;
  std::size_t failures = 0;
  std::string first_failure;

 private:
  Task<> close() {
    clients_.clear();
    co_return;
  }

  Task<> greet(Result<void>& outcome) {
    for (auto& client : clients_) {
      http::ClientRequest request;
      request.target = "/version";
      auto response = co_await client->send(std::move(request));
      if (!response) {
        outcome = response.error();
        co_return;
      }
      auto body = co_await (*response)->read_all(answer_limit);
      if (!body) outcome = body.error();
    }
  }

  Task<> run_workers(std::size_t workers) {
    auto executor = co_await asio::this_coro::executor;
    TaskGroup group(executor);
    AsyncEvent ended(executor);
    running_ = workers;
    for (std::size_t i = 0; i < workers; ++i)
      group.spawn("worker", worker(*clients_[i % clients_.size()], ended));
    while (running_ > 0) co_await ended.wait();
    co_await group.stop();
  }

  Task<> worker(http::Client& client, AsyncEvent& ended) {
    for (;;) {
      const std::size_t n = work_.next.fetch_add(1, std::memory_order_relaxed);
      if (n >= work_.end) break;
      auto request = work_.make_request(n);
      const auto begin = Steady::now();
      auto response = co_await client.send(std::move(request));
      if (!response) {
        fail(response.error().message);
        continue;
      }
      auto body = co_await (*response)->read_all(answer_limit);
      if (!body) {
        fail(body.error().message);
      } else if (const int status = (*response)->head().status; status >= 300) {
        fail(fmt::format("{}: {}", status, body->substr(0, 300)));
      } else {
        latencies_ms.push_back(std::chrono::duration<float, std::milli>(Steady::now() - begin).count());
      }
    }
    --running_;
    ended.set();
  }

  void fail(std::string why) {
    if (failures++ == 0) first_failure = std::move(why);
  }

  Work& work_;
  EventThread thread_;
  std::vector<std::unique_ptr<http::Client>> clients_;
  std::size_t running_ = 0;
};

}  // namespace

Result<FleetReport> run_fleet(const http::Endpoint& endpoint, FleetOptions options, std::size_t from,
                              std::size_t count, MakeRequest make_request) {
  Work work{from, from + count, std::move(make_request)};
  const std::size_t threads = std::max<std::size_t>(options.threads, 1);
  const std::size_t connections = std::max<std::size_t>(options.connections / threads, 1);
  const std::size_t workers = std::max<std::size_t>(options.workers / threads, 1);
  std::vector<std::unique_ptr<Squad>> squads;
  for (std::size_t i = 0; i < threads; ++i) {
    squads.push_back(std::make_unique<Squad>(work, fmt::format("squad-{}", i)));
    RN_CHECK(squads.back()->connect(endpoint, connections));
  }
  const double cpu_before = own_cpu_seconds();
  const auto begin = Steady::now();
  std::vector<std::thread> runners;
  for (auto& squad : squads) runners.emplace_back([&squad, workers] { squad->run(workers); });
  for (auto& runner : runners) runner.join();
  FleetReport report;
  report.seconds = std::chrono::duration<double>(Steady::now() - begin).count();
  report.client_cpu_seconds = own_cpu_seconds() - cpu_before;
  for (auto& squad : squads) {
    report.latencies_ms.insert(report.latencies_ms.end(), squad->latencies_ms.begin(),
                               squad->latencies_ms.end());
    report.failures += squad->failures;
    if (report.first_failure.empty()) report.first_failure = squad->first_failure;
  }
  std::sort(report.latencies_ms.begin(), report.latencies_ms.end());
  report.operations = report.latencies_ms.size();
  return report;
}

double percentile(const std::vector<float>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(percent / 100 * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[at];
}

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace rusternetes::bench
