// Reads: what is there, what was there, and in which order.
#include <map>
#include <random>

#include "storage/suite/steps.h"
#include "storage/suite/suite.h"

namespace rusternetes::storage::suite {

STORE_CASE("an empty store is at revision 1 and holds nothing") {
  auto range = store.range({.key = "a", .range_end = std::string(1, '\0')});
  REQUIRE(range);
  CHECK(range->revision == 1);
  CHECK(range->count == 0);
  CHECK(range->kvs.empty());
  CHECK_FALSE(range->more);
}

STORE_CASE("every write makes one revision, and the removal of nothing makes none") {
  CHECK(put(store, "a", "1") == 2);
  CHECK(put(store, "b", "2") == 3);
  CHECK(put(store, "b", "2") == 4);
  CHECK(remove(store, "absent") == 4);
  CHECK(remove(store, "a", "c") == 5);
  CHECK(remove(store, "a", "c") == 5);
  CHECK(revision_of(store) == 5);
  CHECK(store.current_revision() == 5);
}

STORE_CASE("a key tells when it was created, when it was written and how often") {
  put(store, "a", "1");
  CHECK(shape_of(store, "a") == "a=1 2/2/1");
  put(store, "other", "");
  put(store, "a", "2");
  CHECK(shape_of(store, "a") == "a=2 2/4/2");
  remove(store, "a");
  CHECK(shape_of(store, "a") == "");
  put(store, "a", "3");
  CHECK(shape_of(store, "a") == "a=3 6/6/1");
  CHECK(shape_of(store, "other") == "other= 3/3/1");
}

STORE_CASE("a range is one key, the keys up to an end, or all from a key on") {
  for (const char* key : {"b", "a", "aa", "c", "ab"}) put(store, key, key);
  CHECK(shape_of(store, "a") == "a=a 3/3/1");
  CHECK(shape_of(store, "a", prefix_end("a")) == "a=a 3/3/1; aa=aa 4/4/1; ab=ab 6/6/1");
  CHECK(shape_of(store, "aa", "b") == "aa=aa 4/4/1; ab=ab 6/6/1");
  CHECK(shape_of(store, "ab", std::string(1, '\0')) == "ab=ab 6/6/1; b=b 2/2/1; c=c 5/5/1");
  CHECK(shape_of(store, "x", "z") == "");
  CHECK(shape_of(store, "aaa") == "");
}

STORE_CASE("a range that ends before it begins is empty") {
  for (const char* key : {"a", "b", "c"}) put(store, key, key);
  for (const Revision revision : {0, 4, 3})
    for (const char* end : {"a", "b"}) {
      auto range = store.range({.key = "b", .range_end = end, .revision = revision});
      REQUIRE(range);
      CHECK(range->count == 0);
      CHECK(range->kvs.empty());
    }
  CHECK(remove(store, "b", "a") == 4);
  auto compared = compare_number("b", Compare::Target::version, Compare::Relation::equal, 0);
  compared.range_end = "a";
  TxnRequest request;
  request.compares.push_back(compared);
  auto response = run(store, request);
  REQUIRE(response);
  CHECK(response->succeeded);
}

STORE_CASE("a limit stops a range, and the count stays that of the whole") {
  for (int i = 0; i < 10; ++i) put(store, "k" + std::to_string(i), "v");
  for (const Revision revision : {0, 11, 7}) {
    const std::int64_t there = revision == 7 ? 6 : 10;
    for (const std::int64_t limit : {1, 5, 6, 9, 10, 11}) {
      auto range = store.range({.key = "k", .range_end = "l", .limit = limit, .revision = revision});
      REQUIRE(range);
      INFO("limit " << limit << " at " << revision);
      CHECK(range->count == there);
      CHECK(static_cast<std::int64_t>(range->kvs.size()) == std::min(limit, there));
      CHECK(range->more == (limit < there));
      CHECK(range->kvs[0].key == "k0");
      CHECK(range->revision == 11);
    }
  }
}

STORE_CASE("keys alone come without values, and a count without keys") {
  const LeaseId lease = granted(store, 100, 77);
  put(store, "k1", "value", lease);
  put(store, "k2", "value");
  put(store, "k2", "again");
  for (const Revision revision : {0, 3, 2}) {
    INFO("at " << revision);
    auto keys = store.range({.key = "k", .range_end = "l", .revision = revision, .keys_only = true});
    REQUIRE(keys);
    for (const auto& kv : keys->kvs) CHECK((!kv.value || kv.value->empty()));
    for (auto& kv : keys->kvs) kv.value = nullptr;
    CHECK(shape(keys->kvs) == (revision == 2   ? "k1 2/2/1 lease 77"
                               : revision == 3 ? "k1 2/2/1 lease 77; k2 3/3/1"
                                               : "k1 2/2/1 lease 77; k2 3/4/2"));
    auto count =
        store.range({.key = "k", .range_end = "l", .limit = 1, .revision = revision, .count_only = true});
    REQUIRE(count);
    CHECK(count->count == (revision == 2 ? 1 : 2));
    CHECK(count->kvs.empty());
    CHECK_FALSE(count->more);
  }
}

STORE_CASE("a revision that is not there yet is refused, and the newest is not") {
  put(store, "a", "1");
  CHECK(shape_of(store, "a", {}, 2) == "a=1 2/2/1");
  CHECK(shape_of(store, "a", {}, 3) == reason_future_revision);
  CHECK(reason(store.range({.key = "a", .range_end = "b", .revision = 5000, .count_only = true})) ==
        reason_future_revision);
}

STORE_CASE("keys and values are bytes, ordered as such") {
  const std::string zero(1, '\0'), high = "\xff";
  const std::vector<std::string> keys = {zero,
                                         zero + zero,
                                         zero + "a",
                                         std::string("\x01"),
                                         "a",
                                         "a" + zero,
                                         "a" + zero + "b",
                                         "a\x01",
                                         "ab",
                                         "a\x7f",
                                         "a\x80",
                                         "a" + high,
                                         "a" + high + zero,
                                         "a" + high + high,
                                         "b",
                                         "\xc3\xa4",
                                         high,
                                         high + zero,
                                         high + high};
  std::vector<std::size_t> order(keys.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(5));
  for (const auto i : order) put(store, keys[i], zero + keys[i] + high + zero);
  auto all = store.range({.key = zero, .range_end = zero});
  REQUIRE(all);
  REQUIRE(all->kvs.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(shape(all->kvs[i].key) == shape(keys[i]));
    CHECK(*all->kvs[i].value == zero + keys[i] + high + zero);
    auto one = store.range({.key = keys[i]});
    REQUIRE(one);
    CHECK(one->count == 1);
    auto rest = store.range({.key = keys[i], .range_end = zero, .count_only = true});
    REQUIRE(rest);
    CHECK(rest->count == static_cast<std::int64_t>(keys.size() - i));
  }
  auto count = [&](const std::string& prefix) {
    return store.range({.key = prefix, .range_end = prefix_end(prefix)})->count;
  };
  CHECK(count("a") == 10);
  CHECK(count("a" + high) == 3);
  CHECK(count(high) == 3);
  CHECK(count("a" + zero) == 2);
}

STORE_CASE("an empty value is a value") {
  put(store, "a", "");
  auto range = store.range({.key = "a"});
  REQUIRE(range);
  REQUIRE(range->kvs.size() == 1);
  REQUIRE(range->kvs[0].value);
  CHECK(range->kvs[0].value->empty());
  TxnRequest request;
  request.compares.push_back(compare_value("a", Compare::Relation::equal, ""));
  CHECK(run(store, request)->succeeded);
}

STORE_CASE("the past can be read at every revision, whole or in pages") {
  std::map<std::string, std::string> model;
  std::vector<std::map<std::string, std::string>> history(2);
  std::mt19937 random(7);
  for (int i = 0; i < 600; ++i) {
    const std::string key = "/registry/pods/ns/" + std::to_string(random() % 100);
    if (random() % 4 == 0 && model.contains(key)) {
      remove(store, key);
      model.erase(key);
    } else {
      model[key] = std::to_string(i);
      put(store, key, model[key]);
    }
    history.push_back(model);
  }
  const Revision newest = static_cast<Revision>(history.size()) - 1;
  for (const Revision revision : {Revision{2}, Revision{50}, Revision{300}, newest - 1, newest}) {
    INFO("at " << revision);
    const auto& then = history[static_cast<std::size_t>(revision)];
    // Pages as a client of Kubernetes takes them: the next begins behind the last key.
    std::map<std::string, std::string> seen;
    std::string from = "/registry/";
    for (bool more = true; more;) {
      auto page = store.range({.key = from, .range_end = "/registry0", .limit = 7, .revision = revision});
      REQUIRE(page);
      CHECK(page->count == std::distance(then.lower_bound(from), then.end()));
      for (const auto& kv : page->kvs) CHECK(seen.emplace(kv.key, *kv.value).second);
      more = page->more;
      if (!page->kvs.empty()) from = page->kvs.back().key + '\0';
    }
    CHECK(seen == then);
    auto all = store.range({.key = "/registry/", .range_end = "/registry0", .revision = revision});
    REQUIRE(all);
    CHECK(all->revision == newest);
    REQUIRE(all->kvs.size() == then.size());
    auto it = then.begin();
    for (const auto& kv : all->kvs) {
      CHECK(kv.key == it->first);
      CHECK(*kv.value == (it++)->second);
      CHECK(kv.mod_revision <= revision);
    }
  }
}

}  // namespace rusternetes::storage::suite
