// Watches: every change from a revision on, once, in order, and never dropped for being slow.
#include <thread>

#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {
namespace {

const std::string no_end(1, '\0');

// Revisions never go back, and none is split over batches.
void check_order(const Receiver& receiver) {
  Revision last = 0;
  for (const auto& batch : receiver.batches()) {
    if (batch.is_error()) continue;
    for (std::size_t i = 0; i < batch.events.size(); ++i) {
      const Revision revision = batch.events[i].kv.mod_revision;
      if (i == 0)
        REQUIRE(revision > last);
      else
        REQUIRE(revision >= last);
      last = revision;
    }
    REQUIRE(batch.revision >= last);
  }
}

// What a watch from `start` on of everything must be given.
std::vector<Event> from(const std::vector<Event>& events, Revision start) {
  std::vector<Event> out;
  for (const auto& event : events)
    if (event.kv.mod_revision >= start) out.push_back(event);
  return out;
}

}  // namespace

STORE_CASE("a watch from now gets what happens from then on") {
  put(store, "a", "before");
  Receiver receiver(store, {"a", {}, 0, false});
  put(store, "a", "after");
  remove(store, "a");
  put(store, "a", "again");
  REQUIRE(receiver.wait_events(3));
  CHECK(shape(receiver.events()) == "put a=after 2/3/2; remove a @4; put a=again 5/5/1");
  check_order(receiver);
}

STORE_CASE("a watch tells previous values only when it is asked to") {
  const LeaseId lease = granted(store, 100, 9);
  Receiver with(store, {"a", "b", 0, true}), without(store, {"a", "b", 0, false});
  put(store, "a", "1", lease);
  put(store, "a", "2");
  remove(store, "a");
  put(store, "a", "3");
  const std::string expected =
      "put a=1 2/2/1 lease 9; put a=2 2/3/2 was a=1 2/2/1 lease 9; remove a @4 was a=2 2/3/2; put a=3 5/5/1";
  REQUIRE(with.wait_events(4));
  REQUIRE(without.wait_events(4));
  CHECK(shape(with.events()) == expected);
  CHECK(shape(without.events()) == "put a=1 2/2/1 lease 9; put a=2 2/3/2; remove a @4; put a=3 5/5/1");
  Receiver past(store, {"a", "b", 2, true});
  REQUIRE(past.wait_events(4));
  CHECK(shape(past.events()) == expected);
}

STORE_CASE("a watch from the past gets every event once, in order, with previous values") {
  for (int i = 0; i < 600; ++i) put(store, "a" + std::to_string(i % 10), std::to_string(i));
  Receiver receiver(store, {"a", "b", 2, true});
  for (int i = 600; i < 1000; ++i) put(store, "a" + std::to_string(i % 10), std::to_string(i));
  REQUIRE(receiver.wait_events(1000));
  const auto events = receiver.events();
  REQUIRE(events.size() == 1000);
  for (int i = 0; i < 1000; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    REQUIRE(*event.kv.value == std::to_string(i));
    REQUIRE(event.kv.mod_revision == i + 2);
    REQUIRE(event.previous.has_value() == (i >= 10));
    if (i >= 10) REQUIRE(*event.previous->value == std::to_string(i - 10));
  }
  check_order(receiver);
}

STORE_CASE("a watch from the future gets nothing before it") {
  put(store, "a", "2");
  Receiver receiver(store, {"a", {}, 6, false});
  for (int i = 3; i <= 7; ++i) put(store, "a", std::to_string(i));
  REQUIRE(receiver.wait_events(2));
  REQUIRE(receiver.wait_revision(7));
  CHECK(shape(receiver.events()) == "put a=6 2/6/5; put a=7 2/7/6");
}

STORE_CASE("watches begun at any revision see the same events from there on") {
  std::vector<std::unique_ptr<Receiver>> receivers;
  receivers.push_back(std::make_unique<Receiver>(store, WatchRequest{"k", "l", 2, true}));
  for (int i = 0; i < 120; ++i) {
    const std::string key = "k" + std::to_string(i % 7);
    if (i % 5 == 4)
      remove(store, "k", "k" + std::to_string(i % 3 + 1));
    else if (i % 5 == 3)
      REQUIRE(run(store, {put_of("k" + std::to_string(i % 4), "t"), put_of("k5", "t"), delete_of("k6")}));
    else
      put(store, key, std::to_string(i));
    if (i % 10 == 0)
      for (const Revision back : {1, 7, 40})
        receivers.push_back(std::make_unique<Receiver>(
            store, WatchRequest{"k", "l", std::max(Revision{2}, revision_of(store) - back), true}));
  }
  const Revision last = revision_of(store);
  REQUIRE(receivers[0]->wait_revision(last));
  const auto all = receivers[0]->events();
  CHECK(all.size() > 120);
  for (auto& receiver : receivers) {
    REQUIRE(receiver->wait_revision(last));
    REQUIRE_FALSE(receiver->events().empty());
    CHECK(shape(receiver->events()) == shape(from(all, receiver->events()[0].kv.mod_revision)));
    check_order(*receiver);
  }
  // And again, all from the past.
  for (Revision start = 2; start <= last; start += 11) {
    Receiver receiver(store, {"k", "l", start, true});
    REQUIRE(receiver.wait_revision(last));
    CHECK(shape(receiver.events()) == shape(from(all, start)));
  }
}

