// supervisor: keeps one child running and, with --new-netns, holds the node's network namespace while
// children come and go. It does nothing that could fail after its start, which is why it and not the child
// owns the namespace. With --timed its child does its work, ends, and is started again when it said.

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

#include "child_log.h"
#include "output.h"
#include "wake.h"

namespace {

constexpr long least_delay_ms = 100;
constexpr long greatest_delay_ms = 10'000;
constexpr long healthy_life_ms = 10'000;  // a child that lived this long starts again without a grown delay
constexpr int environment_limit = 4096;
constexpr long default_log_max_bytes = 16 << 20;

struct Options {
  bool new_netns = false;
  bool timed = false;
  const char* pid_file = nullptr;
  const char* log_file = nullptr;
  long log_max_bytes = default_log_max_bytes;
  const char* status_file = nullptr;
  char** child = nullptr;
};

struct State {
  Options options;
  const char* phase = "running";
  pid_t child = 0;
  long restarts = 0;
  long delay_ms = least_delay_ms;
  long started_ms = 0;
  int last_status = -1;  // of waitpid; -1 before the first end
  int original_netns = -1;
  ChildLog log;
  Wake wake;
  long wakes_at = 0;  // seconds since 1970; 0: the child runs, or is to be started again after delay_ms
  bool is_stopping = false;
};

long now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

[[noreturn]] void usage(const char* complaint, const char* object) {
  Line()
      .add("supervisor: ")
      .add(complaint)
      .add(object)
      .add(
          "; usage: supervisor [--new-netns] [--timed] [--pid-file F] [--log-file F] [--log-max-bytes N] "
          "[--status-file F] -- CHILD ARGS...\n")
      .print();
  _exit(2);
}

// 0: not one.
long positive_number(const char* text) {
  long out = 0;
  for (; *text; ++text) {
    if (*text < '0' || *text > '9' || out > 1'000'000'000'000) return 0;
    out = out * 10 + (*text - '0');
  }
  return out;
}

Options parse(char** argv) {
  Options options;
  const char* log_max_bytes = nullptr;
  for (char** word = argv + 1; *word; ++word) {
    const char** value = nullptr;
    if (!strcmp(*word, "--")) {
      if (!word[1]) usage("no child", "");
      options.child = word + 1;
      if (log_max_bytes && !(options.log_max_bytes = positive_number(log_max_bytes)))
        usage("--log-max-bytes is not a number of bytes: ", log_max_bytes);
      return options;
    }
    if (!strcmp(*word, "--new-netns")) {
      options.new_netns = true;
      continue;
    }
    if (!strcmp(*word, "--timed")) {
      options.timed = true;
      continue;
    }
    if (!strcmp(*word, "--pid-file")) value = &options.pid_file;
    if (!strcmp(*word, "--log-file")) value = &options.log_file;
    if (!strcmp(*word, "--log-max-bytes")) value = &log_max_bytes;
    if (!strcmp(*word, "--status-file")) value = &options.status_file;
    if (!value) usage("unknown argument ", *word);
    if (!word[1] || !strcmp(word[1], "--")) usage("no value for ", *word);
    *value = *++word;
  }
  usage("no child", "");
}

void write_status(const State& state) {
  if (!state.options.status_file) return;
  Line line;
  line.add("{\"state\":\"").add(state.phase).add("\",\"supervisorPid\":").add(getpid()).add(",\"childPid\":");
  line.add(state.child).add(",\"restarts\":").add(state.restarts).add(",\"lastExit\":\"");
  if (state.last_status >= 0) {
    if (WIFSIGNALED(state.last_status))
      line.add("signal ").add(WTERMSIG(state.last_status));
    else
      line.add("exit ").add(WEXITSTATUS(state.last_status));
  }
  line.add("\",\"nextDelayMs\":").add(state.delay_ms).add(",\"wakesAt\":").add(state.wakes_at);
  line.add(",\"changedAt\":").add(time(nullptr)).add("}\n");
  if (!replace_file(state.options.status_file, line))
    print_error("cannot write", state.options.status_file, errno);
}

// The descriptor stays open and locked for life: a lock, unlike a number, cannot belong to somebody else
// later.
int lock_pid_file(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    print_error("cannot open", path, errno);
    _exit(1);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    Line().add("supervisor: another supervisor holds ").add(path).add("\n").print();
    _exit(1);
  }
  return fd;
}

