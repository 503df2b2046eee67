// The store over a disk that drops or tears what was not synced, that fails, and that is full.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <condition_variable>

#include "fault_vfs.h"
#include "folder.h"
#include "ledger.h"
#include "support/share.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::testing;
using sqlite::SqliteStore;

namespace {

Load::Acked into(Ledger& ledger) {
  return [&ledger](int writer, std::int64_t n, Revision revision) { ledger.acked(writer, n, revision); };
}

}  // namespace

TEST_CASE("a power cut at any point of making a store leaves none, or a whole one") {
  std::mt19937 random(rusternetes::testing::seed());
  int whole = 0;
  for (int point = 1; whole < 20; ++point) {
    INFO("point " << point);
    Folder folder;
    FaultVfs vfs;
    vfs.cut_after(1 + (point - 1) % 60, random());
    {
      auto store = open_store(folder.file(), vfs.name());
      if (!vfs.is_cut()) {
        REQUIRE(store);
        ++whole;
      }
    }
    vfs.power_cut(random);
    auto store = open_store(folder.file(), vfs.name());
    REQUIRE(store);
    Ledger ledger;
    REQUIRE(ledger.check_continues(**store) == "");
    REQUIRE(ledger.check(**store, random) == "");
  }
}

TEST_CASE("a power cut at any point of the first opening of a copy leaves it whole") {
  std::mt19937 random(rusternetes::testing::seed());
  Ledger ledger;
  Folder made;
  {
    auto store = open_store(made.file());
    REQUIRE(store);
    Load load(**store, {.transactions = 3}, into(ledger));
    load.join();
    REQUIRE(ledger.check(**store, random) == "");
    REQUIRE((*store)->copy_to(made.path / "copy"));
  }
  int whole = 0;
  for (int point = 1; whole < 20; ++point) {
    INFO("point " << point);
    Folder folder;
    FaultVfs vfs;
    write_file(folder.file(), read_file(made.path / "copy"));
    vfs.cut_after(1 + (point - 1) % 20, random());
    {
      auto store = open_store(folder.file(), vfs.name());
      if (!vfs.is_cut()) {
        REQUIRE(store);
        ++whole;
      }
    }
    vfs.power_cut(random);
    auto store = open_store(folder.file(), vfs.name());
    REQUIRE(store);
    REQUIRE(ledger.check(**store, random) == "");
  }
}

TEST_CASE("a power cut that drops or tears what was not synced loses nothing acknowledged") {
  Folder folder;
  FaultVfs vfs;
  Ledger ledger;
  std::mt19937 random(rusternetes::testing::seed());
  const int rounds = rusternetes::testing::rounds("power cuts under sixteen writers", 200);
  int cut_in_load = 0, cut_in_opening = 0, cut_in_closing = 0;
  for (int round = 0; round < rounds; ++round) {
    INFO("round " << round << ", " << ledger.acknowledged() << " acknowledged");
    const unsigned kind = random() % 8;
    if (kind == 0) vfs.cut_after(1 + random() % 6, random());
    const int checkpoint_pages[] = {5, 30, 100, 1000};
    auto opened = open_store(folder.file(), vfs.name(), checkpoint_pages[random() % 4]);
    if (opened && !vfs.is_cut()) {
      SqliteStore& store = **opened;
      if (kind != 0) {
        REQUIRE(ledger.check(store, random) == "");
        REQUIRE(ledger.check_continues(store) == "");
        REQUIRE(ledger.check(store, random) == "");
      }
      if (kind > 1) vfs.cut_after(1 + random() % (kind == 2 ? 4000 : 400), random());
      Load load(store, {.transactions = kind == 1 ? static_cast<std::int64_t>(random() % 4) : INT64_MAX},
                into(ledger));
      if (const Revision old = store.current_revision() - 200;
          kind > 1 && random() % 4 == 0 && old > store.compact_revision()) {
        ledger.compaction_asked(old);
        if (compact(store, old)) ledger.compaction_acked(old);
      }
      load.join();
      if (kind == 1) {
        for (const auto& error : load.errors()) FAIL(error.message);
        vfs.cut_after(1 + random() % 8, random());
        opened->reset();
        cut_in_closing += vfs.is_cut();
      } else {
        REQUIRE(vfs.is_cut());
        ++cut_in_load;
      }
    } else {
      REQUIRE(vfs.is_cut());
      ++cut_in_opening;
    }
    if (opened) opened->reset();
    vfs.power_cut(random);
  }
  auto store = open_store(folder.file(), vfs.name());
  REQUIRE(store);
  REQUIRE(ledger.check(**store, random) == "");
  CHECK(ledger.check_replay(**store, 0) == "");
  CHECK(ledger.acknowledged() > 0);
  std::cout << ledger.acknowledged() << " transactions acknowledged; power cut while writing " << cut_in_load
            << ", opening " << cut_in_opening << ", closing " << cut_in_closing << "; compacted at "
            << (*store)->compact_revision() << std::endl;
}

