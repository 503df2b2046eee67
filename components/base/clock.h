#pragma once
// Time as a dependency: decisions get `now` from a Clock, tests turn a ManualClock.

#include <chrono>
#include <mutex>

namespace rusternetes {

using SystemTime = std::chrono::system_clock::time_point;
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual SystemTime now() const = 0;
  virtual SteadyTime steady_now() const = 0;
  // The host's clocks; lives as long as the process.
  static const Clock& system();
};

// A clock that moves only when told to. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(SystemTime start = SystemTime{std::chrono::seconds{1'700'000'000}}) : now_(start) {}
  SystemTime now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  SteadyTime steady_now() const override {
    std::lock_guard lock(mutex_);
    return steady_;
  }
  void advance(std::chrono::nanoseconds by) {
    std::lock_guard lock(mutex_);
    now_ += std::chrono::duration_cast<SystemTime::duration>(by);
    steady_ += std::chrono::duration_cast<SteadyTime::duration>(by);
  }

 private:
  mutable std::mutex mutex_;
  SystemTime now_;
  SteadyTime steady_{};
};

}  // namespace rusternetes
