#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "engine/container_log.h"
#include "engine/host_facts.h"
#include "real_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

Task<> engine_basics(RealEngine& real) {
  must("ping", co_await real.engine->ping());
  CHECK(to_string(real.engine->info().kind) == real.kind);
  CHECK_FALSE(real.engine->info().version.empty());
  CHECK_FALSE(real.engine->info().is_rootless);
  must("learn", co_await real.engine->learn());
  CHECK(real.engine->info().cpus > 0);
  CHECK_FALSE(real.engine->info().cgroup_driver.empty());
  auto status = co_await real.runtime->status();
  CHECK(status.is_ready);
}

Task<> whole_pod(RealEngine& real) {
  auto config = sandbox_config("whole");
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(config));
  auto status = must("sandbox status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(status.state == SandboxState::ready);
  CHECK(status.labels == config.labels);
  CHECK(status.annotations == config.annotations);
  CHECK(status.uid == "uid-whole");
  CHECK(status.created_at_ns > 1'700'000'000'000'000'000);
  struct stat netns {
  }, ours{};
  REQUIRE(::stat(status.netns_path.c_str(), &netns) == 0);
  REQUIRE(::stat("/proc/self/ns/net", &ours) == 0);
  CHECK(netns.st_ino != ours.st_ino);

  auto wanted = container_config(real, "app",
                                 "echo out $GREETING; echo err >&2; busybox pwd; busybox hostname; exit 7");
  wanted.env = {{"GREETING", "hello"}};
  wanted.working_dir = "/data";
  wanted.labels = {{"c", "app"}};
  auto id = must("create", co_await real.runtime->create_container(sandbox, wanted));
  auto created = must("status", co_await real.runtime->container_status(id));
  CHECK(created.state == ContainerState::created);
  CHECK(created.started_at_ns == 0);
  must("start", co_await real.runtime->start_container(id));
  auto ended = co_await wait_for_exit(real, id);
  CHECK(ended.state == ContainerState::exited);
  CHECK(ended.exit_code == 7);
  CHECK(ended.reason == "Error");
  CHECK(ended.started_at_ns > 0);
  CHECK(ended.finished_at_ns >= ended.started_at_ns);
  CHECK(ended.name == "app");
  CHECK(ended.image == kBusyboxImage);
  CHECK(ended.image_id.starts_with("sha256:"));
  CHECK(ended.labels == Labels{{"c", "app"}});
  auto log = read_log(ended.log_path);
  for (const char* text : {"out hello\n", "err\n", "/data\n", "whole\n"})
    CHECK(log.find(text) != std::string::npos);

  auto again = container_config(real, "app", "exit 0");
  again.attempt = 1;
  auto second = co_await run_container(real, sandbox, again);
  auto completed = co_await wait_for_exit(real, second);
  CHECK(completed.reason == "Completed");
  CHECK(completed.attempt == 1);
  auto list = must("list", co_await real.runtime->list_containers("uid-whole"));
  CHECK(list.size() == 2);
  CHECK(must("other", co_await real.runtime->list_containers("uid-nobody")).empty());

  must("stop", co_await real.runtime->stop_pod_sandbox(sandbox));
  auto stopped = must("sandbox status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(stopped.state == SandboxState::not_ready);
  must("remove", co_await real.runtime->remove_pod_sandbox(sandbox));
  auto gone = co_await real.runtime->container_status(id);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().is("NotFound"));
  must("stop absent", co_await real.runtime->stop_pod_sandbox(sandbox));
  must("remove absent", co_await real.runtime->remove_pod_sandbox(sandbox));
}

