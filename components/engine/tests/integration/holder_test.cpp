#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "real_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

// A process that pins a network namespace of its own, as the supervisor of a node does.
class Pin {
 public:
  Pin() {
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      const char answer = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      (void)!::write(ready[1], &answer, 1);
      for (;;) ::pause();
    }
    char answer = 'n';
    (void)!::read(ready[0], &answer, 1);
    ::close(ready[0]);
    ::close(ready[1]);
    if (answer != 'y') throw std::runtime_error("no network namespace can be made");
  }
  Pin(const Pin&) = delete;
  ~Pin() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string path() const { return "/proc/" + std::to_string(pid_) + "/ns/net"; }

 private:
  pid_t pid_ = 0;
};

ino_t inode(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Asks until its process has entered, which comes a moment after the start, and the engine has noticed a kill.
Task<Holder> run_holder(RealEngine& real, HolderConfig config) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (;;) {
    auto holder = co_await real.runtime->run_network_holder(config);
    if (!holder && !holder.error().is("Conflict")) fail("holder", holder.error());
    if (holder && inode(holder->netns_path) == inode(config.netns_path)) co_return *holder;
    if (std::chrono::steady_clock::now() > deadline) FAIL("the holder is not in the namespace");
    config.is_replacement = false;
    co_await sleep_for(std::chrono::milliseconds(5));
  }
}

HolderConfig holder_config(const Pin& pin) {
  HolderConfig config;
  config.netns_path = pin.path();
  config.hostname = "node-1";
  config.cgroup_parent = "/kubepods-test/holder";
  return config;
}

Task<> killed(RealEngine& real) {
  Pin pin;
  const auto first = co_await run_holder(real, holder_config(pin));
  auto config = sandbox_config("joins");
  config.hostname.clear();
  config.network = SandboxNetwork::container;
  config.network_container = first.id;
  const auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(config));
  const auto before = must("status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(inode(before.netns_path) == inode(pin.path()));

  REQUIRE(::kill(first.pid, SIGKILL) == 0);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (inode(first.netns_path) != 0) {  // it dies a moment later
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    co_await sleep_for(std::chrono::milliseconds(1));
  }
  const auto second = co_await run_holder(real, holder_config(pin));
  CHECK(second.id == first.id);  // what joined it still can name it
  CHECK(second.pid != first.pid);
  const auto after = must("status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(after.pid == before.pid);
  CHECK(inode(after.netns_path) == inode(pin.path()));
  must("remove", co_await real.runtime->remove_pod_sandbox(sandbox));
}

Task<> renewed(RealEngine& real) {
  Pin old, now;
  const auto first = co_await run_holder(real, holder_config(old));
  auto config = sandbox_config("stays");
  config.hostname.clear();
  config.network = SandboxNetwork::container;
  config.network_container = first.id;
  const auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(config));

  const auto second = co_await run_holder(real, holder_config(now));
  CHECK(second.id != first.id);
  must("remove others", co_await real.runtime->remove_network_holders(second.id));
  const auto status = must("status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(status.state == SandboxState::ready);  // nobody took it along
  must("remove", co_await real.runtime->remove_pod_sandbox(sandbox));
  must("remove others", co_await real.runtime->remove_network_holders(second.id));
  const auto left = must("list", co_await real.engine->list_containers({{label::kKind, "holder"}, {label::kNetns, ""}}));
  REQUIRE(left.size() == 1);
  CHECK(left[0].id == second.id);

  auto replacing = holder_config(now);
  replacing.is_replacement = true;
  const auto third = co_await run_holder(real, replacing);
  CHECK(third.id != second.id);
  const auto again = co_await run_holder(real, holder_config(now));
  CHECK(again.id == third.id);  // though the second still runs
}

Task<> nowhere(RealEngine& real) {
  HolderConfig config;
  config.netns_path = "/proc/1/ns/uts";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  // It starts, cannot enter, and ends: never a holder of that namespace, and Conflict once that is known.
  for (;;) {
    auto holder = co_await real.runtime->run_network_holder(config);
    if (!holder) {
      CHECK(holder.error().is("Conflict"));
      co_return;
    }
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    co_await sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace

TEST_CASE("a killed holder is started again and leaves what joined it alone") { on_each_engine(killed); }
TEST_CASE("another namespace gets another holder, and the old one goes once nothing depends on it") { on_each_engine(renewed); }
TEST_CASE("a holder that cannot enter its namespace is a Conflict") { on_each_engine(nowhere); }
