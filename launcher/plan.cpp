#include "launcher/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "launcher/failure.h"

namespace rusternetes::launcher {

std::int64_t PlanRunner::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(environment_.clock.now().time_since_epoch())
      .count();
}

Result<> PlanRunner::write(std::string_view what, const std::function<Result<>()>& work) {
  environment_.hooks.point(fmt::format("before journal {}", what));
  RN_CHECK(work());
  environment_.hooks.point(fmt::format("after journal {}", what));
  return {};
}

Result<> PlanRunner::run(Plan& plan, const std::string& arguments,
                         const std::vector<state::PlanRecord>& superseded) {
  std::int64_t id = 0;
  RN_CHECK(write("begin", [&]() -> Result<> {
    RN_TRY(id, state_.journal().begin(plan.cluster, plan.kind, arguments, now_ms()));
    return {};
  }));
  for (const state::PlanRecord& record : superseded) RN_CHECK(supersede(record));
  return forward(plan, id, 0, false);
}

Result<> PlanRunner::forward(Plan& plan, std::int64_t id, int from, bool must_finish) {
  const int count = static_cast<int>(plan.steps.size());
  for (int at = from; at < count; ++at) {
    Step& step = *plan.steps[static_cast<std::size_t>(at)];
    const bool can_undo = !must_finish && at < plan.point_of_no_return;
    Result<> result;
    if (can_undo && environment_.is_interrupted()) {
      result = failure("Interrupted", "interrupted; what was begun is undone");
      if (at == 0) {
        RN_CHECK(write("finish",
                       [&] { return state_.journal().finish(id, state::PlanOutcome::undone, now_ms()); }));
        return result;
      }
      --at;  // the last one that was begun
    } else {
      progress_.begin(step.describe());
      RN_CHECK(write("applying " + step.id(),
                     [&] { return state_.journal().applying(id, at, step.id(), now_ms()); }));
      result = step.apply();
      result ? progress_.done() : progress_.failed();
    }
    if (result) continue;
    if (!can_undo) return result;
    if (auto undone = backward(plan, id, at); !undone)
      progress_.note(fmt::format("undoing failed: {}; the next command tries again", undone.error().message));
    return result;
  }
  return write("finish", [&] { return state_.journal().finish(id, state::PlanOutcome::done, now_ms()); });
}

Result<> PlanRunner::backward(Plan& plan, std::int64_t id, int from) {
  for (int at = from; at >= 0; --at) {
    Step& step = *plan.steps[static_cast<std::size_t>(at)];
    progress_.begin("Undo: " + step.describe());
    RN_CHECK(
        write("undoing " + step.id(), [&] { return state_.journal().undoing(id, at, step.id(), now_ms()); }));
    const Result<> result = step.undo();
    result ? progress_.done() : progress_.failed();
    if (!result) return result;
  }
  return write("finish", [&] { return state_.journal().finish(id, state::PlanOutcome::undone, now_ms()); });
}

Result<std::string> PlanRunner::recover(const state::PlanRecord& record, Plan& plan) {
  RN_TRY(const std::vector<state::StepRecord> steps, state_.journal().steps(record.id));
  const int count = static_cast<int>(plan.steps.size());
  // The step that was under way: the lowest that is being undone, or the highest that was begun.
  int at = -1;
  bool is_undoing = false;
  for (const state::StepRecord& step : steps) {
    if (step.position >= count || plan.steps[static_cast<std::size_t>(step.position)]->id() != step.step)
      return failure("RecoveryFailed", fmt::format("an interrupted {} of \"{}\" has the unknown step \"{}\"",
                                                   record.kind, record.cluster, step.step));
    if (step.phase == state::StepPhase::undoing) {
      at = step.position;
      is_undoing = true;
      break;
    }
    if (step.phase != state::StepPhase::undone) at = step.position;
  }
  const std::string where = at < 0 ? "before its first step"
                                   : fmt::format("at \"{}\"", plan.steps[static_cast<std::size_t>(at)]->id());
  const bool goes_forward = !is_undoing && std::max(at, 0) >= plan.point_of_no_return;
  progress_.note(fmt::format("The {} of \"{}\" was interrupted {}; {} it.", record.kind, record.cluster,
                             where, goes_forward ? "finishing" : "undoing"));
  int from = std::max(at, 0);
  if (plan.resume_position >= 0) from = std::min(from, plan.resume_position);
  const Result<> result = goes_forward ? forward(plan, record.id, from, true) : backward(plan, record.id, at);
  if (!result)
    return failure("RecoveryFailed",
                   fmt::format("the interrupted {} of \"{}\" could not be {}: {}", record.kind,
                               record.cluster, goes_forward ? "finished" : "undone", result.error().message));
  return fmt::format("The {} of \"{}\" is {}.", record.kind, record.cluster,
                     goes_forward ? "finished" : "undone");
}

Result<> PlanRunner::supersede(const state::PlanRecord& record) {
  return write("supersede",
               [&] { return state_.journal().finish(record.id, state::PlanOutcome::superseded, now_ms()); });
}

}  // namespace rusternetes::launcher
