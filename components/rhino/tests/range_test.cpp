// Answers to Range are written to the wire by hand, those within a transaction by protobuf: both must say the
// same.
#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/generic/generic_stub.h>

#include <catch2/catch.hpp>
#include <random>

#include "services_harness.h"

using namespace rusternetes;
using namespace rusternetes::rhino::testing;
using namespace etcdserverpb;

namespace {

RangeResponse range(World& world, const RangeRequest& request) {
  RangeResponse response;
  grpc::ClientContext context;
  const auto status = world.kv->Range(&context, request, &response);
  INFO(status.error_message());
  REQUIRE(status.ok());
  return response;
}

RangeResponse range_within_txn(World& world, const RangeRequest& request) {
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = request;
  TxnResponse response;
  grpc::ClientContext context;
  REQUIRE(world.kv->Txn(&context, txn, &response).ok());
  auto answer = response.responses(0).response_range();
  *answer.mutable_header() = response.header();
  return answer;
}

std::int64_t grant(World& world) {
  LeaseGrantRequest request;
  request.set_ttl(600);
  LeaseGrantResponse response;
  grpc::ClientContext context;
  REQUIRE(world.lease->LeaseGrant(&context, request, &response).ok());
  return response.id();
}

void put(World& world, std::string key, std::string value, std::int64_t lease) {
  PutRequest request;
  request.set_key(std::move(key));
  request.set_value(std::move(value));
  request.set_lease(lease);
  PutResponse response;
  grpc::ClientContext context;
  REQUIRE(world.kv->Put(&context, request, &response).ok());
}

void remove(World& world, const std::string& key) {
  DeleteRangeRequest request;
  request.set_key(key);
  DeleteRangeResponse response;
  grpc::ClientContext context;
  REQUIRE(world.kv->DeleteRange(&context, request, &response).ok());
}

std::string random_key(std::mt19937& random) { return "k" + std::to_string(random() % 120); }

// Values of nothing, of bytes that are no text, of more than a page and of more than a buffer.
std::string random_value(std::mt19937& random) {
  const std::size_t sizes[] = {0, 1, 100, 100, 1000, 5000, 70'000, 300'000};
  return std::string(sizes[random() % std::size(sizes)], static_cast<char>(random()));
}

RangeRequest random_range(std::mt19937& random, std::int64_t newest) {
  RangeRequest request;
  request.set_key(random() % 3 ? "k" : random_key(random));
  if (random() % 4) request.set_range_end(random() % 2 ? "l" : std::string(1, '\0'));
  if (random() % 2) request.set_limit(static_cast<std::int64_t>(random() % 40));
  if (random() % 2)
    request.set_revision(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(newest)) + 1);
  request.set_keys_only(random() % 4 == 0);
  request.set_count_only(random() % 8 == 0);
  if (random() % 8 == 0) request.set_sort_order(RangeRequest::DESCEND);
  if (random() % 8 == 0) request.set_min_mod_revision(newest / 2);
  return request;
}

}  // namespace

TEST_CASE("a range says the same whether it is asked for alone or within a transaction") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  World world;
  const auto lease = grant(world);
  std::int64_t newest = 1;
  for (int i = 0; i < 400; ++i) {
    if (random() % 5 == 0)
      remove(world, random_key(random));
    else
      put(world, random_key(random), random_value(random), random() % 4 ? 0 : lease);
    newest = world.store->current_revision();
  }
  for (int i = 0; i < 300; ++i) {
    const auto request = random_range(random, newest);
    INFO(request.ShortDebugString());
    const auto alone = range(world, request), within = range_within_txn(world, request);
    CHECK(google::protobuf::util::MessageDifferencer::Equals(alone, within));
  }
}

TEST_CASE("an answer of more than one buffer, in another order than that of the file, comes whole") {
  World world;
  constexpr int keys = 700;
  // 397 and 700 have no common divisor: every key comes once.
  for (int i = 0; i < keys; ++i)
    world.put(fmt::format("k{:04}", i * 397 % keys), std::string(1000, static_cast<char>('a' + i % 26)));
  RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  const auto answer = range(world, request);
  REQUIRE(answer.kvs_size() == keys);
  for (int i = 0; i < keys; ++i) {
    const auto& kv = answer.kvs(i * 397 % keys);
    REQUIRE(kv.key() == fmt::format("k{:04}", i * 397 % keys));
    REQUIRE(kv.value() == std::string(1000, static_cast<char>('a' + i % 26)));
    REQUIRE(kv.mod_revision() == i + 2);
  }
}

TEST_CASE("a range of nothing and one that is no message are refused") {
  World world;
  RangeResponse response;
  grpc::ClientContext context;
  const auto empty = world.kv->Range(&context, {}, &response);
  CHECK(empty.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(empty.error_message() == "etcdserver: key is not provided");

  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(world.channel);
  grpc::ClientContext other;
  const grpc::Slice slice("\x0a\xff");  // a key of which there is nothing
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&other, "/etcdserverpb.KV/Range", grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer bytes;
  grpc::Status status;
  call->Finish(&bytes, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  REQUIRE(queue.Next(&tag, &ok));
  CHECK(status.error_code() == grpc::StatusCode::INTERNAL);
}
