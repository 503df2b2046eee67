#include "storage/etcd/repeat.h"

#include <catch2/catch.hpp>

namespace rusternetes::storage::etcd {
namespace {

Compare at(std::string key, Revision revision) {
  Compare out;
  out.key = std::move(key);
  out.number = revision;
  return out;
}

PutRequest put(std::string key) {
  PutRequest out;
  out.key = std::move(key);
  out.value = std::make_shared<const std::string>("value");
  return out;
}

TxnRequest txn(std::vector<Compare> compares, std::vector<Operation> success, bool has_unique_value = false) {
  return {std::move(compares), std::move(success), {}, has_unique_value};
}

constexpr Repeat update{.is_safe = true};
constexpr Repeat creation{.is_safe = true, .is_recognizable = true};
constexpr Revision begun_at = 100;

Verdict judge_creation(std::optional<Refusal::Found> found, Revision fence_seen, Others others) {
  return judge(creation, {found, 50, fence_seen}, others, begun_at);
}

}  // namespace

TEST_CASE("a transaction that changes what it compares may be sent twice") {
  CHECK(repeat_of(txn({at("a", 7)}, {put("a")})).is_safe);
  CHECK(repeat_of(txn({at("a", 7)}, {DeleteRequest{"a", "", false}})).is_safe);
  CHECK(repeat_of(txn({at("new", 0), at("bitmap", 7)}, {put("new"), put("bitmap")})).is_safe);
  CHECK_FALSE(repeat_of(txn({at("a", 7)}, {put("a")})).is_recognizable);
}

TEST_CASE("one whose compares hold again afterwards is sent once") {
  CHECK_FALSE(repeat_of(txn({}, {put("a")})).is_safe);
  CHECK_FALSE(repeat_of(txn({at("a", 7)}, {put("b")})).is_safe);
  CHECK_FALSE(repeat_of(txn({at("a", 7)}, {})).is_safe);
  // A key that was made, and removed since, can be made again.
  CHECK_FALSE(repeat_of(txn({at("a", 0)}, {put("a")})).is_safe);
  CHECK_FALSE(repeat_of(txn({at("a", 0)}, {DeleteRequest{"a", "", false}})).is_safe);
  Compare not_exact = at("a", 7);
  not_exact.relation = Compare::Relation::less;
  CHECK_FALSE(repeat_of(txn({not_exact}, {put("a")})).is_safe);
  Compare of_value = at("a", 7);
  of_value.target = Compare::Target::value;
  CHECK_FALSE(repeat_of(txn({of_value}, {put("a")})).is_safe);
}

TEST_CASE("one that makes a key with bytes of its own may be sent twice, and is recognized by them") {
  const auto made = repeat_of(txn({at("a", 0)}, {put("a"), put("b")}, true));
  CHECK(made.is_safe);
  CHECK(made.is_recognizable);
  CHECK_FALSE(repeat_of(txn({at("b", 0)}, {put("a")}, true)).is_recognizable);
  // Its answer could not be made up.
  CHECK_FALSE(repeat_of(txn({at("a", 0)}, {put("a"), RangeRequest{.key = "b"}}, true)).is_recognizable);
  auto with_previous = put("a");
  with_previous.previous = true;
  CHECK_FALSE(repeat_of(txn({at("a", 0)}, {with_previous}, true)).is_recognizable);
}

TEST_CASE("an update that is refused when sent again says nothing, unless nobody can have got it before") {
  CHECK(judge(update, {}, Others::none, begun_at) == Verdict::refused);
  CHECK(judge(update, {}, Others::in_flight, begun_at) == Verdict::wait);
  CHECK(judge(update, {}, Others::lost, begun_at) == Verdict::unknown);
}

TEST_CASE("a key that is there with the very bytes was made by an earlier attempt") {
  const Refusal::Found ours{true, 120};
  CHECK(judge_creation(ours, 50, Others::lost) == Verdict::happened);
  CHECK(judge_creation(ours, 60, Others::in_flight) == Verdict::happened);
}

TEST_CASE("another's key refuses a creation, if it was there before or ours was sent only once") {
  CHECK(judge_creation(Refusal::Found{false, 90}, 50, Others::lost) == Verdict::refused);
  CHECK(judge_creation(Refusal::Found{false, 120}, 50, Others::none) == Verdict::refused);
  // Made since: ours may have been there, and have been changed or removed.
  CHECK(judge_creation(Refusal::Found{false, 120}, 50, Others::lost) == Verdict::unknown);
}

TEST_CASE("a creation that only the fence refused is sent again") {
  CHECK(judge_creation({}, 60, Others::none) == Verdict::again);
  CHECK(judge_creation({}, 60, Others::lost) == Verdict::again);
  CHECK(judge_creation({}, 50, Others::none) == Verdict::refused);
  CHECK(judge_creation({}, 50, Others::lost) == Verdict::unknown);
}

}  // namespace rusternetes::storage::etcd
