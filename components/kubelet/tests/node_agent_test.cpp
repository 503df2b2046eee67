// The Node's keeper over an API that answers when the test lets it.

#include "kubelet/node/node_agent.h"

#include <catch2/catch.hpp>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "client/informer.h"
#include "client/object_builder.h"
#include "fake_api.h"
#include "fake_runtime.h"
#include "kubelet/node/node_status.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using client::Resource;

namespace {

// Passes everything on; a request of `verb resource` that is named waits for open().
class GatedApi final : public client::ApiClient {
 public:
  GatedApi(FakeApi& api) : api_(api), opened_(api.executor()) {}
  std::string held;     // "get leases"
  std::string waiting;  // the one that stands at the gate
  void open() {
    held.clear();
    opened_.set();
  }

  Task<Result<Document>> get(Resource resource, std::string name_space, std::string name) override {
    co_await pass("get", resource);
    co_return co_await api_.get(resource, name_space, name);
  }
  Task<Result<client::ObjectList>> list(Resource resource, std::string name_space, client::ListOptions options) override {
    return api_.list(resource, std::move(name_space), std::move(options));
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Resource resource, std::string name_space, client::WatchOptions options) override {
    return api_.watch(resource, std::move(name_space), std::move(options));
  }
  Task<Result<Document>> create(Resource resource, std::string name_space, std::string name, std::string subresource, Document object,
                                client::WriteOptions options) override {
    return api_.create(resource, std::move(name_space), std::move(name), std::move(subresource), std::move(object), std::move(options));
  }
  Task<Result<Document>> update(Resource resource, std::string name_space, std::string name, std::string subresource, Document object,
                                client::WriteOptions options) override {
    return api_.update(resource, std::move(name_space), std::move(name), std::move(subresource), std::move(object), std::move(options));
  }
  Task<Result<Document>> patch(Resource resource, std::string name_space, std::string name, std::string subresource, client::PatchType type,
                               std::string body, client::WriteOptions options) override {
    return api_.patch(resource, std::move(name_space), std::move(name), std::move(subresource), type, std::move(body), std::move(options));
  }
  Task<Result<void>> remove(Resource resource, std::string name_space, std::string name, client::RemoveOptions options) override {
    return api_.remove(resource, std::move(name_space), std::move(name), std::move(options));
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override { return api_.registry(); }
  asio::any_io_executor executor() const override { return api_.executor(); }

 private:
  Task<> pass(std::string verb, Resource resource) {
    const std::string what = verb + " " + std::string(resource.resource);
    if (what != held) co_return;
    waiting = what;
    co_await opened_.wait();
    waiting.clear();
  }
  FakeApi& api_;
  AsyncEvent opened_;
};

struct World {
  World() {
    options.node_name = "n1";
    options.node_ip = "10.213.0.2";
    options.root_dir = "/tmp";
    // Nothing but the test wakes it, and what it says is always due.
    options.node_status_update_frequency = std::chrono::hours(1);
    options.node_status_report_frequency = std::chrono::milliseconds(0);
  }
  KubeletOptions options;
  EventThread thread{"node-agent-test"};
  FakeApi fake{thread.executor()};
  GatedApi api{fake};
  FakeRuntime runtime{thread.executor()};
  WorkerThread worker{"node-agent-files"};
  client::EventRecorder events{api, "kubelet", "n1", *options.clock};
  std::string not_ready;
  int nodes_heard = 0;
  NodeAgent agent{api, runtime, options, worker, events, [this] { return not_ready; }, [this](const Document&) { ++nodes_heard; }};
  TaskGroup tasks{thread.executor()};
};

// Looks after every few milliseconds, since what it waits for is a whole program.
Task<bool> eventually(std::function<bool()> holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) co_return false;
    co_await sleep_for(std::chrono::milliseconds(2));
  }
  co_return true;
}

