// Who hears of what, with the hub alone.

#include "storage/sqlite/watch_hub.h"

#include <catch2/catch.hpp>
#include <random>

using namespace rusternetes::storage;
using namespace rusternetes::storage::sqlite;

namespace {

Event put_of(const std::string& key, Revision revision) {
  Event event;
  event.kv = {key, std::make_shared<const std::string>("v"), revision, revision, 1, 0};
  event.previous = KeyValue{key, std::make_shared<const std::string>("before"), 1, 1, 1, 0};
  return event;
}

struct Receiver {
  std::vector<std::pair<std::string, Revision>> seen;
  int with_previous = 0;
  bool has_room = true;
  Store::WatchCallback callback() {
    return [this](const std::shared_ptr<const WatchBatch>& batch) {
      if (!has_room) return false;
      for (const auto& event : batch->events) {
        seen.emplace_back(event.kv.key, event.kv.mod_revision);
        if (event.previous) ++with_previous;
      }
      return true;
    };
  }
};

std::string random_key(std::mt19937& random, std::size_t most) {
  std::string key(random() % most + 1, 'a');
  for (char& c : key) c = random() % 5 == 0 ? '\xff' : static_cast<char>('a' + random() % 3);
  return key;
}

}  // namespace

TEST_CASE("a watcher hears of exactly the keys of its range, whatever the range's form and whoever else watches") {
  std::mt19937 random(7);
  WatchHub hub;
  hub.set_start(1);
  struct One {
    WatchRequest request;
    Receiver receiver;
    std::shared_ptr<WatchHub::Watcher> watcher;
  };
  std::vector<std::unique_ptr<One>> all;
  Revision revision = 1;
  for (int round = 0; round < 300; ++round) {
    auto one = std::make_unique<One>();
    one->request.key = random_key(random, 4);
    switch (random() % 4) {
      case 0: break;
      case 1: one->request.range_end = prefix_end(one->request.key); break;
      case 2: one->request.range_end = std::string(1, '\0'); break;
      default: one->request.range_end = random_key(random, 4);
    }
    one->request.previous = random() % 2;
    if (random() % 4 == 0) one->request.start_revision = revision + 1 + static_cast<Revision>(random() % 8);
    const Revision start = one->request.start_revision;
    one->watcher = hub.add(one->request, one->receiver.callback(), start > 0 ? start - 1 : -1);
    all.push_back(std::move(one));
    if (all.size() > 40) {
      const auto at = static_cast<std::ptrdiff_t>(random() % all.size());
      hub.remove(all[static_cast<std::size_t>(at)]->watcher);
      all.erase(all.begin() + at);
    }
    std::vector<WatchHub::Committed> batch;
    std::vector<std::pair<std::string, Revision>> written;
    for (auto count = random() % 3 + 1; count > 0; --count) {
      ++revision;
      WatchHub::Committed committed{revision, {}};
      for (auto keys = random() % 2 + 1; keys > 0; --keys) {
        committed.events.push_back(put_of(random_key(random, 6), revision));
        written.emplace_back(committed.events.back().kv.key, revision);
      }
      batch.push_back(std::move(committed));
    }
    for (auto& each : all) each->receiver = {};
    hub.publish(std::move(batch));
    for (const auto& each : all) {
      std::vector<std::pair<std::string, Revision>> expected;
      for (const auto& [key, at] : written)
        if (each->watcher->matches(key) && at >= each->request.start_revision) expected.emplace_back(key, at);
      REQUIRE(each->receiver.seen == expected);
      REQUIRE(each->receiver.with_previous == (each->request.previous ? static_cast<int>(expected.size()) : 0));
    }
  }
  for (const auto& each : all) hub.remove(each->watcher);
}

TEST_CASE("a watcher that refuses a batch is behind by that batch, and alone") {
  WatchHub hub;
  hub.set_start(1);
  Receiver full, other;
  const auto behind = hub.add({"a/", "a0", 0, false}, full.callback(), -1);
  const auto in_step = hub.add({"a/", "a0", 0, false}, other.callback(), -1);
  auto publish = [&](Revision revision, const std::string& key) {
    std::vector<WatchHub::Committed> batch;
    batch.push_back({revision, {put_of(key, revision)}});
    hub.publish(std::move(batch));
  };
  publish(2, "a/1");
  publish(3, "b/1");  // nobody's
  full.has_room = false;
  publish(4, "a/2");
  publish(5, "a/3");
  CHECK(full.seen.size() == 1);
  CHECK(other.seen.size() == 3);
  CHECK(hub.synced_revision({in_step.get()}) == 5);
  CHECK_FALSE(hub.synced_revision({in_step.get(), behind.get()}));
  hub.resume(behind);
  REQUIRE(hub.next_behind() == behind);
  CHECK(behind->delivered == 3);

  // Served from disk meanwhile:
  behind->delivered = 4;
  hub.settle(behind);
  CHECK_FALSE(behind->in_step);
  behind->delivered = 5;
  hub.settle(behind);
  CHECK(behind->in_step);
  full.has_room = true;
  publish(6, "a/4");
  CHECK(full.seen.back() == std::pair<std::string, Revision>("a/4", 6));
  CHECK(hub.synced_revision({in_step.get(), behind.get()}) == 6);
  hub.remove(behind);
  hub.remove(in_step);
}
