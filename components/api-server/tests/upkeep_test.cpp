// Old revisions go by themselves, and whoever asks for them is told so; memory that bursts left behind is given back.
#include <memory>
#include <thread>
#include <vector>

#include "server_test_support.h"

using namespace rusternetes;
using api_server::testing::Answer;
using api_server::testing::TestServer;

TEST_CASE("revisions older than the compaction interval go, and a list of them is answered with 410") {
  api_server::InstanceOptions options;
  options.upkeep.compaction_interval = std::chrono::milliseconds(200);
  options.upkeep.memory.interval = std::chrono::milliseconds(50);
  TestServer server(options);
  const std::string maps = "/api/v1/namespaces/default/configmaps";
  REQUIRE(server.send("POST", maps, R"({"metadata":{"name":"m"},"data":{"k":"0"}})").code == 201);
  const Answer old = server.send("GET", maps);
  const auto at = old.body.find(R"("resourceVersion":")") + 19;
  const std::string revision = old.body.substr(at, old.body.find('"', at) - at);
  REQUIRE(server.send("PATCH", maps + "/m", R"({"data":{"k":"1"}})", "application/merge-patch+json").code == 200);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (server.store().compact_revision() < std::stoll(revision) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // until the interval has passed
  CHECK(server.store().compact_revision() >= std::stoll(revision));
  // Caches forget on their own terms; a server that starts now has nothing but the store.
  server.restart();
  const Answer gone = server.send("GET", maps + "?resourceVersionMatch=Exact&resourceVersion=1");
  CHECK(gone.code == 410);
  CHECK(gone.body.find(R"("reason":"Expired")") != std::string::npos);
  CHECK(server.send("GET", maps + "/m").body.find(R"("k":"1")") != std::string::npos);
}

constexpr std::uint64_t kMiB = 1 << 20;

TEST_CASE("a server gives back what was freed in the midst of what is in use, also while leases are renewed") {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  WARN("SKIPPED: a sanitizer has its own allocator");
  return;
#endif
#endif
  api_server::InstanceOptions options;
  options.upkeep.memory.interval = options.upkeep.memory.least_distance = std::chrono::milliseconds(50);
  TestServer server(options);
  const std::string maps = "/api/v1/namespaces/default/configmaps";
  REQUIRE(server.send("POST", maps, R"({"metadata":{"name":"m"},"data":{"k":"0"}})").code == 201);
  std::vector<std::unique_ptr<char[]>> all;
  for (int i = 0; i < 64 * 1024; ++i) {
    all.push_back(std::make_unique<char[]>(1024));
    all.back()[0] = 1;
  }
  const auto full = TrimPlan::look().resident_bytes;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i % 64) all[i].reset();
  REQUIRE(TrimPlan::look().resident_bytes + 16 * kMiB > full);  // the allocator keeps it
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (TrimPlan::look().resident_bytes + 32 * kMiB > full && std::chrono::steady_clock::now() < deadline) {
    REQUIRE(server.send("PATCH", maps + "/m", R"({"data":{"k":")" + std::to_string(all.size()) + R"("}})", "application/merge-patch+json").code == 200);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // calm in between
    all.push_back(nullptr);  // another number
  }
  CHECK(TrimPlan::look().resident_bytes + 32 * kMiB < full);
}
