// Informer, LeaderElector, EventRecorder and tokens against a real api-server.

#include <malloc.h>

#include <cstdlib>
#include <iostream>

#include "apimachinery/api/coordination_v1.h"
#include "apimachinery/edit.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "client/leader_elector.h"
#include "client/service_account_tokens.h"
#include "client_world.h"

using namespace rusternetes;
using namespace rusternetes::api_server::testing;
using apimachinery::Document;
using client::Informer;
using client::LeaderElector;

namespace {

constexpr client::Resource leases{"coordination.k8s.io", "v1", "leases"}, events{"", "v1", "events"};
using apimachinery::coordination_v1::Lease;

// Lets the client thread's tasks run until `is_done`, looked at on that thread whenever something may have
// changed.
struct Condition {
  std::function<bool()> is_done;
  bool outcome = false;
  Task<> wait() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!(outcome = is_done()) && std::chrono::steady_clock::now() < deadline)
      co_await sleep_for(std::chrono::milliseconds(1));
  }
};
bool comes_true(ClientWorld& world, std::function<bool()> is_done) {
  Condition condition{std::move(is_done)};
  world.wait(condition.wait());
  return condition.outcome;
}

void on_thread(ClientWorld& world, std::function<void()> work) {
  struct Run {
    static Task<> run(std::function<void()> work) {
      work();
      co_return;
    }
  };
  world.wait(Run::run(std::move(work)));
}

Result<Document> create_map(ClientWorld& world, ApiClient& client, const std::string& name) {
  return world.wait(client.create(config_maps, "default", "", "", made_map(name), {}));
}

std::size_t bytes_in_use() {
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

TEST_CASE("informers of one process hold the api-server's own objects, at little more than a pointer each") {
  ClientWorld world;
  ApiClient &writer = world.in_process(), &reader = world.in_process();
  constexpr std::size_t count = 2000, budget_bytes = 2'000'000 * count /
                                                     10'000;  // of two informers (design: 2 MB for 10,000)
  for (std::size_t i = 0; i < count; ++i)
    REQUIRE(create_map(world, writer, "a-map-with-a-usual-name-" + std::to_string(i)));
  REQUIRE(world.wait(reader.list(config_maps, "default", {})));  // the cache is warm
  TaskGroup tasks(world.executor());
  Informer first(reader, config_maps), second(writer, config_maps);
  const std::size_t before = bytes_in_use();
  on_thread(world, [&] {
    first.start(tasks);
    second.start(tasks);
  });
  REQUIRE(comes_true(world, [&] { return first.size() >= count && second.size() >= count; }));
  const std::size_t after = bytes_in_use();
  bool are_same = true;
  on_thread(world, [&] {
    for (const auto& object : first.list())
      are_same &= object.is_same(second.get(client::object_key(object)));
  });
  CHECK(are_same);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    (defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)))
  std::cout << "SKIPPED: a sanitizer's allocator tells nothing of memory\n";
#else
  CHECK(after - before < budget_bytes);
#endif
  world.wait(tasks.stop());
}

TEST_CASE("an informer goes on with another server of the same store when its own stops") {
  ClientWorld world;
  ApiClient& client = world.remote();
  TaskGroup tasks(world.executor());
  Informer::Options options;
  options.least_backoff = options.most_backoff = std::chrono::milliseconds(5);
  world.add_server();
  auto both = world.make_remote("admin-token");
  Informer informer(*both, config_maps, options);
  on_thread(world, [&] { informer.start(tasks); });
  REQUIRE(create_map(world, client, "one"));
  REQUIRE(comes_true(world, [&] { return bool(informer.get("default/one")); }));
  world.stop_server(0);  // its watch is on this one; the other goes on
  ApiClient& other = world.keep(std::move(both));
  REQUIRE(create_map(world, other, "two"));
  CHECK(comes_true(world, [&] { return bool(informer.get("default/two")); }));
  CHECK(informer.get("default/one"));
  world.wait(tasks.stop());
}

namespace {

// A candidate whose leading is only being there.
struct Candidate {
  ClientWorld& world;
  TaskGroup tasks;
  LeaderElector elector;
  int terms = 0;
  bool is_leading = false;

  Candidate(ClientWorld& world, ApiClient& client, const Clock& clock, const std::string& identity,
            bool release = true)
      : world(world), tasks(world.executor()), elector(client, options(clock, identity, release)) {}
  static LeaderElector::Options options(const Clock& clock, const std::string& identity, bool release) {
    LeaderElector::Options out;
    out.lease_name = "test-lease";
    out.identity = identity;
    out.retry_period =
        std::chrono::milliseconds(5);  // of the real clock; lease and deadline are of the manual one
    out.release_on_stop = release;
    out.clock = &clock;
    return out;
  }
  Task<> lead() {
    struct Mark {
      bool& flag;
      explicit Mark(bool& f) : flag(f) { flag = true; }
      ~Mark() { flag = false; }
    } mark{is_leading};
    ++terms;
    AsyncEvent never(world.executor());
    co_await never.wait();
  }
  Task<> run() {
    for (;;) co_await elector.run([this] { return lead(); });
  }
  void start() {
    on_thread(world, [this] { tasks.spawn("candidate", run()); });
  }
  void stop() { world.wait(tasks.stop()); }
};

struct Seen {
  std::string holder;
  std::int64_t transitions = 0, duration_s = 0;
  std::string version;
};
Seen lease_of(ClientWorld& world, ApiClient& client) {
  auto lease = world.wait(client.get(leases, "kube-system", "test-lease"));
  if (!lease) return {};
  const Lease view(&lease->root());
  return {std::string(view.spec().holderIdentity()), view.spec().leaseTransitions(),
          view.spec().leaseDurationSeconds(), std::string(view.metadata().resourceVersion())};
}

}  // namespace

