// No Pod before the node drops what is left untranslated of Services (invariant 14).

#include "network/service_drop.h"

#include <iostream>

#include "harness.h"
#include "network/namespace.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using network::IpPrefix;
using network::NetworkNamespace;

namespace {

std::string why_not_ready(Harness& harness) {
  const auto node = harness.api.find("nodes", "", "n1");
  if (!node) return {};
  for (const auto one : core_v1::Node(&node.root()).status().conditions())
    if (one.type() == "Ready") return one.status() == "True" ? "" : std::string(one.message());
  return {};
}

}  // namespace

TEST_CASE("no Pod is begun before the drop rule of the service ranges stands in the node") {
  const auto node = NetworkNamespace::create();
  if (!node) {
    std::cout << "SKIPPED: no network namespace can be made here\n";
    return;
  }
  Harness harness([&](KubeletOptions& options) {
    options.cluster = "drop-test";
    options.netns_path = "/proc/self/fd/" + std::to_string(node->fd());
    options.service_ranges = {"10.98.0.0/16"};
  });
  const auto drop = [&](const char* range) {
    REQUIRE(network::load_service_drop(*node, {"drop-test", {*IpPrefix::parse(range)}, {}}));
  };
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] {
    return why_not_ready(harness).find("the drop rule of the service ranges 10.98.0.0/16 does not stand") !=
           std::string::npos;
  }));
  // Another range is another rule.
  drop("10.99.0.0/16");
  REQUIRE(harness.eventually(
      [&] { return harness.kubelet->why_not_ready().find("is not among its ranges") != std::string::npos; }));
  harness.act([&] {
    CHECK(harness.runtime.sandboxes.empty());
    CHECK(harness.kubelet->health() != "ok");
  });
  drop("10.98.0.0/16");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  CHECK(harness.kubelet->health() == "ok");
  // One that is started anew finds it.
  harness.stop();
  harness.start();
  REQUIRE(harness.eventually([&] { return harness.kubelet->health() == "ok"; }));
}

TEST_CASE("a service range that is none keeps the kubelet from its start") {
  EventThread thread("kubelet-test");
  FakeApi api{thread.executor()};
  FakeRuntime runtime{thread.executor()};
  KubeletOptions options;
  options.node_name = "n1";
  options.node_ip = "10.213.0.2";
  options.root_dir =
      (std::filesystem::temp_directory_path() / ("kubelet-drop-" + std::to_string(::getpid()))).string();
  options.log_dir = options.root_dir + "/logs";
  options.service_ranges = {"10.98.0.0/33"};
  Kubelet kubelet(api, runtime, options);
  Result<void> started;
  const auto begin = [&]() -> Task<> {
    started = co_await kubelet.start();
    co_await kubelet.stop();
  };
  run_blocking(thread.executor(), begin());
  CHECK_FALSE(started);
  std::filesystem::remove_all(options.root_dir);
}