STORE_CASE("a watch gets the keys it asked for and no others") {
  Receiver one(store, {"b", {}, 0, false}), prefix(store, {"b", "c", 0, false}),
      rest(store, {"b1", no_end, 0, false}), all(store, {no_end, no_end, 0, false});
  for (const char* key : {"a", "b", "b0", "b1", "b\xff", "c", "b"}) put(store, key, "");
  put(store, std::string("b\0", 2), "");
  REQUIRE(all.wait_events(8));
  for (Receiver* receiver : {&one, &prefix, &rest}) REQUIRE(receiver->wait_revision(9));
  CHECK(shape(one.events()) == "put b= 3/3/1; put b= 3/8/2");
  CHECK(shape(prefix.events()) ==
        "put b= 3/3/1; put b0= 4/4/1; put b1= 5/5/1; put b\\xff= 6/6/1; put b= 3/8/2; put b\\x00= 9/9/1");
  CHECK(shape(rest.events()) == "put b1= 5/5/1; put b\\xff= 6/6/1; put c= 7/7/1");
  Receiver past(store, {"b1", no_end, 2, false});
  REQUIRE(past.wait_revision(9));
  CHECK(shape(past.events()) == shape(rest.events()));
}

STORE_CASE("a revision comes in one batch, its events in the order they were made") {
  Receiver now(store, {"k", "l", 0, false});
  std::vector<Operation> operations;
  for (int i = 99; i >= 0; --i) operations.emplace_back(put_of("k" + std::to_string(i), std::to_string(i)));
  for (int round = 0; round < 30; ++round) REQUIRE(run(store, operations));
  remove(store, "k", "l");
  Receiver past(store, {"k", "l", 2, false});
  for (Receiver* receiver : {&now, &past}) {
    REQUIRE(receiver->wait_events(3100));
    const auto events = receiver->events();
    REQUIRE(events.size() == 3100);
    for (std::size_t i = 0; i < 3000; ++i) {
      REQUIRE(events[i].kv.key == "k" + std::to_string(99 - i % 100));
      REQUIRE(events[i].kv.mod_revision == static_cast<Revision>(2 + i / 100));
    }
    // A removal of a range goes by key.
    for (std::size_t i = 3001; i < 3100; ++i) REQUIRE(events[i - 1].kv.key < events[i].kv.key);
    check_order(*receiver);
  }
}

STORE_CASE("a receiver that refuses is caught up after it resumes, and nothing is lost") {
  Receiver receiver(store, {"a", "b", 0, true});
  put(store, "a1", "x");
  REQUIRE(receiver.wait_events(1));
  for (int round = 0; round < 5; ++round) {
    receiver.accept(false);
    const std::size_t refused = receiver.refusals();
    for (int i = 0; i < 100; ++i) put(store, "a" + std::to_string(i), "y");
    REQUIRE(wait_until([&] { return receiver.refusals() > refused; }));
    receiver.accept(true);
    REQUIRE(receiver.wait_events(static_cast<std::size_t>(round + 1) * 101));
    put(store, "a", "z");
    REQUIRE(receiver.wait_events(static_cast<std::size_t>(round + 1) * 101 + 1));
  }
  const auto events = receiver.events();
  REQUIRE(events.size() == 506);
  for (std::size_t i = 0; i < events.size(); ++i)
    REQUIRE(events[i].kv.mod_revision == static_cast<Revision>(i + 2));
  check_order(receiver);
}

STORE_CASE("a receiver that refuses from the start gets all of the past when it resumes") {
  for (int i = 0; i < 300; ++i) put(store, "a", std::to_string(i));
  Receiver receiver(store, {"a", {}, 2, false}, false);
  REQUIRE(wait_until([&] { return receiver.refusals() > 0; }));
  CHECK(receiver.events().empty());
  receiver.accept(true);
  REQUIRE(receiver.wait_events(300));
  const auto events = receiver.events();
  for (std::size_t i = 0; i < events.size(); ++i) REQUIRE(*events[i].kv.value == std::to_string(i));
}

STORE_CASE("one receiver that refuses holds up no other") {
  Receiver slow(store, {"a", "b", 0, false}, false), quick(store, {"a", "b", 0, false});
  for (int i = 0; i < 200; ++i) put(store, "a", std::to_string(i));
  REQUIRE(quick.wait_events(200));
  CHECK(slow.events().empty());
  slow.accept(true);
  REQUIRE(slow.wait_events(200));
  CHECK(shape(slow.events()) == shape(quick.events()));
}

