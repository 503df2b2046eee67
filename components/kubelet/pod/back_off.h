#pragma once
// Delays that double while something keeps failing (client-go's flowcontrol.Backoff): for crashing containers and for image
// pulls, 10 s to 300 s, forgotten after twice the longest without a failure.

#include <chrono>
#include <map>
#include <string>

#include "base/clock.h"

namespace rusternetes::kubelet {

class BackOff {
 public:
  BackOff(std::chrono::seconds initial, std::chrono::seconds longest) : initial_(initial), longest_(longest) {}

  // The delay that stands for the key; zero when there is none.
  std::chrono::seconds delay(const std::string& key) const;
  // The end of the wait that began with `failed_at`, if it is after `now`.
  bool is_waiting(const std::string& key, SystemTime failed_at, SystemTime now) const;
  SystemTime wait_end(const std::string& key, SystemTime failed_at) const { return failed_at + delay(key); }
  // The same, counted from the last next().
  bool is_waiting_since_update(const std::string& key, SystemTime now) const;
  SystemTime update_wait_end(const std::string& key) const;
  // One more failure, which ended at `at`.
  void next(const std::string& key, SystemTime at);
  void forget(const std::string& key) { entries_.erase(key); }
  void collect(SystemTime now);

 private:
  struct Entry {
    std::chrono::seconds delay;
    SystemTime updated;
  };
  bool has_expired(const Entry& entry, SystemTime at) const { return at - entry.updated > 2 * longest_; }
  std::chrono::seconds initial_, longest_;
  std::map<std::string, Entry> entries_;
};

}  // namespace rusternetes::kubelet
