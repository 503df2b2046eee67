#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr long least_pause_s = 1;
constexpr long greatest_time_s = 1L << 40;

}  // namespace

bool Wake::open() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  reading_ = ends[0];
  writing_ = ends[1];
  timer_ = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  return timer_ >= 0 && fcntl(reading_, F_SETFL, O_NONBLOCK) == 0;
}

int Wake::give() const { return dup(writing_); }

void Wake::clear() {
  char bytes[256];
  while (read(reading_, bytes, sizeof bytes) > 0) {
  }
}

long Wake::arm() {
  char bytes[256];
  long last = 0, number = 0;
  bool is_number = true;
  for (ssize_t got; (got = read(reading_, bytes, sizeof bytes)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      if (bytes[i] == '\n') {
        if (is_number && number > 0) last = number;
        number = 0;
        is_number = true;
      } else if (bytes[i] < '0' || bytes[i] > '9' || number > greatest_time_s) {
        is_number = false;
      } else {
        number = number * 10 + (bytes[i] - '0');
      }
    }
  }
  if (last == 0) return 0;
  const long least = time(nullptr) + least_pause_s;
  if (last < least) last = least;
  itimerspec at{};
  at.it_value.tv_sec = last;
  return timerfd_settime(timer_, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, nullptr) == 0 ? last : 0;
}

void Wake::take_over() {
  uint64_t times;
  (void)!read(timer_, &times, sizeof times);  // fails with ECANCELED where the clock was set
  const itimerspec never{};
  timerfd_settime(timer_, 0, &never, nullptr);
}
