// Leases: keys that go together, in one revision, when nobody keeps them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>

#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {
namespace {

using std::chrono::steady_clock;

std::vector<LeaseId> all_leases(Store& store) {
  auto leases = store.leases();
  REQUIRE(leases);
  std::sort(leases->begin(), leases->end());
  return *leases;
}

std::vector<std::string> keys_of(Store& store, LeaseId id) {
  auto info = store.lease_time_to_live(id, true);
  REQUIRE(info);
  std::sort(info->keys.begin(), info->keys.end());
  return info->keys;
}

using Keys = std::vector<std::string>;

}  // namespace

STORE_CASE("a lease has the id that was asked for, or one of the store's choice") {
  auto chosen = grant(store, 1234, 100);
  REQUIRE(chosen);
  CHECK(chosen->id == 1234);
  CHECK(chosen->granted_ttl_s == 100);
  CHECK(reason(grant(store, 1234, 50)) == "LeaseExists");
  auto one = grant(store, 0, 100), two = grant(store, 0, 100);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->id > 0);
  CHECK(two->id > 0);
  CHECK(one->id != two->id);
  auto expected = std::vector<LeaseId>{1234, one->id, two->id};
  std::sort(expected.begin(), expected.end());
  CHECK(all_leases(store) == expected);
  CHECK(revision_of(store) == 1);
}

STORE_CASE("a lease tells how long it lives and what hangs on it") {
  granted(store, 1000, 5);
  put(store, "b", "", 5);
  put(store, "a", "", 5);
  put(store, "free", "");
  auto info = store.lease_time_to_live(5, false);
  REQUIRE(info);
  CHECK(info->id == 5);
  CHECK(info->granted_ttl_s == 1000);
  CHECK(info->ttl_s <= 1000);
  CHECK(info->ttl_s > 900);
  CHECK(info->keys.empty());
  CHECK(keys_of(store, 5) == Keys{"a", "b"});
}

STORE_CASE("what names a lease that is not there is refused") {
  CHECK(reason(run(store, {put_of("a", "", 99)})) == "LeaseNotFound");
  CHECK(reason(revoke(store, 99)) == "LeaseNotFound");
  CHECK(reason(keep_alive(store, 99)) == "LeaseNotFound");
  CHECK(reason(store.lease_time_to_live(99, true)) == "LeaseNotFound");
  CHECK(all_leases(store).empty());
  CHECK(revision_of(store) == 1);
}

STORE_CASE("a key hangs on the lease of its last put, and on none after a removal") {
  granted(store, 100, 1);
  granted(store, 100, 2);
  for (const char* key : {"a", "b", "c", "d"}) put(store, key, "", 1);
  put(store, "b", "", 2);
  put(store, "c", "");
  remove(store, "d");
  CHECK(keys_of(store, 1) == Keys{"a"});
  CHECK(keys_of(store, 2) == Keys{"b"});
  put(store, "d", "");
  REQUIRE(revoke(store, 1));
  CHECK(store.range({.key = "a", .range_end = "z"})->count == 3);
  REQUIRE(revoke(store, 2));
  CHECK(shape_of(store, "a", "z") == "c= 4/7/2; d= 9/9/1");
}

STORE_CASE("a revoked lease takes its keys in one revision and is gone") {
  granted(store, 100, 7);
  for (const char* key : {"c", "a", "b"}) put(store, key, "v", 7);
  put(store, "free", "v");
  Receiver receiver(store, {"a", "z", 0, true});
  REQUIRE(revoke(store, 7));
  REQUIRE(receiver.wait_events(3));
  CHECK(shape(receiver.events()) ==
        "remove a @6 was a=v 3/3/1 lease 7; remove b @6 was b=v 4/4/1 lease 7; "
        "remove c @6 was c=v 2/2/1 lease 7");
  CHECK(revision_of(store) == 6);
  CHECK(shape_of(store, "a", "z") == "free=v 5/5/1");
  CHECK(shape_of(store, "a", "c", 5) == "a=v 3/3/1 lease 7; b=v 4/4/1 lease 7");
  CHECK(reason(revoke(store, 7)) == "LeaseNotFound");
  CHECK(reason(run(store, {put_of("a", "", 7)})) == "LeaseNotFound");
  CHECK(all_leases(store).empty());
  CHECK(grant(store, 7, 100));
  CHECK(keys_of(store, 7).empty());
}

