#pragma once
// The allocator keeps what bursts freed; a server that has become calm gives it back to the system.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace rusternetes {

// When memory that the allocator keeps is worth giving back: when the process, whatever of it was busy
// (requests, execs, streams), has been calm since the last look, and keeps more than it could not give back
// the last time.
class TrimPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Look {
    Time now;
    std::chrono::nanoseconds cpu_time;  // of the whole process
    std::uint64_t resident_bytes, used_bytes;  // of the latter: what was allocated and not freed
  };
  explicit TrimPlan(std::chrono::milliseconds least_distance) : least_distance_(least_distance) {}
  bool is_due(const Look& look);
  // What a look finds when it is done.
  void note_trimmed(const Look& look);
  // Of this process. Blocking, for a few milliseconds if very much is free.
  static Look look();

 private:
  std::chrono::milliseconds least_distance_;
  std::optional<Look> last_;
  std::optional<Time> trimmed_at_;
  std::uint64_t kept_bytes_ = 0;  // when it was trimmed: code, stacks, and what is in between
};

struct MemoryTrimOptions {
  // How often is looked whether there is memory to give back.
  std::chrono::milliseconds interval{20'000};
  // The least time between two times that some is.
  std::chrono::milliseconds least_distance{60'000};
};

// Does so for the whole process, on a thread of its own since it takes a while, as long as it lives. What a
// server writes or answers says nothing of when it is calm: leases are renewed for ever, and lists write
// nothing.
class MemoryTrim {
 public:
  // `component` is who tells of it in the log.
  MemoryTrim(std::string component, MemoryTrimOptions options);
  ~MemoryTrim();
  MemoryTrim(const MemoryTrim&) = delete;
  MemoryTrim& operator=(const MemoryTrim&) = delete;

 private:
  void loop();

  std::string component_;
  MemoryTrimOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace rusternetes
