// The real supervisor, and rusternetes-ctl as the holder of its child.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/adapters/supervisor.h"
#include "launcher/file_wait.h"
#include "launcher/hold.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using std::chrono::seconds;

namespace {

// A child that says with which arguments it came up, and lives on.
ProcessSpec spec_in(const fs::path& folder, bool has_own_netns) {
  fs::create_directories(folder / "run");
  return {.cluster = "a",
          .home = folder,
          .binary_dir = RUSTERNETES_BINARY_DIR,
          .pid_file = folder / "run/supervisor.pid",
          .status_file = folder / "run/supervisor.json",
          .log_file = folder / "log",
          .hold_file = folder / "run/released",
          .has_own_netns = has_own_netns,
          .command = {"/bin/sh", "-c", "echo \"$1\" > " + (folder / "run/up").string() + "; exec sleep 1000",
                      "sh", "{node-netns}"}};
}

std::string netns_of(const std::string& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

bool is_up(const ProcessSpec& spec, seconds patience) {
  const fs::path file = spec.hold_file.parent_path() / "up";
  return wait_for_folder(spec.hold_file.parent_path(), patience,
                         [&] {
                           const auto text = certs::read_text(file);
                           return text && text->ends_with('\n');
                         })
      .value();
}

// A process that nobody has waited for yet has ended too.
bool has_ended(int pid) {
  const auto stat = certs::read_text("/proc/" + std::to_string(pid) + "/stat", 4096);
  return !stat || stat->substr(stat->rfind(')') + 2, 1) == "Z";
}

struct Stopped {
  SupervisorPort& port;
  const ProcessSpec& spec;
  ~Stopped() { (void)port.stop(spec, seconds(5)); }
};

}  // namespace

TEST_CASE("a running child is ended and the next one held, under the same supervisor and in the same namespace") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: a network namespace needs root");
    return;
  }
  TemporaryFolder folder;
  const ProcessSpec spec = spec_in(folder.path, true);
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  CHECK(port.hold(spec, seconds(5)).error().is("ProcessFailed"));  // nobody is there
  REQUIRE(port.start_held(spec).has_value());
  REQUIRE(port.release(spec).has_value());
  REQUIRE(is_up(spec, seconds(20)));
  const ProcessStatus before = port.status(spec).value();
  fs::remove(folder.path / "run/up");
  for (int times = 0; times < 2; ++times) {  // held already: no error
    REQUIRE(port.hold(spec, seconds(5)).has_value());
    const ProcessStatus held = port.status(spec).value();
    CHECK(held.supervisor_pid == before.supervisor_pid);
    CHECK_FALSE(held.is_released);
    CHECK(has_ended(before.child_pid));
    CHECK_FALSE(is_up(spec, seconds(1)));
  }
  REQUIRE(port.release(spec).has_value());
  CHECK(is_up(spec, seconds(20)));
  CHECK(netns_of(port.status(spec).value().netns) == netns_of(before.netns));
}

