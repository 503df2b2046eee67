// etcdserverpb.Watch as a client sees it (what random clients see is compared with etcd in tests/etcd).

#include <set>
#include <thread>

#include "services_harness.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;
using etcdserverpb::WatchCreateRequest;

namespace {
const std::string everything(1, '\0');
}

TEST_CASE("a watch from the past gets every revision whole and in order, and then what comes") {
  World world;
  for (int i = 0; i < 2500; ++i) world.put("/k/" + std::to_string(i % 7), std::to_string(i));
  WatchClient client(world);
  const auto created = client.create("/k/", "/k0", 2);
  CHECK(created.created());
  CHECK(created.header().revision() == 2501);
  std::int64_t expected = 2;
  std::thread late([&] {
    for (int i = 0; i < 500; ++i) world.put("/k/x", std::to_string(i));
  });
  while (expected < 3002) {
    const auto response = client.read();
    for (const auto& event : response.events()) {
      REQUIRE(event.kv().mod_revision() == expected);
      ++expected;
    }
  }
  late.join();
}

TEST_CASE("a client that does not read gets every event later, and the server keeps but little for it") {
  World world;
  WatchClient client(world);
  client.create(everything, everything);
  const std::string large(1 << 20, 'v');
  for (int i = 0; i < 48; ++i) world.put("/large", large);
  int seen = 0;
  std::int64_t last = 1;
  while (seen < 48) {
    const auto response = client.read();
    for (const auto& event : response.events()) {
      REQUIRE(event.kv().mod_revision() == last + 1);
      REQUIRE(event.kv().value().size() == large.size());
      last = event.kv().mod_revision();
      ++seen;
    }
  }
}

TEST_CASE("many watches of one stream: own ids, chosen ids, filters, previous values, cancelling") {
  World world;
  world.put("/a", "1");
  WatchClient client(world);
  CHECK(client.create("/a").watch_id() == 0);
  CHECK(client.create("/a", "", 0, [](auto& one) { one.set_watch_id(7); }).watch_id() == 7);
  CHECK(client.create("/a", "", 0, [](auto& one) {
                one.set_prev_kv(true);
                one.add_filters(WatchCreateRequest::NODELETE);
              }).watch_id() == 1);
  const auto twice = client.create("/a", "", 0, [](auto& one) { one.set_watch_id(7); });
  CHECK((twice.created() && twice.canceled()));
  CHECK(twice.watch_id() == -1);
  CHECK(twice.cancel_reason() == "mvcc: duplicate watch ID provided on the WatchStream");
  CHECK(client.create("/b", "/a").cancel_reason() == "mvcc: watcher range is empty");

  client.cancel(7);
  const auto cancelled = client.read();
  CHECK((cancelled.canceled() && cancelled.watch_id() == 7 && cancelled.compact_revision() == 0));

  world.put("/a", "2");
  std::set<std::int64_t> told;
  for (int i = 0; i < 2; ++i) {
    const auto response = client.read();
    REQUIRE(response.events_size() == 1);
    told.insert(response.watch_id());
    CHECK(response.events(0).has_prev_kv() == (response.watch_id() == 1));
    if (response.watch_id() == 1) CHECK(response.events(0).prev_kv().value() == "1");
  }
  CHECK(told == std::set<std::int64_t>{0, 1});

  etcdserverpb::DeleteRangeRequest removal;
  removal.set_key("/a");
  etcdserverpb::DeleteRangeResponse removed;
  grpc::ClientContext context;
  REQUIRE(world.kv->DeleteRange(&context, removal, &removed).ok());
  const auto gone = client.read();
  CHECK(gone.watch_id() == 0);
  CHECK(gone.events(0).type() == mvccpb::Event::DELETE);
  CHECK(gone.events(0).kv().mod_revision() == removed.header().revision());
  client.ask_for_progress();
  const auto progress = client.read();  // and nothing for the one that wants no removals
  CHECK((progress.watch_id() == -1 && progress.events_size() == 0));
  CHECK(progress.header().revision() == removed.header().revision());
}

