// Alarms, leases over a restart, hashes, and what a member remembers.

#include "rhino/hash_kv.h"
#include "services_harness.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

grpc::Status try_put(World& world, const std::string& key, const std::string& value) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  etcdserverpb::PutResponse response;
  grpc::ClientContext context;
  return world.kv->Put(&context, request, &response);
}

etcdserverpb::AlarmResponse alarm(World& world, etcdserverpb::AlarmRequest::AlarmAction action,
                                  etcdserverpb::AlarmType type = etcdserverpb::NONE) {
  etcdserverpb::AlarmRequest request;
  request.set_action(action);
  request.set_alarm(type);
  request.set_memberid(world.services->member_id());
  etcdserverpb::AlarmResponse response;
  grpc::ClientContext context;
  REQUIRE(world.maintenance->Alarm(&context, request, &response).ok());
  return response;
}

std::int64_t ttl(World& world, std::int64_t id) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(id);
  etcdserverpb::LeaseTimeToLiveResponse response;
  grpc::ClientContext context;
  REQUIRE(world.lease->LeaseTimeToLive(&context, request, &response).ok());
  return response.ttl();
}

}  // namespace

TEST_CASE("a store beyond its quota raises the alarm NOSPACE, which stays until it is disarmed") {
  ServicesOptions options;
  options.quota_bytes = 4 << 20;
  World world(options);
  grpc::Status last = grpc::Status::OK;
  for (int i = 0; i < 40 && last.ok(); ++i)
    last = try_put(world, "/k" + std::to_string(i), std::string(400'000, 'x'));
  CHECK(last.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(last.error_message() == "etcdserver: mvcc: database space exceeded");
  CHECK(!world.services->health({}).is_healthy);
  CHECK(world.services->health({}).reason == "ALARM NOSPACE");
  CHECK(world.services->health({"NOSPACE"}).is_healthy);

  world.restart();
  const auto raised = alarm(world, etcdserverpb::AlarmRequest::GET);
  REQUIRE(raised.alarms_size() == 1);
  CHECK(raised.alarms(0).alarm() == etcdserverpb::NOSPACE);
  CHECK(!try_put(world, "/small", "x").ok());

  // Room is made as etcd's users make it; removing is allowed.
  etcdserverpb::DeleteRangeRequest removal;
  removal.set_key("/");
  removal.set_range_end("0");
  etcdserverpb::DeleteRangeResponse removed;
  {
    grpc::ClientContext context;
    REQUIRE(world.kv->DeleteRange(&context, removal, &removed).ok());
  }
  etcdserverpb::CompactionRequest compaction;
  compaction.set_revision(removed.header().revision());
  compaction.set_physical(true);
  etcdserverpb::CompactionResponse compacted;
  {
    grpc::ClientContext context;
    REQUIRE(world.kv->Compact(&context, compaction, &compacted).ok());
  }
  etcdserverpb::DefragmentResponse defragmented;
  {
    grpc::ClientContext context;
    REQUIRE(world.maintenance->Defragment(&context, {}, &defragmented).ok());
  }
  CHECK(alarm(world, etcdserverpb::AlarmRequest::DEACTIVATE, etcdserverpb::NOSPACE).alarms_size() == 1);
  CHECK(alarm(world, etcdserverpb::AlarmRequest::GET).alarms_size() == 0);
  CHECK(try_put(world, "/small", "x").ok());
}

TEST_CASE("a lease lives over a restart with its keys, is renewed, and ends as one revision") {
  World world;
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_id(77);
  grant.set_ttl(1);
  etcdserverpb::LeaseGrantResponse granted;
  {
    grpc::ClientContext context;
    REQUIRE(world.lease->LeaseGrant(&context, grant, &granted).ok());
  }
  CHECK(granted.ttl() == 2);  // etcd's least
  for (const char* key : {"/a", "/b"}) {
    etcdserverpb::PutRequest put;
    put.set_key(key);
    put.set_lease(77);
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    REQUIRE(world.kv->Put(&context, put, &response).ok());
  }
  world.restart();
  CHECK(ttl(world, 77) >= 0);
  WatchClient client(world);
  client.create("/", "0");
  {
    grpc::ClientContext context;
    auto stream = world.lease->LeaseKeepAlive(&context);
    etcdserverpb::LeaseKeepAliveRequest request;
    etcdserverpb::LeaseKeepAliveResponse response;
    request.set_id(77);
    REQUIRE(stream->Write(request));
    REQUIRE(stream->Read(&response));
    CHECK(response.ttl() == 2);
    request.set_id(78);  // there is none
    REQUIRE(stream->Write(request));
    REQUIRE(stream->Read(&response));
    CHECK(response.ttl() == 0);
    stream->WritesDone();
    CHECK(stream->Finish().ok());
  }
  const auto ended = client.read();
  REQUIRE(ended.events_size() == 2);
  CHECK(ended.events(0).kv().mod_revision() == ended.events(1).kv().mod_revision());
  CHECK(ttl(world, 77) == -1);
}

TEST_CASE("renewals and a snapshot under way end with UNAVAILABLE when the server stops") {
  World world;
  // More than gRPC takes ahead of a client that does not read.
  for (int i = 0; i < 40; ++i) world.put("/k" + std::to_string(i), std::string(1'000'000, 'x'));
  grpc::ClientContext renewing, saving;
  for (auto* context : {&renewing, &saving})
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  auto renewals = world.lease->LeaseKeepAlive(&renewing);
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(7);  // nobody's
  etcdserverpb::LeaseKeepAliveResponse renewed;
  REQUIRE(renewals->Write(request));
  REQUIRE(renewals->Read(&renewed));
  auto snapshot = world.maintenance->Snapshot(&saving, {});
  etcdserverpb::SnapshotResponse piece;
  REQUIRE(snapshot->Read(&piece));
  REQUIRE(piece.remaining_bytes() > 0);
  world.services->stop();
  CHECK_FALSE(renewals->Read(&renewed));
  CHECK(renewals->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  while (snapshot->Read(&piece)) {
  }
  CHECK(snapshot->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext late;
  CHECK(world.lease->LeaseKeepAlive(&late)->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a store keeps its cluster's and member's ids; each start is a new term") {
  World world;
  const auto cluster = world.services->cluster_id(), member = world.services->member_id();
  const auto term = world.put("/a", "1").header().raft_term();
  world.restart();
  CHECK(world.services->cluster_id() == cluster);
  CHECK(world.services->member_id() == member);
  const auto after = world.put("/a", "2");
  CHECK(after.header().raft_term() == term + 1);
  CHECK(after.header().revision() == 3);
}

TEST_CASE("the hashes are those of etcd 3.6 after the same writes") {
  World world;
  for (const char* number : {"1", "2", "3"}) world.put(std::string("k") + number, std::string("v") + number);
  world.put("k1", "w");
  {
    grpc::ClientContext context;
    etcdserverpb::DeleteRangeRequest removal;
    removal.set_key("k2");
    etcdserverpb::DeleteRangeResponse removed;
    REQUIRE(world.kv->DeleteRange(&context, removal, &removed).ok());
  }
  CHECK(hash_kv(*world.store, 0)->hash == 700478119);
  CHECK(hash_kv(*world.store, 4)->hash == 4178063679);
  REQUIRE(world.compact(5).ok());
  CHECK(hash_kv(*world.store, 0)->hash == 2182456160);
}

TEST_CASE("the hash of a revision stays as it was when more is written and when what is older is compacted") {
  World world;
  for (int i = 0; i < 50; ++i) world.put("/k" + std::to_string(i % 9), std::to_string(i));
  const auto before = hash_kv(*world.store, 40);
  REQUIRE(before);
  for (int i = 0; i < 50; ++i) world.put("/k" + std::to_string(i % 9), "later");
  const auto later = hash_kv(*world.store, 40);
  REQUIRE(later);
  CHECK(later->hash == before->hash);
  CHECK(hash_kv(*world.store, 0)->hash != before->hash);
  CHECK(hash_kv(*world.store, 1000).error().is(storage::reason_future_revision));
  REQUIRE(world.compact(30).ok());
  CHECK(hash_kv(*world.store, 29).error().is(storage::reason_compacted));
  const auto at_once = hash_kv(*world.store, 45);  // rows may be gone or not
  etcdserverpb::CompactionRequest compaction;
  compaction.set_revision(31);
  compaction.set_physical(true);
  etcdserverpb::CompactionResponse compacted;
  grpc::ClientContext context;
  REQUIRE(world.kv->Compact(&context, compaction, &compacted).ok());
  CHECK(hash_kv(*world.store, 45)->compact_revision == 31);
  CHECK(at_once->compact_revision == 30);
}
