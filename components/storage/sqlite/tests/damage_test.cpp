// Files that are no store, or no sound one: refused in one sentence, and left byte for byte as they were.
#include <sqlite3.h>

#include <catch2/catch.hpp>

#include "folder.h"
#include "ledger.h"
#include "support/share.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::testing;

namespace {

// Closed, with garbage collected in the middle, so that it has free pages, too.
std::string sound_store(Ledger& ledger) {
  Folder folder;
  std::mt19937 random(5);
  auto store = open_store(folder.file());
  REQUIRE(store);
  {
    Load load(**store, {.transactions = 25},
              [&](int w, std::int64_t n, Revision r) { ledger.acked(w, n, r); });
    load.join();
  }
  REQUIRE(ledger.check(**store, random) == "");
  ledger.compaction_asked(300);
  REQUIRE(compact(**store, 300));
  ledger.compaction_acked(300);
  REQUIRE(ledger.check_continues(**store) == "");
  REQUIRE(ledger.check(**store, random) == "");
  store->reset();
  return read_file(folder.file());
}

bool is_one_sentence(const std::string& message) {
  return message.size() > 20 && message.find('\n') == std::string::npos &&
         message.find(". ") == std::string::npos;
}

// Why the store is refused, and empty if it is opened. A refused one is left as it was, with nothing beside
// it.
std::string refusal(const Folder& folder) {
  const auto before = contents(folder.path);
  auto store = open_store(folder.file());
  if (store) return {};
  INFO(store.error().message);
  CHECK(is_one_sentence(store.error().message));
  CHECK(store.error().message.find(folder.file()) != std::string::npos);
  CHECK(store.error().reason == "NotAStore");
  const auto after = contents(folder.path);
  CHECK(before.size() == after.size());
  CHECK(before == after);
  return store.error().message;
}

std::string refusal(const std::string& bytes) {
  Folder folder;
  write_file(folder.file(), bytes);
  return refusal(folder);
}

std::string database_of(std::int64_t application_id, std::int64_t version) {
  Folder folder;
  {
    auto database = sqlite::Database::open(folder.file(), false);
    REQUIRE(database);
    REQUIRE(
        database->exec(("CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA application_id=" +
                        std::to_string(application_id) + "; PRAGMA user_version=" + std::to_string(version))
                           .c_str()));
  }
  return read_file(folder.file());
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a file of another program is refused with a way out, and left untouched") {
  CHECK(has(refusal("hello, this is no database\n"), "is no store of ours"));
  CHECK(has(refusal(std::string("x")), "is no store of ours"));
  CHECK(has(refusal(std::string(100'000, '\0')), "is no store of ours"));
  std::mt19937 random(rusternetes::testing::seed());
  std::string garbage(20'000, '\0');
  for (char& c : garbage) c = static_cast<char>(random());
  CHECK(has(refusal(garbage), "is no store of ours"));
  CHECK(has(refusal(database_of(0, 0)), "another program"));
  CHECK(has(refusal(database_of(0x12345678, 1)), "choose another folder"));
  CHECK(has(refusal(database_of(0x52757374, 1)), "damaged"));  // our id over other tables
  Folder folder;
  std::filesystem::create_directory(folder.file());
  CHECK(has(refusal(folder), "not even a file"));
}

TEST_CASE("a store of a newer release is refused with the release to start, also when only its log says so") {
  Ledger ledger;
  std::string bytes = sound_store(ledger);
  bytes[63] = 2;
  CHECK(has(refusal(bytes), "start that release or a later one"));

  Folder folder, copy;
  write_file(folder.file(), sound_store(ledger = {}));
  auto database = sqlite::Database::open(folder.file(), false);
  REQUIRE(database);
  REQUIRE(database->exec("PRAGMA user_version=7"));
  for (const char* suffix : {"", "-wal"})
    std::filesystem::copy_file(folder.file() + suffix, copy.file() + suffix);
  REQUIRE(std::filesystem::file_size(copy.file() + "-wal") > 0);
  CHECK(has(refusal(copy), "format 7"));
}

TEST_CASE("a store cut off anywhere is refused and left untouched") {
  Ledger ledger;
  const std::string bytes = sound_store(ledger);
  CHECK(refusal(bytes) == "");
  std::mt19937 random(rusternetes::testing::seed());
  CHECK(has(refusal(std::string()), "it is empty"));
  CHECK(has(refusal(bytes.substr(0, bytes.size() - 1)), "damaged"));
  CHECK(has(refusal(bytes.substr(0, bytes.size() - 4096)), "restore a copy"));
  CHECK(has(refusal(bytes + std::string(4096, '\0')), "damaged"));
  for (int round = 0, rounds = rusternetes::testing::rounds("cut off files", 300); round < rounds; ++round) {
    const std::size_t size = round % 3 == 0 ? random() % 200 : random() % bytes.size();
    INFO("cut off at " << size);
    CHECK(refusal(bytes.substr(0, size)) != "");
  }
}

TEST_CASE("a store with a flipped byte in its header is refused and left untouched, or means nothing") {
  Ledger ledger;
  const std::string bytes = sound_store(ledger);
  std::mt19937 random(rusternetes::testing::seed());
  // What may differ without a harm: counters of changes, the cache's size, and which SQLite wrote it.
  auto is_free = [](std::size_t at) {
    return (at >= 24 && at < 28) || (at >= 40 && at < 44) || (at >= 48 && at < 52) || (at >= 92);
  };
  for (std::size_t at = 0; at < 100; ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    INFO("byte " << at << " is " << int(static_cast<unsigned char>(damaged[at])));
    Folder folder;
    write_file(folder.file(), damaged);
    if (refusal(folder) != "") continue;
    CHECK(is_free(at));
    auto store = open_store(folder.file());
    REQUIRE(store);
    CHECK(ledger.check(**store, random) == "");
    CHECK(ledger.check_replay(**store, 0) == "");
  }
}

TEST_CASE("a store with overwritten pages is refused and left untouched, or answers") {
  Ledger ledger;
  const std::string bytes = sound_store(ledger);
  std::mt19937 random(rusternetes::testing::seed());
  int refused = 0;
  const int rounds = rusternetes::testing::rounds("overwritten pages", 300);
  for (int round = 0; round < rounds; ++round) {
    std::string damaged = bytes;
    const std::size_t page = random() % (bytes.size() / 4096) * 4096;
    if (round % 2) {  // the page's own header and pointers
      for (int i = 0; i < 4; ++i)
        damaged[page + (page == 0 ? 100 : 0) + random() % 40] = static_cast<char>(random());
    } else {
      for (std::size_t i = 512 * (random() % 8), end = i + 512; i < end; ++i)
        damaged[page + i] = static_cast<char>(random());
    }
    INFO("round " << round << ", page " << page / 4096);
    Folder folder;
    write_file(folder.file(), damaged);
    if (refusal(folder) != "") {
      ++refused;
      continue;
    }
    // Bytes of a value are nothing that SQLite could miss; but whatever is there, nothing falls over.
    auto store = open_store(folder.file());
    REQUIRE(store);
    (void)ledger.check(**store, random);
    (void)(*store)->range({.key = all_keys, .range_end = prefix_end(all_keys), .revision = 400});
  }
  std::cout << refused << " of " << rounds << " refused" << std::endl;
  CHECK(refused > 0);
}

TEST_CASE("a log without its store is not taken for a new store's") {
  Ledger ledger;
  Folder folder;
  write_file(folder.file() + "-wal", std::string(5000, 'x'));
  CHECK(has(refusal(folder), "put the file back"));
}