TEST_CASE("a disk that fails now and then gets errors answered, and nothing acknowledged is lost") {
  Folder folder;
  FaultVfs vfs;
  Ledger ledger;
  std::mt19937 random(rusternetes::testing::seed());
  const int rounds = rusternetes::testing::rounds("failing disks", 100);
  std::size_t errors = 0;
  auto opened = open_store(folder.file(), vfs.name(), 50);
  REQUIRE(opened);
  for (int round = 0; round < rounds; ++round) {
    INFO("round " << round << ", " << ledger.acknowledged() << " acknowledged, " << errors << " errors");
    vfs.set_failures(0.02, random());
    {
      Load load(**opened, {.transactions = 15, .goes_on_after_errors = true}, into(ledger));
      load.join();
      for (const auto& error : load.errors()) {
        INFO(error.message);
        CHECK(error.code == 500);
        CHECK(error.message.find("stamp") == std::string::npos);
      }
      errors += load.errors().size();
    }
    vfs.set_failures(0, 0);
    // The same store serves on, without being opened again.
    REQUIRE(ledger.check(**opened, random) == "");
    REQUIRE(ledger.check_continues(**opened) == "");
    if (random() % 2) {
      REQUIRE(ledger.check(**opened, random) == "");
      vfs.cut_after(1, random());
      (void)run(**opened,
                transaction(0, 1'000'000, -1));  // refused by its compare; the power goes if it writes
      opened->reset();
      vfs.power_cut(random);
      opened = open_store(folder.file(), vfs.name(), 50);
      REQUIRE(opened);
      REQUIRE(ledger.check(**opened, random) == "");
    }
  }
  CHECK(errors > 0);
}

TEST_CASE("on a full disk writes get an error, reads go on, and service returns with the space") {
  Folder folder;
  FaultVfs vfs;
  Ledger ledger;
  std::mt19937 random(rusternetes::testing::seed());
  auto opened = open_store(folder.file(), vfs.name(), 50);
  REQUIRE(opened);
  for (int round = 0; round < 10; ++round) {
    INFO("round " << round << ", " << ledger.acknowledged() << " acknowledged");
    SqliteStore& store = **opened;
    vfs.set_space(random() % 300'000);
    Load load(store, {}, into(ledger));
    load.join();  // each writer until it is refused
    for (const auto& error : load.errors()) {
      INFO(error.message);
      CHECK(error.reason == reason_no_space);
    }
    REQUIRE(ledger.check(store, random) == "");
    vfs.set_space(std::nullopt);
    REQUIRE(ledger.check_continues(store) == "");
    REQUIRE(ledger.check(store, random) == "");
    if (round % 3 == 2) {
      opened->reset();
      vfs.power_cut(random);
      opened = open_store(folder.file(), vfs.name(), 50);
      REQUIRE(opened);
      REQUIRE(ledger.check(**opened, random) == "");
    }
  }
}

TEST_CASE(
    "writes that share a commit with one that fills the disk are all refused, and none is there later") {
  Folder folder;
  FaultVfs vfs;
  auto store = open_store(folder.file(), vfs.name());
  REQUIRE(store);
  const auto large = std::make_shared<const std::string>(400'000, 'x'),
             small = std::make_shared<const std::string>("y");
  std::map<std::string, Revision> acknowledged;
  std::size_t refused = 0;
  for (int round = 0; round < 5; ++round) {
    INFO("round " << round);
    vfs.set_space(3'000'000);
    // More than the page cache holds, so that the disk is full before the commit; the small ones would still
    // fit.
    std::mutex mutex;
    std::condition_variable wake;
    int left = 40;
    for (int i = 0; i < 40; ++i) {
      const std::string key = fmt::format("{}/{}", round, i);
      TxnRequest request;
      request.success.emplace_back(PutRequest{key, i < 20 ? large : small, 0, false, false, false});
      (*store)->txn(std::move(request), [&, key](Result<TxnResponse> response) {
        std::lock_guard lock(mutex);
        if (response)
          acknowledged[key] = response->revision;
        else
          refused += response.error().reason == reason_no_space;
        --left;
        wake.notify_all();
      });
    }
    {
      std::unique_lock lock(mutex);
      REQUIRE(wake.wait_for(lock, std::chrono::seconds(60), [&] { return left == 0; }));
    }
    vfs.set_space(std::nullopt);
    auto put = transaction(round, 1, 0);
    auto response = run(**store, put);
    REQUIRE(response);
    if (round == 3) {
      store->reset();
      store = open_store(folder.file(), vfs.name());
      REQUIRE(store);
    }
    CHECK((*store)->current_revision() == response->revision);
    auto found = (*store)->range({.key = "0", .range_end = "9"});
    REQUIRE(found);
    CHECK(found->kvs.size() == acknowledged.size());
    for (const auto& kv : found->kvs) CHECK(acknowledged[kv.key] == kv.mod_revision);
  }
  CHECK(refused > 0);
  CHECK(refused + acknowledged.size() == 200);
}

TEST_CASE("a store cannot be opened on a full disk, but is untouched and opens with the space") {
  Folder folder;
  FaultVfs vfs;
  vfs.set_space(0);
  auto refused = open_store(folder.file(), vfs.name());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == reason_no_space);
  CHECK_FALSE(std::filesystem::exists(folder.file()));
  vfs.set_space(std::nullopt);
  CHECK(open_store(folder.file(), vfs.name()));
}
