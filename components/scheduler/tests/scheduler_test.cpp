// The loops around the cycle, over an API that holds back its answers as a test likes.

#include "scheduler/scheduler.h"

#include <boost/asio/io_context.hpp>
#include <deque>

#include "apimachinery/errors.h"
#include "objects.h"

using client::WatchEvent;

namespace {

class FakeApi final : public client::ApiClient {
 public:
  explicit FakeApi(asio::any_io_executor executor) : executor_(executor), wake_patches_(executor) {}

  std::vector<Document> pods, nodes;                          // the first lists
  std::map<std::string_view, std::deque<WatchEvent>> events;  // to come, by resource; tell() after
  std::vector<std::string> bound;                             // "pod to node", in order
  std::vector<std::string> patched;                           // "pod: body"
  int patches_begun = 0;
  bool holds_patches = false;  // until release()
  std::set<std::string> refuses_to_bind;
  void tell(std::string_view resource) {
    if (const auto found = streams_.find(resource); found != streams_.end()) found->second->set();
  }

  void release() {
    holds_patches = false;
    wake_patches_.set();
  }

  Task<Result<Document>> get(client::Resource, std::string, std::string) override { co_return no_such(); }
  Task<Result<client::ObjectList>> list(client::Resource what, std::string, client::ListOptions) override {
    client::ObjectList out;
    out.resource_version = "1";
    if (what.resource == "pods") out.items = pods;
    if (what.resource == "nodes") out.items = nodes;
    co_return out;
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(client::Resource what, std::string,
                                                           client::WatchOptions) override {
    co_return std::unique_ptr<client::WatchStream>(std::make_unique<Stream>(*this, what.resource));
  }
  Task<Result<Document>> create(client::Resource what, std::string, std::string name, std::string subresource,
                                Document object, client::WriteOptions) override {
    if (what.resource != "pods" || subresource != "binding") co_return object;  // events
    if (refuses_to_bind.contains(name)) co_return Status{500, "InternalError", "no"};
    bound.push_back(name + " to " +
                    std::string(apimachinery::core_v1::Binding(&object.root()).target().name()));
    co_return object;
  }
  Task<Result<Document>> update(client::Resource, std::string, std::string, std::string, Document object,
                                client::WriteOptions) override {
    co_return object;
  }
  Task<Result<Document>> patch(client::Resource what, std::string, std::string name, std::string,
                               client::PatchType, std::string body, client::WriteOptions) override {
    if (what.resource != "pods") co_return no_such();
    ++patches_begun;
    while (holds_patches) co_await wake_patches_.wait();
    wake_patches_.set();  // the next one that waits
    patched.push_back(name + ": " + body);
    co_return no_such();
  }
  Task<Result<void>> remove(client::Resource, std::string, std::string, client::RemoveOptions) override {
    co_return Result<void>{};
  }
  std::shared_ptr<const apimachinery::Registry> registry() const override {
    return apimachinery::Registry::builtin();
  }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  struct Stream final : client::WatchStream {
    Stream(FakeApi& api, std::string_view resource) : api(api), resource(resource), wake(api.executor_) {
      api.streams_[resource] = &wake;
    }
    ~Stream() override { api.streams_.erase(resource); }
    Task<Result<std::optional<WatchEvent>>> next() override {
      auto& row = api.events[resource];
      while (row.empty()) co_await wake.wait();
      std::optional<WatchEvent> out = std::move(row.front());
      row.pop_front();
      co_return out;
    }
    FakeApi& api;
    std::string_view resource;  // a literal
    AsyncEvent wake;
  };
  static Status no_such() { return apimachinery::not_found({"", "things"}, "x"); }
  asio::any_io_executor executor_;
  AsyncEvent wake_patches_;
  std::map<std::string_view, AsyncEvent*> streams_;
};

struct World {
  asio::io_context context{1};
  FakeApi* api = nullptr;
  std::unique_ptr<Scheduler> scheduler;
  int version = 1;

