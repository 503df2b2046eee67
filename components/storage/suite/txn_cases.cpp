// Transactions: compares, branches, and what their operations see and leave.
#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {
namespace {

using Target = Compare::Target;
using Relation = Compare::Relation;
constexpr Relation relations[] = {Relation::equal, Relation::greater, Relation::less, Relation::not_equal};

bool holds(Store& store, Compare compare) {
  TxnRequest request;
  request.compares.push_back(std::move(compare));
  auto response = run(store, std::move(request));
  REQUIRE(response);
  return response->succeeded;
}

bool is(auto left, Relation relation, auto right) {
  return relation == Relation::equal     ? left == right
         : relation == Relation::greater ? left > right
         : relation == Relation::less    ? left < right
                                         : left != right;
}

template <class T>
const T& answer(const Result<TxnResponse>& response, std::size_t at) {
  REQUIRE(response);
  REQUIRE(response->responses.size() > at);
  REQUIRE(std::holds_alternative<T>(response->responses[at]));
  return std::get<T>(response->responses[at]);
}

}  // namespace

STORE_CASE("a transaction runs its success branch if all compares hold, else its failure branch") {
  put(store, "k", "v1");
  TxnRequest request;
  request.compares.push_back(compare_number("k", Target::mod_revision, Relation::equal, 2));
  request.compares.push_back(compare_number("k", Target::version, Relation::equal, 1));
  request.success.emplace_back(put_of("k", "v2"));
  request.failure.emplace_back(RangeRequest{.key = "k"});
  auto response = run(store, request);
  REQUIRE(response);
  CHECK(response->succeeded);
  CHECK(response->revision == 3);
  CHECK_FALSE(answer<PutResponse>(response, 0).previous);
  response = run(store, request);
  REQUIRE(response);
  CHECK_FALSE(response->succeeded);
  CHECK(response->revision == 3);
  CHECK(shape(answer<RangeResponse>(response, 0).kvs) == "k=v2 2/3/2");
  CHECK(answer<RangeResponse>(response, 0).count == 1);
  CHECK(shape_of(store, "k") == "k=v2 2/3/2");
}

STORE_CASE("without compares the success branch runs, and an empty transaction changes nothing") {
  auto response = run(store, TxnRequest{});
  REQUIRE(response);
  CHECK(response->succeeded);
  CHECK(response->revision == 1);
  CHECK(response->responses.empty());
}

STORE_CASE("a transaction that only reads makes no revision") {
  put(store, "a", "1");
  auto response =
      run(store, {RangeRequest{.key = "a"}, RangeRequest{.key = "a", .range_end = "b", .count_only = true}});
  REQUIRE(response);
  CHECK(response->revision == 2);
  CHECK(answer<RangeResponse>(response, 0).revision == 2);
  CHECK(answer<RangeResponse>(response, 1).count == 1);
  CHECK(answer<RangeResponse>(response, 1).kvs.empty());
}

STORE_CASE("every number of a key is compared by every relation") {
  const LeaseId lease = granted(store, 100, 50);
  put(store, "before", "");
  put(store, "k", "one");
  put(store, "k", "two", lease);
  const std::pair<Target, std::int64_t> there[] = {
      {Target::version, 2}, {Target::create_revision, 3}, {Target::mod_revision, 4}, {Target::lease, 50}};
  for (const auto& [target, number] : there)
    for (const auto relation : relations)
      for (const std::int64_t other : {std::int64_t{0}, number - 1, number, number + 1}) {
        INFO("target " << static_cast<int>(target) << " relation " << static_cast<int>(relation) << " to "
                       << other);
        CHECK(holds(store, compare_number("k", target, relation, other)) == is(number, relation, other));
        CHECK(holds(store, compare_number("absent", target, relation, other)) ==
              is(std::int64_t{0}, relation, other));
      }
}

