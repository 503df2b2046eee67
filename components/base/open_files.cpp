#include "base/open_files.h"

#include <pthread.h>
#include <sys/resource.h>

#include <mutex>

namespace rusternetes {

namespace {
rlimit before{};
// In a child, between fork and exec: setrlimit is a plain system call. The hard limit may have been lowered
// meanwhile.
void restore() {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return;
  now.rlim_cur = before.rlim_cur < now.rlim_max ? before.rlim_cur : now.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &now);
}
}  // namespace

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  static std::once_flag once;
  std::call_once(once, [&] {
    before = limit;
    ::pthread_atfork(nullptr, nullptr, restore);
  });
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace rusternetes
