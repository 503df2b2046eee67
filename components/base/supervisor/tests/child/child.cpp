// What the supervisor supervises in its tests. Prints one line of facts about itself, then does what it was
// told: `exit N`, `crash`, `wait` (until TERM, then prints "term", makes the file that is named next, and exits 3; prints
// "hup" on HUP), `slow` (as wait, but takes 200 ms to end), `lines N` (prints "line 1" to "line N" of 100 bytes each, then as
// wait), `again SECONDS CODE` (asks to be started again so many seconds from now, and exits with CODE).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  sigset_t set;
  sigprocmask(SIG_BLOCK, nullptr, &set);
  const bool is_term_blocked = sigismember(&set, SIGTERM);
  char netns[64] = {};
  [[maybe_unused]] auto n = readlink("/proc/self/ns/net", netns, sizeof netns - 1);
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  const char* node = getenv("RUSTERNETES_NODE_NETNS");
  char stdin_target[64] = {};
  n = readlink("/proc/self/fd/0", stdin_target, sizeof stdin_target - 1);
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGHUP}) sigaddset(&set, s);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  printf("child %d netns=%s node=%s term_blocked=%d death=%d stdin=%s\n", getpid(), netns, node ? node : "-",
         is_term_blocked, death_signal, stdin_target);
  fflush(stdout);
  if (!strcmp(argv[1], "exit")) return atoi(argv[2]);
  if (!strcmp(argv[1], "again")) {
    const char* wake = getenv("RUSTERNETES_WAKE");
    FILE* out = wake ? fopen(wake, "a") : nullptr;
    if (!out) return 65;
    fprintf(out, "77777777777\nnever\n%ld\n", time(nullptr) + atol(argv[2]));
    fclose(out);
    return atoi(argv[3]);
  }
  if (!strcmp(argv[1], "crash")) {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
  }
  if (!strcmp(argv[1], "lines"))
    for (int i = 1; i <= atoi(argv[2]); ++i) printf("line %-94d\n", i);
  fflush(stdout);
  for (;;) {
    const int s = sigwaitinfo(&set, nullptr);
    if (s == SIGHUP) fprintf(stderr, "hup\n");
    if (s == SIGTERM) {
      if (!strcmp(argv[1], "slow")) usleep(200'000);
      if (argc > 2) close(open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
      fprintf(stderr, "term\n");
      return 3;
    }
  }
}