STORE_CASE("values are compared as bytes, and an absent key's value compares with nothing") {
  const std::string value("m\0\xff", 3);
  put(store, "k", value);
  for (const auto relation : relations)
    for (const std::string& other : {std::string(), std::string("a"), std::string("m"), std::string("m\0", 2),
                                     value, value + "x", std::string("z"), std::string("\xff")}) {
      INFO("relation " << static_cast<int>(relation) << " to " << shape(other));
      const int order = value.compare(other);
      CHECK(holds(store, compare_value("k", relation, other)) == is(order, relation, 0));
      CHECK_FALSE(holds(store, compare_value("absent", relation, other)));
    }
}

STORE_CASE("a compare of a range must hold for each of its keys") {
  put(store, "a1", "x");
  put(store, "a2", "x");
  put(store, "a2", "x");
  put(store, "b", "y");
  auto range = [](Compare compare, std::string end) {
    compare.range_end = std::move(end);
    return compare;
  };
  CHECK(holds(store, range(compare_value("a", Relation::equal, "x"), "b")));
  CHECK_FALSE(holds(store, range(compare_value("a", Relation::equal, "x"), "c")));
  CHECK_FALSE(holds(store, range(compare_value("a", Relation::equal, "x"), std::string(1, '\0'))));
  CHECK(holds(store, range(compare_value("a", Relation::greater, "w"), std::string(1, '\0'))));
  CHECK(holds(store, range(compare_number("a", Target::version, Relation::less, 3), "b")));
  CHECK_FALSE(holds(store, range(compare_number("a", Target::version, Relation::equal, 1), "b")));
  CHECK(holds(store, range(compare_number("a", Target::mod_revision, Relation::less, 5), "b")));
  CHECK_FALSE(holds(store, range(compare_number("a", Target::mod_revision, Relation::less, 5), "c")));
  CHECK(holds(store, range(compare_number("a", Target::lease, Relation::equal, 0), "c")));
  // A range without keys is like an absent key.
  CHECK(holds(store, range(compare_number("x", Target::version, Relation::equal, 0), "z")));
  CHECK_FALSE(holds(store, range(compare_number("x", Target::create_revision, Relation::greater, 0), "z")));
  CHECK_FALSE(holds(store, range(compare_value("x", Relation::not_equal, "v"), "z")));
}

STORE_CASE("all writes of a transaction share one revision") {
  put(store, "old1", "x");
  put(store, "old2", "x");
  auto response = run(store, {put_of("c", "1"), put_of("a", "2"), delete_of("old", "ole"), put_of("b", "3")});
  REQUIRE(response);
  CHECK(response->revision == 4);
  CHECK(answer<DeleteResponse>(response, 2).deleted == 2);
  CHECK(answer<DeleteResponse>(response, 2).previous.empty());
  CHECK(shape_of(store, "a", "z") == "a=2 4/4/1; b=3 4/4/1; c=1 4/4/1");
  CHECK(shape_of(store, "a", "z", 3) == "old1=x 2/2/1; old2=x 3/3/1");
  CHECK(revision_of(store) == 4);
}

STORE_CASE("a read inside a transaction sees the writes before it and not those behind it") {
  put(store, "a", "0");
  put(store, "b", "0");
  const RangeRequest all{.key = "a", .range_end = "z"};
  auto response = run(store, {all, put_of("a", "1"), all, delete_of("b"), all, put_of("c", "1"), all,
                              RangeRequest{.key = "a", .range_end = "z", .revision = 2},
                              RangeRequest{.key = "a", .range_end = "z", .limit = 1}});
  REQUIRE(response);
  CHECK(shape(answer<RangeResponse>(response, 0).kvs) == "a=0 2/2/1; b=0 3/3/1");
  CHECK(shape(answer<RangeResponse>(response, 2).kvs) == "a=1 2/4/2; b=0 3/3/1");
  CHECK(shape(answer<RangeResponse>(response, 4).kvs) == "a=1 2/4/2");
  CHECK(shape(answer<RangeResponse>(response, 6).kvs) == "a=1 2/4/2; c=1 4/4/1");
  CHECK(shape(answer<RangeResponse>(response, 7).kvs) == "a=0 2/2/1");
  CHECK(answer<RangeResponse>(response, 8).count == 2);
  CHECK(answer<RangeResponse>(response, 8).more);
}

