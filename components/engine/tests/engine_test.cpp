#include "engine/engine.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/detect.h"
#include "engine/dialect.h"
#include "engine/runtime.h"
#include "fake_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

using Test = std::function<Task<>(EventThread&, FakeEngine&)>;

void with_fake(Test test) {
  FakeEngine fake;
  EventThread thread("engine-test");
  run_blocking(thread.executor(), test(thread, fake));
}

Task<> negotiates(EventThread& thread, FakeEngine& fake) {
  be_docker(fake, "1.52", "1.44");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  CHECK((*engine)->info().api_version == "1.44");
  CHECK((*engine)->info().kind == EngineKind::docker);
  CHECK((*engine)->info().cgroup_version == 2);
  CHECK((*engine)->info().has_apparmor);
  CHECK(fake.requests().back() == "GET /v1.44/info\n");
}

Task<> older_server(EventThread& thread, FakeEngine& fake) {
  be_docker(fake, "1.40", "1.12");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  CHECK((*engine)->info().api_version == "1.40");
}

Task<> podman(EventThread& thread, FakeEngine& fake) {
  be_podman(fake);
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  CHECK((*engine)->info().kind == EngineKind::podman);
  CHECK((*engine)->info().version == "4.3.1");
  CHECK((*engine)->info().api_version == "1.41");
  CHECK(fake.requests() == std::vector<std::string>{"GET /_ping\n"});  // /version and /info take 0.25 s and 0.1 s
  auto learned = co_await (*engine)->learn();
  REQUIRE(learned);
  CHECK((*engine)->info().cgroup_driver == "cgroupfs");
  CHECK((*engine)->dialect().info().default_runtime == "runc");
  learned = co_await (*engine)->learn();
  CHECK(learned);
  CHECK(fake.requests().size() == 2);
  CHECK((*engine)->process_id() == ::getpid());
}

Task<> nobody(EventThread& thread, FakeEngine& fake) {
  auto engine = co_await Engine::connect(thread.executor(), fake.path() + ".none");
  REQUIRE_FALSE(engine);
  CHECK(engine.error().reason == reason::kUnreachable);
  DetectOptions options;
  options.podman_sockets = {fake.path() + ".a"};
  options.docker_sockets = {fake.path() + ".b"};
  auto found = co_await detect_engine(thread.executor(), options);
  REQUIRE_FALSE(found);
  CHECK(found.error().message.find(fake.path() + ".a") != std::string::npos);
  CHECK(found.error().message.find("systemctl start") != std::string::npos);
}

Task<> rootless(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  fake.answer_json("GET /v1.41/info", R"({"SecurityOptions":["name=rootless"]})");
  DetectOptions options;
  options.socket_path = "unix://" + fake.path();
  auto engine = co_await detect_engine(thread.executor(), options);
  REQUIRE_FALSE(engine);
  CHECK(engine.error().reason == reason::kRootless);
  CHECK(engine.error().message.find("systemctl enable") != std::string::npos);
}

Task<> rootless_podman(EventThread& thread, FakeEngine& fake) {
  be_podman(fake);
  fake.answer_json("GET /v1.41/info", R"({"Rootless":true})");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  ContainerSpec spec;
  spec.image = "localhost/pause:1";
  auto made = co_await (*engine)->create_container(spec);
  REQUIRE_FALSE(made);
  CHECK(made.error().reason == reason::kRootless);
}

Task<> second_candidate(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  DetectOptions options;
  options.podman_sockets = {fake.path() + ".none"};
  options.docker_sockets = {fake.path()};
  auto engine = co_await detect_engine(thread.executor(), options);
  REQUIRE(engine);
  CHECK((*engine)->socket_path() == fake.path());
}

Task<> hangs(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  fake.answer("GET /v1.41/containers/", "");
  EngineOptions options;
  options.request_timeout = std::chrono::milliseconds(100);
  auto engine = co_await Engine::connect(thread.executor(), fake.path(), options);
  REQUIRE(engine);
  auto details = co_await (*engine)->inspect_container("x");
  REQUIRE_FALSE(details);
  CHECK(details.error().is("Timeout"));
  CHECK(details.error().message.find("/containers/x/json") != std::string::npos);
}