STORE_CASE("a watch whose keys nobody touches still learns how far it is") {
  if (!subject.tells_progress) {
    WARN("SKIPPED: this server tells no progress");
    return;
  }
  Receiver receiver(store, {"quiet", {}, 0, false});
  REQUIRE(receiver.wait_revision(1));
  for (int i = 0; i < 10; ++i) put(store, "loud", std::to_string(i));
  REQUIRE(receiver.wait_revision(11));
  CHECK(receiver.events().empty());
  CHECK(receiver.batches().back().revision == 11);
}

STORE_CASE("progress never comes before the events that it covers") {
  Receiver receiver(store, {"a", "b", 2, false});
  for (int i = 0; i < 200; ++i) {
    const Revision revision = put(store, i % 2 ? "a" : "elsewhere", std::to_string(i));
    if (i % 20 != 1) continue;
    REQUIRE(receiver.wait_revision(revision));
    REQUIRE(receiver.events().size() == static_cast<std::size_t>(i + 1) / 2);
  }
  check_order(receiver);
}

STORE_CASE("no callback comes after a watch was destroyed, however many events there are") {
  std::atomic<bool> stop = false;
  std::string refused;
  std::thread writer([&] {
    while (!stop) {
      auto response = run(store, {put_of("a", "x"), put_of("b", "y")});
      if (!response) refused = response.error().reason + ": " + response.error().message;
    }
  });
  struct Life {
    std::atomic<bool> ended = false, late = false;
    std::atomic<int> batches = 0;
  };
  int seen = 0;
  std::vector<std::shared_ptr<Life>> lives;
  for (int i = 0; i < 200; ++i) {
    auto life = lives.emplace_back(std::make_shared<Life>());
    auto watch = store.watch({"a", "c", i % 2 ? Revision{0} : Revision{2}, false}, [life](const auto&) {
      if (life->ended) life->late = true;
      ++life->batches;
      return true;
    });
    REQUIRE(watch);
    if (i % 3 == 0) wait_until([&] { return life->batches > 0; });
    watch->reset();
    life->ended = true;
    seen += life->batches;
  }
  stop = true;
  writer.join();
  CHECK(refused == "");
  CHECK(seen >= 60);
  CHECK(std::none_of(lives.begin(), lives.end(), [](const auto& life) { return life->late.load(); }));
}

STORE_CASE("hundreds of watches each get their own keys") {
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (int i = 0; i < 300; ++i)
    receivers.push_back(std::make_unique<Receiver>(
        store,
        WatchRequest{"k" + std::to_string(i) + "/", prefix_end("k" + std::to_string(i) + "/"), 2, false}));
  Receiver all(store, {"k", "l", 2, false});
  for (int round = 0; round < 3; ++round) {
    std::vector<Operation> operations;
    for (int i = 0; i < 300; ++i) {
      operations.emplace_back(put_of("k" + std::to_string(i) + "/a", std::to_string(round)));
      if (operations.size() == 100) REQUIRE(run(store, std::exchange(operations, {})));
    }
  }
  REQUIRE(all.wait_events(900));
  for (int i = 0; i < 300; ++i) {
    auto& receiver = *receivers[static_cast<std::size_t>(i)];
    REQUIRE(receiver.wait_events(3));
    REQUIRE(receiver.wait_revision(10));
    const auto events = receiver.events();
    REQUIRE(events.size() == 3);
    for (std::size_t n = 0; n < 3; ++n) {
      REQUIRE(events[n].kv.key == "k" + std::to_string(i) + "/a");
      REQUIRE(*events[n].kv.value == std::to_string(n));
    }
  }
}

STORE_CASE("a watch sees what many writers do in the order of revisions, without a gap") {
  Receiver receiver(store, {"w", "x", 2, true});
  std::vector<std::thread> writers;
  std::atomic<int> failed = 0;
  for (int w = 0; w < 6; ++w)
    writers.emplace_back([&store, &failed, w] {
      for (int i = 0; i < 80; ++i)
        if (!run(store, {put_of("w" + std::to_string(w), std::to_string(i))})) ++failed;
    });
  for (auto& writer : writers) writer.join();
  REQUIRE(failed == 0);
  REQUIRE(receiver.wait_events(480));
  const auto events = receiver.events();
  REQUIRE(events.size() == 480);
  std::vector<int> next(6, 0);
  for (std::size_t i = 0; i < events.size(); ++i) {
    REQUIRE(events[i].kv.mod_revision == static_cast<Revision>(i + 2));
    int& expected = next[static_cast<std::size_t>(events[i].kv.key[1] - '0')];
    REQUIRE(*events[i].kv.value == std::to_string(expected));
    ++expected;
    REQUIRE(events[i].kv.version == expected);
  }
}

}  // namespace rusternetes::storage::suite