Task<> stop_with_grace(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("grace")));
  auto polite = co_await run_container(
      real, sandbox,
      container_config(real, "polite",
                       "trap 'exit 3' TERM; echo up; while :; do busybox sleep 1000 & wait; done"));
  auto stubborn = co_await run_container(
      real, sandbox, container_config(real, "stubborn", "trap '' TERM; echo up; busybox sleep 1000"));
  // Both have set their traps once they have spoken.
  for (const char* name : {"polite", "stubborn"}) {
    LogOptions options;
    options.follow = true;
    WorkerThread worker("log");
    ContainerLogStream log(
        must("log", ContainerLogReader::open(real.directory + "/" + name + "/0.log", options)), worker);
    auto line = co_await log.next();
    CHECK(must("line", line) == "up\n");
  }
  must("stop", co_await real.runtime->stop_container(polite, std::chrono::seconds(20)));
  auto ended = must("status", co_await real.runtime->container_status(polite));
  CHECK(ended.exit_code == 3);
  auto before = std::chrono::steady_clock::now();
  must("stop", co_await real.runtime->stop_container(stubborn, std::chrono::seconds(1)));
  auto took = std::chrono::steady_clock::now() - before;
  auto killed = must("status", co_await real.runtime->container_status(stubborn));
  CHECK(killed.state == ContainerState::exited);
  CHECK(killed.exit_code == 137);
  CHECK(took > std::chrono::milliseconds(900));
  CHECK(took < std::chrono::seconds(10));
  must("stop again", co_await real.runtime->stop_container(stubborn, std::chrono::seconds(1)));
}

Task<> start_error(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("bad")));
  auto config = container_config(real, "bad", "");
  config.command = {"/does/not/exist"};
  auto id = must("create", co_await real.runtime->create_container(sandbox, config));
  auto started = co_await real.runtime->start_container(id);
  REQUIRE_FALSE(started);
  CHECK(started.error().reason == reason::kStartError);
  CHECK(started.error().message.find("/does/not/exist") != std::string::npos);
  auto status = must("status", co_await real.runtime->container_status(id));
  CHECK(status.state == ContainerState::exited);
  CHECK(status.reason == "StartError");
  CHECK(status.exit_code == 128);
  CHECK(status.message.find("/does/not/exist") != std::string::npos);
}

Task<> out_of_memory(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("oom")));
  auto config = container_config(real, "oom", "exec busybox tail /dev/zero");
  config.resources.memory_limit_bytes = 16 << 20;
  auto id = co_await run_container(real, sandbox, config);
  auto status = co_await wait_for_exit(real, id);
  CHECK(status.exit_code == 137);
  if (::access("/dev/kmsg", R_OK) == 0 || !real.is_podman()) CHECK(status.reason == "OOMKilled");
}

Task<> dead_pause(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("dead")));
  auto id = must("create",
                 co_await real.runtime->create_container(sandbox, container_config(real, "app", "exit 0")));
  must("kill", co_await real.engine->kill_container(sandbox, "KILL"));
  must("wait", co_await real.engine->wait_container(sandbox));
  auto started = co_await real.runtime->start_container(id);
  REQUIRE_FALSE(started);
  CHECK(started.error().is("Conflict"));
  auto status = must("status", co_await real.runtime->pod_sandbox_status(sandbox));
  CHECK(status.state == SandboxState::not_ready);
  CHECK(status.netns_path.empty());
}

Task<> created_leftover(RealEngine& real) {
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("left")));
  auto first = must(
      "create", co_await real.runtime->create_container(sandbox, container_config(real, "app", "exit 0")));
  auto second = must(
      "create", co_await real.runtime->create_container(sandbox, container_config(real, "app", "exit 5")));
  CHECK(first != second);
  must("start", co_await real.runtime->start_container(second));
  CHECK((co_await wait_for_exit(real, second)).exit_code == 5);
  auto third = co_await real.runtime->create_container(sandbox, container_config(real, "app", "exit 0"));
  REQUIRE_FALSE(third);
  CHECK(third.error().is("AlreadyExists"));
}

Task<> host_network_pod(RealEngine& real) {
  auto holder = must("holder", co_await real.runtime->run_pod_sandbox(sandbox_config("holder")));
  auto config = sandbox_config("hostnet");
  config.network = SandboxNetwork::container;
  config.network_container = holder;
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(config));
  auto id = co_await run_container(real, sandbox, container_config(real, "app", "busybox sleep 1000"));
  auto inode = [](int pid) {
    struct stat status {};
    ::stat(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), &status);
    return status.st_ino;
  };
  auto a = must("holder", co_await real.runtime->pod_sandbox_status(holder));
  auto b = must("sandbox", co_await real.runtime->pod_sandbox_status(sandbox));
  auto c = must("container", co_await real.runtime->container_status(id));
  CHECK(inode(a.pid) == inode(b.pid));
  CHECK(inode(a.pid) == inode(c.pid));
  CHECK(b.network == SandboxNetwork::container);
}

