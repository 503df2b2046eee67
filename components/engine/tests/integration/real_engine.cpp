#include "real_engine.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>

#include "engine/connection.h"
#include "engine/container_log.h"
#include "engine/host_facts.h"
#include "engine/image_builder.h"
#include "pause/embedded_pause.h"

namespace rusternetes::engine::testing {
namespace {

constexpr char kOwner[] = "engine-integration-tests";

ImageArchive test_images() {
  auto busybox = find_program("busybox");
  auto layer = must(
      "layer",
      build_layer({LayerEntry::from_host("bin/busybox", busybox), LayerEntry::symlink("bin/sh", "busybox"),
                   LayerEntry::directory("tmp", 01777), LayerEntry::directory("data"),
                   LayerEntry::file("etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n"),
                   LayerEntry::file("etc/group", "root:x:0:\nalice:x:1000:\n")}));
  ImageSpec image;
  image.tags = {kBusyboxImage};
  image.cmd = {"/bin/sh", "-c", "echo from the image"};
  image.layers = {&layer};
  return must("archive", build_archive({image}));
}

Task<> remove_leftovers(Runtime& runtime) {
  // Those that joined another's network first: Podman refuses to remove a sandbox with dependents.
  for (bool is_last : {false, true}) {
    auto sandboxes = must("list sandboxes", co_await runtime.list_pod_sandboxes());
    for (const auto& sandbox : sandboxes) {
      auto removed = co_await runtime.remove_pod_sandbox(sandbox.id);
      if (is_last) must("remove sandbox", std::move(removed));
    }
  }
  must("remove holders", co_await runtime.remove_network_holders({}));
}

Task<> prepare(RealEngine& real) {
  EngineOptions engine_options;
  if (std::getenv("RUSTERNETES_TEST_TRACE"))
    engine_options.on_request = [](std::string_view method, std::string_view target, bool is_done) {
      std::cerr << (is_done ? "< " : "> ") << method << ' ' << target << '\n';
    };
  real.engine =
      must("connect", co_await Engine::connect(real.thread.executor(), real.socket, engine_options));
  must("load", co_await real.engine->load_images(test_images().tar));
  RuntimeOptions options;
  options.owner = kOwner;
  auto pause = pause_binary();
  options.pause_program.assign(reinterpret_cast<const char*>(pause.data()), pause.size());
  options.pause_image = kPauseImage;
  real.runtime = make_runtime(*real.engine, options);
  co_await remove_leftovers(*real.runtime);
}

Task<> take_down(RealEngine& real) {
  co_await remove_leftovers(*real.runtime);
  auto left = must("list", co_await real.engine->list_containers({{label::kOwner, kOwner}}));
  CHECK(left.empty());
}

Task<> close(RealEngine& real) {
  real.runtime.reset();
  real.engine.reset();
  co_return;
}

}  // namespace

void fail(std::string_view what, const Status& status) {
  FAIL(what << ": " << status.code << " " << status.reason << ": " << status.message);
  std::abort();  // FAIL throws
}

std::vector<std::pair<std::string, std::string>> engine_sockets() {
  std::vector<std::pair<std::string, std::string>> out;
  const char* text = std::getenv("RUSTERNETES_TEST_ENGINES");
  std::istringstream in(text ? text : "");
  for (std::string item; in >> item;) {
    auto colon = item.find(':');
    if (colon != std::string::npos) out.emplace_back(item.substr(0, colon), item.substr(colon + 1));
  }
  return out;
}

void on_each_engine(std::function<Task<>(RealEngine&)> test) {
  auto sockets = engine_sockets();
  if (sockets.empty()) {
    std::cout << "SKIPPED: RUSTERNETES_TEST_ENGINES names no engine\n";
    return;
  }
  if (find_program("busybox").empty()) {
    std::cout << "SKIPPED: no static busybox for the test's images\n";
    return;
  }
  for (const auto& [kind, socket] : sockets) {
    INFO("engine: " << kind);
    EventThread thread("engine-test");
    RealEngine real{kind, socket, thread, nullptr, nullptr, {}};
    char folder[] = "/tmp/engine-test-XXXXXX";
    real.directory = ::mkdtemp(folder);
    struct Removal {
      std::string directory;
      ~Removal() {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
      }
    } removal{real.directory};
    run_blocking(thread.executor(), prepare(real));
    run_blocking(thread.executor(), test(real));
    run_blocking(thread.executor(), take_down(real));
    run_blocking(thread.executor(), close(real));
  }
}

SandboxConfig sandbox_config(std::string name) {
  SandboxConfig config;
  config.name = name;
  config.namespace_name = "default";
  config.uid = "uid-" + name;
  config.hostname = name;
  config.labels = {{"app", name}};
  config.annotations = {{"note", "kept"}};
  config.cgroup_parent = "/kubepods-test/pod" + name;
  return config;
}

ContainerConfig container_config(RealEngine& real, std::string name, std::string script) {
  ContainerConfig config;
  config.name = name;
  config.image = kBusyboxImage;
  config.command = {"/bin/sh", "-c"};
  config.args = {std::move(script)};
  config.log_path = real.directory + "/" + name + "/0.log";
  return config;
}

Task<std::string> run_container(RealEngine& real, std::string sandbox, ContainerConfig config) {
  auto id = must("create", co_await real.runtime->create_container(std::move(sandbox), std::move(config)));
  must("start", co_await real.runtime->start_container(id));
  co_return id;
}

Task<ContainerStatus> wait_for_exit(RealEngine& real, std::string id) {
  must("wait", co_await real.engine->wait_container(id));
  auto status = co_await real.runtime->container_status(id);
  co_return must("status", std::move(status));
}

std::string read_log(const std::string& path) {
  auto reader = must("open log", ContainerLogReader::open(path, {}));
  std::string out;
  for (;;) {
    auto piece = must("read log", reader->read());
    out += piece.bytes;
    if (piece.more != ContainerLogReader::More::now) return out;
  }
}

}  // namespace rusternetes::engine::testing
