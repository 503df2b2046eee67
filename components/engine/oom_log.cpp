#include "engine/oom_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace rusternetes::engine {

constexpr std::size_t kRemembered = 4096;
constexpr std::size_t kIdLength = 64;

OomLog::~OomLog() {
  if (fd_ >= 0) ::close(fd_);
}

void OomLog::add_record(std::string_view record) {
  if (record.find("oom-kill:") == std::string_view::npos) return;
  auto at = record.find("task_memcg=");
  if (at == std::string_view::npos) return;
  auto path = record.substr(at + 11);
  path = path.substr(0, path.find(','));
  // The process may be in a cgroup of its own below the container's, so every part of the path counts.
  while (!path.empty()) {
    auto slash = path.rfind('/');
    auto part = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
    if (part.ends_with(".scope")) part.remove_suffix(6);
    if (part.size() < kIdLength) continue;
    auto id = part.substr(part.size() - kIdLength);
    bool is_id = std::all_of(id.begin(), id.end(),
                             [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (!is_id || !killed_.insert(std::string(id)).second) continue;
    order_.emplace_back(id);
    if (order_.size() > kRemembered) {
      killed_.erase(order_.front());
      order_.pop_front();
    }
  }
}

void OomLog::drain() {
  if (is_unreadable_) return;
  if (fd_ < 0) {
    // Opened at the ring's beginning: what happened while the kubelet was down is in it too.
    fd_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0) {
      is_unreadable_ = true;
      log::warn("runtime", "{} cannot be read: containers killed for memory are reported as Error", path_);
      return;
    }
  }
  char record[8192];
  for (;;) {
    auto size = ::read(fd_, record, sizeof(record));  // one record a read
    if (size > 0)
      add_record({record, static_cast<std::size_t>(size)});
    else if (size < 0 && (errno == EPIPE || errno == EINTR || errno == EINVAL))
      continue;  // EPIPE: records were overwritten, reading goes on at the oldest left
    else
      return;
  }
}

bool OomLog::was_killed(const std::string& container_id) {
  drain();
  return killed_.contains(container_id);
}

}  // namespace rusternetes::engine