  explicit World(SchedulerOptions options = {}) {
    auto made = std::make_unique<FakeApi>(context.get_executor());
    api = made.get();
    scheduler = std::make_unique<Scheduler>(std::move(made), options);
  }
  ~World() {
    TaskGroup outer(context.get_executor());
    outer.spawn("stop", scheduler->stop());
    run_until([&] { return outer.size() == 0; });
  }
  void run_until(std::function<bool()> is_done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!is_done()) {
      context.restart();
      context.run_one_until(deadline);
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
  }
  void send(WatchEvent::Type type, const Document& object, std::string_view resource = "pods") {
    api->events[resource].push_back({type, object});
    api->tell(resource);
  }
  Document pending(const std::string& name, const std::string& fields = "", const std::string& labels = "") {
    return pod(name, R"({"schedulerName":"default-scheduler",)" + fields + R"("containers":[{"name":"c"}]})",
               labels, "default", next_version());
  }
  Document running(const std::string& name, const std::string& node, const std::string& labels) {
    return pod(name, R"({"nodeName":")" + node + R"(","containers":[{"name":"c"}]})", labels, "default",
               next_version());
  }
  std::string next_version() { return R"("resourceVersion":")" + std::to_string(version++) + '"'; }
  bool has_bound(const std::string& what) const {
    return std::find(api->bound.begin(), api->bound.end(), what) != api->bound.end();
  }
};

const std::string nowhere = R"("nodeSelector":{"no":"where"},)";

}  // namespace

TEST_CASE("Pods are placed by priority, and among equals as they came") {
  World world;
  world.api->nodes = {node("a")};
  world.api->pods = {world.pending("a-low", R"("priority":-1,)"), world.pending("b"),
                     world.pending("c-high", R"("priority":1000,)"), world.pending("d")};
  world.scheduler->start();
  world.run_until([&] { return world.api->bound.size() == 4; });
  CHECK(world.api->bound == std::vector<std::string>{"c-high to a", "b to a", "d to a", "a-low to a"});
}

TEST_CASE("an API that does not answer for an unschedulable Pod keeps no other from being placed") {
  World world;
  world.api->nodes = {node("a")};
  world.api->holds_patches = true;
  for (int i = 0; i < 8; ++i) world.api->pods.push_back(world.pending("bad" + std::to_string(i), nowhere));
  world.api->pods.push_back(world.pending("good"));
  world.scheduler->start();
  world.run_until([&] { return world.has_bound("good to a"); });
  world.run_until([&] { return world.api->patches_begun == 4; });  // as many as may be under way
  CHECK(world.api->patched.empty());
  world.api->release();
  world.run_until([&] { return world.api->patched.size() == 8; });
  CHECK(world.api->patched[0].find(
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.") !=
        std::string::npos);
}

TEST_CASE("a Pod whose refusal is being written is bound after it") {
  World world;
  world.api->nodes = {node("a")};
  world.api->holds_patches = true;
  const Document first = world.pending("p", nowhere);
  world.api->pods = {first};
  world.scheduler->start();
  world.run_until([&] { return world.api->patches_begun == 1; });
  world.send(WatchEvent::Type::modified, world.pending("p"));  // its selector was taken away
  world.send(WatchEvent::Type::added, world.pending("q"));
  world.run_until([&] { return world.has_bound("q to a"); });
  CHECK_FALSE(world.has_bound("p to a"));
  world.api->release();
  world.run_until([&] { return world.has_bound("p to a"); });
  CHECK(world.api->patched.size() == 1);
}

TEST_CASE("a binding that fails gives its room to Pods that found none") {
  World world;
  world.api->nodes = {node("a", "", "1")};
  world.api->refuses_to_bind = {"first"};
  auto with_cpu = [&](const std::string& name, int priority) {
    return pod(name,
               R"({"schedulerName":"default-scheduler","priority":)" + std::to_string(priority) +
                   R"(,"containers":[{"name":"c","resources":{"requests":{"cpu":"800m"}}}]})",
               "", "default", world.next_version());
  };
  world.api->pods = {with_cpu("first", 10), with_cpu("second", 0)};
  world.scheduler->start();
  world.run_until([&] { return world.has_bound("second to a"); });
}

TEST_CASE("a Pod that waits for another is placed when that one is bound, or gets the label") {
  SchedulerOptions options;
  options.pod_backoff = std::chrono::milliseconds(1);
  World world(options);
  world.api->nodes = {node("a"), node("b")};
  const std::string beside =
      R"("affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":{"matchLabels":{"app":"db"}},"topologyKey":"kubernetes.io/hostname"}]}},)";
  world.api->pods = {world.pending("p", beside)};
  world.scheduler->start();
  world.run_until([&] { return world.api->patched.size() == 1; });
  SECTION("bound") { world.send(WatchEvent::Type::added, world.running("db", "b", R"("app":"db")")); }
  SECTION("labelled") {
    world.send(WatchEvent::Type::added, world.running("db", "b", ""));
    world.send(WatchEvent::Type::modified, world.running("db", "b", R"("app":"db")"));
  }
  world.run_until([&] { return world.has_bound("p to b"); });
}

TEST_CASE("a Pod that waits is tried again when its own labels change") {
  World world;
  world.api->nodes = {node("a")};
  const std::string beside =
      R"("affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":{"matchLabels":{"app":"db"}},"topologyKey":"kubernetes.io/hostname"}]}},)";
  world.api->pods = {world.pending("p", beside)};
  world.scheduler->start();
  world.run_until([&] { return world.api->patched.size() == 1; });
  world.send(WatchEvent::Type::modified, world.pending("p", beside, R"("app":"db")"));
  world.run_until([&] { return world.has_bound("p to a"); });
}

TEST_CASE("a Pod that is to be spread is tried again when a domain goes with its node") {
  SchedulerOptions options;
  options.pod_backoff = std::chrono::milliseconds(1);
  World world(options);
  const Document full = node("b", R"("spec":{"unschedulable":true})");
  world.api->nodes = {node("a"), full};
  const std::string spread =
      R"("topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"kubernetes.io/hostname","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"web"}}}],)";
  const std::string web = R"("app":"web")";
  world.api->pods = {world.running("first", "a", web), world.pending("p", spread, web)};
  world.scheduler->start();
  world.run_until([&] { return world.api->patched.size() == 1; });
  world.send(WatchEvent::Type::removed, full, "nodes");
  world.run_until([&] { return world.has_bound("p to a"); });
}