void write_pid(int fd, const char* path) {
  const Line line = Line().add(getpid()).add("\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, line.text(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
    print_error("cannot write", path, errno);
    _exit(1);
  }
}

// Returns the namespace the supervisor came from, for its children.
int enter_new_namespace() {
  const int original = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (original < 0 || unshare(CLONE_NEWNET) != 0) {
    print_error("cannot make a", "network namespace", errno);
    _exit(1);
  }
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request) != 0) {
    print_error("cannot bring up", "lo", errno);
    _exit(1);
  }
  close(any);
  return original;
}

[[noreturn]] void become_child(const State& state, pid_t supervisor, const sigset_t& original_mask) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != supervisor) _exit(127);  // it died before the line above
  static char* environment[environment_limit + 3];
  static char variable[64], wake_variable[64];
  int count = 0;
  for (char** entry = environ; *entry && count < environment_limit; ++entry)
    if (strncmp(*entry, "RUSTERNETES_NODE_NETNS=", 23) != 0 && strncmp(*entry, "RUSTERNETES_WAKE=", 17) != 0)
      environment[count++] = *entry;
  if (state.original_netns >= 0) {
    if (setns(state.original_netns, CLONE_NEWNET) != 0) {
      print_error("cannot return to", "the original network namespace", errno);
      _exit(127);
    }
    const Line value = Line().add("RUSTERNETES_NODE_NETNS=/proc/").add(supervisor).add("/ns/net");
    memcpy(variable, value.text(), value.size() + 1);
    environment[count++] = variable;
  }
  state.log.become_output();
  if (state.options.timed) {
    const int given = state.wake.give();
    if (given < 0) {
      print_error("cannot give", "the timer's pipe", errno);
      _exit(127);
    }
    const Line value = Line().add("RUSTERNETES_WAKE=/proc/self/fd/").add(given);
    memcpy(wake_variable, value.text(), value.size() + 1);
    environment[count++] = wake_variable;
  }
  sigprocmask(SIG_SETMASK, &original_mask, nullptr);
  execvpe(state.options.child[0], state.options.child, environment);
  print_error("cannot execute", state.options.child[0], errno);
  _exit(127);
}

void start_child(State& state, const sigset_t& original_mask) {
  if (state.options.log_file && !state.log.reopen())
    print_error("cannot open", state.options.log_file, errno);
  if (state.options.timed) state.wake.clear();
  state.wakes_at = 0;
  const pid_t supervisor = getpid();
  const pid_t child = fork();
  if (child == 0) become_child(state, supervisor, original_mask);
  state.started_ms = now_ms();
  if (child < 0) {
    print_error("cannot start", state.options.child[0], errno);
    state.phase = "backoff";
  } else {
    state.child = child;
    state.phase = "running";
  }
  write_status(state);
}

void report_exit(const State& state) {
  Line line;
  const bool is_signal = WIFSIGNALED(state.last_status);
  line.add("supervisor: ").add(state.options.child[0]).add(is_signal ? " died of signal " : " ended with ");
  line.add(is_signal ? WTERMSIG(state.last_status) : WEXITSTATUS(state.last_status));
  if (!state.is_stopping && state.wakes_at == 0)
    line.add("; it starts again in ").add(state.delay_ms).add(" ms");
  line.add("\n").print();
}

void reap(State& state) {
  int status = 0;
  for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (ended != state.child) continue;  // as process 1 of a container it inherits orphans
    state.log.take_over();  // its last words stand before ours
    state.child = 0;
    state.last_status = status;
    if (now_ms() - state.started_ms >= healthy_life_ms) state.delay_ms = least_delay_ms;
    if (state.options.timed && !state.is_stopping) state.wakes_at = state.wake.arm();
    if (state.wakes_at > 0) state.delay_ms = least_delay_ms;
    if (!state.is_stopping) state.phase = state.wakes_at > 0 ? "waiting" : "backoff";
    if (state.wakes_at == 0 || status != 0) report_exit(state);
    write_status(state);
  }
}

