// Steps for the snapshots that are taken by themselves: their process beside the cluster.
#include <fmt/format.h>

#include "launcher/schedule/schedule.h"
#include "launcher/steps/change.h"
#include "launcher/steps/steps.h"

namespace rusternetes::launcher {
namespace {

// What is under way is undone, by its process, between two steps.
constexpr std::chrono::seconds schedule_grace{20};

Result<> start(StepContext& context) {
  return context.call("schedule start",
                      [&] { return context.environment.process.start_timed(schedule_spec(context)); });
}

Result<> end(StepContext& context) {
  ProcessPort& port = context.environment.process;
  const ProcessSpec spec = schedule_spec(context);
  RN_CHECK(context.call("schedule stop", [&] { return port.stop(spec, schedule_grace); }));
  return context.call("schedule forget", [&] { return port.forget(spec); });
}

class StartSchedule final : public Step {
 public:
  explicit StartSchedule(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "start-schedule"; }
  std::string describe() const override {
    return fmt::format("Have a snapshot taken every {}",
                       interval_text(context_->settings.snapshot_schedule->every));
  }
  Result<> apply() override { return start(*context_); }
  Result<> undo() override { return end(*context_); }

 private:
  Context context_;
};

class EndSchedule final : public Step {
 public:
  explicit EndSchedule(Context context) : context_(std::move(context)) {}
  std::string id() const override { return "end-schedule"; }
  std::string describe() const override { return "End what takes snapshots by itself"; }
  Result<> apply() override { return end(*context_); }

 private:
  Context context_;
};

class ChangeSchedule final : public Step {
 public:
  ChangeSchedule(Context context, Change change) : context_(std::move(context)), change_(std::move(change)) {}
  std::string id() const override { return "change-schedule"; }
  std::string describe() const override {
    const auto& schedule = context_->settings.snapshot_schedule;
    return schedule ? fmt::format("Have a snapshot taken every {}, while the cluster runs",
                                  interval_text(schedule->every))
                    : "Have no snapshots taken any more";
  }
  Result<> apply() override { return bring_to(context_->settings); }
  Result<> undo() override { return bring_to(change_->previous); }

 private:
  Result<> bring_to(const ClusterSettings& settings) {
    StepContext context = *context_;
    context.settings = settings;
    RN_TRY(const auto known, context.state->find(settings.name));
    // It waits for a time that it chose by what was set before, so that it has to begin anew.
    RN_CHECK(end(context));
    if (settings.snapshot_schedule) return known && known->phase == "running" ? start(context) : Result<>();
    std::error_code ignored;
    for (const auto& file : {context.paths.schedule_memory(), schedule_spec(context).status_file})
      std::filesystem::remove(file, ignored);
    return {};
  }
  Context context_;
  Change change_;
};

}  // namespace

ProcessSpec schedule_spec(const StepContext& context) {
  const ClusterPaths& p = context.paths;
  return {.cluster = context.settings.name,
          .part = "snapshots",
          .home = context.home.root,
          .binary_dir = context.environment.binary_dir,
          .pid_file = p.run() / "snapshots.pid",
          .status_file = p.run() / "snapshots.json",
          .log_file = p.schedule_log(),
          .hold_file = {},
          .has_own_netns = false,
          .engine = {},
          .command = {(context.environment.binary_dir / "rusternetes-ctl").string(), "snapshot", "schedule",
                      context.settings.name, "--run-due", "--home", context.home.root.string()}};
}

StepPtr start_schedule(Context context) { return std::make_unique<StartSchedule>(std::move(context)); }
StepPtr end_schedule(Context context) { return std::make_unique<EndSchedule>(std::move(context)); }
StepPtr change_schedule(Context context, Change change) {
  return std::make_unique<ChangeSchedule>(std::move(context), std::move(change));
}

}  // namespace rusternetes::launcher