Task<> pull_stream(EventThread& thread, FakeEngine& fake) {
  be_podman(fake);
  std::string stream =
      "{\"status\":\"Trying\",\"id\":\"a\",\"progressDetail\":{\"current\":5,\"total\":9}}\n"
      "{\"error\":\"initializing source docker://x.test/y:1: pinging container registry x.test: dial tcp: "
      "connect: "
      "connection refused\"}\n";
  fake.answer_json("POST /v1.41/images/create?fromImage=x.test%2Fy&tag=1", stream);
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  std::vector<PullProgress> progress;
  auto note = [&progress](const PullProgress& item) { progress.push_back(item); };
  auto pulled = co_await (*engine)->pull_image("x.test/y:1", {}, std::chrono::seconds(5), note);
  REQUIRE_FALSE(pulled);
  CHECK(pulled.error().reason == reason::kRegistryUnavailable);
  REQUIRE(progress.size() == 2);
  CHECK(progress[0].current == 5);
  CHECK(progress[0].layer == "a");
  fake.answer_json("POST /v1.41/images/create", R"({"message":"manifest unknown"})", 404);
  auto unknown = co_await (*engine)->pull_image("x.test/y:2", {}, std::chrono::seconds(5));
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().is("NotFound"));
}

struct Watcher {
  explicit Watcher(asio::any_io_executor executor) : changed(executor) {}
  AsyncEvent changed;
  std::vector<RuntimeEvent> events;
};

Task<> watch(Runtime& runtime, Watcher& watcher) {
  co_await runtime.watch_events([&watcher](const RuntimeEvent& event) {
    watcher.events.push_back(event);
    watcher.changed.set();
  });
}

Task<> event_gap(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  std::string event =
      R"({"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":{"io.rusternetes.owner":"me",)"
      R"("io.rusternetes.kind":"container","io.rusternetes.pod-uid":"u1"}},"timeNano":42})"
      R"({"Type":"container","Action":"die","Actor":{"ID":"c2","Attributes":{"io.rusternetes.owner":"other"}}})"
      "\n";
  fake.answer("GET /v1.41/events", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + event + "\x04");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  RuntimeOptions options;
  options.owner = "me";
  auto runtime = make_runtime(**engine, options);
  Watcher watcher(thread.executor());
  TaskGroup group(thread.executor());
  group.spawn("watch", watch(*runtime, watcher));
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (watcher.events.size() < 4) {
    bool is_changed = co_await watcher.changed.wait_until(deadline);
    if (!is_changed) break;
  }
  co_await group.stop();
  REQUIRE(watcher.events.size() >= 4);
  CHECK(watcher.events[0].kind == RuntimeEvent::Kind::relist);
  CHECK(watcher.events[1].kind == RuntimeEvent::Kind::died);
  CHECK(watcher.events[1].id == "c1");
  CHECK(watcher.events[1].pod_uid == "u1");
  CHECK(watcher.events[1].time_ns == 42);
  // The stream broke off: what was missed meanwhile is found by listing.
  CHECK(watcher.events[2].kind == RuntimeEvent::Kind::relist);
  CHECK(watcher.events[3].id == "c1");
}

Task<> dead_but_running(EventThread& thread, FakeEngine& fake) {
  be_podman(fake);
  // Beyond every kernel's pid_max.
  fake.answer_json("GET /v4.0.0/libpod/containers/c1/json",
                   R"({"Id":"c1","State":{"Status":"running","Pid":999999999,
    "StartedAt":"2026-01-02T03:04:05.5Z"},"Config":{"Labels":{"io.rusternetes.owner":"default",
    "io.rusternetes.kind":"container","io.rusternetes.container-name":"app"}}})");
  fake.answer_json("GET /v4.0.0/libpod/containers/json",
                   R"([{"Id":"c1","State":"running","Pid":999999999,"Labels":{}}])");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  auto runtime = make_runtime(**engine, {});
  auto status = co_await runtime->container_status("c1");
  REQUIRE(status);
  CHECK(status->state == ContainerState::exited);
  CHECK(status->reason == "ContainerStatusUnknown");
  CHECK(status->exit_code == 137);
  auto list = co_await runtime->list_containers();
  REQUIRE(list);
  CHECK(list->at(0).state == ContainerState::exited);
  // While its monitor lives, the exit code is still to come.
  fake.answer_json("GET /v4.0.0/libpod/containers/c1/json",
                   R"({"Id":"c1","State":{"Status":"running","Pid":999999999,"ConmonPid":)" + std::to_string(::getpid()) +
                       R"(},"Config":{"Labels":{"io.rusternetes.owner":"default",
    "io.rusternetes.kind":"container","io.rusternetes.container-name":"app"}}})");
  auto ending = co_await runtime->container_status("c1");
  REQUIRE(ending);
  CHECK(ending->state == ContainerState::running);
}