TEST_CASE("a child is held until it is released, and again when its supervisor is a new one") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: a network namespace needs root");
    return;
  }
  TemporaryFolder folder;
  const ProcessSpec spec = spec_in(folder.path, true);
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  CHECK_FALSE(port.status(spec).value().is_running);
  CHECK(port.release(spec).error().is("ProcessFailed"));
  REQUIRE(port.start_held(spec).has_value());
  REQUIRE(port.start_held(spec).has_value());  // runs already
  const ProcessStatus held = port.status(spec).value();
  REQUIRE(held.is_running);
  CHECK_FALSE(held.is_released);
  CHECK(held.netns == "/proc/" + std::to_string(held.supervisor_pid) + "/ns/net");
  CHECK_FALSE(netns_of(held.netns).empty());
  CHECK(netns_of(held.netns) != netns_of("/proc/self/ns/net"));
  CHECK_FALSE(fs::exists(folder.path / "run/up"));

  REQUIRE(port.release(spec).has_value());
  REQUIRE(is_up(spec, seconds(20)));
  CHECK(certs::read_text(folder.path / "run/up").value() == held.netns + "\n");
  const ProcessStatus released = port.status(spec).value();
  CHECK(released.is_released);
  CHECK(netns_of("/proc/" + std::to_string(released.child_pid) + "/ns/net") == netns_of("/proc/self/ns/net"));

  // A child that dies comes back without being held: its namespace is still the same.
  fs::remove(folder.path / "run/up");
  REQUIRE(::kill(released.child_pid, SIGKILL) == 0);
  REQUIRE(is_up(spec, seconds(20)));
  const ProcessStatus again = port.status(spec).value();
  CHECK(again.restarts == 1);
  CHECK(again.last_exit == "signal 9");
  CHECK(again.supervisor_pid == released.supervisor_pid);

  // A supervisor that died takes its namespace along.
  REQUIRE(::kill(again.supervisor_pid, SIGKILL) == 0);
  CHECK(port.wait_for_end(spec, seconds(20)));
  ::waitpid(again.supervisor_pid, nullptr, 0);
  CHECK_FALSE(port.status(spec).value().is_running);
  fs::remove(folder.path / "run/up");
  const auto anew = port.start_held(spec);
  INFO((anew ? "" : anew.error().message));
  REQUIRE(anew.has_value());
  CHECK_FALSE(port.status(spec).value().is_released);
  CHECK_FALSE(is_up(spec, seconds(1)));
  REQUIRE(port.release(spec).has_value());
  CHECK(is_up(spec, seconds(20)));

  const ProcessStatus last = port.status(spec).value();
  REQUIRE(port.stop(spec, seconds(20)).has_value());
  REQUIRE(port.stop(spec, seconds(20)).has_value());
  CHECK(has_ended(last.supervisor_pid));
  CHECK(has_ended(last.child_pid));
  CHECK_FALSE(port.status(spec).value().is_running);
  REQUIRE(port.forget(spec).has_value());
  CHECK_FALSE(fs::exists(spec.hold_file));
}

TEST_CASE("a held child ends with its supervisor, and one that ignores TERM is killed") {
  TemporaryFolder folder;
  ProcessSpec spec = spec_in(folder.path, false);
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  REQUIRE(port.start_held(spec).has_value());
  CHECK(port.status(spec).value().netns.empty());
  REQUIRE(port.stop(spec, seconds(20)).has_value());
  spec.command[2] = "trap '' TERM; echo up > " + (folder.path / "run/up").string() + "; exec sleep 1000";
  REQUIRE(port.start_held(spec).has_value());
  REQUIRE(port.release(spec).has_value());
  REQUIRE(is_up(spec, seconds(20)));
  const ProcessStatus status = port.status(spec).value();
  REQUIRE(port.stop(spec, std::chrono::milliseconds(200)).has_value());
  CHECK(has_ended(status.child_pid));
}

TEST_CASE("a process that is restarted is what its spec says by then") {
  TemporaryFolder folder;
  ProcessSpec spec = spec_in(folder.path, false);
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  REQUIRE(port.start_held(spec).has_value());
  REQUIRE(port.release(spec).has_value());
  REQUIRE(is_up(spec, seconds(20)));
  const fs::path other = folder.path / "run/other";
  spec.command = {"/bin/sh", "-c", "echo > " + other.string() + "; exec sleep 1000"};
  const int before = port.status(spec).value().supervisor_pid;
  REQUIRE(port.restart(spec, seconds(20)).has_value());
  REQUIRE(wait_for_folder(other.parent_path(), seconds(20), [&] { return fs::exists(other); }).value());
  CHECK(port.status(spec).value().supervisor_pid == before);
}

TEST_CASE("a supervisor of an earlier release, which tells the holder its command, is still served") {
  TemporaryFolder folder;
  const fs::path file = folder.path / "run/released";
  fs::create_directories(file.parent_path());
  REQUIRE(certs::write_atomically(file, life_of(::getpid()), certs::private_mode));
  const std::string program = std::string(RUSTERNETES_BINARY_DIR) + "/rusternetes-ctl";
  const auto told = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{program, hold_word, file.string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  };
  CHECK(told({"--", "/bin/sh", "-c", "exit 0"}).has_value());
  CHECK(told({"--", "/bin/sh", "-c", "echo as told >&2; exit 3"}).error().message.find("as told") !=
        std::string::npos);
  // What stands in the file counts, once there is one.
  REQUIRE(write_command(file, {"/bin/sh", "-c", "exit 0"}).has_value());
  CHECK(told({"--", "/bin/sh", "-c", "exit 3"}).has_value());
  CHECK(told({}).has_value());
  CHECK_FALSE(told({"/bin/sh"}).has_value());
}

