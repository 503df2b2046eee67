#pragma once
// A schedule as people see it.

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>

#include "launcher/schedule/schedule.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

struct ScheduleLook {
  SnapshotSchedule schedule;
  bool is_kept = false;       // its process waits, or
  bool is_under_way = false;  // takes one now
  std::string last_id;        // of the newest one that is kept; empty: none
  std::optional<SystemTime> last_at;
  std::optional<SystemTime> next_at;  // none: nobody takes it
  ScheduleMemory memory;
  std::string log_file;
};

// Nothing without a schedule.
Result<std::optional<ScheduleLook>> look_at_schedule(const StepContext& context);

// "every 6h, the newest 7 are kept, encrypted"
std::string schedule_text(const SnapshotSchedule& schedule);
// "last 2026-11-22T06:00:00Z (20261122-060000-scheduled), next 2026-11-22T12:00:00Z"
std::string times_text(const ScheduleLook& look);
// Why the last try failed; empty if it did not.
std::string failure_text(const ScheduleLook& look);
// Null without a schedule.
boost::json::value json_of(const std::optional<ScheduleLook>& look);

}  // namespace rusternetes::launcher
