#include "engine/private_podman.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <vector>

namespace rusternetes::engine {
namespace {

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

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int left_ms(std::chrono::steady_clock::time_point deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(0, static_cast<int>(left.count()));
}

std::string log_end(const std::string& path) {
  auto text = read_small_file(path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.size() > 600 ? text.substr(text.size() - 600) : text;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return errno_error("write " + path, errno);
  return {};
}

std::vector<std::string> service_arguments(const PrivatePodmanOptions& options, const std::string& socket) {
  std::vector<std::string> arguments{options.program};
  if (!options.storage_root.empty()) {
    arguments.insert(arguments.end(),
                     {"--root", options.storage_root, "--runroot", options.directory + "/run"});
  }
  arguments.insert(arguments.end(), {"system", "service", "--time=0", "unix://" + socket});
  return arguments;
}

std::vector<std::string> service_environment(const std::string& conf) {
  std::vector<std::string> environment;
  for (char** entry = ::environ; *entry; ++entry) {
    std::string_view text(*entry);
    // What makes a client of Podman, or another configuration, must not reach the service.
    if (text.starts_with("CONTAINERS_CONF") || text.starts_with("CONTAINER_HOST=") ||
        text.starts_with("NOTIFY_SOCKET=") || text.starts_with("LISTEN_"))
      continue;
    environment.emplace_back(text);
  }
  environment.push_back("CONTAINERS_CONF=" + conf);
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// fork and exec with both prepared before: between them only what is safe in a threaded program.
Result<pid_t> spawn_service(std::vector<std::string> arguments, std::vector<std::string> environment,
                            const std::string& log) {
  Descriptor output(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (output.get() < 0) return errno_error("open " + log, errno);
  Descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto argv = pointers(arguments);
  auto envp = pointers(environment);
  pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork", errno);
  if (pid == 0) {
    ::setsid();
    ::dup2(input.get(), 0);
    ::dup2(output.get(), 1);
    ::dup2(output.get(), 2);
    ::signal(SIGPIPE, SIG_DFL);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  return pid;
}

// Woken by each new name in the directory, and by the child's end.
Result<void> wait_for_socket(const std::string& socket, int watch, int pidfd,
                             std::chrono::milliseconds timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  char buffer[4096];
  for (;;) {
    if (socket_peer(socket)) return {};
    int left = left_ms(deadline);
    if (left == 0)
      return Status{504, "Timeout", fmt::format("podman did not listen on {} in time", socket), nullptr};
    pollfd fds[2] = {{watch, POLLIN, 0}, {pidfd, POLLIN, 0}};
    // Bound and listening are two steps of which inotify tells only the first.
    ::poll(fds, 2, std::min(left, 20));
    if (fds[1].revents) return internal_error("podman ended at once");
    if (fds[0].revents && ::read(watch, buffer, sizeof(buffer)) < 0 && errno != EAGAIN)
      return errno_error("inotify", errno);
  }
}

}  // namespace

Result<std::string> choose_runtime(CgroupMode mode, bool has_runc, bool has_crun) {
  if (mode == CgroupMode::hybrid) {
    if (has_runc) return std::string("runc");
    return Status{503, "InternalError",
                  "this host mounts cgroup v1 and v2 together (hybrid), where crun cannot start containers: "
                  "install runc "
                  "(`apt-get install runc`)",
                  nullptr};
  }
  if (has_crun) return std::string("crun");
  if (has_runc) return std::string("runc");
  return Status{503, "InternalError", "neither crun nor runc is installed (`apt-get install crun`)", nullptr};
}

std::string private_containers_conf(const HostFacts& host, const std::string& runtime) {
  auto processes = std::min<std::uint64_t>(host.nproc_hard, 32768);
  std::string text = "# Written by rusternetes for its private Podman service.\n[containers]\n";
  text +=
      fmt::format("default_ulimits = [\"nofile={0}:{0}\", \"nproc={1}:{1}\"]\n", host.nofile_hard, processes);
  text += "log_driver = \"k8s-file\"\n[engine]\n";
  text += fmt::format("cgroup_manager = \"{}\"\n", host.has_systemd ? "systemd" : "cgroupfs");
  text += "events_logger = \"file\"\n";
  // Each exec leaves two conmon processes in the Pod's cgroup for this many seconds (300 by default).
  text += "exit_command_delay = 5\n";
  if (!runtime.empty()) text += fmt::format("runtime = \"{}\"\n", runtime);
  return text;
}

Result<PrivatePodman> start_private_podman(PrivatePodmanOptions options) {
  if (options.program.empty()) options.program = find_program("podman");
  if (options.program.empty())
    return Status{503, reason::kUnreachable, "podman is not installed (`apt-get install podman`)", nullptr};
  if (::mkdir(options.directory.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_error("mkdir " + options.directory, errno);
  std::string socket = options.directory + "/podman.sock";
  if (socket_peer(socket))
    return Status{409, "AlreadyExists", "an engine answers on " + socket + " already", nullptr};
  ::unlink(socket.c_str());  // left by a killed service
  auto host = read_host_facts(0);
  RN_TRY(auto runtime,
         choose_runtime(host.cgroup_mode, !find_program("runc").empty(), !find_program("crun").empty()));
  std::string conf = options.directory + "/containers.conf";
  RN_CHECK(write_file(conf, private_containers_conf(host, runtime)));
  Descriptor watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (watch.get() < 0 ||
      ::inotify_add_watch(watch.get(), options.directory.c_str(), IN_CREATE | IN_MOVED_TO) < 0)
    return errno_error("inotify " + options.directory, errno);
  std::string log = options.directory + "/podman.log";
  RN_TRY(pid_t pid, spawn_service(service_arguments(options, socket), service_environment(conf), log));
  Descriptor pidfd(open_pidfd(pid));
  PrivatePodman podman{pid, socket};
  if (auto ready = wait_for_socket(socket, watch.get(), pidfd.get(), options.timeout); !ready) {
    stop_private_podman(podman);
    auto status = std::move(ready).error();
    status.message += ": " + log_end(log);
    return status;
  }
  return podman;
}

void stop_private_podman(const PrivatePodman& podman, std::chrono::milliseconds grace) {
  if (podman.pid <= 0) return;
  Descriptor pidfd(open_pidfd(podman.pid));
  if (pidfd.get() >= 0) {
    pollfd ended{pidfd.get(), POLLIN, 0};
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGTERM, nullptr, 0);
    if (::poll(&ended, 1, static_cast<int>(grace.count())) == 0) {
      ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
      ::poll(&ended, 1, -1);
    }
  }
  ::waitpid(podman.pid, nullptr, WNOHANG);
}

}  // namespace rusternetes::engine
