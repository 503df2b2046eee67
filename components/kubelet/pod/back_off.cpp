#include "kubelet/pod/back_off.h"

#include <algorithm>

namespace rusternetes::kubelet {

std::chrono::seconds BackOff::delay(const std::string& key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? std::chrono::seconds(0) : it->second.delay;
}

bool BackOff::is_waiting(const std::string& key, SystemTime failed_at, SystemTime now) const {
  auto it = entries_.find(key);
  if (it == entries_.end() || has_expired(it->second, failed_at)) return false;
  return now < failed_at + it->second.delay;
}

bool BackOff::is_waiting_since_update(const std::string& key, SystemTime now) const {
  auto it = entries_.find(key);
  if (it == entries_.end() || has_expired(it->second, now)) return false;
  return now < it->second.updated + it->second.delay;
}

SystemTime BackOff::update_wait_end(const std::string& key) const {
  auto it = entries_.find(key);
  return it == entries_.end() ? SystemTime{} : it->second.updated + it->second.delay;
}

void BackOff::next(const std::string& key, SystemTime at) {
  auto it = entries_.find(key);
  if (it == entries_.end() || has_expired(it->second, at))
    entries_[key] = Entry{initial_, at};
  else
    it->second = Entry{std::min(it->second.delay * 2, longest_), at};
}

void BackOff::collect(SystemTime now) {
  std::erase_if(entries_, [&](const auto& entry) { return has_expired(entry.second, now); });
}

}  // namespace rusternetes::kubelet