TEST_CASE("stop waits for a child whose supervisor was killed, and kills one that takes too long") {
  TemporaryFolder folder;
  ProcessSpec spec = spec_in(folder.path, false);
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  const std::string run = (folder.path / "run").string();
  // Told to end, this one says so, and ends when somebody writes to the pipe.
  for (const char* pipe : {"/idle", "/may-end"}) REQUIRE(::mkfifo((run + pipe).c_str(), 0600) == 0);
  spec.command = {"/bin/sh", "-c",
                  "trap 'echo > \"$1told\"; read -r line < \"$1may-end\"; echo > \"$1ended\"; exit 0' TERM; "
                  "exec 3<> \"$1idle\"; echo > \"$1up\"; while :; do read -r line <&3; done",
                  "sh", run + "/"};
  const std::string how = GENERATE(as<std::string>(), "ends in time", "takes too long", "held still");
  CAPTURE(how);
  REQUIRE(port.start_held(spec).has_value());
  if (how != "held still") {
    REQUIRE(port.release(spec).has_value());
    REQUIRE(is_up(spec, seconds(20)));
  }
  const ProcessStatus status = port.status(spec).value();
  REQUIRE(::kill(status.supervisor_pid, SIGKILL) == 0);
  REQUIRE(port.wait_for_end(spec, seconds(20)));
  ::waitpid(status.supervisor_pid, nullptr, 0);
  if (how != "held still") {
    REQUIRE(wait_for_folder(run, seconds(20), [&] { return fs::exists(run + "/told"); }).value());
    REQUIRE_FALSE(has_ended(status.child_pid));
  }
  if (how == "ends in time") {
    const int pipe = ::open((run + "/may-end").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(::write(pipe, "\n", 1) == 1);
    CHECK(port.stop(spec, seconds(20)).has_value());
    ::close(pipe);
  } else {
    CHECK(port.stop(spec, std::chrono::milliseconds(how == "held still" ? 20'000 : 100)).has_value());
  }
  CHECK(fs::exists(run + "/ended") == (how == "ends in time"));
  CHECK(has_ended(status.child_pid));
}

TEST_CASE("a stale status file brings nobody to an end") {
  TemporaryFolder folder;
  const ProcessSpec spec = spec_in(folder.path, false);
  const pid_t other = ::fork();
  if (other == 0) {
    ::execl("/bin/sleep", "sleep", "1000", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  std::ofstream(spec.status_file) << "{\"childPid\":" << other << "}\n";
  SupervisorPort port;
  CHECK(port.stop(spec, std::chrono::milliseconds(0)).has_value());
  CHECK_FALSE(has_ended(other));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

TEST_CASE("a supervisor that cannot come up says why") {
  TemporaryFolder folder;
  ProcessSpec spec = spec_in(folder.path, false);
  SupervisorPort port;
  SECTION("no log folder") {
    spec.log_file = folder.path / "nowhere/log";
    const auto result = port.start_held(spec);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().is("ProcessFailed"));
    CHECK(result.error().message.find("nowhere/log") != std::string::npos);
  }
  SECTION("no program") {
    spec.binary_dir = folder.path;
    CHECK(port.start_held(spec).error().is("ProcessFailed"));
  }
}

namespace {

// Says when it wants to run again, and how often it has.
ProcessSpec timed_in(const fs::path& folder, const std::string& pause) {
  ProcessSpec spec = spec_in(folder, false);
  spec.part = "snapshots";
  spec.hold_file.clear();
  spec.command = {"/bin/sh", "-c",
                  "echo x >> " + (folder / "run/times").string() + "; echo $(($(date +%s) + " + pause +
                      ")) >> $RUSTERNETES_WAKE"};
  return spec;
}

bool has_run(const fs::path& folder, std::size_t times) {
  return wait_for_folder(folder / "run", seconds(20),
                         [&] {
                           const auto text = certs::read_text(folder / "run/times");
                           return text && text->size() >= 2 * times;
                         })
      .value();
}

}  // namespace

TEST_CASE("a timed process runs, is gone, and runs again; another command takes its place") {
  TemporaryFolder folder;
  const ProcessSpec spec = timed_in(folder.path, "1");
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  REQUIRE(port.start_timed(spec).has_value());
  CHECK(has_run(folder.path, 3));
  const ProcessStatus status = port.status(spec).value();
  CHECK(status.is_running);
  CHECK(status.restarts == 0);
  REQUIRE(port.start_timed(spec).has_value());  // runs already
  CHECK(port.status(spec).value().supervisor_pid == status.supervisor_pid);
  const ProcessSpec other = timed_in(folder.path, "1000");
  REQUIRE(port.start_timed(other).has_value());
  CHECK(port.status(other).value().supervisor_pid != status.supervisor_pid);
  CHECK(has_ended(status.supervisor_pid));
  REQUIRE(wait_for_folder(folder.path / "run", seconds(20), [&] {
            const auto text = certs::read_text(spec.status_file);
            return text && text->find("\"waiting\"") != std::string::npos;
          }).value());
  CHECK(port.status(other).value().child_pid == 0);
  REQUIRE(port.stop(other, seconds(20)).has_value());
  REQUIRE(port.stop(other, seconds(20)).has_value());
  CHECK_FALSE(port.status(other).value().is_running);
  REQUIRE(port.forget(other).has_value());
}

TEST_CASE("a timed process that ends its own supervisor is not waited for, which would be for ever") {
  TemporaryFolder folder;
  const ProcessSpec spec = timed_in(folder.path, "1000");
  SupervisorPort port;
  const Stopped cleanup{port, spec};
  REQUIRE(port.start_timed(spec).has_value());
  REQUIRE(wait_for_folder(folder.path / "run", seconds(20), [&] {
            const auto text = certs::read_text(spec.status_file);
            return text && text->find("\"waiting\"") != std::string::npos;
          }).value());
  const int supervisor = port.status(spec).value().supervisor_pid;
  // As if this process were its child.
  REQUIRE(certs::write_atomically(spec.status_file, "{\"childPid\":" + std::to_string(::getpid()) + "}\n",
                                  certs::private_mode));
  const auto began = std::chrono::steady_clock::now();
  CHECK(port.stop(spec, seconds(20)).has_value());
  CHECK(std::chrono::steady_clock::now() - began < seconds(10));
  CHECK(wait_for_folder(folder.path / "run", seconds(20), [&] { return has_ended(supervisor); }).value());
}

TEST_CASE("under systemd a timed process has a unit beside the cluster's, which comes up behind it") {
  TemporaryFolder folder;
  const ProcessSpec spec = timed_in(folder.path, "1000");
  const fs::path units = folder.path / "units";
  fs::create_directories(units);
  std::vector<std::string> calls;
  SupervisorPort plain;
  SystemdPort port(units, [&](const std::vector<std::string>& words) -> Result<> {
    calls.push_back(words[1]);
    return words[1] == "start" ? plain.start_timed(spec) : Result<>();
  });
  const Stopped cleanup{plain, spec};
  ProcessSpec cluster = spec;
  cluster.part.clear();
  const std::string unit = SystemdPort::unit_name(spec);
  CHECK(unit != SystemdPort::unit_name(cluster));
  CHECK(unit.ends_with("-snapshots.service"));
  REQUIRE(port.start_timed(spec).has_value());
  CHECK(calls == std::vector<std::string>{"daemon-reload", "enable", "start"});
  CHECK(has_run(folder.path, 1));
  const std::string text = certs::read_text(units / unit).value();
  CHECK(text.find("\nAfter=" + SystemdPort::unit_name(cluster) + "\n") != std::string::npos);
  CHECK(text.find("\"--timed\" \"--\" \"/bin/sh\"") != std::string::npos);
  CHECK(text.find("\nWantedBy=multi-user.target\n") != std::string::npos);
  CHECK(text.find("@{") == std::string::npos);
  calls.clear();
  REQUIRE(port.start_timed(spec).has_value());
  CHECK(calls == std::vector<std::string>{"enable"});
  REQUIRE(port.stop(spec, seconds(20)).has_value());
  REQUIRE(port.forget(spec).has_value());
  CHECK(fs::is_empty(units));
}

TEST_CASE("a life is one process on one boot") {
  CHECK_FALSE(life_of(::getpid()).empty());
  CHECK(life_of(::getpid()) == life_of(::getpid()));
  CHECK(life_of(::getpid()) != life_of(1));
  CHECK(life_of(999999999).empty());
}

TEST_CASE("under systemd a unit is written, started without waiting, and taken away again") {
  TemporaryFolder folder;
  const ProcessSpec spec = spec_in(folder.path, false);
  const fs::path units = folder.path / "units";
  fs::create_directories(units);
  std::vector<std::string> calls;
  // Plays systemd: `start` runs the unit's command as PID 1 would.
  SupervisorPort plain;
  SystemdPort port(units, [&](const std::vector<std::string>& words) -> Result<> {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    calls.push_back(line);
    return words[1] == "start" ? plain.start_held(spec) : Result<>();
  });
  const Stopped cleanup{plain, spec};
  const std::string unit = SystemdPort::unit_name(spec);
  REQUIRE(port.start_held(spec).has_value());
  CHECK(calls == std::vector<std::string>{"systemctl daemon-reload", "systemctl enable --quiet " + unit,
                                          "systemctl start --no-block " + unit});
  const std::string text = certs::read_text(units / unit).value();
  CHECK(text.find("ExecStart=\"" + std::string(RUSTERNETES_BINARY_DIR) + "/supervisor\" \"--pid-file\"") !=
        std::string::npos);
  // Quotes are escaped, and nothing is a variable or a specifier of systemd's.
  ProcessSpec strange = spec;
  strange.home = "/a \"b\" $c %d";
  CHECK(SystemdPort::unit_text(strange).find("\"/a \\\"b\\\" $$c %%d\"") != std::string::npos);
  CHECK(text.find("ExecStartPost=-\"" + std::string(RUSTERNETES_BINARY_DIR) +
                  "/rusternetes-ctl\" \"start\" \"a\" \"--home\"") != std::string::npos);
  CHECK(text.find("@{") == std::string::npos);
  REQUIRE(port.release(spec).has_value());
  REQUIRE(is_up(spec, seconds(20)));
  calls.clear();
  REQUIRE(port.start_held(spec).has_value());
  CHECK(calls == std::vector<std::string>{"systemctl enable --quiet " + unit});
  calls.clear();
  REQUIRE(port.stop(spec, seconds(20)).has_value());
  CHECK(calls ==
        std::vector<std::string>{"systemctl disable --quiet " + unit, "systemctl stop --no-block " + unit});
  REQUIRE(port.forget(spec).has_value());
  CHECK(fs::is_empty(units));
  REQUIRE(port.forget(spec).has_value());
  ProcessSpec other = spec;
  other.home = "/another";
  CHECK(SystemdPort::unit_name(other) != unit);
}

TEST_CASE("a cluster of containers has a unit that starts it at boot") {
  TemporaryFolder folder;
  ProcessSpec spec = spec_in(folder.path, false);
  spec.engine = "podman";
  const fs::path units = folder.path / "units";
  fs::create_directories(units);
  std::vector<std::string> calls;
  SystemdPort port(units, [&](const std::vector<std::string>& words) -> Result<> {
    calls.push_back(words[1]);
    return {};
  });
  REQUIRE(port.forget_boot(spec).has_value());
  CHECK(calls.empty());
  REQUIRE(port.start_at_boot(spec).has_value());
  CHECK(calls == std::vector<std::string>{"daemon-reload", "enable"});  // and nothing is started now
  const std::string text = certs::read_text(units / SystemdPort::unit_name(spec)).value();
  CHECK(text == SystemdPort::boot_unit_text(spec));
  CHECK(text.find("\nExecStart=\"" + std::string(RUSTERNETES_BINARY_DIR) +
                  "/rusternetes-ctl\" \"start\" \"a\" \"--home\" \"" + spec.home.string() +
                  "\" \"--wait\" \"0\"\n") != std::string::npos);
  CHECK(text.find("\nWants=network-online.target podman.socket\n") != std::string::npos);
  CHECK(text.find("@{") == std::string::npos);
  calls.clear();
  spec.engine = "docker";
  REQUIRE(port.start_at_boot(spec).has_value());
  CHECK(calls == std::vector<std::string>{"daemon-reload", "enable"});
  REQUIRE(port.start_at_boot(spec).has_value());
  CHECK(calls == std::vector<std::string>{"daemon-reload", "enable", "enable"});
  calls.clear();
  REQUIRE(port.forget_boot(spec).has_value());
  CHECK(calls == std::vector<std::string>{"disable", "daemon-reload", "reset-failed"});
  CHECK(fs::is_empty(units));
}

TEST_CASE("a program that fails is told with what it printed") {
  CHECK(run_program({"true"}).has_value());
  const auto failed = run_program({"sh", "-c", "echo it broke >&2; exit 3"});
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().message == "sh failed: it broke");
  CHECK_FALSE(run_program({"/nowhere/program"}).has_value());
}
