// The whole launcher on a real engine and a real network, killed at its points. In the place of `rusternetes`
// stands a program that only lives, so that nothing but the launcher is looked at.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "certs/file.h"
#include "launcher/adapters/host.h"
#include "launcher/components/engine.h"
#include "launcher/components/network.h"
#include "launcher/components/program.h"
#include "support/share.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

class CrashHooks final : public Hooks {
 public:
  int crash_at = -1;
  int seen = 0;
  void point(std::string_view) override {
    if (++seen == crash_at) ::_exit(137);
  }
};

struct EngineUnderTest {
  std::string kind;
  std::string socket;
};

std::vector<EngineUnderTest> engines() {
  std::vector<EngineUnderTest> out;
  const char* list = std::getenv("RUSTERNETES_TEST_ENGINES");
  std::istringstream words(list == nullptr ? "" : list);
  for (std::string word; words >> word;)
    out.push_back({word.substr(0, word.find(':')), word.substr(word.find(':') + 1)});
  return out;
}

class Launcher {
 public:
  explicit Launcher(EngineUnderTest engine) : engine_(std::move(engine)) {
    std::string name = "/tmp/ctl-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    fs::create_directories(folder_ / "bin");
    const fs::path built = RUSTERNETES_BINARY_DIR;
    for (const char* program : {"supervisor", "rusternetes-ctl"})
      fs::create_symlink(built / program, folder_ / "bin" / program);
    std::ofstream(folder_ / "bin/rusternetes") << "#!/bin/sh\nexec sleep 100000\n";
    fs::permissions(folder_ / "bin/rusternetes", fs::perms::owner_all);
  }
  ~Launcher() {
    (void)run({"delete", "--all", "--yes"});
    fs::remove_all(folder_);
  }

  struct Outcome {
    int code = 0;
    int points = 0;
    std::string out, err;
  };
  // In a process of its own, which dies at its n-th point (never if -1).
  Outcome run(Words words, int crash_at = -1) {
    const fs::path out = folder_ / "out", err = folder_ / "err", points = folder_ / "points";
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("RUSTERNETES_HOME", (folder_ / "home").c_str(), 1);
      ::setenv("KUBECONFIG", (folder_ / "kubeconfig").c_str(), 1);
      ::setenv(engine_.kind == "docker" ? "DOCKER_HOST" : "CONTAINER_HOST",
               ("unix://" + engine_.socket).c_str(), 1);
      // Catch's reporters may have put buffers of their own behind the streams.
      static std::ofstream to_out(out), to_err(err);
      std::cout.rdbuf(to_out.rdbuf());
      std::cerr.rdbuf(to_err.rdbuf());
      words.insert(words.begin(), "rusternetes-ctl");
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      CrashHooks hooks;
      hooks.crash_at = crash_at;
      const int code = run_program_main(static_cast<int>(words.size()), argv.data(), hooks, folder_ / "bin");
      std::ofstream(points) << hooks.seen;
      std::cout << std::flush;
      std::cerr << std::flush;
      ::_exit(code);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    Outcome outcome{.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    outcome.out = certs::read_text(out).value();
    outcome.err = certs::read_text(err).value();
    if (const auto text = certs::read_text(points)) outcome.points = std::atoi(text->c_str());
    return outcome;
  }

  Words create() const { return {"create", "a", "--engine", engine_.kind, "--wait", "0"}; }

  // Nothing of it: no file, mount, link, rule, process or container.
  void check_nothing_is_left() {
    CHECK_FALSE(fs::exists(folder_ / "home"));
    CHECK_FALSE(fs::exists(folder_ / "kubeconfig"));
    CHECK(
        mounts_below(certs::read_text("/proc/self/mountinfo").value(), (folder_ / "home").string()).empty());
    LinuxNetwork network;
    CHECK_FALSE(network.has_traces("a").value());
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const auto words = certs::read_text(entry.path() / "cmdline", 1 << 20);
      if (words && words->find((folder_ / "home").string()) != std::string::npos)
        FAIL_CHECK("process " << entry.path().filename() << " is left");
    }
    Hooks hooks;
    EngineApi api([](const char*) { return std::nullopt; }, hooks);
    const EngineChoice choice{.kind = engine_.kind, .socket = engine_.socket};
    CHECK(api.containers(choice, "a").value().empty());
    CHECK_FALSE(api.has_image(choice, "localhost/rusternetes/pause:1").value());
  }

 private:
  EngineUnderTest engine_;
  fs::path folder_;
};

void on_each_engine(void (*test)(Launcher&)) {
  const auto all = engines();
  if (all.empty()) WARN("SKIPPED: no engine is named by RUSTERNETES_TEST_ENGINES");
  for (const EngineUnderTest& engine : all) {
    INFO(engine.kind);
    Launcher launcher(engine);
    test(launcher);
  }
}

void killed_create(Launcher& launcher) {
  const auto whole = launcher.run(launcher.create());
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  REQUIRE(launcher.run({"delete", "a", "--yes"}).code == 0);
  launcher.check_nothing_is_left();
  for (const int n : rusternetes::testing::sample("points", whole.points)) {
    INFO("create killed at point " << n);
    REQUIRE(launcher.run(launcher.create(), n).code == 137);
    const auto next = launcher.run({"list", "--names"});
    INFO("the next command printed \"" << next.out << "\" and said: " << next.err);
    CHECK(next.code == 0);
    if (next.out == "a\n") {
      const auto deleted = launcher.run({"delete", "a", "--yes"});
      INFO(deleted.err);
      CHECK(deleted.code == 0);
    }
    launcher.check_nothing_is_left();
  }
}

void killed_delete(Launcher& launcher) {
  REQUIRE(launcher.run(launcher.create()).code == 0);
  const auto whole = launcher.run({"delete", "a", "--yes"});
  REQUIRE(whole.code == 0);
  for (const int n : rusternetes::testing::sample("points", whole.points)) {
    INFO("delete killed at point " << n);
    REQUIRE(launcher.run(launcher.create()).code == 0);
    REQUIRE(launcher.run({"delete", "a", "--yes"}, n).code == 137);
    const auto next = launcher.run({"list", "--names"});
    INFO("the next command printed \"" << next.out << "\" and said: " << next.err);
    CHECK(next.code == 0);
    if (next.out == "a\n") CHECK(launcher.run({"delete", "a", "--yes"}).code == 0);
    launcher.check_nothing_is_left();
  }
}

void stopped_and_started(Launcher& launcher) {
  REQUIRE(launcher.run(launcher.create()).code == 0);
  const auto stopped = launcher.run({"stop", "a"});
  INFO(stopped.err);
  CHECK(stopped.code == 0);
  CHECK(launcher.run({"status", "a"}).code == 9);
  const auto started = launcher.run({"start", "a", "--wait", "0"});
  INFO(started.err);
  CHECK(started.code == 0);
  CHECK(launcher.run(launcher.create()).code == 0);
  Words another = launcher.create();
  another.insert(another.end(), {"--pod-cidr", "10.99.0.0/16"});
  CHECK(launcher.run(another).code == 4);
  CHECK(launcher.run({"delete", "a", "--yes"}).code == 0);
  launcher.check_nothing_is_left();
}

}  // namespace

TEST_CASE("on a real engine, a create killed anywhere is finished or undone, and delete leaves nothing") {
  on_each_engine(killed_create);
}
TEST_CASE("on a real engine, a delete killed anywhere is finished by the next command") {
  on_each_engine(killed_delete);
}
TEST_CASE("on a real engine, a cluster stops, starts and goes") { on_each_engine(stopped_and_started); }
