#include "launcher/file_wait.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace rusternetes::launcher {

Result<bool> wait_for_folder(const std::filesystem::path& folder, std::chrono::milliseconds timeout,
                             const std::function<bool()>& is_met, int also) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) return errno_error("inotify", errno);
  struct Close {
    int fd;
    ~Close() { ::close(fd); }
  } close{fd};
  if (::inotify_add_watch(fd, folder.c_str(),
                          IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_MODIFY | IN_CLOSE_WRITE) <
      0)
    return errno_error("watch " + folder.string(), errno);
  for (;;) {
    if (is_met()) return true;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    if (left <= 0) return false;
    pollfd events_of[2] = {{fd, POLLIN, 0}, {also, POLLIN, 0}};  // a negative descriptor is passed over
    const int ready = ::poll(events_of, 2, static_cast<int>(std::min<long long>(left, 60'000)));
    if ((ready < 0 && errno == EINTR) || (ready > 0 && events_of[1].revents != 0)) return is_met();
    char events[4096];
    while (::read(fd, events, sizeof events) > 0) {
    }
  }
}

}  // namespace rusternetes::launcher
