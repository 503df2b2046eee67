#include "launcher/adapters/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/file_wait.h"
#include "launcher/hold.h"

extern char** environ;

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::chrono::seconds start_patience{10};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Of the running supervisor; 0 for none. The number in the file may be stale and belong to somebody else by
// now, so its process must be one that was started with this file. (Trying the file's lock would make a
// supervisor that starts at this moment believe that another one holds it.)
int supervisor_pid(const std::filesystem::path& pid_file) {
  const auto text = certs::read_text(pid_file, 64);
  int pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 0) return 0;
  const auto words = certs::read_text(fmt::format("/proc/{}/cmdline", pid), 1 << 20);
  const std::string argument = std::string("--pid-file") + '\0' + pid_file.string() + '\0';
  return words && words->find(argument) != std::string::npos ? pid : 0;
}

int open_pid(int pid) { return pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1; }
void signal_pid(int pidfd, int signal) {
  if (pidfd >= 0) (void)::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

bool wait_pid(int pidfd, milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd poll{pidfd, POLLIN, 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(std::max<long long>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

// True without a process.
bool has_ended_by(const Descriptor& process, std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  return process.get() < 0 || wait_pid(process.get(), std::max(left, milliseconds(0)));
}

// Everything the descriptor gives until its end.
std::string read_all(int fd, std::size_t limit) {
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    if (out.size() < limit) out.append(buffer, static_cast<std::size_t>(got));
  }
}

// Starts a program with its output in a pipe and no other descriptor of ours. Returns its pid.
Result<pid_t> spawn(const std::vector<std::string>& words, int output, bool is_new_session) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigfillset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                           (is_new_session ? POSIX_SPAWN_SETSID : 0)));
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv.front(), &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return errno_error("start " + words.front(), error);
  return pid;
}

struct StatusFile {
  int child_pid = 0;
  long restarts = 0;
  std::string last_exit;
};

StatusFile read_status_file(const std::filesystem::path& path) {
  StatusFile out;
  const auto text = certs::read_text(path, 4096);
  if (!text) return out;
  boost::system::error_code error;
  const json::value value = json::parse(*text, error);
  if (error || !value.is_object()) return out;
  const json::object& object = value.get_object();
  const auto number = [&](const char* key) -> std::int64_t {
    const auto* field = object.if_contains(key);
    return field != nullptr && field->is_int64() ? field->get_int64() : 0;
  };
  out.child_pid = static_cast<int>(number("childPid"));
  out.restarts = static_cast<long>(number("restarts"));
  if (const auto* field = object.if_contains("lastExit"); field != nullptr && field->is_string())
    out.last_exit = std::string(field->get_string());
  return out;
}

// As /proc has a command line.
std::string with_zeros(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + '\0';
  return out;
}

// Whether a process, of which `pidfd` is the descriptor, is what a supervisor of this cluster started: held
// still, or the cluster's own program. Without a supervisor the number in the status file may be somebody
// else's by now, so the process must bear the name of one of them (or its parent's, where it was cut off
// before it took its own) and have been given a path in the cluster's folder.
bool is_child_of(const ProcessSpec& spec, int pid, int pidfd) {
  if (pidfd < 0 || spec.command.empty()) return false;
  auto text = certs::read_text(fmt::format("/proc/{}/cmdline", pid), 1 << 20);
  // It has no command line for a moment between two programs, and for longer while it ends.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (text && text->empty() && !wait_pid(pidfd, milliseconds(5)) &&
         std::chrono::steady_clock::now() < deadline)
    text = certs::read_text(fmt::format("/proc/{}/cmdline", pid), 1 << 20);
  if (!text || text->empty()) return false;
  if (spec.hold_file.empty()) return *text == with_zeros(spec.command);
  const auto name_of = [](const std::string& path) {
    return std::filesystem::path(path).filename().string();
  };
  const std::string program = name_of(text->substr(0, text->find('\0')));
  if (program != name_of(spec.command.front()) && program != "rusternetes-ctl" && program != "supervisor")
    return false;
  return text->find('\0' + spec.hold_file.parent_path().parent_path().string() + '/') != std::string::npos;
}