Task<> foreign(EventThread& thread, FakeEngine& fake) {
  be_podman(fake);
  fake.answer_json(
      "GET /v4.0.0/libpod/containers/c1/json",
      R"({"Id":"c1","State":{"Status":"running"},"Config":{"Labels":{"io.rusternetes.owner":"other"}}})");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  auto runtime = make_runtime(**engine, {});
  auto removed = co_await runtime->remove_container("c1");
  CHECK(removed);
  auto started = co_await runtime->start_container("c1");
  REQUIRE_FALSE(started);
  CHECK(started.error().is("NotFound"));
  for (const auto& request : fake.requests()) CHECK_FALSE(request.starts_with("DELETE"));
}

// The pause image is there until somebody prunes it, and again once it has been loaded.
struct PauseImage {
  explicit PauseImage(FakeEngine& f) : fake(f) {
    be_docker(fake);
    fake.answer_json("POST /v1.41/images/load", R"({"stream":"Loaded image: localhost/rusternetes/pause:1\n"})");
    fake.answer_json("POST /v1.41/containers/p1/start", "", 204);
    fake.answer_json("GET /v1.41/containers/json", "[]");
    fake.answer_json("GET /v1.41/containers/p1/json", R"({"Id":"p1","State":{"Status":"running","Pid":1},"Config":{"Labels":{
      "io.rusternetes.owner":"default","io.rusternetes.kind":"holder"}}})");
    prune();
    options.on_request = [this](std::string_view, std::string_view target, bool is_done) {
      if (is_done || target.find("/images/load") == std::string_view::npos) return;
      ++loads;
      if (is_loadable) fake.answer_json("POST /v1.41/containers/create", R"({"Id":"p1"})", 201);
    };
    runtime_options.pause_program = "pause";
  }
  void prune() {
    fake.answer_json("POST /v1.41/containers/create", R"({"message":"No such image: localhost/rusternetes/pause:1"})", 404);
  }
  FakeEngine& fake;
  EngineOptions options;
  RuntimeOptions runtime_options;
  bool is_loadable = true;
  int loads = 0;
};

Task<> pruned_pause(EventThread& thread, FakeEngine& fake) {
  PauseImage image(fake);
  auto engine = co_await Engine::connect(thread.executor(), fake.path(), image.options);
  REQUIRE(engine);
  auto runtime = make_runtime(**engine, image.runtime_options);
  auto id = co_await runtime->run_pod_sandbox({});
  REQUIRE(id);
  id = co_await runtime->run_pod_sandbox({});
  REQUIRE(id);
  CHECK(image.loads == 1);
  image.prune();
  id = co_await runtime->run_pod_sandbox({});
  REQUIRE(id);
  CHECK(image.loads == 2);
  image.prune();
  auto holder = co_await runtime->run_network_holder({});
  REQUIRE(holder);
  CHECK(image.loads == 3);
  image.prune();
  image.is_loadable = false;  // once more, and no more than once
  id = co_await runtime->run_pod_sandbox({});
  REQUIRE_FALSE(id);
  CHECK(id.error().message.find("No such image") != std::string::npos);
  CHECK(image.loads == 4);
}

