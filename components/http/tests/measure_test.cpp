// Not run by default: a server for load generators (h2load), and our own client's rate against it.
//   http_tests "serve for load generators"   (SECONDS=30; prints its ports)

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "harness.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

Task<> load(Client& client, std::string target, std::atomic<int>& left, std::size_t& bytes) {
  while (left-- > 0) {
    ClientRequest request;
    request.target = target;
    auto sent = co_await client.send(std::move(request));
    REQUIRE(sent);
    auto response = *std::move(sent);
    for (;;) {
      auto piece = co_await response->read_some();
      REQUIRE(piece);
      if (piece->empty()) break;
      bytes += piece->size();
    }
  }
}

Task<> load_all(Client& client, std::string target, int workers, int requests, std::size_t& bytes) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  TaskGroup group(executor);
  std::atomic<int> left{requests};
  for (int i = 0; i < workers; ++i) group.spawn("load", load(client, target, left, bytes));
  while (group.size()) co_await sleep_for(std::chrono::milliseconds(1));
}

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

TEST_CASE("serve for load generators", "[.]") {
  Harness harness({}, false, 1);
  const char* seconds = std::getenv("SECONDS_TO_SERVE");
  std::printf("https://127.0.0.1:%u/hello http://127.0.0.1:%u/hello unix:%s\n", harness.tls_port,
              harness.plain_port, harness.unix_path.c_str());
  std::fflush(stdout);
  std::this_thread::sleep_for(std::chrono::seconds(seconds ? std::atoi(seconds) : 30));
  std::printf("handled %d, CPU %.2f s\n", harness.handled.load(), cpu_seconds());
}

TEST_CASE("measure our own client", "[.]") {
  Harness harness({}, false, 1);
  for (const char* kind : {"h2", "https1", "unix"}) {
    auto client = harness.client(kind);
    for (const auto& [target, workers, requests] :
         {std::tuple{"/hello", 64, 40'000}, std::tuple{"/hello", 1, 10'000}, std::tuple{"/flood", 1, 4}}) {
      std::size_t bytes = 0;
      const double cpu = cpu_seconds();
      const auto begun = std::chrono::steady_clock::now();
      harness.run(load_all(*client, target, workers, requests, bytes));
      const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      std::printf("%-7s %-7s %2d workers: %8.0f/s, %7.1f MB/s, %6.1f us CPU a request (both ends)\n", kind,
                  target, workers, requests / wall, static_cast<double>(bytes) / wall / 1e6,
                  (cpu_seconds() - cpu) / requests * 1e6);
    }
  }
}