STORE_CASE("a transaction inside another answers for itself and shares the revision") {
  put(store, "a", "0");
  TxnRequest inner;
  inner.compares.push_back(compare_value("a", Relation::equal, "0"));
  inner.success = {put_of("inner", "yes"), RangeRequest{.key = "inner"}};
  inner.failure = {put_of("inner", "no")};
  TxnRequest middle;
  middle.compares.push_back(compare_number("absent", Target::version, Relation::greater, 0));
  middle.success = {put_of("middle", "yes")};
  middle.failure = {nested(inner), put_of("middle", "no")};
  auto response = run(store, {put_of("outer", "1"), nested(middle), delete_of("a", {}, true)});
  REQUIRE(response);
  CHECK(response->succeeded);
  CHECK(response->revision == 3);
  const auto& middle_answer = *answer<std::shared_ptr<TxnResponse>>(response, 1);
  CHECK_FALSE(middle_answer.succeeded);
  REQUIRE(middle_answer.responses.size() == 2);
  const auto& inner_answer = *std::get<std::shared_ptr<TxnResponse>>(middle_answer.responses[0]);
  CHECK(inner_answer.succeeded);
  CHECK(shape(std::get<RangeResponse>(inner_answer.responses[1]).kvs) == "inner=yes 3/3/1");
  CHECK(shape(answer<DeleteResponse>(response, 2).previous) == "a=0 2/2/1");
  CHECK(shape_of(store, "a", "z") == "inner=yes 3/3/1; middle=no 3/3/1; outer=1 3/3/1");
}

STORE_CASE("compares of a nested transaction see what was before the outer one") {
  put(store, "a", "0");
  TxnRequest inner;
  inner.compares.push_back(compare_value("a", Relation::equal, "0"));
  inner.success = {put_of("saw", "before")};
  inner.failure = {put_of("saw", "after")};
  TxnRequest absent;
  absent.compares.push_back(compare_number("new", Target::version, Relation::equal, 0));
  absent.success = {put_of("missed", "new")};
  REQUIRE(run(store, {put_of("a", "1"), put_of("new", "1"), nested(inner), nested(absent)}));
  CHECK(shape_of(store, "saw") == "saw=before 3/3/1");
  CHECK(shape_of(store, "missed") == "missed=new 3/3/1");
}

STORE_CASE("an operation that is refused leaves nothing of the others") {
  put(store, "a", "0");
  put(store, "a", "1");
  REQUIRE(compact(store, 3));
  Receiver receiver(store, {"a", "z", 0, true});
  PutRequest absent = put_of("absent", "");
  absent.ignore_value = true;
  const std::pair<Operation, std::string> refused[] = {
      {put_of("l", "x", 12345), "LeaseNotFound"},
      {absent, "KeyNotFound"},
      {put_of("", "x"), "EmptyKey"},
      {RangeRequest{.key = "a", .revision = 99}, reason_future_revision},
      {RangeRequest{.key = "a", .revision = 2}, reason_compacted},
  };
  for (const auto& [operation, why] : refused) {
    INFO(why);
    CHECK(reason(run(store, {put_of("b", "2"), delete_of("a"), operation, put_of("c", "2")})) == why);
    TxnRequest inner;
    inner.success = {put_of("d", "2"), operation};
    CHECK(reason(run(store, {put_of("b", "2"), nested(inner)})) == why);
    // In the branch that does not run it is as good as any.
    TxnRequest other;
    other.compares.push_back(compare_number("a", Target::version, Relation::equal, 99));
    if (why != "EmptyKey") {
      other.success = {operation};
      CHECK(reason(run(store, other)) == "ok");
    }
    CHECK(shape_of(store, "a", "z") == "a=1 2/3/2");
    CHECK(revision_of(store) == 3);
  }
  CHECK(put(store, "after", "1") == 4);
  REQUIRE(receiver.wait_events(1));
  CHECK(shape(receiver.events()) == "put after=1 4/4/1");
}

