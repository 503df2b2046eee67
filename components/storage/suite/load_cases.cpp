// Many callers, large values, and what is there after the process behind the store was ended.
#include <future>
#include <limits>
#include <random>
#include <thread>

#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {
namespace {

// Adds one to the number under `key`, as long as it takes.
bool increment(Store& store, const std::string& key) {
  for (;;) {
    auto now = store.range({.key = key});
    if (!now || now->kvs.size() != 1) return false;
    TxnRequest request;
    request.compares.push_back(compare_number(key, Compare::Target::mod_revision, Compare::Relation::equal,
                                              now->kvs[0].mod_revision));
    request.success = {put_of(key, std::to_string(std::stoi(*now->kvs[0].value) + 1))};
    auto response = run(store, std::move(request));
    if (!response) return false;
    if (response->succeeded) return true;
  }
}

// Starts every transaction at once and waits for all. How many were refused.
int run_all(Store& store, std::vector<TxnRequest> requests) {
  auto left = std::make_shared<std::atomic<int>>(static_cast<int>(requests.size()));
  auto refused = std::make_shared<std::atomic<int>>(0);
  for (auto& request : requests)
    store.txn(std::move(request), [left, refused](const Result<TxnResponse>& response) {
      if (!response) ++*refused;
      --*left;
    });
  REQUIRE(wait_until([&] { return *left == 0; }));
  return *refused;
}

}  // namespace

STORE_CASE("eight callers that count by compares lose no update") {
  put(store, "n", "0");
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i)
        if (!increment(store, "n")) ++failed;
    });
  for (auto& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(shape_of(store, "n") == "n=200 2/202/201");
}

STORE_CASE("of many callers that create one key, one succeeds") {
  for (int round = 0; round < 10; ++round) {
    const std::string key = "k" + std::to_string(round);
    std::atomic<int> created = 0, refused = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
      threads.emplace_back([&, t] {
        TxnRequest request;
        request.compares.push_back(
            compare_number(key, Compare::Target::mod_revision, Compare::Relation::equal, 0));
        request.success = {put_of(key, std::to_string(t))};
        auto response = run(store, std::move(request));
        ++(response && response->succeeded ? created : refused);
      });
    for (auto& thread : threads) thread.join();
    CHECK(created == 1);
    CHECK(refused == 7);
  }
  CHECK(revision_of(store) == 11);
}

STORE_CASE("a read sees every write that was acknowledged before it began, from any thread") {
  std::atomic<Revision> acknowledged = 1;
  std::atomic<bool> stop = false;
  std::atomic<int> stale = 0, reads = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t)
    readers.emplace_back([&] {
      while (!stop) {
        const Revision before = acknowledged;
        auto range = store.range({.key = "k"});
        ++reads;
        if (!range || range->revision < before || (before > 1 && range->kvs.at(0).mod_revision < before))
          ++stale;
      }
    });
  for (int i = 0; i < 300; ++i) acknowledged = put(store, "k", std::to_string(i));
  REQUIRE(wait_until([&] { return reads > 20; }));
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(stale == 0);
}

STORE_CASE("the newest revision is not older than any write acknowledged before it was asked for") {
  std::atomic<int> stale = 0, asked = 0, answered = 0;
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t)
    writers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        auto response = run(store, {put_of("k" + std::to_string(t), std::to_string(i))});
        const Revision written = response ? response->revision : std::numeric_limits<Revision>::max();
        ++asked;
        store.newest_revision([&stale, &answered, written](const Result<Revision>& newest) {
          if (!newest || *newest < written) ++stale;
          ++answered;
        });
      }
    });
  for (auto& writer : writers) writer.join();
  REQUIRE(wait_until([&] { return answered == asked; }));
  CHECK(asked == 200);
  CHECK(stale == 0);
}

STORE_CASE("a read by callback answers as one that waits") {
  put(store, "k", "v");
  for (const Revision revision : {0, 1, 2, 3}) {
    const RangeRequest request{.key = "k", .revision = revision};
    auto promise = std::make_shared<std::promise<Result<RangeResponse>>>();
    auto future = promise->get_future();
    store.range(request,
                [promise](Result<RangeResponse> response) { promise->set_value(std::move(response)); });
    REQUIRE(future.wait_for(patience) == std::future_status::ready);
    auto by_callback = future.get(), waited = store.range(request);
    CHECK(reason(by_callback) == reason(waited));
    if (by_callback) CHECK(shape(by_callback->kvs) == shape(waited->kvs));
    if (by_callback) CHECK(by_callback->revision == waited->revision);
  }
}

STORE_CASE("a thousand transactions begun at once are all answered") {
  std::vector<TxnRequest> requests(1000);
  for (std::size_t i = 0; i < requests.size(); ++i)
    requests[i].success = {put_of("k" + std::to_string(i), std::to_string(i))};
  CHECK(run_all(store, std::move(requests)) == 0);
  auto range = store.range({.key = "k", .range_end = "l"});
  REQUIRE(range);
  CHECK(range->count == 1000);
  CHECK(range->revision == 1001);
}

