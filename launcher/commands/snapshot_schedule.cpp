// snapshot schedule: snapshots that are taken by themselves, the oldest of which go.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/duration.h"
#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/schedule/look.h"
#include "launcher/schedule/run_due.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

Result<std::chrono::seconds> interval_flag(const Invocation& invocation) {
  const std::string text = invocation.text("--every");
  auto parsed = parse_duration(text);
  if (!parsed) return failure("BadRequest", "--every " + parsed.error().message);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
  if (seconds < least_interval || seconds != *parsed)
    return failure(
        "BadRequest",
        fmt::format("--every \"{}\" is not a number of whole seconds from 1 on, such as 6h", text));
  return seconds;
}

// What is not given stays as it is.
Result<SnapshotSchedule> wanted_schedule(const Invocation& invocation, const ClusterSettings& settings) {
  SnapshotSchedule out = settings.snapshot_schedule.value_or(
      SnapshotSchedule{.every = {}, .keep = usual_keep, .passphrase_file = {}});
  if (invocation.has("--every")) {
    RN_TRY(out.every, interval_flag(invocation));
  } else if (out.every.count() == 0) {
    return failure("Usage", fmt::format("cluster \"{}\" has no schedule yet: --every DURATION makes one",
                                        settings.name));
  }
  if (invocation.has("--keep")) {
    RN_TRY(out.keep, keep_flag(invocation));
  }
  if (const std::string path = invocation.text("--passphrase-file"); !path.empty()) {
    RN_TRY([[maybe_unused]] const std::string passphrase, read_passphrase(path));
    std::error_code error;
    out.passphrase_file = std::filesystem::absolute(path, error).lexically_normal().string();
  }
  return out;
}

void print_schedule(const Invocation& invocation, const std::string& name,
                    const std::optional<ScheduleLook>& look) {
  std::string text;
  if (!look) {
    text = fmt::format(
        "No snapshots of \"{0}\" are taken by themselves. `rusternetes-ctl snapshot schedule {0} --every 6h` "
        "has it done.\n",
        name);
  } else {
    const auto line = [&](std::string_view key, const std::string& value) {
      text += fmt::format("{:<12} {}\n", key, value);
    };
    line("schedule", schedule_text(look->schedule));
    line("last",
         look->last_at ? fmt::format("{} ({})", date_text(*look->last_at), look->last_id) : "none yet");
    line("next", look->is_under_way ? "under way"
                 : look->next_at    ? date_text(*look->next_at)
                                    : "none while the cluster does not run");
    if (const std::string why = failure_text(*look); !why.empty()) line("failed", why);
  }
  invocation.print(text,
                   json::serialize(json::object{{"cluster", name}, {"schedule", json_of(look)}}) + "\n");
}

Result<> show(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(const auto look, look_at_schedule(*session->context(settings)));
  print_schedule(invocation, settings.name, look);
  return {};
}

Result<> change(Invocation& invocation) {
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  ClusterSettings wanted = settings;
  if (invocation.has("--off")) {
    wanted.snapshot_schedule.reset();
  } else {
    RN_TRY(wanted.snapshot_schedule, wanted_schedule(invocation, settings));
  }
  const auto task = std::make_shared<ChangeTask>();
  task->previous = settings;
  const Context context = opened.session->context(wanted);
  if (opened.is_dry) {
    print_plan(invocation, schedule_plan(context, task), wanted);
    return {};
  }
  RN_CHECK(opened.session->run(schedule_plan(context, task), change_arguments(wanted, *task)));
  RN_TRY(const auto look, look_at_schedule(*context));
  print_schedule(invocation, wanted.name, look);
  return {};
}

Result<> run_schedule(Invocation& invocation) {
  const bool is_changed =
      invocation.has("--every") || invocation.has("--keep") || invocation.has("--passphrase-file");
  if (invocation.has("--off") && is_changed) return failure("Usage", "snapshot schedule takes --off alone");
  if (invocation.has("--run-due")) {
    if (is_changed || invocation.has("--off"))
      return failure("Usage", "snapshot schedule takes --run-due alone");
    return run_due(invocation);
  }
  return is_changed || invocation.has("--off") ? change(invocation) : show(invocation);
}

}  // namespace

Command snapshot_schedule_command() {
  return {
      .word = "snapshot",
      .subword = "schedule",
      .summary =
          "Have snapshots taken by themselves and the oldest of these removed; without flags, show it.",
      .examples =
          "rusternetes-ctl snapshot schedule dev --every 6h --keep 7\n"
          "rusternetes-ctl snapshot schedule dev --every 24h --passphrase-file /root/passphrase\n"
          "rusternetes-ctl snapshot schedule dev\n"
          "rusternetes-ctl snapshot schedule dev --off",
      .flags = {{"--every", "DURATION", "how long after the last one the next one is taken, such as 6h"},
                {"--keep", "N", "how many of those that it took stay (7); others are not counted, and stay"},
                {"--passphrase-file", "FILE", "its first line, read each time, encrypts them"},
                {"--off", "", "take no more; those that are there stay"},
                {"--run-due", "", "take one if it is due: what the schedule's own process runs"},
                {"--dry-run", "", "print the steps and change nothing"},
                {"--yes", "", "answer what asks", false, 'y'}},
      .run = run_schedule};
}

}  // namespace rusternetes::launcher