void pass_on(State& state, int signal) {
  if (signal == SIGHUP) {  // for us alone: to a child it may mean that its terminal is gone
    if (state.options.log_file && !state.log.reopen()) print_error("cannot open", state.options.log_file, errno);
    return;
  }
  if (!state.is_stopping) {
    state.is_stopping = true;
    state.phase = "stopping";
    write_status(state);
  }
  if (state.child > 0) kill(state.child, signal);
}

// The next signal, or 0 when `limit_ms` (-1: none) have passed, the child's output came, which is taken over,
// or the time of a timed child, which is started then.
int wait_for_signal(State& state, int signal_fd, long limit_ms, const sigset_t& original_mask) {
  // A negative descriptor is skipped.
  pollfd waited[3] = {
      {signal_fd, POLLIN, 0}, {state.log.source(), POLLIN, 0}, {state.wake.source(), POLLIN, 0}};
  if (poll(waited, 3, static_cast<int>(limit_ms)) <= 0) return 0;
  if (waited[1].revents) state.log.take_over();
  if (waited[2].revents) {
    state.wake.take_over();
    if (state.child == 0 && state.wakes_at > 0 && !state.is_stopping) start_child(state, original_mask);
  }
  signalfd_siginfo info;
  if (!waited[0].revents || read(signal_fd, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
  return static_cast<int>(info.ssi_signo);
}

// Returns when it was told to stop and the child is gone.
void supervise(State& state, int signal_fd, const sigset_t& original_mask) {
  start_child(state, original_mask);
  long due_ms = now_ms() + state.delay_ms;  // of the next start, while there is no child
  while (!state.is_stopping || state.child > 0) {
    long left_ms = -1;
    if (state.child == 0 && state.wakes_at == 0) {
      left_ms = due_ms - now_ms();
      if (left_ms <= 0) {
        ++state.restarts;
        state.delay_ms = state.delay_ms * 2 > greatest_delay_ms ? greatest_delay_ms : state.delay_ms * 2;
        start_child(state, original_mask);
        due_ms = now_ms() + state.delay_ms;
        continue;
      }
    }
    const int signal = wait_for_signal(state, signal_fd, left_ms, original_mask);
    if (signal == SIGCHLD) {
      const bool had_child = state.child > 0;
      reap(state);
      if (had_child && state.child == 0) due_ms = now_ms() + state.delay_ms;
    } else if (signal > 0) {
      pass_on(state, signal);
      // Who sends it has corrected what ended the child so often, or ends it on purpose.
      if (signal == SIGHUP) state.delay_ms = least_delay_ms, due_ms = now_ms();
    }
  }
  state.log.take_over();
}

}  // namespace

int main(int, char** argv) {
  State state;
  state.options = parse(argv);
  sigset_t signals, original_mask;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, &original_mask);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
  if (signal_fd < 0) {
    print_error("cannot wait for", "signals", errno);
    return 1;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);  // inherited over exec; a child's daemons are not ours to keep

  const int pid_fd = state.options.pid_file ? lock_pid_file(state.options.pid_file) : -1;
  if (state.options.new_netns) state.original_netns = enter_new_namespace();
  if (state.options.timed && !state.wake.open()) {
    print_error("cannot make a", "timer", errno);
    return 1;
  }
  if (state.options.log_file) {
    if (!state.log.open(state.options.log_file, state.options.log_max_bytes)) {
      print_error("cannot open", state.options.log_file, errno);
      return 1;
    }
  }
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) dup2(nothing, 0), close(nothing);
  if (pid_fd >= 0) write_pid(pid_fd, state.options.pid_file);

  supervise(state, signal_fd, original_mask);

  state.phase = "stopped";
  write_status(state);
  if (pid_fd >= 0) unlink(state.options.pid_file);
  return 0;
}
