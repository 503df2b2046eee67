// Old revisions go by themselves, and whoever asks for them is told so.
#include <thread>

#include "server_test_support.h"

using namespace rusternetes;
using api_server::testing::Answer;
using api_server::testing::TestServer;

TEST_CASE("revisions older than the compaction interval go, and a list of them is answered with 410") {
  api_server::InstanceOptions options;
  options.upkeep.compaction_interval = std::chrono::milliseconds(200);
  options.upkeep.trim_interval = std::chrono::milliseconds(50);
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