Task<> lost_log_link(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  char name[] = "/tmp/engine-test-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  const auto log = folder / "docker.log", link = folder / "0.log";
  std::ofstream(log) << "line\n";
  fake.answer_json("GET /v1.41/containers/c1/json",
                   R"({"Id":"c1","State":{"Status":"running","Pid":1},"LogPath":")" + log.string() +
                       R"(","Config":{"Labels":{"io.rusternetes.owner":"default","io.rusternetes.kind":"container",)" +
                       R"("io.rusternetes.log-path":")" + link.string() + R"("}}})");
  auto engine = co_await Engine::connect(thread.executor(), fake.path());
  REQUIRE(engine);
  auto runtime = make_runtime(**engine, {});
  auto status = co_await runtime->container_status("c1");
  REQUIRE(status);
  CHECK(status->log_path == link.string());
  CHECK(std::filesystem::is_symlink(link));
  CHECK(std::filesystem::read_symlink(link) == log);
  const auto made_at = std::filesystem::last_write_time(folder);
  status = co_await runtime->container_status("c1");
  REQUIRE(status);
  CHECK(std::filesystem::last_write_time(folder) == made_at);  // one that leads there is left alone
  std::filesystem::remove_all(folder);
}

// A user's own engine explains why none was found, not why the one that was named is silent.
Task<> named_socket(EventThread& thread, FakeEngine& fake) {
  char name[] = "/tmp/engine-test-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  std::filesystem::create_symlink(fake.path(), folder / "docker.sock");
  const char* before = std::getenv("XDG_RUNTIME_DIR");
  const std::string kept = before ? before : "";
  ::setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
  DetectOptions options;
  options.podman_sockets = options.docker_sockets = {fake.path() + ".none"};
  auto searched = co_await detect_engine(thread.executor(), options);
  options.socket_path = fake.path() + ".none";
  auto named = co_await detect_engine(thread.executor(), options);
  before ? ::setenv("XDG_RUNTIME_DIR", kept.c_str(), 1) : ::unsetenv("XDG_RUNTIME_DIR");
  std::filesystem::remove_all(folder);
  REQUIRE_FALSE(searched);
  CHECK(searched.error().reason == reason::kRootless);
  REQUIRE_FALSE(named);
  CHECK(named.error().reason == reason::kUnreachable);
}

Task<> observed(EventThread& thread, FakeEngine& fake) {
  be_docker(fake);
  std::vector<std::string> seen;
  EngineOptions options;
  options.on_request = [&seen](std::string_view method, std::string_view target, bool is_done) {
    seen.push_back(std::string(method) + " " + std::string(target) + (is_done ? " done" : ""));
  };
  auto engine = co_await Engine::connect(thread.executor(), fake.path(), options);
  REQUIRE(engine);
  CHECK(seen == std::vector<std::string>{"GET /_ping", "GET /_ping done", "GET /version", "GET /version done", "GET /v1.41/info",
                                         "GET /v1.41/info done"});
}

}  // namespace

TEST_CASE("the API version is the oldest that the server still takes") { with_fake(negotiates); }
TEST_CASE("a server older than the preferred API is spoken to in its own") { with_fake(older_server); }
TEST_CASE("Podman is told by its components, and its process by the socket") { with_fake(podman); }
TEST_CASE("without an engine the error names what was tried and what to start") { with_fake(nobody); }
TEST_CASE("a rootless engine is refused with the fix") { with_fake(rootless); }
TEST_CASE("a rootless Podman that only its info gives away makes no container") { with_fake(rootless_podman); }
TEST_CASE("the second candidate is used when the first is silent") { with_fake(second_candidate); }
TEST_CASE("an engine that hangs is a Timeout") { with_fake(hangs); }
TEST_CASE("an error inside a successful pull stream is an error") { with_fake(pull_stream); }
TEST_CASE("events resume after a gap with a relist, and only the owner's count") { with_fake(event_gap); }
TEST_CASE("a Podman container that runs without a process has exited") { with_fake(dead_but_running); }
TEST_CASE("another owner's container is neither seen nor touched") { with_fake(foreign); }
TEST_CASE("every request is shown to the observer before and after") { with_fake(observed); }
TEST_CASE("a pause image that was pruned is loaded again, for sandboxes and holders alike") { with_fake(pruned_pause); }
TEST_CASE("a log's link that could not be made at the start is made when the container is looked at") { with_fake(lost_log_link); }
TEST_CASE("a named socket without an engine is unreachable, whatever else the user runs") { with_fake(named_socket); }
