// A container that ends while its status is being asked for tells its real exit code: on Podman its process
// is gone for some 100 ms before its monitor has noted the end.

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "real_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

Task<> asked_without_a_pause(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("short")));
  for (int i = 0; i < 8; ++i) {
    const auto config = container_config(real, fmt::format("life-{}", i),
                                         fmt::format("busybox usleep {}; exit 5", i * 40'000));
    auto id = co_await run_container(real, sandbox, config);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    ContainerStatus status;
    do {
      status = must("status", co_await real.runtime->container_status(id));
    } while (status.state != ContainerState::exited && std::chrono::steady_clock::now() < deadline);
    CHECK(status.reason == "Error");
    CHECK(status.exit_code == 5);
  }
  must("remove", co_await real.runtime->remove_pod_sandbox(sandbox));
}

}  // namespace

TEST_CASE("a short life ends with its own exit code, however often it is asked for") {
  on_each_engine(asked_without_a_pause);
}
