// Events end by themselves: an hour (--event-ttl) after they were last written.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "api-server/instance.h"
#include "api-server/lease_manager.h"
#include "apimachinery/api/core_v1.h"
#include "base/clock.h"
#include "base/task.h"
#include "client/informer.h"
#include "client/object_builder.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;
using namespace std::chrono_literals;
using api_server::Instance;
using api_server::InstanceOptions;
using api_server::LeaseManager;
using apimachinery::Document;
using client::ApiClient;

namespace {

constexpr client::Resource events{"", "v1", "events"}, new_events{"events.k8s.io", "v1", "events"};

// A store whose leases end by a clock that stands still until it is told to move.
class TimedStore {
 public:
  TimedStore() {
    char name[] = "/tmp/rusternetes-ttl-XXXXXX";
    folder_ = ::mkdtemp(name);
    storage::sqlite::StoreOptions options;
    options.path = folder_ / "store.db";
    options.clock = &clock;
    auto opened = storage::sqlite::SqliteStore::open(options);
    REQUIRE(opened);
    store = std::move(*opened);
  }
  ~TimedStore() {
    store.reset();
    std::filesystem::remove_all(folder_);
  }
  std::size_t leases() {
    const auto all = store->leases();
    REQUIRE(all);
    return all->size();
  }
  // The expiry thread sleeps by the host's clock: any renewal, even of no lease, has it look again.
  void wake() {
    store->lease_keep_alive(1, [](auto) {});
  }

  ManualClock clock{std::chrono::system_clock::now()};
  std::unique_ptr<storage::sqlite::SqliteStore> store;

 private:
  std::filesystem::path folder_;
};

class TimedServer {
 public:
  explicit TimedServer(std::chrono::seconds ttl) {
    InstanceOptions options;
    options.bind_address = "127.0.0.1";
    options.secure_port = 0;
    options.authorization_modes = {"AlwaysAllow"};
    options.event_ttl = ttl;
    options.clock = &timed.clock;
    instance_ = std::make_unique<Instance>(*timed.store, options);
    REQUIRE(instance_->start());
    api_server::User admin;
    admin.name = "admin";
    client = instance_->make_client(admin, thread_.executor(), "test/1");
  }
  ~TimedServer() {
    run_blocking(thread_.executor(), drop());
    instance_.reset();
  }
  template <class T>
  T wait(Task<T> task) {
    std::optional<T> out;
    run_blocking(thread_.executor(), into(std::move(task), out));
    return *std::move(out);
  }
  void create(const std::string& name) {
    const auto object = client::ObjectBuilder::from_json(
        apimachinery::core_v1::Event::schema_type(),
        R"({"metadata":{"name":")" + name + R"("},"involvedObject":{"namespace":"default"},"reason":"Test"})");
    auto created = wait(client->create(events, "default", "", "", object, {}));
    CAPTURE(name);
    REQUIRE(created);
  }
  bool is_there(const std::string& name) { return wait(client->get(events, "default", name)).has_value(); }
  bool goes(const std::string& name) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (is_there(name) && std::chrono::steady_clock::now() < deadline) {
      timed.wake();
      std::this_thread::sleep_for(1ms);  // the store's thread removes it
    }
    return !is_there(name);
  }
  Task<std::vector<std::string>> removals(std::string version, std::size_t enough) {
    client::WatchOptions options;
    options.resource_version = version;
    options.timeout_s = 10;
    std::vector<std::string> out;
    auto stream = co_await client->watch(events, "default", options);
    if (!stream) co_return out;
    while (out.size() < enough) {
      auto event = co_await (*stream)->next();
      if (!event || !*event) break;
      if ((**event).type == client::WatchEvent::Type::removed) out.emplace_back(client::name_of((**event).object));
    }
    co_return out;
  }

  TimedStore timed;
  std::unique_ptr<ApiClient> client;

