#pragma once
// When the next snapshot of a schedule is due.

#include <chrono>
#include <string>
#include <vector>

#include "base/clock.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {

// What the snapshots themselves do not say.
struct ScheduleMemory {
  SystemTime tried_at;  // the epoch: never
  bool is_under_way = false;
  int failures = 0;        // in a row
  std::string failure_id;  // of the last try; empty: it went well, or was skipped
  std::string failure;
  bool operator==(const ScheduleMemory&) const = default;
};

// `taken`: when each scheduled snapshot that is kept was begun. An interval after the newest one or the last
// try, and sooner after a failure; at once where there is neither, and where the host's clock, which was put
// back, shows them further ahead than the next one could be.
SystemTime next_due(const SnapshotSchedule& schedule, const ScheduleMemory& memory,
                    const std::vector<SystemTime>& taken, SystemTime now);

// How long is waited after so many failures in a row: a minute, twice as long each time, an interval at most.
std::chrono::seconds retry_delay(const SnapshotSchedule& schedule, int failures);

// A try of which nobody wrote the end: it failed, unless its snapshot is there.
ScheduleMemory settled(ScheduleMemory memory, const std::vector<SystemTime>& taken);

// "6h", "1h30m", "2s": what --every takes.
std::string interval_text(std::chrono::seconds interval);
// The shortest interval: ids of snapshots tell seconds apart.
inline constexpr std::chrono::seconds least_interval{1};
inline constexpr int usual_keep = 7;

}  // namespace rusternetes::launcher
