// A whole process without an engine, in a network namespace of its own: what serves, what waits, and what is refused.

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "apimachinery/api/core_v1.h"
#include "client/object_builder.h"
#include "client/remote_client.h"
#include "fake_engine.h"
#include "network/namespace.h"
#include "rusternetes/process.h"

using namespace rusternetes;
namespace core_v1 = apimachinery::core_v1;
namespace fs = std::filesystem;

namespace {

constexpr client::Resource nodes{"", "v1", "nodes"};

// What goes to standard output meanwhile.
class Output {
 public:
  Output() : before_(std::cout.rdbuf(text_.rdbuf())) {}
  ~Output() { std::cout.rdbuf(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

struct World {
  World() {
    char name[] = "/tmp/node-test-XXXXXX";
    folder = ::mkdtemp(name);
    options.data_dir = (folder / "data").string();
    options.cluster_name = "node-test-" + std::to_string(::getpid());
    options.node_name = "n1";
    options.secure_port = 0;
    options.engine_socket = (folder / "engine.sock").string();
    REQUIRE(complete(options));
  }
  ~World() { fs::remove_all(folder); }
  fs::path folder;
  ProcessOptions options;
};

class Api {
 public:
  explicit Api(const World& world) {
    auto remote = client::read_kubeconfig(world.options.data_dir + "/kubeconfig");
    REQUIRE(remote);
    auto made = client::make_remote_client(thread_.executor(), *std::move(remote), apimachinery::Registry::builtin());
    REQUIRE(made);
    client_ = *std::move(made);
  }
  ~Api() {
    run_blocking(thread_.executor(), close());
    thread_.stop();
  }
  // A Node as a process that has ended left it.
  void put_ready_node() {
    Result<void> done;
    run_blocking(thread_.executor(), put(done));
    REQUIRE(done);
  }
  // "True ", "False container runtime is down: ..."; empty: there is no Node, or it says nothing.
  std::string ready() {
    std::string out;
    run_blocking(thread_.executor(), read(out));
    return out;
  }

 private:
  Task<> close() {
    client_.reset();
    co_return;
  }
  Task<> put(Result<void>& done) {
    auto node = client::ObjectBuilder::from_json(core_v1::Node::schema_type(), R"({"metadata":{"name":"n1"}})");
    auto made = co_await client_->create(nodes, "", "", "", node, {});
    if (!made) {
      done = made.error();
      co_return;
    }
    auto patched = co_await client_->patch(nodes, "", "n1", "status", client::PatchType::strategic,
                                           R"({"status":{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"}]}})", {});
    if (!patched) done = patched.error();
  }
  Task<> read(std::string& out) {
    auto node = co_await client_->get(nodes, "", "n1");
    if (!node) co_return;
    for (const auto one : core_v1::Node(&node->root()).status().conditions())
      if (one.type() == "Ready") out = std::string(one.status()) + " " + std::string(one.message());
  }
  EventThread thread_{"api-test"};
  std::unique_ptr<client::ApiClient> client_;
};

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

void in_namespace(void (*test)()) {
  const auto own = network::NetworkNamespace::create();
  if (!own) {
    std::cout << "SKIPPED: no network namespace can be made here\n";
    return;
  }
  const auto ran = network::inside_thread(*own, [&]() -> Result<> {
    test();
    return {};
  });
  CHECK(ran);
}

}  // namespace

TEST_CASE("without an engine the API serves, the Node says why it is not ready, and it begins once an engine answers") {
  in_namespace([] {
    World world;
    {
      Process first(world.options);
      Output output;
      const auto started = first.start();
      REQUIRE(started);
      CHECK(output.text().find("it waits for a container engine.") != std::string::npos);
      CHECK(output.text().find(world.options.engine_socket) != std::string::npos);
      Api(world).put_ready_node();
      first.stop();
    }
    Process process(world.options);
    Output output;
    const auto started = process.start();
    REQUIRE(started);
    Api api(world);
    CHECK(eventually([&] { return api.ready().starts_with("False container runtime is down: no engine found"); }));
    INFO(api.ready());

    engine::testing::FakeEngine fake;
    engine::testing::be_podman(fake);
    fake.answer_json("GET /v4.0.0/libpod/containers/json", "[]");
    fs::create_symlink(fake.path(), world.options.engine_socket);
    CHECK(eventually([&] { return api.ready().starts_with("True"); }));
    CHECK(api.ready() == "True kubelet is posting ready status");
    process.stop();
  });
}

TEST_CASE("an engine of another kind than was asked for is refused at the start") {
  in_namespace([] {
    World world;
    engine::testing::FakeEngine fake;
    engine::testing::be_docker(fake);
    world.options.engine = "podman";
    world.options.engine_socket = fake.path();
    Process process(world.options);
    Output output;
    const auto started = process.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().message.find("belongs to docker, but podman was asked for") != std::string::npos);
    CHECK(output.text().empty());
  });
}

TEST_CASE("a process that waits for its engine stops at once") {
  in_namespace([] {
    World world;
    engine::testing::FakeEngine fake;
    fake.answer("GET /_ping", "");  // it takes the request and never answers
    world.options.engine_socket = fake.path();
    Process process(world.options);
    Output output;
    const auto started = process.start();
    REQUIRE(started);
    CHECK(output.text().find("the engine does not answer") != std::string::npos);
    const auto before = std::chrono::steady_clock::now();
    process.stop();
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(10));
  });
}
