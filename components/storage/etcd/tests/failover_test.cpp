// What becomes of a transaction whose server loses it, or does it and says nothing: on made-up members.
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "fake_cluster.h"
#include "storage/blocking.h"
#include "storage/etcd/etcd_store.h"
#include "storage/etcd/repeat.h"

namespace rusternetes::storage::etcd {
namespace {

using testing::FakeCluster;
using Mode = FakeCluster::Mode;

// Of two members, the one that is asked first is `first`.
struct TwoMembers {
  TwoMembers() : cluster(2) {
    auto opened = EtcdStore::open(cluster.options());
    REQUIRE(opened);
    store = std::move(*opened);
    REQUIRE(make("probe", "value"));
    first = cluster.transactions(0) > 0 ? 0 : 1;
    second = 1 - first;
  }

  Result<TxnResponse> run(TxnRequest request) {
    return blocking_call<TxnResponse>([&](auto done) { store->txn(std::move(request), std::move(done)); });
  }
  TxnRequest write(const std::string& key, const std::string& value, Revision before) {
    TxnRequest request;
    Compare compare;
    compare.key = key;
    compare.number = before;
    request.compares.push_back(compare);
    PutRequest put;
    put.key = key;
    put.value = std::make_shared<const std::string>(value);
    request.success.emplace_back(std::move(put));
    request.has_unique_value = before == 0;
    return request;
  }
  Result<TxnResponse> make(const std::string& key, const std::string& value) {
    return run(write(key, value, 0));
  }

  FakeCluster cluster;
  std::unique_ptr<EtcdStore> store;
  std::size_t first = 0, second = 1;
};

}  // namespace

TEST_CASE("a creation that a member loses is made at the next, once") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::lose);
  const auto begin = std::chrono::steady_clock::now();
  const auto made = world.make("a", "1");
  REQUIRE(made);
  CHECK(made->succeeded);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(3));
  const auto data = world.cluster.data();
  CHECK(data.at("a").version == 1);
  CHECK(made->revision == data.at("a").mod_revision);
}

TEST_CASE("a creation that happened unheard is told from its value") {
  for (const Mode mode : {Mode::apply_and_hang, Mode::apply_and_break}) {
    TwoMembers world;
    world.cluster.set(world.first, mode);
    const auto made = world.make("a", "1");
    REQUIRE(made);
    CHECK(made->succeeded);
    REQUIRE(made->responses.size() == 1);
    CHECK(std::get<PutResponse>(made->responses[0]).revision == made->revision);
    const auto data = world.cluster.data();
    CHECK(data.at("a").version == 1);
    CHECK(made->revision == data.at("a").mod_revision);
  }
}

TEST_CASE("a creation that a paused member kept does not happen after the key's removal") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::delay);
  const auto made = world.make("a", "1");
  REQUIRE(made);
  CHECK(made->succeeded);
  TxnRequest removal;
  Compare compare;
  compare.key = "a";
  compare.number = made->revision;
  removal.compares.push_back(compare);
  removal.success.emplace_back(DeleteRequest{"a", "", false});
  const auto removed = world.run(std::move(removal));
  REQUIRE(removed);
  CHECK(removed->succeeded);
  world.cluster.release();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (world.cluster.decided(world.first) == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(world.cluster.decided(world.first) == 1);
  CHECK_FALSE(world.cluster.data().contains("a"));
}

TEST_CASE("a key that is there is there, also while a member is paused") {
  TwoMembers world;
  REQUIRE(world.make("a", "another's"));
  world.cluster.set(world.first, Mode::paused);
  const auto made = world.make("a", "1");
  REQUIRE(made);
  CHECK_FALSE(made->succeeded);
  CHECK(made->responses.empty());
}

TEST_CASE("an update that a member loses happens at the next, once") {
  TwoMembers world;
  const auto made = world.make("a", "1");
  REQUIRE(made);
  world.cluster.set(world.first, Mode::lose);
  const auto updated = world.run(world.write("a", "2", made->revision));
  REQUIRE(updated);
  CHECK(updated->succeeded);
  CHECK(world.cluster.data().at("a").version == 2);
}

TEST_CASE("an update that happened unheard is an open outcome, not a conflict") {
  for (const Mode mode : {Mode::apply_and_hang, Mode::apply_and_break}) {
    TwoMembers world;
    const auto made = world.make("a", "1");
    REQUIRE(made);
    world.cluster.set(world.first, mode);
    const auto updated = world.run(world.write("a", "2", made->revision));
    REQUIRE_FALSE(updated);
    CHECK(updated.error().is("InternalError"));
    CHECK(world.cluster.data().at("a").version == 2);
  }
}

TEST_CASE("a stale update is refused at once") {
  TwoMembers world;
  const auto made = world.make("a", "1");
  REQUIRE(made);
  REQUIRE(world.run(world.write("a", "2", made->revision)));
  const auto stale = world.run(world.write("a", "3", made->revision));
  REQUIRE(stale);
  CHECK_FALSE(stale->succeeded);
}

TEST_CASE("what may not happen twice is sent once") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::apply_and_break);
  const int before = world.cluster.transactions(world.second);
  TxnRequest blind = world.write("a", "1", 0);
  blind.compares.clear();
  CHECK_FALSE(world.run(std::move(blind)));
  CHECK(world.cluster.transactions(world.second) == before);
}

TEST_CASE("after another client's fence a creation goes through") {
  TwoMembers world;
  REQUIRE(world.run(world.write(write_fence_key, "", 0)));
  const auto made = world.make("a", "1");
  REQUIRE(made);
  CHECK(made->succeeded);
  CHECK(world.make("b", "1"));
}

TEST_CASE("a paused member costs a read of the newest revision no more than a moment") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::paused);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(blocking_call<Revision>([&](auto done) { world.store->newest_revision(std::move(done)); }));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}

TEST_CASE("a lease is granted by the next member, unless its number was asked for") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::paused);
  const auto grant = [&](LeaseId id) {
    return blocking_call<LeaseInfo>([&](auto done) { world.store->lease_grant(id, 10, std::move(done)); });
  };
  CHECK_FALSE(grant(5));
  world.cluster.set(world.first, Mode::well);
  world.cluster.set(world.second, Mode::paused);
  const auto granted = grant(0);
  REQUIRE(granted);
  CHECK(granted->id == 77);
}

TEST_CASE("a store that closes ends a transaction that nobody answers") {
  TwoMembers world;
  world.cluster.set(world.first, Mode::paused);
  world.cluster.set(world.second, Mode::paused);
  auto outcome = std::make_shared<std::promise<Result<TxnResponse>>>();
  world.store->txn(world.write("a", "1", 0),
                   [outcome](auto answer) { outcome->set_value(std::move(answer)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // some attempts are under way
  world.store.reset();
  CHECK_FALSE(outcome->get_future().get());
}

}  // namespace rusternetes::storage::etcd
