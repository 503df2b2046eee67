#pragma once
// Real engines for the tests, from RUSTERNETES_TEST_ENGINES="podman:/path.sock docker:/path.sock". They
// should run in a world of their own: containers, networks and cgroups are made there.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "engine/engine.h"
#include "engine/runtime.h"

namespace rusternetes::engine::testing {

// An image with busybox, its applets found by PATH and an `sh`.
inline constexpr char kBusyboxImage[] = "localhost/rusternetes-test/busybox:1";
inline constexpr char kPauseImage[] = "localhost/rusternetes-test/pause:1";

struct RealEngine {
  std::string kind, socket;
  EventThread& thread;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Runtime> runtime;
  std::string directory;  // for log files; removed at the end
  bool is_podman() const { return kind == "podman"; }
};

// Runs the test on each engine, with images loaded and what an earlier run left removed. Prints SKIPPED
// without engines.
void on_each_engine(std::function<Task<>(RealEngine&)> test);

// The sockets of the environment: kind and path.
std::vector<std::pair<std::string, std::string>> engine_sockets();
// Fails the test with the status's message.
[[noreturn]] void fail(std::string_view what, const Status& status);

template <class T>
T must(std::string_view what, Result<T> result) {
  if (!result) fail(what, result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

SandboxConfig sandbox_config(std::string name);
// `script` for sh -c.
ContainerConfig container_config(RealEngine& real, std::string name, std::string script);
// Creates and starts it.
Task<std::string> run_container(RealEngine& real, std::string sandbox, ContainerConfig config);
// Waits for its end through the engine; the status.
Task<ContainerStatus> wait_for_exit(RealEngine& real, std::string id);
// Its whole log.
std::string read_log(const std::string& path);

}  // namespace rusternetes::engine::testing