struct Seen {
  std::vector<RuntimeEvent> events;
  std::unique_ptr<AsyncEvent> changed;
};

Task<> watch(Runtime& runtime, Seen& seen) {
  co_await runtime.watch_events([&seen](const RuntimeEvent& event) {
    seen.events.push_back(event);
    seen.changed->set();
  });
}

Task<bool> wait_for_event(Seen& seen, RuntimeEvent::Kind kind, std::string id) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    for (const auto& event : seen.events)
      if (event.kind == kind && event.id == id) co_return true;
    bool is_changed = co_await seen.changed->wait_until(deadline);
    if (!is_changed) co_return false;
  }
}

Task<> events(RealEngine& real) {
  Seen seen;
  seen.changed = std::make_unique<AsyncEvent>(real.thread.executor());
  TaskGroup group(real.thread.executor());
  group.spawn("watch", watch(*real.runtime, seen));
  CHECK(co_await wait_for_event(seen, RuntimeEvent::Kind::relist, ""));
  auto sandbox = must("sandbox", co_await real.runtime->run_pod_sandbox(sandbox_config("events")));
  CHECK(co_await wait_for_event(seen, RuntimeEvent::Kind::started, sandbox));
  auto id = co_await run_container(real, sandbox, container_config(real, "app", "exit 1"));
  CHECK(co_await wait_for_event(seen, RuntimeEvent::Kind::started, id));
  CHECK(co_await wait_for_event(seen, RuntimeEvent::Kind::died, id));
  // The event is not ahead of the state.
  auto status = must("status", co_await real.runtime->container_status(id));
  CHECK(status.state == ContainerState::exited);
  CHECK(status.exit_code == 1);
  must("remove", co_await real.runtime->remove_pod_sandbox(sandbox));
  CHECK(co_await wait_for_event(seen, RuntimeEvent::Kind::removed, id));
  for (const auto& event : seen.events) {
    if (event.kind == RuntimeEvent::Kind::relist) continue;
    CHECK(event.pod_uid == "uid-events");
    CHECK(event.is_sandbox == (event.id == sandbox));
  }
  co_await group.stop();
}

// Counts and never throws: it runs in a TaskGroup.
Task<> parallel_one(RealEngine& real, int number, int& running) {
  auto name = std::to_string(number);
  auto sandbox = co_await real.runtime->run_pod_sandbox(sandbox_config("p" + name));
  if (!sandbox) co_return;
  auto config = container_config(real, "c" + name, "busybox sleep 1000");
  auto id = co_await real.runtime->create_container(*sandbox, config);
  if (!id) co_return;
  auto started = co_await real.runtime->start_container(*id);
  if (started) ++running;
}

Task<> parallel(RealEngine& real) {
  TaskGroup group(real.thread.executor());
  int running = 0;
  for (int i = 0; i < 12; ++i) group.spawn("pod", parallel_one(real, i, running));
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (group.size() > 0 && std::chrono::steady_clock::now() < deadline)
    co_await sleep_for(std::chrono::milliseconds(20));
  CHECK(running == 12);
  co_await group.stop();
}

}  // namespace

TEST_CASE("a real engine answers as rootful and ready") { on_each_engine(engine_basics); }
TEST_CASE("a Pod runs, ends, is listed and leaves nothing") { on_each_engine(whole_pod); }
TEST_CASE("stop waits for the grace period and then kills") { on_each_engine(stop_with_grace); }
TEST_CASE("a command that is missing is a StartError") { on_each_engine(start_error); }
TEST_CASE("a container beyond its memory limit is OOMKilled") { on_each_engine(out_of_memory); }
TEST_CASE("a container of a dead sandbox is not started") { on_each_engine(dead_pause); }
TEST_CASE("a container that was created and never started is replaced, one that ran is not") {
  on_each_engine(created_leftover);
}
TEST_CASE("a host-network Pod shares its holder's network namespace") { on_each_engine(host_network_pod); }
TEST_CASE("events tell of starts and deaths, beginning with a relist") { on_each_engine(events); }
TEST_CASE("twelve Pods start side by side") { on_each_engine(parallel); }
