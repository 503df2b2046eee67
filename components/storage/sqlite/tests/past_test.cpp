// Pages of the past, beside a model of every revision.

#include <catch2/catch.hpp>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "folder.h"
#include "storage/blocking.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::sqlite;
using rusternetes::storage::testing::Folder;

namespace {

Revision write(Store& store, TxnRequest request) {
  const auto result =
      blocking_call<TxnResponse>([&](auto done) { store.txn(std::move(request), std::move(done)); });
  return result ? result->revision : -1;
}

TxnRequest put_of(const std::string& key, const std::string& value) {
  TxnRequest request;
  PutRequest put;
  put.key = key;
  put.value = std::make_shared<const std::string>(value);
  request.success.emplace_back(std::move(put));
  return request;
}

TxnRequest remove_of(const std::string& key, const std::string& range_end) {
  TxnRequest request;
  request.success.emplace_back(DeleteRequest{key, range_end, false});
  return request;
}

std::string key_of(unsigned n) { return "k/" + std::to_string(100 + n); }

using State = std::map<std::string, std::string>;

void check(const State& state, const RangeRequest& request, const RangeResponse& answer) {
  auto it = state.lower_bound(request.key);
  const auto end = state.lower_bound(request.range_end);
  REQUIRE(answer.count == std::distance(it, end));
  if (request.count_only) return;
  for (const auto& kv : answer.kvs) {
    REQUIRE(it != end);
    REQUIRE(kv.key == it->first);
    if (!request.keys_only) REQUIRE(*kv.value == it->second);
    REQUIRE(kv.mod_revision <= request.revision);
    ++it;
  }
  REQUIRE(answer.more == (it != end));
  if (it != end) REQUIRE(static_cast<std::int64_t>(answer.kvs.size()) == request.limit);
}

}  // namespace

TEST_CASE("a page of the past has the keys, the count and the end that it had then") {
  Folder folder;
  auto opened = rusternetes::storage::testing::open_store(folder.file());
  REQUIRE(opened);
  SqliteStore& store = **opened;
  std::mt19937 random(3);
  std::map<Revision, State> history;
  State state;
  history[1] = state;
  for (int i = 0; i < 600; ++i) {
    const std::string key = key_of(random() % 60);
    TxnRequest request;
    if (random() % 3 > 0) {
      state[key] = std::to_string(i);
      request = put_of(key, state[key]);
    } else if (random() % 4 > 0) {
      state.erase(key);
      request = remove_of(key, {});
    } else {
      const std::string end = key + "~";
      state.erase(state.lower_bound(key.substr(0, 4)), state.lower_bound(end));
      request = remove_of(key.substr(0, 4), end);
    }
    history[write(store, std::move(request))] = state;
  }
  for (int i = 0; i < 3000; ++i) {
    const auto at = std::next(history.begin(), static_cast<std::ptrdiff_t>(random() % history.size()));
    RangeRequest request;
    request.key = key_of(random() % 60);
    request.range_end = random() % 2 ? "k0" : request.key + "9";
    request.revision = at->first;
    request.limit = random() % 3 ? static_cast<std::int64_t>(random() % 20) : 0;
    request.keys_only = random() % 4 == 0;
    request.count_only = random() % 8 == 0;
    auto answer = store.range(request);
    REQUIRE(answer);
    check(at->second, request, *answer);
  }
}

TEST_CASE("pages of one revision fit together while others write and remove all of it") {
  Folder folder;
  auto opened = rusternetes::storage::testing::open_store(folder.file());
  REQUIRE(opened);
  SqliteStore& store = **opened;
  for (unsigned n = 0; n < 200; ++n) REQUIRE(write(store, put_of(key_of(n), "first")) > 0);
  std::atomic<bool> is_ending{false};
  std::thread writer([&] {
    for (unsigned round = 0; !is_ending; ++round) {
      write(store, remove_of("k/", "k0"));
      for (unsigned n = round % 7; n < 200; n += 7) write(store, put_of(key_of(n), std::to_string(round)));
    }
  });
  for (int round = 0; round < 40; ++round) {
    RangeRequest request;
    request.key = "k/";
    request.range_end = "k0";
    request.revision = store.current_revision();
    auto whole = store.range(request);
    REQUIRE(whole);
    std::vector<std::string> keys, paged;
    for (const auto& kv : whole->kvs) keys.push_back(kv.key);
    request.limit = 7;
    for (bool has_more = true; has_more;) {
      auto page = store.range(request);
      REQUIRE(page);
      for (const auto& kv : page->kvs) {
        paged.push_back(kv.key);
        REQUIRE(kv.mod_revision <= request.revision);
      }
      has_more = page->more;
      if (has_more) request.key = page->kvs.back().key + '\0';
    }
    REQUIRE(paged == keys);
    REQUIRE(whole->count == static_cast<std::int64_t>(keys.size()));
  }
  is_ending = true;
  writer.join();
}
