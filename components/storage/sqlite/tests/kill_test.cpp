// A process that writes is killed, again and again, over one file that grows.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <sstream>

#include "folder.h"
#include "ledger.h"
#include "support/share.h"

using namespace rusternetes;
using namespace rusternetes::storage;
using namespace rusternetes::storage::testing;
using std::chrono::steady_clock;

extern char** environ;

namespace {

// storage_sqlite_test_child, and what it says on its standard output.
class Child {
 public:
  explicit Child(std::vector<std::string> words) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const std::string program =
        std::filesystem::canonical("/proc/self/exe").parent_path() / "storage_sqlite_test_child";
    words.insert(words.begin(), program);
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int code = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    out_ = ends[0];
    REQUIRE(code == 0);
  }
  ~Child() {
    if (pid_ > 0) kill();
    ::close(out_);
  }
  // Adds what it says to `said`, until `until`, or until `what` stands in it. False when it has closed its
  // output.
  bool listen(steady_clock::time_point until, std::string_view what = "\n\n") {
    while (said.find(what) == std::string::npos) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
      pollfd poll{out_, POLLIN, 0};
      if (left <= 0 || ::poll(&poll, 1, static_cast<int>(left)) == 0) return true;
      char bytes[65536];
      const ssize_t got = ::read(out_, bytes, sizeof bytes);
      if (got <= 0) return false;
      said.append(bytes, static_cast<std::size_t>(got));
    }
    return true;
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  std::string said;

 private:
  pid_t pid_ = -1;
  int out_ = -1;
};

void record(const std::string& said, Ledger& ledger) {
  std::istringstream lines(said);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    REQUIRE(line[0] != 'e');
    std::istringstream words(line.substr(1));
    std::int64_t a = 0, b = 0, c = 0;
    words >> a >> b >> c;
    if (line[0] == 'a') ledger.acked(static_cast<int>(a), b, c);
    if (line[0] == 'c') ledger.compaction_asked(a);
    if (line[0] == 'C') ledger.compaction_acked(a);
  }
}

}  // namespace

TEST_CASE(
    "sixteen writers killed at any time lose nothing acknowledged, leave nothing half written, and no "
    "revision comes twice") {
  Folder folder;
  Ledger ledger;
  std::mt19937 random(rusternetes::testing::seed());
  const int rounds = rusternetes::testing::rounds("kills under sixteen writers", 200);
  for (int round = 0; round < rounds; ++round) {
    INFO("round " << round << ", " << ledger.acknowledged() << " acknowledged");
    Child child({"write", folder.file()});
    if (random() % 5 != 0)
      child.listen(steady_clock::now() + std::chrono::seconds(60), "\n");  // it has opened the store
    child.listen(steady_clock::now() + std::chrono::microseconds(random() % 80'000));
    child.kill();
    while (child.listen(steady_clock::now() + std::chrono::seconds(60))) {
    }
    record(child.said, ledger);
    // Half the time the next child finds the files as they were left.
    std::string file = folder.file();
    Folder copy;
    if (random() % 2) {
      for (const char* suffix : {"", "-wal"})
        if (std::filesystem::exists(file + suffix))
          std::filesystem::copy_file(file + suffix, copy.file() + suffix);
      file = copy.file();
    }
    auto store = open_store(file, {}, 300);
    REQUIRE(store);
    REQUIRE(ledger.check(**store, random) == "");
    if (file != copy.file()) {
      REQUIRE(ledger.check_continues(**store) == "");
      REQUIRE(ledger.check(**store, random) == "");
    }
  }
  auto store = open_store(folder.file());
  REQUIRE(store);
  CHECK(ledger.check_replay(**store, 0) == "");
  CHECK(ledger.acknowledged() > 0);
  std::cout << ledger.acknowledged() << " transactions acknowledged, compacted at "
            << (*store)->compact_revision() << std::endl;
}

TEST_CASE("on a full file system writes get an error, reads go on, and service returns with the space",
          "[world]") {
  Folder folder;
  Child child({"full-disk", folder.path});
  while (child.listen(steady_clock::now() + std::chrono::seconds(60))) {
  }
  const int status = child.wait();
  if (child.said.starts_with("SKIPPED")) {
    std::cout << child.said << std::flush;
    return;
  }
  CHECK(child.said == "");
  CHECK(status == 0);
}
