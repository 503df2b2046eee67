// The real binary, started as a process over a small child that reports what it sees.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "supervisor/embedded_supervisor.h"

namespace {
using namespace std::chrono_literals;
namespace fs = std::filesystem;
const std::string program = std::string(RUSTERNETES_BINARY_DIR) + "/supervisor";
const std::string child_program = std::string(RUSTERNETES_BINARY_DIR) + "/supervisor_test_child";

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = 10s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

int count(const std::string& text, const std::string& word) {
  int n = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++n;
  return n;
}

std::string netns(const std::string& pid) {
  std::error_code error;
  return fs::read_symlink("/proc/" + pid + "/ns/net", error).string();
}

class Supervisor {
 public:
  Supervisor() {
    char name[] = "/tmp/supervisor-test-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Supervisor() {
    if (pid_ > 0) {
      const auto child = status_number("childPid");
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
      const auto has_ended = [&] {
        const std::string stat = read_all("/proc/" + std::to_string(child) + "/stat");
        return stat.empty() || stat.find(") Z") != std::string::npos;
      };
      if (child > 0) eventually(has_ended, 2s);
    }
    fs::remove_all(folder_);
  }

  void start(std::vector<std::string> flags, std::vector<std::string> child) {
    std::vector<std::string> words{program,     "--status-file", file("status"), "--pid-file",
                                   file("pid"), "--log-file",    file("log")};
    words.insert(words.end(), flags.begin(), flags.end());
    words.push_back("--");
    words.insert(words.end(), child.begin(), child.end());
    start_plain(words);
  }
  void start_plain(std::vector<std::string> words) {
    int errors[2];
    REQUIRE(pipe2(errors, O_CLOEXEC) == 0);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      dup2(errors[1], 2);
      std::vector<char*> argv;
      for (auto& w : words) argv.push_back(w.data());
      argv.push_back(nullptr);
      execv(program.c_str(), argv.data());
      _exit(126);
    }
    close(errors[1]);
    errors_ = errors[0];
  }
  std::string errors() {
    std::string text;
    char buffer[512];
    for (ssize_t n; (n = read(errors_, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    close(errors_);
    return text;
  }
  void signal(int number) { kill(pid_, number); }
  // The wait status, or -1 when it still runs after ten seconds.
  int wait() {
    int status = -1;
    if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return status;
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string log() const { return read_all(folder_ / "log"); }
  boost::json::object status() const {
    const std::string text = read_all(folder_ / "status");
    return text.empty() ? boost::json::object{} : boost::json::parse(text).as_object();
  }
  long status_number(const char* key) const {
    const auto s = status();
    return s.contains(key) ? s.at(key).as_int64() : -1;
  }
  std::string status_text(const char* key) const {
    const auto s = status();
    return s.contains(key) ? std::string(s.at(key).as_string()) : "";
  }
  bool is_child_up(int starts = 1) const {
    return eventually([&] { return count(log(), " netns=") >= starts && status_text("state") == "running"; });
  }
  pid_t pid() const { return pid_; }

 private:
  fs::path folder_;
  pid_t pid_ = -1;
  int errors_ = -1;
};
}  // namespace

TEST_CASE("a child that ends is started again after 100 ms, then 200, then 400, and the status says so") {
  Supervisor s;
  s.start({}, {child_program, "exit", "5"});
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return count(s.log(), " netns=") >= 4; }));
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took >= 650ms);
  CHECK(took < 3s);
  CHECK(s.log().find("ended with 5; it starts again in 100 ms") != std::string::npos);
  CHECK(s.log().find("ended with 5; it starts again in 400 ms") != std::string::npos);
  CHECK(s.status_text("lastExit") == "exit 5");
  CHECK(eventually([&] { return s.status_number("restarts") >= 3; }));
  CHECK(s.status_number("supervisorPid") == s.pid());
}

TEST_CASE("TERM during the back-off ends the supervisor at once") {
  Supervisor s;
  s.start({}, {child_program, "exit", "5"});
  REQUIRE(eventually(
      [&] { return s.status_number("nextDelayMs") >= 800 && s.status_text("state") == "backoff"; }));
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
  CHECK(s.status_text("state") == "stopped");
}

TEST_CASE("HUP during the back-off starts the child at once, and what follows after the least delay") {
  Supervisor s;
  s.start({}, {child_program, "exit", "5"});
  REQUIRE(eventually(
      [&] { return s.status_number("nextDelayMs") >= 3200 && s.status_text("state") == "backoff"; }));
  const auto before = s.status_number("restarts");
  const auto began = std::chrono::steady_clock::now();
  s.signal(SIGHUP);
  CHECK(eventually([&] { return s.status_number("restarts") >= before + 3; }));  // at once, 200 and 400 ms later
  CHECK(std::chrono::steady_clock::now() - began < 2500ms);
}