// What our own children leave behind when they end; others' are their parents'.
void reap(int pid) {
  while (::waitpid(pid, nullptr, WNOHANG) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::vector<std::string> supervisor_command(const ProcessSpec& spec) {
  std::vector<std::string> words{(spec.binary_dir / "supervisor").string(),
                                 "--pid-file",
                                 spec.pid_file.string(),
                                 "--log-file",
                                 spec.log_file.string(),
                                 "--status-file",
                                 spec.status_file.string()};
  if (spec.hold_file.empty()) {
    words.insert(words.end(), {"--timed", "--"});
    words.insert(words.end(), spec.command.begin(), spec.command.end());
    return words;
  }
  if (spec.has_own_netns) words.emplace_back("--new-netns");
  words.insert(words.end(), {"--", (spec.binary_dir / "rusternetes-ctl").string(), hold_word,
                             spec.hold_file.string()});
  return words;
}

namespace {

Result<> start_supervisor(const ProcessSpec& spec) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const Descriptor reading(ends[0]);
  Result<pid_t> pid(0);
  {
    const Descriptor writing(ends[1]);
    pid = spawn(supervisor_command(spec), writing.get(), true);
  }
  if (!pid) return failure("ProcessFailed", pid.error().message);
  // It lets go of the pipe once its namespace and log are there, or when it ends; next it writes its pid.
  const std::string said = read_all(reading.get(), 4096);
  const Descriptor ended(open_pid(*pid));
  RN_TRY(const bool is_up, wait_for_folder(
                               spec.pid_file.parent_path(), start_patience,
                               [&] { return supervisor_pid(spec.pid_file) > 0; }, ended.get()));
  if (is_up) return {};
  reap(*pid);
  return failure("ProcessFailed",
                 said.empty() ? "the supervisor did not come up" : said.substr(0, said.find('\n')));
}

}  // namespace

Result<> SupervisorPort::start_held(const ProcessSpec& spec) {
  RN_CHECK(write_command(spec.hold_file, spec.command));
  return supervisor_pid(spec.pid_file) > 0 ? Result<>() : start_supervisor(spec);
}

bool SupervisorPort::runs_another(const ProcessSpec& spec) {
  const int pid = supervisor_pid(spec.pid_file);
  if (pid <= 0) return false;
  const auto words = certs::read_text(fmt::format("/proc/{}/cmdline", pid), 1 << 20);
  return !words || *words != with_zeros(supervisor_command(spec));
}

Result<> SupervisorPort::start_timed(const ProcessSpec& spec) {
  if (runs_another(spec)) RN_CHECK(SupervisorPort::stop(spec, another_grace));
  return supervisor_pid(spec.pid_file) > 0 ? Result<>() : start_supervisor(spec);
}

Result<> SupervisorPort::release(const ProcessSpec& spec) {
  const std::string life = life_of(supervisor_pid(spec.pid_file));
  if (life.empty()) return failure("ProcessFailed", "the supervisor of the cluster does not run");
  return certs::write_atomically(spec.hold_file, life, certs::private_mode);
}

Result<> SupervisorPort::stop(const ProcessSpec& spec, milliseconds grace) {
  const auto deadline = std::chrono::steady_clock::now() + grace;
  const int pid = supervisor_pid(spec.pid_file);
  const int child_pid = read_status_file(spec.status_file).child_pid;
  const Descriptor supervisor(open_pid(pid));
  const Descriptor named(open_pid(child_pid));
  // A child outlives a supervisor that was killed by the time it takes to end, for which its parent's death
  // was the signal; until then its kubelet makes containers. Who is looked at is who the descriptor stands
  // for, or that one has ended.
  const Descriptor child(
      supervisor.get() >= 0 || is_child_of(spec, child_pid, named.get()) ? ::dup(named.get()) : -1);
  signal_pid(supervisor.get(), SIGTERM);
  // It ends once this very process has.
  if (child_pid == ::getpid()) return {};
  if (!has_ended_by(supervisor, deadline) || !has_ended_by(child, deadline)) {
    signal_pid(child.get(), SIGKILL);
    signal_pid(supervisor.get(), SIGKILL);
    const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (const auto& [descriptor, number] : {std::pair(&supervisor, pid), std::pair(&child, child_pid)})
      if (!has_ended_by(*descriptor, last))
        return failure("ProcessFailed", fmt::format("process {} does not end", number));
  }
  if (pid > 0) reap(pid);
  return {};
}

Result<> SupervisorPort::restart(const ProcessSpec& spec, milliseconds grace) {
  const int pid = supervisor_pid(spec.pid_file);
  if (pid <= 0) return failure("ProcessFailed", "the supervisor of the cluster does not run");
  RN_CHECK(write_command(spec.hold_file, spec.command));
  const Descriptor supervisor(open_pid(pid));
  const int child_pid = read_status_file(spec.status_file).child_pid;  // 0 while it waits to start one
  const Descriptor child(open_pid(child_pid));
  signal_pid(child.get(), SIGTERM);
  if (!has_ended_by(child, std::chrono::steady_clock::now() + grace)) signal_pid(child.get(), SIGKILL);
  // One that has ended often is waited for up to 10 s. (A supervisor of an earlier release only opens its log.)
  signal_pid(supervisor.get(), SIGHUP);
  RN_TRY(const bool is_up, wait_for_folder(
                               spec.status_file.parent_path(), start_patience,
                               [&] {
                                 const int now = read_status_file(spec.status_file).child_pid;
                                 return now > 0 && now != child_pid;
                               },
                               supervisor.get()));
  if (!is_up) return failure("ProcessFailed", "the supervisor has not started the process again");
  return {};
}

// Does not wait for the next child: whenever its supervisor starts it, it finds no leave to run.
Result<> SupervisorPort::hold(const ProcessSpec& spec, milliseconds grace) {
  if (supervisor_pid(spec.pid_file) <= 0)
    return failure("ProcessFailed", "the supervisor of the cluster does not run");
  std::error_code error;
  std::filesystem::remove(spec.hold_file, error);
  if (error) return internal_error(fmt::format("remove {}: {}", spec.hold_file.string(), error.message()));
  // One that was started while the file was taken away may have seen it yet, and is no holder.
  const std::string word = std::string(1, '\0') + hold_word + '\0';
  for (int tries = 0; tries < 3; ++tries) {
    const int child_pid = read_status_file(spec.status_file).child_pid;  // 0 while it waits to start one
    const Descriptor child(open_pid(child_pid));
    signal_pid(child.get(), SIGTERM);
    if (!has_ended_by(child, std::chrono::steady_clock::now() + grace)) signal_pid(child.get(), SIGKILL);
    if (!has_ended_by(child, std::chrono::steady_clock::now() + std::chrono::seconds(10)))
      return failure("ProcessFailed", fmt::format("process {} does not end", child_pid));
    const int next_pid = read_status_file(spec.status_file).child_pid;
    if (next_pid == 0 || next_pid == child_pid) return {};
    const auto command = certs::read_text(fmt::format("/proc/{}/cmdline", next_pid), 1 << 20);
    if (command && (command->empty() || command->find(word) != std::string::npos)) return {};
  }
  return failure("ProcessFailed", "the process of the cluster does not stay stopped");
}

Result<> SupervisorPort::forget(const ProcessSpec& spec) {
  std::error_code ignored;
  if (!spec.hold_file.empty()) std::filesystem::remove(spec.hold_file, ignored);
  return {};
}

Result<ProcessStatus> SupervisorPort::status(const ProcessSpec& spec) {
  ProcessStatus out;
  out.supervisor_pid = supervisor_pid(spec.pid_file);
  out.is_running = out.supervisor_pid > 0;
  if (!out.is_running) return out;
  const StatusFile file = read_status_file(spec.status_file);
  out.child_pid = file.child_pid;
  out.restarts = file.restarts;
  out.last_exit = file.last_exit;
  // Written whenever a child starts or ends.
  struct stat info {};
  if (::stat(spec.status_file.c_str(), &info) == 0)
    out.started_at =
        std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
            std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec)));
  if (spec.has_own_netns) out.netns = fmt::format("/proc/{}/ns/net", out.supervisor_pid);
  if (spec.hold_file.empty()) {
    out.is_released = true;
    return out;
  }
  const auto released = certs::read_text(spec.hold_file, 4096);
  out.is_released = released && *released == life_of(out.supervisor_pid);
  return out;
}

bool SupervisorPort::wait_for_end(const ProcessSpec& spec, milliseconds timeout) {
  const int pid = supervisor_pid(spec.pid_file);
  if (pid <= 0) return true;
  const Descriptor supervisor(open_pid(pid));
  return supervisor.get() < 0 || wait_pid(supervisor.get(), timeout);
}

Result<> run_program(const std::vector<std::string>& words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe", errno);
  const Descriptor reading(ends[0]);
  Result<pid_t> pid(0);
  {
    const Descriptor writing(ends[1]);
    pid = spawn(words, writing.get(), false);
  }
  if (!pid) return std::move(pid).error();
  const std::string said = read_all(reading.get(), 4096);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return internal_error(
      fmt::format("{} failed: {}", words.front(), said.substr(0, said.find_last_not_of('\n') + 1)));
}

}  // namespace rusternetes::launcher