STORE_CASE("a value of a megabyte is kept byte for byte") {
  std::string value(1 << 20, '\0');
  std::mt19937 random(11);
  for (char& c : value) c = static_cast<char>(random());
  Receiver receiver(store, {"big", {}, 0, true});
  put(store, "big", value);
  auto range = store.range({.key = "big"});
  REQUIRE(range);
  CHECK(*range->kvs.at(0).value == value);
  std::string other = value;
  other[77777] ^= 1;
  put(store, "big", other);
  REQUIRE(receiver.wait_events(2));
  CHECK(*receiver.events()[0].kv.value == value);
  CHECK(*receiver.events()[1].kv.value == other);
  CHECK(*receiver.events()[1].previous->value == value);
  CHECK(*store.range({.key = "big", .revision = 2})->kvs.at(0).value == value);
}

STORE_CASE("thousands of keys are read whole, and in pages while others are written") {
  const std::string value(1000, 'v');
  std::vector<TxnRequest> requests;
  for (int i = 0; i < 5000; ++i) {
    if (i % 100 == 0) requests.emplace_back();
    requests.back().success.emplace_back(put_of("k" + std::to_string(10000 + i), value));
  }
  REQUIRE(run_all(store, std::move(requests)) == 0);
  auto all = store.range({.key = "k", .range_end = "l"});
  REQUIRE(all);
  REQUIRE(all->kvs.size() == 5000);
  for (std::size_t i = 0; i < 5000; ++i) REQUIRE(all->kvs[i].key == "k" + std::to_string(10000 + i));
  const Revision revision = all->revision;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i)
      (void)run(store, {put_of("k" + std::to_string(10000 + i % 5000) + "x", "new"),
                        delete_of("k" + std::to_string(14999 - i % 5000))});
  });
  std::size_t seen = 0;
  std::string from = "k", problem;
  for (bool more = true; more && problem.empty();) {
    auto page = store.range({.key = from, .range_end = "l", .limit = 501, .revision = revision});
    if (!page || page->kvs.empty()) problem = "no page from " + from;
    if (!problem.empty()) break;
    for (const auto& kv : page->kvs)
      if (kv.key != "k" + std::to_string(10000 + seen++)) problem = "out of order at " + kv.key;
    if (page->count != static_cast<std::int64_t>(5000 - (seen - page->kvs.size()))) problem = "a wrong count";
    more = page->more;
    from = page->kvs.back().key + '\0';
  }
  stop = true;
  writer.join();
  CHECK(problem == "");
  CHECK(seen == 5000);
  CHECK(store.size_bytes() > 0);
}

STORE_CASE("a read at the newest revision stays there while others write") {
  for (int i = 0; i < 100; ++i) put(store, "k" + std::to_string(100 + i), "old");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i)
      (void)run(store, {put_of("k" + std::to_string(100 + i % 100), std::to_string(i)),
                        delete_of("k" + std::to_string(100 + (i + 50) % 100))});
  });
  int moved = 0;
  for (int i = 0; i < 300; ++i) {
    const auto newest = store.range({.key = "k", .range_end = "l"});
    if (!newest) ++moved;
    if (!newest) break;
    const auto again = store.range({.key = "k", .range_end = "l", .revision = newest->revision});
    if (!again || shape(again->kvs) != shape(newest->kvs) || again->count != newest->count) ++moved;
  }
  stop = true;
  writer.join();
  CHECK(moved == 0);
}

STORE_CASE("everything acknowledged is there after a restart") {
  std::mt19937 random(21);
  for (int i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(random() % 40);
    if (random() % 5 == 0)
      remove(store, key);
    else
      put(store, key, std::to_string(i));
  }
  const Revision last = revision_of(store);
  const std::string now = shape_of(store, "k", "l"), then = shape_of(store, "k", "l", last - 50);
  Receiver before(store, {"k", "l", last - 100, true});
  REQUIRE(before.wait_revision(last));
  const std::string events = shape(before.events());
  REQUIRE(compact(store, last - 120));
  before.stop();
  subject.restart();
  Store& again = subject.store();
  CHECK(revision_of(again) == last);
  CHECK(shape_of(again, "k", "l") == now);
  CHECK(shape_of(again, "k", "l", last - 50) == then);
  CHECK(shape_of(again, "k", "l", last - 121) == reason_compacted);
  CHECK(reason(compact(again, last - 120)) == reason_compacted);
  Receiver after(again, {"k", "l", last - 100, true});
  REQUIRE(after.wait_revision(last));
  CHECK(shape(after.events()) == events);
  CHECK(put(again, "k", "new") == last + 1);
  REQUIRE(wait_until([&] {
    return shape(after.events())
        .ends_with("put k=new " + std::to_string(last + 1) + "/" + std::to_string(last + 1) + "/1");
  }));
}

}  // namespace rusternetes::storage::suite