TEST_CASE("a crash is reported with its signal") {
  Supervisor s;
  s.start({}, {child_program, "crash"});
  CHECK(eventually([&] { return s.status_text("lastExit") == "signal 11"; }));
  CHECK(eventually([&] { return s.status_number("restarts") >= 1; }));
}

TEST_CASE("TERM and INT reach the child and the supervisor waits for it") {
  for (const char* manner : {"wait", "slow"}) {
    Supervisor s;
    s.start({}, {child_program, manner});
    REQUIRE(s.is_child_up());
    CHECK(std::stol(read_all(s.file("pid"))) == s.pid());
    s.signal(SIGTERM);
    CHECK(s.wait() == 0);
    CHECK(count(s.log(), "term\n") == 1);
    CHECK(s.status_text("state") == "stopped");
    CHECK(s.status_text("lastExit") == "exit 3");
    CHECK(s.status_number("childPid") == 0);
    CHECK_FALSE(fs::exists(s.file("pid")));
  }
}

TEST_CASE("HUP opens the log again and is not the child's") {
  Supervisor s;
  s.start({}, {child_program, "wait"});
  REQUIRE(s.is_child_up());
  fs::rename(s.file("log"), s.file("log.old"));
  s.signal(SIGHUP);
  REQUIRE(eventually([&] { return fs::exists(s.file("log")); }));
  // Were it passed on, the child would take it before this one, which was sent later and has the greater number.
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
  CHECK(count(s.log(), "term\n") == 1);
  CHECK((s.log() + read_all(s.file("log.old"))).find("hup") == std::string::npos);
}

TEST_CASE("a log that is full is put aside between two lines, one older file is kept, and no line is lost") {
  Supervisor s;
  std::ofstream(s.file("log.1")) << "from before\n";
  s.start({"--log-max-bytes", "60000"}, {child_program, "lines", "1000"});
  REQUIRE(eventually([&] { return s.log().find("line 1000 ") != std::string::npos; }));
  const std::string older = read_all(s.file("log.1")), newer = s.log();
  CHECK(older.size() > 60'000 - 20'000);
  CHECK(older.size() <= 60'000 + 100);
  CHECK(older.find("from before") == std::string::npos);
  CHECK(older.back() == '\n');
  const std::string all = older + newer;
  for (int i = 1; i <= 1000; ++i) {
    INFO(i);
    REQUIRE(count(all, "line " + std::to_string(i) + " ") == 1);
  }
  CHECK(all.rfind("child ", 0) == 0);
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
  CHECK(count(s.log(), "term\n") == 1);  // what the child says after the change stands in the new file
}

TEST_CASE("a log stays bounded however much is said") {
  Supervisor s;
  s.start({"--log-max-bytes", "40000"}, {child_program, "lines", "20000"});
  REQUIRE(eventually([&] { return s.log().find("line 20000 ") != std::string::npos; }));
  CHECK(s.log().size() <= 40'100);
  CHECK(fs::file_size(s.file("log.1")) <= 40'100);
  CHECK_FALSE(fs::exists(s.file("log.2")));
  CHECK_FALSE(fs::exists(s.file("log.1.1")));
}

TEST_CASE("the log is appended to, and the child has no input and an unblocked TERM") {
  Supervisor s;
  std::ofstream(s.file("log")) << "kept\n";
  s.start({}, {child_program, "wait"});
  REQUIRE(s.is_child_up());
  CHECK(s.log().rfind("kept\n", 0) == 0);
  CHECK(s.log().find("term_blocked=0 death=15 stdin=/dev/null") != std::string::npos);
  CHECK(s.log().find("node=- ") != std::string::npos);
}

TEST_CASE("the child gets TERM when the supervisor is killed") {
  Supervisor s;
  s.start({}, {child_program, "wait", s.file("term")});
  REQUIRE(s.is_child_up());
  s.signal(SIGKILL);
  CHECK(WTERMSIG(s.wait()) == SIGKILL);
  CHECK(eventually([&] { return fs::exists(s.file("term")); }));
}

TEST_CASE("end of file on standard error means the supervisor is up") {
  Supervisor s;
  s.start({}, {child_program, "wait"});
  CHECK(s.errors().empty());
  REQUIRE(s.is_child_up());
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
}

TEST_CASE("a child that cannot be executed is named in the log and tried again") {
  Supervisor s;
  s.start({}, {"/nonexistent/child"});
  REQUIRE(eventually([&] { return count(s.log(), "cannot execute /nonexistent/child: errno 2") >= 2; }));
  CHECK(s.status_text("lastExit") == "exit 127");
}

TEST_CASE("a timed child is started again when it said, however it ended, and is gone in between") {
  const std::string code = GENERATE("0", "4");
  Supervisor s;
  s.start({"--timed"}, {child_program, "again", "2", code});
  REQUIRE(eventually([&] { return s.status_text("state") == "waiting"; }));
  CHECK(s.status_number("childPid") == 0);
  const auto said = s.status_number("wakesAt");
  // time() is a tick behind the clock that the timer goes by.
  const auto seconds = [] {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch().count();
  };
  const auto now = seconds();
  CHECK(said >= now);
  CHECK(said <= now + 2);
  REQUIRE(eventually([&] { return count(s.log(), " netns=") >= 2; }));
  CHECK(seconds() >= said);
  CHECK(s.status_number("restarts") == 0);
  CHECK((s.log().find("ended with 4") != std::string::npos) == (code == "4"));
  CHECK(s.log().find("it starts again in") == std::string::npos);
}

TEST_CASE("a timed child whose time is over is started again after a second, and TERM ends the wait") {
  Supervisor s;
  s.start({"--timed"}, {child_program, "again", "-1000", "0"});
  const auto began = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return count(s.log(), " netns=") >= 3; }));
  CHECK(std::chrono::steady_clock::now() - began > 900ms);  // the second time it waits for a whole second
  REQUIRE(eventually([&] { return s.status_text("state") == "waiting"; }));
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
  CHECK(s.status_text("state") == "stopped");
}

