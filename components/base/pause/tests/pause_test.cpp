// The real binary, started as a process.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "pause/embedded_pause.h"

namespace {
using namespace std::chrono_literals;
const std::string program = std::string(RUSTERNETES_BINARY_DIR) + "/pause";

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// A started pause; killed at the end if a test left it running.
struct Process {
  pid_t pid = -1;
  int errors = -1;  // its standard error
  ~Process() {
    if (errors >= 0) close(errors);
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }
  // The wait status, or -1 when it still runs after five seconds.
  int wait() {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < deadline) {
      int status = 0;
      if (waitpid(pid, &status, WNOHANG) == pid) {
        pid = -1;
        return status;
      }
      std::this_thread::sleep_for(1ms);
    }
    return -1;
  }
  std::string field(const std::string& name) const {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);)
      if (line.rfind(name + ":", 0) == 0) return line.substr(line.find_first_not_of(" \t", name.size() + 1));
    return {};
  }
  // pause is ready once it waits in rt_sigtimedwait.
  bool is_waiting() const {
    const std::string expected = std::to_string(SYS_rt_sigtimedwait) + " ";
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < deadline) {
      if (read_all("/proc/" + std::to_string(pid) + "/syscall").rfind(expected, 0) == 0) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }
};

// `with_orphan` makes pause the reaper of a grandchild which ends when `release` is closed.
Process start(std::vector<std::string> arguments, int* release = nullptr) {
  Process result;
  int errors[2], gate[2];
  REQUIRE(pipe2(errors, O_CLOEXEC) == 0);
  REQUIRE(pipe2(gate, O_CLOEXEC) == 0);
  result.pid = fork();
  REQUIRE(result.pid >= 0);
  if (result.pid == 0) {
    dup2(errors[1], 2);
    if (release) {
      prctl(PR_SET_CHILD_SUBREAPER, 1);
      if (fork() == 0) {
        if (fork() == 0) {
          close(gate[1]);
          char byte;
          [[maybe_unused]] auto n = read(gate[0], &byte, 1);
          _exit(7);
        }
        _exit(0);
      }
      wait(nullptr);
    }
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(126);
  }
  close(errors[1]);
  close(gate[0]);
  result.errors = errors[0];
  if (release)
    *release = gate[1];
  else
    close(gate[1]);
  return result;
}

std::string children_of(pid_t pid) {
  const std::string p = std::to_string(pid);
  return read_all("/proc/" + p + "/task/" + p + "/children");
}

std::string drain(int fd) {
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  return text;
}

ino_t inode(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_ino;
}
}  // namespace

TEST_CASE("pause leaves with 0 on TERM and on INT") {
  for (int signal : {SIGTERM, SIGINT}) {
    Process pause = start({});
    REQUIRE(pause.is_waiting());
    kill(pause.pid, signal);
    CHECK(pause.wait() == 0);
  }
}

TEST_CASE("pause reaps what its Pod orphans and goes on waiting") {
  int release = -1;
  Process pause = start({}, &release);
  REQUIRE(pause.is_waiting());
  REQUIRE_FALSE(children_of(pause.pid).empty());
  close(release);
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  while (!children_of(pause.pid).empty() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  CHECK(children_of(pause.pid).empty());
  CHECK(kill(pause.pid, 0) == 0);
}

TEST_CASE("pause is a static binary of at most 2 KB that holds at most 64 KB of memory") {
  const std::string bytes = read_all(program);
  CHECK(bytes.size() <= 2048);
  CHECK(bytes.find("/ld-linux") == std::string::npos);
  Process pause = start({});
  REQUIRE(pause.is_waiting());
  CHECK(std::stol(pause.field("VmRSS")) <= 64);
}

TEST_CASE("the embedded bytes are the program") {
  const std::string bytes = read_all(program);
  const auto embedded = rusternetes::pause_binary();
  REQUIRE(embedded.size() == bytes.size());
  CHECK(std::memcmp(embedded.data(), bytes.data(), bytes.size()) == 0);
}

TEST_CASE("pause refuses arguments it does not know") {
  Process pause = start({"--help"});
  CHECK(WEXITSTATUS(pause.wait()) == 1);
  CHECK(drain(pause.errors).find("usage: pause [netns PATH]") != std::string::npos);
}

TEST_CASE("a namespace that cannot be entered ends pause with a message") {
  Process missing = start({"netns", "/nonexistent/net"});
  CHECK(WEXITSTATUS(missing.wait()) == 1);
  CHECK(drain(missing.errors) == "pause: cannot open network namespace /nonexistent/net: errno 2\n");
  Process wrong = start({"netns", "/proc/self/ns/uts"});
  CHECK(WEXITSTATUS(wrong.wait()) == 1);
  CHECK(drain(wrong.errors).find("cannot enter network namespace /proc/self/ns/uts: errno ") !=
        std::string::npos);
}

TEST_CASE("a holder joins the namespace at the path and then has no capability left") {
  int fd = -1;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) fd = open("/proc/thread-self/ns/net", O_RDONLY);
  }).join();
  if (fd < 0) {
    WARN("skipped: making a network namespace needs root");
    return;
  }
  const std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
  Process holder = start({"netns", path});
  REQUIRE(holder.is_waiting());
  CHECK(inode("/proc/" + std::to_string(holder.pid) + "/ns/net") == inode(path));
  CHECK(inode(path) != inode("/proc/self/ns/net"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK(holder.field(set) == "0000000000000000");
  CHECK(holder.field("NoNewPrivs") == "1");
  kill(holder.pid, SIGTERM);
  CHECK(holder.wait() == 0);
  close(fd);
}