STORE_CASE("a lease without keys makes no revision when it is revoked") {
  granted(store, 100, 7);
  put(store, "a", "", 7);
  remove(store, "a");
  REQUIRE(revoke(store, 7));
  CHECK(revision_of(store) == 3);
}

STORE_CASE("a lease ends by itself, not before its time, with all its keys in one revision") {
  const auto begin = steady_clock::now();
  auto lease = grant(store, 0, 1);
  REQUIRE(lease);
  CHECK(lease->granted_ttl_s == subject.shortest_ttl_s);
  granted(store, 1000, 8);
  Receiver receiver(store, {"l", "m", 0, false});
  put(store, "l1", "x", lease->id);
  put(store, "l2", "x", lease->id);
  put(store, "l3", "x", 8);
  REQUIRE(receiver.wait_events(5));
  const auto took = steady_clock::now() - begin;
  CHECK(took >= std::chrono::seconds(lease->granted_ttl_s));
  CHECK(took < std::chrono::seconds(lease->granted_ttl_s + 20));
  CHECK(shape(receiver.events()) == "put l1=x 2/2/1 lease " + std::to_string(lease->id) +
                                        "; put l2=x 3/3/1 lease " + std::to_string(lease->id) +
                                        "; put l3=x 4/4/1 lease 8; remove l1 @5; remove l2 @5");
  CHECK(wait_until([&] { return reason(store.lease_time_to_live(lease->id, true)) == "LeaseNotFound"; }));
  CHECK(all_leases(store) == std::vector<LeaseId>{8});
  CHECK(shape_of(store, "l", "m") == "l3=x 4/4/1 lease 8");
}

STORE_CASE("a lease lives while it is kept alive") {
  auto lease = grant(store, 0, 2);
  REQUIRE(lease);
  put(store, "l", "x", lease->id);
  // Three lives long: a pause between two questions, and never one that is a whole life.
  const auto end = steady_clock::now() + std::chrono::seconds(lease->granted_ttl_s * 3);
  while (steady_clock::now() < end) {
    auto kept = keep_alive(store, lease->id);
    REQUIRE(kept);
    CHECK(kept->id == lease->id);
    CHECK(kept->ttl_s == lease->granted_ttl_s);
    wait_until([] { return false; }, std::chrono::milliseconds(300));
  }
  CHECK(store.range({.key = "l"})->count == 1);
  CHECK(wait_until([&] { return store.range({.key = "l"})->count == 0; }, std::chrono::seconds(20)));
  CHECK(wait_until([&] { return reason(keep_alive(store, lease->id)) == "LeaseNotFound"; }));
}

STORE_CASE("a lease and its keys outlive a restart, and it still ends") {
  auto lease = grant(store, 0, 3);
  REQUIRE(lease);
  granted(store, 1000, 21);
  put(store, "short", "x", lease->id);
  put(store, "long", "x", 21);
  subject.restart();
  Store& again = subject.store();
  CHECK(keys_of(again, 21) == Keys{"long"});
  CHECK(again.lease_time_to_live(21, false)->granted_ttl_s == 1000);
  CHECK(wait_until([&] { return shape_of(again, "a", "z") == "long=x 3/3/1 lease 21"; },
                   std::chrono::seconds(30)));
  CHECK(revision_of(again) == 4);
  REQUIRE(revoke(again, 21));
  CHECK(shape_of(again, "a", "z") == "");
}

STORE_CASE("what is under way when a store closes is answered once, before it is gone") {
  granted(store, 1000, 21);
  for (int round = 0; round < 4; ++round) {
    Store& open = subject.store();
    std::atomic<int> answers{0};
    constexpr int each = 150;
    for (int i = 0; i < each; ++i) {
      open.lease_keep_alive(21, [&](Result<LeaseInfo>) { ++answers; });
      open.txn({.success = {put_of("k" + std::to_string(i), "x", 21)}},
               [&](Result<TxnResponse>) { ++answers; });
      open.range({.key = "k"}, [&](Result<RangeResponse>) { ++answers; });
    }
    // Some rounds end while nothing is answered yet, some while answers come.
    wait_until([&] { return answers >= each * round / 2; });
    subject.restart();
    CHECK(answers == each * 3);
  }
}

}  // namespace rusternetes::storage::suite