TEST_CASE("a timed child that says nothing is started again as any other") {
  Supervisor s;
  s.start({"--timed"}, {child_program, "exit", "0"});
  REQUIRE(eventually([&] { return s.status_number("restarts") >= 2; }));
  CHECK(s.log().find("ended with 0; it starts again in 200 ms") != std::string::npos);
}

TEST_CASE("a second supervisor on the same pid file refuses") {
  Supervisor first, second;
  first.start({}, {child_program, "wait"});
  REQUIRE(first.is_child_up());
  second.start_plain({program, "--pid-file", first.file("pid"), "--", child_program, "wait"});
  CHECK(second.errors() == "supervisor: another supervisor holds " + first.file("pid") + "\n");
  CHECK(WEXITSTATUS(second.wait()) == 1);
  CHECK(std::stol(read_all(first.file("pid"))) == first.pid());
}

TEST_CASE("arguments that make no sense are refused with the usage") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{program},
                                                {program, "--"},
                                                {program, "--bogus", "--", "x"},
                                                {program, "--log-file", "--", "x"},
                                                {program, "--log-max-bytes", "0", "--", "x"},
                                                {program, "--log-max-bytes", "16M", "--", "x"}}) {
    Supervisor s;
    s.start_plain(words);
    CHECK(s.errors().find("usage: supervisor [--new-netns]") != std::string::npos);
    CHECK(WEXITSTATUS(s.wait()) == 2);
  }
}

TEST_CASE("the supervisor is static and holds under 1 MB") {
  CHECK(read_all(program).find("/ld-linux") == std::string::npos);
  const auto embedded = rusternetes::supervisor_binary();
  const std::string bytes = read_all(program);
  REQUIRE(embedded.size() == bytes.size());
  CHECK(std::memcmp(embedded.data(), bytes.data(), bytes.size()) == 0);
  Supervisor s;
  s.start({}, {child_program, "wait"});
  REQUIRE(s.is_child_up());
  const std::string status = read_all("/proc/" + std::to_string(s.pid()) + "/status");
  const long rss_kb = std::stol(status.substr(status.find("VmRSS:") + 6));
  INFO("VmRSS " << rss_kb << " kB");
  CHECK(rss_kb < 1000);
}

TEST_CASE("the supervisor's new namespace has lo up, survives the child, and the child stays outside") {
  bool may_unshare = false;
  std::thread([&] { may_unshare = unshare(CLONE_NEWNET) == 0; }).join();
  if (!may_unshare) {
    WARN("skipped: making a network namespace needs root");
    return;
  }
  Supervisor s;
  s.start({"--new-netns"}, {child_program, "wait"});
  REQUIRE(s.is_child_up());
  const std::string supervisor = std::to_string(s.pid());
  const std::string node = netns(supervisor);
  const std::string own = netns("self");
  REQUIRE_FALSE(node.empty());
  CHECK(node != own);
  CHECK(netns(std::to_string(s.status_number("childPid"))) == own);
  CHECK(s.log().find("netns=" + own + " node=/proc/" + supervisor + "/ns/net") != std::string::npos);

  std::string flags;
  std::thread([&] {
    const int fd = open(("/proc/" + supervisor + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0) flags = read_all("/proc/thread-self/net/if_inet6");
    close(fd);
  }).join();
  CHECK(flags.find("lo") != std::string::npos);  // ::1 is there only while lo is up

  kill(static_cast<pid_t>(s.status_number("childPid")), SIGKILL);
  REQUIRE(s.is_child_up(2));
  CHECK(netns(supervisor) == node);
  CHECK(netns(std::to_string(s.status_number("childPid"))) == own);
  s.signal(SIGTERM);
  CHECK(s.wait() == 0);
}