TEST_CASE("a progress answer says that every event up to its revision was sent") {
  World world;
  WatchClient client(world);
  client.create("/p/", "/p0");
  for (int round = 0; round < 50; ++round) {
    const auto written = world.put("/p/x", std::to_string(round)).header().revision();
    world.put("/elsewhere", "x");
    client.ask_for_progress();
    std::int64_t seen = 0;
    for (;;) {
      const auto response = client.read();
      if (response.events_size() == 0) {
        REQUIRE(response.header().revision() >= written + 1);
        break;
      }
      seen = response.events(response.events_size() - 1).kv().mod_revision();
    }
    REQUIRE(seen == written);
  }
}

TEST_CASE("a watch that wants to know how far it is, is told so from time to time") {
  ServicesOptions options;
  options.progress_notify_interval = std::chrono::milliseconds(50);
  World world(options);
  WatchClient client(world);
  client.create("/quiet");
  client.create("/n", "", 0, [](auto& one) { one.set_progress_notify(true); });
  const auto written = world.put("/elsewhere", "x").header().revision();
  for (;;) {
    const auto response = client.read();
    REQUIRE(response.watch_id() == 1);
    REQUIRE(response.events_size() == 0);
    if (response.header().revision() == written) break;
  }
}

TEST_CASE("a watch of what was compacted is cancelled, with the revision from which there is something") {
  World world;
  for (int i = 0; i < 9; ++i) world.put("/c", std::to_string(i));
  REQUIRE(world.compact(6).ok());
  WatchClient client(world);
  CHECK(client.create("/c", "", 5).created());
  const auto cancelled = client.read();
  CHECK((cancelled.canceled() && cancelled.compact_revision() == 6));
  CHECK(client.create("/c", "", 6).created());
  const auto first = client.read();
  CHECK(first.events(0).kv().mod_revision() == 6);
}

TEST_CASE("a revision that is larger than a request may be comes in fragments to who asked for them") {
  ServicesOptions options;
  options.max_request_bytes = 1 << 20;  // and half as much again, as etcd has it
  World world(options);
  WatchClient client(world);
  client.create("/f/", "/f0", 0, [](auto& one) { one.set_fragment(true); });
  etcdserverpb::TxnRequest txn;
  for (int i = 0; i < 20; ++i) {
    auto& put = *txn.add_success()->mutable_request_put();
    put.set_key("/f/" + std::to_string(100 + i));
    put.set_value(std::string(50'000, 'x'));
  }
  etcdserverpb::TxnResponse response;
  {
    grpc::ClientContext context;
    REQUIRE(world.kv->Txn(&context, txn, &response).ok());
  }
  {  // all of them again, and away at once: the removals' previous values make it large
    grpc::ClientContext context;
    etcdserverpb::DeleteRangeRequest removal;
    removal.set_key("/f/");
    removal.set_range_end("/f0");
    etcdserverpb::DeleteRangeResponse removed;
    REQUIRE(world.kv->DeleteRange(&context, removal, &removed).ok());
  }
  WatchClient late(world);
  late.create("/f/", "/f0", 2, [](auto& one) {
    one.set_fragment(true);
    one.set_prev_kv(true);
  });
  int parts = 0, marked = 0;
  for (auto* one : {&client, &late}) {
    int events = 0;
    bool has_more = false;
    while (events < 40) {  // two revisions of twenty
      const auto part = one->read();
      has_more = part.fragment();
      marked += has_more;
      events += part.events_size();
      ++parts;
      if (part.events_size() > 1) CHECK(part.ByteSizeLong() <= options.max_request_bytes + (512 << 10));
    }
    CHECK(events == 40);
    CHECK(!has_more);
  }
  CHECK(parts > 3);
  CHECK((marked > 0 && marked < parts));
}

TEST_CASE("a stream ends with UNAVAILABLE when the server stops, and a new one is refused") {
  World world;
  WatchClient client(world);
  client.create("/a");
  world.services->stop();
  const auto ended = client.finish();
  CHECK(ended.error_code() == grpc::StatusCode::UNAVAILABLE);
  CHECK(ended.error_message() == "etcdserver: server stopped");
  WatchClient late(world);
  CHECK(late.finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}