STORE_CASE("a put tells what it replaced when it is asked to") {
  PutRequest request = put_of("a", "1");
  request.previous = true;
  auto response = run(store, {request});
  CHECK_FALSE(answer<PutResponse>(response, 0).previous);
  request.value = bytes("2");
  response = run(store, {request});
  REQUIRE(answer<PutResponse>(response, 0).previous);
  CHECK(shape(*answer<PutResponse>(response, 0).previous) == "a=1 2/2/1");
  request.previous = false;
  CHECK_FALSE(answer<PutResponse>(run(store, {request}), 0).previous);
}

STORE_CASE("a put keeps the value or the lease that is there when it is asked to") {
  const LeaseId one = granted(store, 100, 11), two = granted(store, 100, 12);
  put(store, "a", "value", one);
  PutRequest request;
  request.key = "a";
  request.ignore_value = true;
  request.lease = two;
  REQUIRE(run(store, {request}));
  CHECK(shape_of(store, "a") == "a=value 2/3/2 lease 12");
  request.lease = 0;
  REQUIRE(run(store, {request}));
  CHECK(shape_of(store, "a") == "a=value 2/4/3");
  put(store, "a", "value", one);
  request = put_of("a", "new");
  request.ignore_lease = true;
  REQUIRE(run(store, {request}));
  CHECK(shape_of(store, "a") == "a=new 2/6/5 lease 11");
  request = {};
  request.key = "a";
  request.ignore_value = request.ignore_lease = request.previous = true;
  auto response = run(store, {request});
  CHECK(shape(*answer<PutResponse>(response, 0).previous) == "a=new 2/6/5 lease 11");
  CHECK(shape_of(store, "a") == "a=new 2/7/6 lease 11");
  request.key = "absent";
  CHECK(reason(run(store, {request})) == "KeyNotFound");
  request.ignore_value = false;
  request.value = bytes("x");
  CHECK(reason(run(store, {request})) == "KeyNotFound");
  CHECK(shape_of(store, "absent") == "");
}

STORE_CASE("a removal tells how many keys went, and what they were when it is asked to") {
  for (const char* key : {"a", "a1", "a2", "b", "c"}) put(store, key, key);
  auto response = run(store, {delete_of("a")});
  CHECK(answer<DeleteResponse>(response, 0).deleted == 1);
  CHECK(answer<DeleteResponse>(response, 0).previous.empty());
  response = run(store, {delete_of("a", "b", true)});
  CHECK(answer<DeleteResponse>(response, 0).deleted == 2);
  CHECK(shape(answer<DeleteResponse>(response, 0).previous) == "a1=a1 3/3/1; a2=a2 4/4/1");
  CHECK(response->revision == 8);
  response = run(store, {delete_of("a", "b", true)});
  CHECK(answer<DeleteResponse>(response, 0).deleted == 0);
  CHECK(response->revision == 8);
  response = run(store, {delete_of("b", std::string(1, '\0'), true)});
  CHECK(answer<DeleteResponse>(response, 0).deleted == 2);
  CHECK(response->revision == 9);
  CHECK(shape_of(store, "a", "z") == "");
  CHECK(shape_of(store, "a", "z", 6) == "a=a 2/2/1; a1=a1 3/3/1; a2=a2 4/4/1; b=b 5/5/1; c=c 6/6/1");
}

STORE_CASE("a transaction of a hundred writes and reads is answered in order") {
  std::vector<Operation> operations;
  for (int i = 0; i < 50; ++i) {
    operations.emplace_back(put_of("k" + std::to_string(i), std::to_string(i)));
    operations.emplace_back(RangeRequest{.key = "k" + std::to_string(i)});
  }
  auto response = run(store, operations);
  REQUIRE(response);
  REQUIRE(response->responses.size() == 100);
  for (std::size_t i = 0; i < 50; ++i)
    CHECK(*answer<RangeResponse>(response, 2 * i + 1).kvs.at(0).value == std::to_string(i));
  CHECK(store.range({.key = "k", .range_end = "l"})->count == 50);
}

}  // namespace rusternetes::storage::suite