 private:
  template <class T>
  static Task<> into(Task<T> task, std::optional<T>& out) {
    out.emplace(co_await std::move(task));
  }
  Task<> drop() {
    client.reset();
    co_return;
  }
  EventThread thread_{"test-client"};
  std::unique_ptr<Instance> instance_;
};

}  // namespace

TEST_CASE("an Event goes when its time is over, a write gives it a new one, and watchers are told") {
  TimedServer server(1h);
  server.create("old");
  server.create("old-too");
  server.create("renewed");
  const auto map = client::ObjectBuilder::from_json(apimachinery::core_v1::ConfigMap::schema_type(), R"({"metadata":{"name":"m"}})");
  const client::Resource maps{"", "v1", "configmaps"};
  REQUIRE(server.wait(server.client->create(maps, "default", "", "", map, {})));
  CHECK(server.timed.leases() == 1);  // one serves them all

  server.timed.clock.advance(30min);
  REQUIRE(server.wait(server.client->patch(events, "default", "renewed", "", client::PatchType::merge, R"({"count":2})", {})));
  CHECK(server.timed.leases() == 2);
  const auto listed = server.wait(server.client->list(events, "default", {}));
  REQUIRE(listed);
  CHECK(listed->items.size() == 3);

  server.timed.clock.advance(32min);
  CHECK(server.goes("old"));
  CHECK(server.goes("old-too"));
  CHECK(server.is_there("renewed"));
  auto gone = server.wait(server.removals(listed->resource_version, 2));
  std::sort(gone.begin(), gone.end());
  CHECK(gone == std::vector<std::string>{"old", "old-too"});

  server.timed.clock.advance(30min);
  CHECK(server.goes("renewed"));
  CHECK(server.wait(server.client->get(maps, "default", "m")));
}

TEST_CASE("an Event of events.k8s.io has the same time to live") {
  TimedServer server(10s);
  const auto event = client::ObjectBuilder::from_json(
      *server.client->registry()->find_kind("events.k8s.io/v1", "Event")->type,
      R"({"metadata":{"name":"n"},"eventTime":"2026-01-01T00:00:00.000000Z","reportingController":"a/b","reportingInstance":"i","action":"A","reason":"R","type":"Normal"})");
  auto created = server.wait(server.client->create(new_events, "default", "", "", event, {}));
  REQUIRE(created);
  CHECK(server.is_there("n"));
  server.timed.clock.advance(11s);
  CHECK(server.goes("n"));
}

TEST_CASE("with a time to live of zero Events stay") {
  TimedServer server(0s);
  server.create("e");
  CHECK(server.timed.leases() == 0);
}

TEST_CASE("one lease serves a minute or a thousand objects, and lasts as long as was asked for") {
  TimedStore timed;
  EventThread thread("test");
  LeaseManager manager(*timed.store, timed.clock);
  const auto lease = [&](std::chrono::seconds ttl = 1h) {
    storage::LeaseId out = 0;
    struct Run {
      static Task<> get(LeaseManager& manager, std::chrono::seconds ttl, storage::LeaseId& out) {
        auto id = co_await manager.lease_for(ttl);
        if (id) out = *id;
      }
    };
    run_blocking(thread.executor(), Run::get(manager, ttl, out));
    return out;
  };
  const auto first = lease();
  REQUIRE(first != 0);
  const auto info = timed.store->lease_time_to_live(first, false);
  REQUIRE(info);
  CHECK(info->granted_ttl_s == 3660);
  timed.clock.advance(59s);
  CHECK(lease() == first);
  timed.clock.advance(2s);
  const auto second = lease();  // what the first has left is less than an hour
  CHECK(second != first);
  for (int i = 1; i < 1000; ++i) REQUIRE(lease() == second);
  CHECK(lease() != second);
  CHECK(timed.store->lease_time_to_live(lease(20s), false)->granted_ttl_s == 21);
  CHECK(lease(0s) == 0);
}