using Test = std::function<Task<>(World&)>;
Task<> run_and_stop(World& world, Test test) {
  co_await test(world);
  co_await world.tasks.stop();
}
void in_world(Test test) {
  World world;
  run_blocking(world.thread.executor(), run_and_stop(world, test));
  world.thread.stop();
}

Task<> deleted_meanwhile(World& world) {
  world.api.held = "get leases";
  world.agent.start(world.tasks, 0);
  bool is_so = co_await eventually([&world] { return world.api.waiting == "get leases"; });
  REQUIRE(is_so);
  const Document before = world.fake.find("nodes", "", "n1");
  REQUIRE(before);
  // The status report finds the Node gone, and what puts it back fails for as long as the lookup takes.
  world.options.register_node = false;
  world.fake.erase("nodes", "", "n1");
  world.agent.trigger();
  is_so = co_await eventually([&world] { return !world.agent.node(); });
  REQUIRE(is_so);
  world.api.open();
  is_so = co_await eventually([&world] { return world.fake.all("leases").size() == 1; });
  REQUIRE(is_so);
  const Document lease = world.fake.all("leases")[0];
  const apimachinery::coordination_v1::Lease view(&lease.root());
  REQUIRE(view.metadata().ownerReferences().size() == 1);
  CHECK(view.metadata().ownerReferences()[0].uid() == client::uid_of(before));
}

Task<> heard_again(World& world) {
  world.options.node_status_report_frequency = std::chrono::hours(1);  // so that the Node does not change meanwhile
  world.not_ready = "no rule";
  world.agent.start(world.tasks, 0);
  bool is_so = co_await eventually([&world] { return world.nodes_heard >= 6; });
  CHECK(is_so);
  const auto version = apimachinery::meta_v1::ObjectMeta(world.fake.find("nodes", "", "n1").root().get(2)).resourceVersion();
  const std::string before(version);
  world.not_ready.clear();
  world.agent.trigger();
  is_so = co_await eventually([&world, before] {
    const Document now = world.fake.find("nodes", "", "n1");
    return apimachinery::meta_v1::ObjectMeta(now.root().get(2)).resourceVersion() != before;
  });
  CHECK(is_so);
}

// The Node of an hour ago, as a store that was put back has it.
Task<> put_back(World& world) {
  world.options.node_status_report_frequency = std::chrono::hours(1);
  world.agent.start(world.tasks, 0);
  bool is_so = co_await eventually([&world] {
    const Document node = world.fake.find("nodes", "", "n1");
    return node && ready_heartbeat_us(node) > 0;
  });
  REQUIRE(is_so);
  const std::int64_t told = ready_heartbeat_us(world.fake.find("nodes", "", "n1"));
  client::ObjectBuilder builder(world.fake.find("nodes", "", "n1"));
  using apimachinery::core_v1::NodeCondition;
  for (auto& condition : builder.root().get(apimachinery::core_v1::Node::f_status)->get(apimachinery::core_v1::NodeStatus::f_conditions)->children())
    apimachinery::set_time(builder.arena(), condition, NodeCondition::f_lastHeartbeatTime, told - 3'600'000'000);
  auto written = co_await world.fake.update({"", "v1", "nodes"}, "", "n1", "status", builder.freeze(), {});
  REQUIRE(written);
  CHECK(ready_heartbeat_us(*written) < told);
  world.agent.observe(*written);  // as the kubelet's watch does
  is_so = co_await eventually([&world, told] { return ready_heartbeat_us(world.fake.find("nodes", "", "n1")) >= told; });
  CHECK(is_so);
}

}  // namespace

TEST_CASE("what the Node has forgotten of its status is said again at once") { in_world(put_back); }
TEST_CASE("a Node that is deleted while its Lease is looked up leaves the kubelet alive") { in_world(deleted_meanwhile); }
TEST_CASE("a node that cannot run Pods yet hears of its Node again and again, so that what failed is tried again") { in_world(heard_again); }
