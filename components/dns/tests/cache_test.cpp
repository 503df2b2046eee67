#include "dns/cache.h"

#include "dns_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;
using namespace std::chrono_literals;

namespace {

struct CacheWorld {
  std::shared_ptr<const ForeignAnswer> answer(const std::string& name, const Made& made) {
    const std::string message = make_answer(query(name, type_a), made);
    const auto walk = walk_message(message);
    REQUIRE(walk);
    return std::make_shared<const ForeignAnswer>(message, *walk, clock.steady_now());
  }
  std::string key(const std::string& name, std::uint16_t type = type_a, Ask ask = {}) {
    text = query(name, type, ask);
    REQUIRE(parse_query(text, parsed) == QueryError::none);
    return Cache::key_of(parsed);
  }
  Answer to(const ForeignAnswer& answer, const std::string& name, std::size_t limit = 512, Ask ask = {}) {
    key(name, type_a, ask);
    return read_answer(answer.to(parsed, limit, {}, clock.steady_now(), random));
  }
  ManualClock clock;
  std::string text;
  Query parsed;
  std::minstd_rand random;
};

const Made one{.answer = {"a.test. 20 IN A 192.0.2.1"}};

}  // namespace

TEST_CASE_METHOD(CacheWorld,
                 "the cache holds no more entries and bytes than it may, and the latest asked for stay") {
  Cache cache(clock, {.entries = 3});
  for (const char* name : {"a.test", "b.test", "c.test"}) cache.put(key(name), answer(name, one));
  CHECK(cache.find(key("a.test")));
  cache.put(key("d.test"), answer("d.test", one));
  CHECK(cache.entries() == 3);
  CHECK(cache.find(key("a.test")));
  CHECK_FALSE(cache.find(key("b.test")));
  CHECK(cache.counters().evictions == 1);

  Cache small(clock, {.bytes = 4000});
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    small.put(key(name), answer(name, one));
    CHECK(small.bytes() <= 4000);
  }
  CHECK(small.entries() > 3);
  CHECK(small.find(key("n999.test")));
}

TEST_CASE_METHOD(CacheWorld,
                 "an entry ends with its shortest TTL, and an absence with that of its SOA record") {
  Cache cache(clock, {});
  cache.put(key("a.test"),
            answer("a.test", {.answer = {"a.test. 20 IN CNAME b.test.", "b.test. 5 IN A 192.0.2.1"}}));
  const std::string soa = "test. 60 IN SOA n.test. h.test. 1 2 3 4 ";
  cache.put(key("gone.test"), answer("gone.test", {.authority = {soa + "7"}, .rcode = 3}));
  cache.put(key("empty.test"), answer("empty.test", {.authority = {soa + "7"}}));
  cache.put(key("zero.test"), answer("zero.test", {.answer = {"zero.test. 0 IN A 192.0.2.1"}}));
  cache.put(key("bare.test"), answer("bare.test", {.rcode = 3}));
  cache.put(key("refused.test"), answer("refused.test", {.rcode = 5}));
  cache.put(key("cut.test"), answer("cut.test", {.answer = one.answer, .is_truncated = true}));
  cache.put(key("failed.test"), answer("failed.test", {.rcode = 2}));
  for (const char* name : {"zero.test", "bare.test", "refused.test", "cut.test"})
    CHECK_FALSE(cache.find(key(name)));
  clock.advance(4900ms);
  for (const char* name : {"a.test", "gone.test", "empty.test", "failed.test"}) CHECK(cache.find(key(name)));
  clock.advance(200ms);
  CHECK_FALSE(cache.find(key("a.test")));
  CHECK_FALSE(cache.find(key("failed.test")));
  CHECK(cache.find(key("gone.test")));
  CHECK(cache.denials() == 2);
  clock.advance(2s);
  CHECK_FALSE(cache.find(key("gone.test")));
  CHECK_FALSE(cache.find(key("empty.test")));
  CHECK(cache.entries() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE_METHOD(CacheWorld, "questions that differ in type or in DNSSEC have entries of their own") {
  CHECK(key("a.test") == key("A.Test"));
  CHECK(key("a.test") != key("a.test", type_aaaa));
  CHECK(key("a.test", type_a, {.edns_size = 1232}) !=
        key("a.test", type_a, {.edns_size = 1232, .wants_dnssec = true}));
  CHECK(key("a.test") == key("a.test", type_a, {.edns_size = 1232}));
}

TEST_CASE_METHOD(CacheWorld, "an answer is cut at the end of a record, and TTLs never fall below zero") {
  Made many;
  for (int i = 1; i <= 50; ++i) many.answer.push_back("a.test. 20 IN A 192.0.2." + std::to_string(i));
  many.authority = {"test. 20 IN NS ns.test."};
  const auto kept = answer("a.test", many);
  const auto cut = to(*kept, "a.test", 512, {.edns_size = 512});
  CHECK(cut.is_truncated);
  CHECK(cut.answer.size() == (512 - 11 - 24) / 16);
  CHECK(cut.authority.empty());
  const auto whole = to(*kept, "a.test", 65535);
  CHECK_FALSE(whole.is_truncated);
  CHECK(whole.answer.size() == 50);
  CHECK(whole.authority.size() == 1);
  CHECK(std::set<std::string>(whole.answer.begin(), whole.answer.end()).size() == 50);
  CHECK(whole.answer != to(*kept, "a.test", 65535).answer);  // shuffled
  clock.advance(1h);
  CHECK(to(*kept, "a.test", 65535).answer[0].find(" 0 IN A ") != std::string::npos);
}

TEST_CASE_METHOD(CacheWorld, "losing the authority section is no truncation") {
  const auto kept = answer(
      "a.test", {.answer = one.answer, .authority = {"test. 20 IN TXT \"" + std::string(200, 'x') + "\""}});
  const auto cut = to(*kept, "a.test", 100);
  CHECK_FALSE(cut.is_truncated);
  CHECK(cut.answer.size() == 1);
  CHECK(cut.authority.empty());
}
