#include "launcher/schedule/run_due.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>

#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/schedule/memory.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

// Where there is no schedule (any more), which is then about to be ended.
constexpr std::chrono::seconds idle_pause{60};

void tell_wake(const Environment& environment, SystemTime at) {
  const auto path = environment.variable("RUSTERNETES_WAKE");
  if (!path || path->empty()) return;  // run by hand
  std::ofstream(*path, std::ios::app)
      << std::chrono::ceil<std::chrono::seconds>(at.time_since_epoch()).count() << '\n';
}

void print(const Invocation& invocation, const std::string& text) {
  const std::string line = fmt::format("{} {}", date_text(invocation.environment.clock.now()), text);
  invocation.print(line + "\n", boost::json::serialize(boost::json::object{{"message", line}}) + "\n");
}

struct Outcome {
  std::string text;       // what was done
  std::string left_over;  // why older ones could not be removed
};

// ClusterStopped where there is nothing to be taken.
Result<Outcome> take(Invocation& invocation) {
  const Clock& clock = invocation.environment.clock;
  RN_TRY(auto session, Session::open(invocation, Session::Access::snapshot));
  // As it is now that no other command is under way.
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_CHECK(session->check_recovered(settings.name));
  RN_TRY(const std::string phase, session->phase(settings.name));
  if (!settings.snapshot_schedule || phase != "running")
    return failure("ClusterStopped", settings.snapshot_schedule ? fmt::format("the cluster is {}", phase)
                                                                : "the schedule has ended");
  const SnapshotSchedule& schedule = *settings.snapshot_schedule;
  SnapshotRequest request{.note = {}, .passphrase = {}, .is_scheduled = true};
  if (!schedule.passphrase_file.empty()) {
    RN_TRY(request.passphrase, read_passphrase(schedule.passphrase_file));
  }
  const SteadyTime began = clock.steady_now();
  RN_TRY(const TakenSnapshot taken, take_snapshot(*session, settings, request));
  const snapshot::Description& is = taken.overview.manifest->description;
  Outcome out;
  out.text = fmt::format("snapshot {}: {} objects at revision {}, {} ({:.1f} s)", is.id, is.object_count,
                         is.revision, size_text(taken.overview.file_size),
                         std::chrono::duration<double>(clock.steady_now() - began).count());
  auto removed = remove_oldest_snapshots(invocation.home, settings.name,
                                         static_cast<std::size_t>(schedule.keep), true, clock.now());
  if (!removed)
    out.left_over = removed.error().message;
  else if (!removed->empty())
    out.text += fmt::format("; removed {}", joined(*removed, ", "));
  return out;
}

Result<std::optional<ClusterSettings>> settings_now(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::look));
  return session->find(invocation.name);
}

// Takes one, and changes the memory by what came of it. Interrupted.
Result<> take_and_note(Invocation& invocation, const ClusterPaths& paths, ScheduleMemory& memory) {
  const ScheduleMemory before = memory;
  memory.tried_at = invocation.environment.clock.now();
  memory.is_under_way = true;
  (void)write_memory(paths, memory);  // a disk that is full: what follows says so
  auto outcome = take(invocation);
  if (!outcome && outcome.error().is("Interrupted")) {
    memory = before;  // its turn comes when the schedule runs again
    (void)write_memory(paths, memory);
    return std::move(outcome).error();
  }
  memory.is_under_way = false;
  memory.failure_id.clear();
  memory.failure.clear();
  if (outcome) {
    memory.failures = 0;
    if (!outcome->left_over.empty()) {
      memory.failure_id = "InternalError";
      memory.failure = "older ones could not be removed: " + outcome->left_over;
    }
    print(invocation, outcome->text + (memory.failure.empty() ? "" : "; " + memory.failure));
  } else if (outcome.error().is("ClusterStopped")) {
    print(invocation, "skipped: " + outcome.error().message);
  } else {
    ++memory.failures;
    memory.failure_id = error_kind(outcome.error().reason).id;
    memory.failure = outcome.error().message;
  }
  return {};
}

}  // namespace

Result<> run_due(Invocation& invocation) {
  const Clock& clock = invocation.environment.clock;
  const ClusterPaths paths = invocation.home.cluster(invocation.name);
  tell_wake(invocation.environment, clock.now() + idle_pause);  // until more is known
  RN_TRY(const auto settings, settings_now(invocation));
  if (!settings || !settings->snapshot_schedule)
    return failure("NotFound", fmt::format("cluster \"{}\" has no schedule of snapshots", invocation.name));
  const SnapshotSchedule& schedule = *settings->snapshot_schedule;
  RN_TRY(auto taken, scheduled_times(invocation.home, invocation.name));
  ScheduleMemory memory = settled(read_memory(paths), taken);
  SystemTime due = next_due(schedule, memory, taken, clock.now());
  if (due <= clock.now()) {
    // Whatever becomes of this process.
    tell_wake(invocation.environment, clock.now() + retry_delay(schedule, memory.failures + 1));
    RN_CHECK(take_and_note(invocation, paths, memory));
    (void)write_memory(paths, memory);
    RN_TRY(taken, scheduled_times(invocation.home, invocation.name));
    due = next_due(schedule, memory, taken, clock.now());
    if (memory.failures > 0 && !memory.failure_id.empty())
      print(invocation, fmt::format("failed [{}]: {}; tried again at {}", memory.failure_id, memory.failure,
                                    date_text(due)));
  }
  tell_wake(invocation.environment, due);
  return {};
}

}  // namespace rusternetes::launcher