TEST_CASE(
    "of two candidates one leads; the other takes over at once when it stops, because the lease is given "
    "back") {
  ClientWorld world;
  ManualClock clock;
  ApiClient& client = world.in_process();
  Candidate first(world, client, clock, "first"), second(world, world.remote(), clock, "second");
  first.start();
  REQUIRE(comes_true(world, [&] { return first.is_leading; }));
  CHECK(lease_of(world, client).holder == "first");
  CHECK(lease_of(world, client).duration_s == 15);
  CHECK(lease_of(world, client).transitions == 0);
  second.start();
  const auto version = lease_of(world, client).version;
  clock.advance(std::chrono::seconds(1));
  Seen later = lease_of(world, client);
  while (later.version == version) {  // it is renewed; the retry period is of the real clock
    REQUIRE(comes_true(world, [&, tries = 0]() mutable { return ++tries > 5; }));
    later = lease_of(world, client);
  }
  CHECK(later.holder == "first");
  CHECK(first.elector.is_healthy());
  CHECK_FALSE(second.is_leading);
  first.stop();
  CHECK_FALSE(first.is_leading);
  CHECK_FALSE(first.elector.is_leader());
  REQUIRE(comes_true(world, [&] { return second.is_leading; }));  // the clock has not moved
  CHECK(lease_of(world, client).holder == "second");
  CHECK(lease_of(world, client).transitions == 1);
  second.stop();
  CHECK(lease_of(world, client).holder.empty());
  CHECK(lease_of(world, client).duration_s == 1);
}

