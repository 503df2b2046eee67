// Compaction: what of the past is gone, and how that is said.
#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {
namespace {

const std::string no_end(1, '\0');

}  // namespace

STORE_CASE("compaction ends the reading of what is older, and of nothing else") {
  for (int i = 0; i < 300; ++i) put(store, "k" + std::to_string(i % 3), std::to_string(i));
  remove(store, "k1");  // 302
  put(store, "k3", "x");
  const std::string now = shape_of(store, "k", "l"), then = shape_of(store, "k", "l", 200),
                    at = shape_of(store, "k", "l", 150);
  REQUIRE(compact(store, 150));
  CHECK(store.compact_revision() == 150);
  for (const Revision revision : {1, 2, 100, 149}) {
    CHECK(shape_of(store, "k", "l", revision) == reason_compacted);
    CHECK(reason(store.range({.key = "k0", .revision = revision})) == reason_compacted);
    CHECK(reason(store.range({.key = "k", .range_end = "l", .revision = revision, .count_only = true})) ==
          reason_compacted);
    CHECK(reason(store.range({.key = "absent", .revision = revision})) == reason_compacted);
  }
  CHECK(shape_of(store, "k", "l", 150) == at);
  CHECK(shape_of(store, "k", "l", 200) == then);
  CHECK(shape_of(store, "k", "l") == now);
  CHECK(now == "k0=297 2/299/100; k2=299 4/301/100; k3=x 303/303/1");
  CHECK(revision_of(store) == 303);
}

STORE_CASE("everything but the present can be compacted") {
  put(store, "kept", "1");
  put(store, "gone", "1");
  remove(store, "gone");
  put(store, "kept", "2");
  REQUIRE(compact(store, 5));
  CHECK(shape_of(store, "a", no_end) == "kept=2 2/5/2");
  CHECK(shape_of(store, "a", no_end, 5) == "kept=2 2/5/2");
  CHECK(shape_of(store, "a", no_end, 4) == reason_compacted);
  CHECK(put(store, "gone", "2") == 6);
  CHECK(put(store, "kept", "3") == 7);
  CHECK(shape_of(store, "a", no_end) == "gone=2 6/6/1; kept=3 2/7/3");
  CHECK(shape_of(store, "a", no_end, 5) == "kept=2 2/5/2");
}

STORE_CASE("a compaction to the future, or to where there was one already, is refused") {
  for (int i = 0; i < 10; ++i) put(store, "k", std::to_string(i));
  CHECK(reason(compact(store, 12)) == reason_future_revision);
  CHECK(reason(compact(store, 5)) == "ok");
  CHECK(reason(compact(store, 5)) == reason_compacted);
  CHECK(reason(compact(store, 4)) == reason_compacted);
  CHECK(reason(compact(store, 6)) == "ok");
  CHECK(reason(compact(store, 11)) == "ok");
  CHECK(reason(compact(store, 12)) == reason_future_revision);
  CHECK(revision_of(store) == 11);
  CHECK(shape_of(store, "k") == "k=9 2/11/10");
}

STORE_CASE("a watch may start where was compacted to, and not before") {
  for (int i = 2; i <= 10; ++i) put(store, "k", std::to_string(i));
  REQUIRE(compact(store, 6));
  Receiver at(store, {"k", {}, 6, false});
  REQUIRE(at.wait_revision(10));
  CHECK(shape(at.events()) == "put k=6 2/6/5; put k=7 2/7/6; put k=8 2/8/7; put k=9 2/9/8; put k=10 2/10/9");
  for (const Revision start : {1, 2, 5}) {
    Receiver before(store, {"k", {}, start, false});
    INFO("from " << start);
    CHECK(before.wait_error() == reason_compacted);
    CHECK(before.events().empty());
    if (!before.batches().empty()) CHECK(before.compact_revision() == 6);
  }
  Receiver behind(store, {"k", {}, 7, true});
  REQUIRE(behind.wait_events(4));
  CHECK(shape(behind.events()[0]) == "put k=7 2/7/6 was k=6 2/6/5");
}

STORE_CASE("a removal at the revision that was compacted to is told to a watch that starts there") {
  if (!subject.keeps_removals_at_compaction) {
    WARN("SKIPPED: this server forgets such removals");
    return;
  }
  put(store, "a", "1");
  put(store, "b", "1");
  remove(store, "a");
  put(store, "b", "2");
  REQUIRE(compact(store, 4));
  // Again and again, for space is given back some time later.
  for (int i = 0; i < 20; ++i) {
    Receiver receiver(store, {"a", "c", 4, false});
    REQUIRE(receiver.wait_revision(5));
    REQUIRE(shape(receiver.events()) == "remove a @4; put b=2 3/5/2");
    put(store, "other", std::to_string(i));
  }
}

STORE_CASE("a watch that is in step lives through compactions") {
  Receiver receiver(store, {"k", {}, 0, false});
  for (int i = 0; i < 50; ++i) {
    const Revision revision = put(store, "k", std::to_string(i));
    REQUIRE(receiver.wait_revision(revision));
    if (i % 10 == 9) REQUIRE(compact(store, revision));
  }
  REQUIRE(receiver.wait_events(50));
  for (std::size_t i = 0; i < 50; ++i) CHECK(*receiver.events()[i].kv.value == std::to_string(i));
}

STORE_CASE("a receiver that slept through a compaction gets all it missed, or is told that it is compacted") {
  Receiver receiver(store, {"k", {}, 0, false});
  put(store, "k", "first");
  REQUIRE(receiver.wait_events(1));
  receiver.accept(false);
  for (int i = 0; i < 100; ++i) put(store, "k", std::to_string(i));
  REQUIRE(wait_until([&] { return receiver.refusals() > 0; }));
  REQUIRE(compact(store, 100));
  receiver.accept(true);
  if (receiver.wait_events(101)) {
    const auto events = receiver.events();
    for (std::size_t i = 1; i < events.size(); ++i) CHECK(*events[i].kv.value == std::to_string(i - 1));
  } else {
    CHECK(receiver.wait_error() == reason_compacted);
    CHECK(receiver.compact_revision() == 100);
    CHECK(receiver.events().size() == 1);
    put(store, "k", "last");
    CHECK(receiver.events().size() == 1);
  }
}

}  // namespace rusternetes::storage::suite
