#include "launcher/schedule/schedule.h"

#include <fmt/format.h>

#include <algorithm>

namespace rusternetes::launcher {
namespace {

constexpr std::chrono::seconds first_retry{60};
constexpr int most_doublings = 20;

}  // namespace

std::chrono::seconds retry_delay(const SnapshotSchedule& schedule, int failures) {
  const int doublings = std::clamp(failures - 1, 0, most_doublings);
  return std::min(schedule.every, first_retry * (1 << doublings));
}

SystemTime next_due(const SnapshotSchedule& schedule, const ScheduleMemory& memory,
                    const std::vector<SystemTime>& taken, SystemTime now) {
  const SystemTime never;
  const SystemTime limit = now + schedule.every;
  SystemTime newest = never;
  for (const SystemTime one : taken)
    if (one <= limit) newest = std::max(newest, one);
  const SystemTime tried = memory.tried_at <= limit ? memory.tried_at : never;
  if (tried != never && memory.failures > 0 && tried >= newest)
    return tried + retry_delay(schedule, memory.failures);
  newest = std::max(newest, tried);
  return newest == never ? now : newest + schedule.every;
}

ScheduleMemory settled(ScheduleMemory memory, const std::vector<SystemTime>& taken) {
  if (!memory.is_under_way) return memory;
  memory.is_under_way = false;
  const auto began = std::chrono::floor<std::chrono::seconds>(memory.tried_at);
  if (std::any_of(taken.begin(), taken.end(), [&](SystemTime one) { return one >= began; })) {
    memory.failures = 0;
    memory.failure_id.clear();
    memory.failure.clear();
  } else {
    ++memory.failures;
    memory.failure_id = "Interrupted";
    memory.failure = "what took it was ended";
  }
  return memory;
}

std::string interval_text(std::chrono::seconds interval) {
  const auto seconds = interval.count();
  std::string out;
  const auto add = [&](std::int64_t count, char unit) {
    if (count > 0) out += fmt::format("{}{}", count, unit);
  };
  add(seconds / 3600, 'h');
  add(seconds % 3600 / 60, 'm');
  add(seconds % 60, 's');
  return out.empty() ? "0s" : out;
}

}  // namespace rusternetes::launcher