TEST_CASE(
    "a lease that is not renewed is taken over once it has not changed for its duration, and not before") {
  ClientWorld world;
  ManualClock clock;
  ApiClient& client = world.in_process();
  Candidate first(world, client, clock, "first", false), second(world, client, clock, "second");
  first.start();
  REQUIRE(comes_true(world, [&] { return first.is_leading; }));
  first.stop();  // as if it had crashed: nothing is given back
  CHECK(lease_of(world, client).holder == "first");
  second.start();
  // It has looked at the lease: from then on the duration counts.
  REQUIRE(comes_true(world, [&, tries = 0]() mutable { return ++tries > 20; }));
  clock.advance(std::chrono::milliseconds(14'900));
  REQUIRE(comes_true(world, [&, tries = 0]() mutable { return ++tries > 20; }));
  CHECK_FALSE(second.is_leading);
  clock.advance(std::chrono::milliseconds(200));
  REQUIRE(comes_true(world, [&] { return second.is_leading; }));
  CHECK(lease_of(world, client).holder == "second");
  second.stop();
}

TEST_CASE("who cannot renew in time stops leading before another may start") {
  ClientWorld world;
  ManualClock clock;
  ApiClient& client = world.in_process();
  Candidate first(world, client, clock, "first", false);
  first.start();
  REQUIRE(comes_true(world, [&] { return first.is_leading; }));
  // Somebody takes the lease by force: no renewal succeeds any more.
  REQUIRE(world.wait(client.patch(leases, "kube-system", "test-lease", "", client::PatchType::merge,
                                  R"({"spec":{"holderIdentity":"thief","leaseDurationSeconds":3600}})", {})));
  REQUIRE(comes_true(world, [&, tries = 0]() mutable { return ++tries > 20; }));
  CHECK(first.is_leading);                           // its lease would still hold
  clock.advance(std::chrono::milliseconds(10'100));  // beyond the renew deadline, within the lease
  CHECK(comes_true(world, [&] { return !first.is_leading && !first.elector.is_leader(); }));
  CHECK(first.terms == 1);
  first.stop();
  CHECK(lease_of(world, client).holder == "thief");
}

TEST_CASE("durations that cannot work are refused") {
  LeaderElector::Options options;
  options.lease_name = "l";
  options.identity = "i";
  CHECK(LeaderElector::check(options));
  options.renew_deadline = options.lease_duration;
  CHECK_FALSE(LeaderElector::check(options));
  options.renew_deadline = std::chrono::milliseconds(2400);
  CHECK_FALSE(LeaderElector::check(options));  // 1.2 times the retry period
  options = {};
  CHECK_FALSE(LeaderElector::check(options));
}

TEST_CASE("an event says what, of what, by whom and when; its repetitions are counted on it") {
  ClientWorld world;
  ManualClock clock;
  ApiClient& client = world.remote();
  const Document map = *create_map(world, client, "a");
  TaskGroup tasks(world.executor());
  auto recorder = std::make_unique<client::EventRecorder>(client, "tester", "host-1", clock);
  on_thread(world, [&] {
    recorder->start(tasks);
    recorder->warning(map, "v1", "ConfigMap", "Broken", "it is broken", "data{k}");
  });
  auto all = [&] { return world.wait(client.list(events, "default", {}))->items; };
  auto count_of = [&](std::size_t at) {
    const auto items = all();
    return items.size() > at ? apimachinery::core_v1::Event(&items[at].root()).count() : 0;
  };
  auto comes = [&](std::function<bool()> check) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!check())
      if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
  };
  REQUIRE(comes([&] { return count_of(0) == 1; }));
  const Document first = all()[0];
  const apimachinery::core_v1::Event event(&first.root());
  CHECK(event.metadata().name() == "a.17979cfe362a0000");  // the object's name and nanoseconds
  CHECK(event.metadata().namespace_() == "default");
  CHECK(event.type() == "Warning");
  CHECK(event.reason() == "Broken");
  CHECK(event.message() == "it is broken");
  CHECK(event.involvedObject().kind() == "ConfigMap");
  CHECK(event.involvedObject().apiVersion() == "v1");
  CHECK(event.involvedObject().name() == "a");
  CHECK(event.involvedObject().namespace_() == "default");
  CHECK(event.involvedObject().uid() == client::uid_of(map));
  CHECK(event.involvedObject().resourceVersion() ==
        apimachinery::core_v1::ConfigMap(&map.root()).metadata().resourceVersion());
  CHECK(event.involvedObject().fieldPath() == "data{k}");
  CHECK(event.source().component() == "tester");
  CHECK(event.source().host() == "host-1");
  CHECK(event.reportingComponent() == "tester");
  CHECK(event.reportingInstance() == "host-1");
  CHECK(event.firstTimestamp() == 1'700'000'000'000'000);
  clock.advance(std::chrono::seconds(90));
  on_thread(world, [&] { recorder->warning(map, "v1", "ConfigMap", "Broken", "it is broken", "data{k}"); });
  REQUIRE(comes([&] { return count_of(0) == 2; }));
  const Document second = all()[0];
  CHECK(all().size() == 1);
  CHECK(apimachinery::core_v1::Event(&second.root()).firstTimestamp() == 1'700'000'000'000'000);
  CHECK(apimachinery::core_v1::Event(&second.root()).lastTimestamp() == 1'700'000'090'000'000);
  // Expired meanwhile: made anew, and counted on.
  REQUIRE(world.wait(client.remove(events, "default", std::string(event.metadata().name()), {})));
  on_thread(world, [&] { recorder->warning(map, "v1", "ConfigMap", "Broken", "it is broken", "data{k}"); });
  REQUIRE(comes([&] { return count_of(0) == 3; }));
  on_thread(world,
            [&] { recorder->normal(map, "v1", "ConfigMap", "Mended", std::string(2000, 'x') + "\xC3\xA9"); });
  REQUIRE(comes([&] { return all().size() == 2; }));
  world.wait(tasks.stop());
  world.drop(recorder);
}

TEST_CASE("a controller's token is a bound one of its service account, which is made when it is missing") {
  ClientWorld world;
  std::shared_ptr<ApiClient> manager = world.make_remote("manager-token");
  ManualClock clock;
  auto tokens =
      std::make_shared<client::ServiceAccountTokens>(manager, "kube-system", "deployment-controller", clock);
  auto own = world.make_remote("", tokens);
  // Its identity may list Deployments, and nothing of what the manager alone may do.
  constexpr client::Resource deployments{"apps", "v1", "deployments"}, accounts{"", "v1", "serviceaccounts"};
  CHECK(world.wait(own->list(deployments, "", {})));
  auto refused =
      world.wait(own->create({"", "v1", "namespaces"}, "", "", "",
                             client::ObjectBuilder::from_json(apimachinery::core_v1::Namespace::schema_type(),
                                                              R"({"metadata":{"name":"x"}})"),
                             {}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("system:serviceaccount:kube-system:deployment-controller") !=
        std::string::npos);
  const auto first = world.wait(tokens->token());
  REQUIRE(first);
  CHECK(*world.wait(tokens->token()) == *first);
  clock.advance(std::chrono::minutes(49));
  const auto second = world.wait(tokens->token());
  REQUIRE(second);
  CHECK(*second != *first);
  // The account is made again: its old tokens are of nobody, and a new one is asked for.
  REQUIRE(world.wait(world.in_process().remove(accounts, "kube-system", "deployment-controller", {})));
  CHECK(world.wait(own->list(deployments, "", {})));
  world.drop(own);
  on_thread(world, [&] {
    tokens.reset();
    manager.reset();
  });
}
