// A Writer that does not come to its end, and disks that are full.
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "support.h"

using namespace rusternetes;
using namespace rusternetes::launcher::snapshot;

namespace {

// Runs `what` in a process of its own that is killed by the kernel at the write beyond `limit` bytes, if it
// comes to one. True: it was killed.
template <class What>
bool is_killed_at(std::size_t limit, const What& what) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    const rlimit size{limit, limit};
    ::setrlimit(RLIMIT_FSIZE, &size);
    ::signal(SIGXFSZ, SIG_DFL);
    what();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status);
}

std::size_t count(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

// Runs `what` with a folder on a disk of `size` bytes that only this thread sees. False: this host allows
// none.
template <class What>
bool with_small_disk(const char* size, const What& what) {
  Folder folder;
  bool is_made = false;
  std::thread thread([&] {
    is_made = ::unshare(CLONE_NEWNS) == 0 &&
              ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              ::mount("small", folder.path.c_str(), "tmpfs", 0, size) == 0;
    if (is_made) what(folder.path);
  });
  thread.join();
  return is_made;
}

}  // namespace

TEST_CASE("a writer that is destroyed unfinished leaves nothing") {
  Folder folder;
  const fs::path path = folder.path / "s";
  {
    const auto writer = Writer::create(path, example());
    REQUIRE(writer);
    CHECK(count(folder.path) == 1);
    CHECK((fs::status(partial_path(path)).permissions() & fs::perms::all) ==
          (fs::perms::owner_read | fs::perms::owner_write));
    REQUIRE((*writer)->add_bytes("a", "1"));
  }
  CHECK(count(folder.path) == 0);
}

TEST_CASE("a writer that is killed leaves no snapshot, and the next one replaces what it left") {
  Folder folder;
  const fs::path path = folder.path / "s";
  const std::string content = noise(3'000'000);
  for (const std::size_t limit : {0UL, 100UL, 136UL, 1000UL, 200'000UL, 2'000'000UL, 3'000'000UL}) {
    for (const bool is_encrypted : {false, true}) {
      INFO(limit);
      std::optional<Encryption> encryption;
      if (is_encrypted) encryption = cheap("p");
      CHECK(is_killed_at(limit, [&] { (void)make(path, {{"a", content}}, encryption); }));
      CHECK_FALSE(fs::exists(path));
      CHECK(count(folder.path) == 1);
      CHECK(fs::file_size(partial_path(path)) <= limit);
    }
  }
  CHECK_FALSE(is_killed_at(10'000'000, [&] { (void)make(path, {{"a", content}}); }));
  CHECK(count(folder.path) == 1);
  CHECK(fault(path) == "");
}

TEST_CASE("two writers do not get in each other's way, and none replaces a file") {
  Folder folder;
  const fs::path path = folder.path / "s";
  const auto first = Writer::create(path, example());
  REQUIRE(first);
  const auto second = Writer::create(path, example());
  REQUIRE_FALSE(second);
  CHECK(second.error().is(reason::conflict));
  REQUIRE((*first)->add_bytes("a", "1"));
  // Whoever comes in between is not replaced either.
  write_file(path, "mine");
  CHECK((*first)->finish().error().is(reason::in_the_way));
  CHECK(read_file(path) == "mine");
  CHECK(Writer::create(path, example()).error().is(reason::in_the_way));
  fs::remove(path);
  fs::create_symlink(folder.path / "target", path);
  CHECK(Writer::create(path, example()).error().is(reason::in_the_way));
}

TEST_CASE("a link in the place of the partial file is not written through") {
  Folder folder;
  const fs::path path = folder.path / "s";
  fs::create_symlink(folder.path / "target", partial_path(path));
  CHECK(Writer::create(path, example()).error().is(reason::in_the_way));
  CHECK_FALSE(fs::exists(folder.path / "target"));
}

TEST_CASE("a file that changes between the two times that it is read is refused") {
  Folder folder;
  const fs::path path = folder.path / "s";
  const fs::path source = write_file(folder.path / "source", noise(200'000));
  for (const std::string& now : {noise(200'000, 2), noise(200'001), noise(199'999), std::string()}) {
    write_file(source, noise(200'000));
    const auto writer = Writer::create(path, example());
    REQUIRE(writer);
    REQUIRE((*writer)->add_file("a", source));
    write_file(source, now);
    CHECK((*writer)->finish().error().is(reason::conflict));
    CHECK_FALSE(fs::exists(path));
  }
  CHECK(count(folder.path) == 1);
}

TEST_CASE("a full disk is told as one, and nothing is left on it", "[world]") {
  Folder folder;
  REQUIRE(make(folder.path / "s", {{"a", noise(100'000)}, {"b/c", noise(900'000)}}));
  const auto reader = Reader::open(folder.path / "s");
  REQUIRE(reader);
  std::string written;
  std::string extracted;
  std::size_t left = 0;
  const bool is_run = with_small_disk("size=512k", [&](const fs::path& disk) {
    const auto made = make(disk / "s", {{"a", noise(3'000'000)}});
    written = made ? "" : made.error().reason;
    left += count(disk);
    const auto out = (*reader)->extract_all(disk / "out");
    extracted = out ? "" : out.error().reason;
    left += count(disk);
  });
  if (!is_run) {
    std::cout << "SKIPPED: a small disk cannot be mounted without rights\n";
    return;
  }
  CHECK(written == reason::no_space);
  CHECK(extracted == reason::no_space);
  CHECK(left == 0);
}
