// Run by the tests of storage/sqlite in a process of its own.
//   write FILE        sixteen writers and a compactor, until the process is killed; says on standard output
//   what the
//                     store acknowledged: "o REVISION" opened, "a WRITER N REVISION", "c REVISION" compaction
//                     asked for, "C REVISION" acknowledged, "e MESSAGE"
//   full-disk FOLDER  mounts a small file system on FOLDER, seen by this process only, and fills it under a
//   store; says
//                     what is wrong, or "SKIPPED: reason"
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "ledger.h"
#include "load.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::testing;
using sqlite::SqliteStore;

namespace {

// One write(2) a line, so that a killed process leaves whole ones.
void say(std::string line) {
  line += '\n';
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
}

int write_until_killed(const std::string& file) {
  sqlite::StoreOptions options;
  options.path = file;
  options.checkpoint_pages = 300;
  auto opened = SqliteStore::open(options);
  if (!opened) {
    say("e " + opened.error().message);
    return 1;
  }
  SqliteStore& store = **opened;
  const Revision start = store.current_revision();
  say(fmt::format("o {}", start));
  Load load(store, {}, [](int writer, std::int64_t n, Revision revision) {
    say(fmt::format("a {} {} {}", writer, n, revision));
  });
  // Most of what was there goes, in a few steps, while the others write.
  for (Revision behind : {Revision{600}, Revision{200}}) {
    const Revision revision = start - behind;
    if (revision <= store.compact_revision()) continue;
    say(fmt::format("c {}", revision));
    if (auto done = compact(store, revision); done)
      say(fmt::format("C {}", revision));
    else
      say("e " + done.error().message);
  }
  load.join();
  for (const auto& error : load.errors()) say("e " + error.message);
  return 1;
}

// Fills what is left of the file system, or frees it.
void fill(const std::filesystem::path& ballast) {
  const int fd = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string block(4096, 'x');
  while (::write(fd, block.data(), block.size()) > 0) {
  }
  ::close(fd);
}

std::string fill_disk_under_store(const std::filesystem::path& folder) {
  sqlite::StoreOptions options;
  options.path = folder / "store.db";
  options.checkpoint_pages = 100;
  auto opened = SqliteStore::open(options);
  if (!opened) return opened.error().message;
  Ledger ledger;
  std::mt19937 random(1);
  auto acked = [&](int writer, std::int64_t n, Revision revision) { ledger.acked(writer, n, revision); };
  for (int round = 0; round < 5; ++round) {
    SqliteStore& store = **opened;
    {
      Load some(store, {.transactions = 20}, acked);
      some.join();
      if (!some.errors().empty()) return "not full: " + some.errors()[0].message;
    }
    if (round % 2) fill(folder / "ballast");
    {
      Load load(store, {}, acked);  // each writer until it is refused
      load.join();
      for (const auto& error : load.errors())
        if (error.reason != reason_no_space)
          return "a full disk is reported as " + error.reason + ": " + error.message;
    }
    fill(folder / "ballast");
    if (auto wrong = ledger.check(store, random); !wrong.empty()) return "full: " + wrong;
    std::filesystem::remove(folder / "ballast");
    // What the store itself wrote fills most of the disk, so more of that is needed, too.
    const Revision old = store.current_revision() - 10;
    const std::string size = fmt::format("size={}m", 6 * (round + 2));
    if (::mount(nullptr, folder.c_str(), nullptr, MS_REMOUNT, size.c_str()) != 0)
      return "the disk does not grow";
    if (auto wrong = ledger.check_continues(store); !wrong.empty()) return "with space again: " + wrong;
    ledger.compaction_asked(old);
    if (auto done = compact(store, old); !done) return "compaction: " + done.error().message;
    ledger.compaction_acked(old);
    if (auto wrong = ledger.check(store, random); !wrong.empty()) return "with space again: " + wrong;
    if (round % 2) {
      opened->reset();
      opened = SqliteStore::open(options);
      if (!opened) return "reopened: " + opened.error().message;
      if (auto wrong = ledger.check(**opened, random); !wrong.empty()) return "reopened: " + wrong;
    }
  }
  return {};
}

int full_disk(const std::filesystem::path& folder) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("store", folder.c_str(), "tmpfs", 0, "size=6m,mode=0700") != 0) {
    say(fmt::format("SKIPPED: no file system of its own can be mounted: {}", std::strerror(errno)));
    return 0;
  }
  const std::string wrong = fill_disk_under_store(folder);
  if (!wrong.empty()) say(wrong);
  return wrong.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "write") return write_until_killed(argv[2]);
  if (argc == 3 && std::string_view(argv[1]) == "full-disk") return full_disk(argv[2]);
  return 2;
}
