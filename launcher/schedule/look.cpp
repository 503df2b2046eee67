#include "launcher/schedule/look.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>

#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/schedule/memory.h"
#include "launcher/snapshots.h"

namespace rusternetes::launcher {

Result<std::optional<ScheduleLook>> look_at_schedule(const StepContext& context) {
  if (!context.settings.snapshot_schedule) return std::optional<ScheduleLook>();
  ScheduleLook look{.schedule = *context.settings.snapshot_schedule,
                    .is_kept = false,
                    .is_under_way = false,
                    .last_id = {},
                    .last_at = {},
                    .next_at = {},
                    .memory = {},
                    .log_file = context.paths.schedule_log().string()};
  RN_TRY(const ProcessStatus process, context.environment.process.status(schedule_spec(context)));
  look.is_kept = process.is_running;
  look.is_under_way = process.child_pid > 0;
  const auto known = known_snapshots(context.home, context.settings.name);
  std::vector<SystemTime> taken;
  for (const KnownSnapshot& one : known ? *known : std::vector<KnownSnapshot>()) {
    const auto time = scheduled_time(one.id);
    if (!time) continue;
    taken.push_back(*time);
    if (look.last_at && *look.last_at > *time) continue;
    look.last_at = time;
    look.last_id = one.id;
  }
  look.memory = read_memory(context.paths);
  if (!look.is_under_way) look.memory = settled(std::move(look.memory), taken);
  if (!known) {  // the cluster may be well for all that
    look.memory.failure_id = error_kind(known.error().reason).id;
    look.memory.failure = known.error().message;
  }
  if (look.is_kept)
    look.next_at = next_due(look.schedule, look.memory, taken, context.environment.clock.now());
  return std::optional(std::move(look));
}

std::string schedule_text(const SnapshotSchedule& schedule) {
  return fmt::format("every {}, the newest {} {} kept{}", interval_text(schedule.every), schedule.keep,
                     schedule.keep == 1 ? "is" : "are",
                     schedule.passphrase_file.empty() ? "" : ", encrypted");
}

std::string times_text(const ScheduleLook& look) {
  return fmt::format(
      "last {}, next {}",
      look.last_at ? fmt::format("{} ({})", date_text(*look.last_at), look.last_id) : "none yet",
      look.is_under_way ? "under way"
      : look.next_at    ? date_text(*look.next_at)
                        : "none while it does not run");
}

std::string failure_text(const ScheduleLook& look) {
  if (look.memory.failure.empty()) return {};
  return fmt::format("{} ({}{}) [{}]", look.memory.failure, date_text(look.memory.tried_at),
                     look.memory.failures > 1 ? fmt::format(", {} times in a row", look.memory.failures) : "",
                     look.memory.failure_id);
}

boost::json::value json_of(const std::optional<ScheduleLook>& look) {
  if (!look) return nullptr;
  const auto time = [](const std::optional<SystemTime>& at) -> boost::json::value {
    return at ? boost::json::value(date_text(*at)) : boost::json::value(nullptr);
  };
  boost::json::object out{{"every", interval_text(look->schedule.every)},
                          {"everySeconds", look->schedule.every.count()},
                          {"keep", look->schedule.keep},
                          {"encrypted", !look->schedule.passphrase_file.empty()},
                          {"passphraseFile", look->schedule.passphrase_file},
                          {"running", look->is_kept},
                          {"underWay", look->is_under_way},
                          {"lastId", look->last_id},
                          {"lastAt", time(look->last_at)},
                          {"nextAt", time(look->next_at)},
                          {"failures", look->memory.failures}};
  if (look->memory.failure.empty())
    out["failure"] = nullptr;
  else
    out["failure"] = boost::json::object{{"id", look->memory.failure_id},
                                         {"message", look->memory.failure},
                                         {"at", date_text(look->memory.tried_at)}};
  return out;
}

}  // namespace rusternetes::launcher
