#include "state/journal.h"

#include <array>

namespace rusternetes::state {
namespace {

constexpr std::array<std::string_view, 4> phase_names{"applying", "applied", "undoing", "undone"};
// Finished plans are kept for people who ask what happened; this many are enough.
constexpr int kept_plans = 100;

StepPhase phase_from(std::string_view text) {
  for (std::size_t i = 0; i < phase_names.size(); ++i)
    if (phase_names[i] == text) return static_cast<StepPhase>(i);
  return StepPhase::applying;
}

}  // namespace

std::string_view to_string(StepPhase phase) { return phase_names[static_cast<std::size_t>(phase)]; }

Result<std::int64_t> Journal::begin(std::string_view cluster, std::string_view kind,
                                    std::string_view arguments, std::int64_t now_ms) {
  RN_CHECK(database_.run("INSERT INTO plans(cluster,kind,arguments,started_at_ms) VALUES(?,?,?,?)",
                         {cluster, kind, arguments, now_ms}));
  return database_.last_id();
}

Result<> Journal::applying(std::int64_t plan, int position, std::string_view step, std::int64_t now_ms) {
  return database_.transaction([&]() -> Result<> {
    RN_CHECK(
        database_.run("UPDATE steps SET phase='applied' WHERE plan=? AND position<? AND phase='applying'",
                      {plan, position}));
    return database_.run(
        "INSERT OR REPLACE INTO steps(plan,position,step,phase,at_ms) VALUES(?,?,?,'applying',?)",
        {plan, position, step, now_ms});
  });
}

Result<> Journal::undoing(std::int64_t plan, int position, std::string_view step, std::int64_t now_ms) {
  return database_.transaction([&]() -> Result<> {
    RN_CHECK(database_.run("UPDATE steps SET phase='undone' WHERE plan=? AND position>?", {plan, position}));
    return database_.run(
        "INSERT OR REPLACE INTO steps(plan,position,step,phase,at_ms) VALUES(?,?,?,'undoing',?)",
        {plan, position, step, now_ms});
  });
}

Result<> Journal::finish(std::int64_t plan, PlanOutcome outcome, std::int64_t now_ms) {
  constexpr std::array<std::string_view, 3> names{"done", "undone", "superseded"};
  return database_.transaction([&]() -> Result<> {
    if (outcome == PlanOutcome::done)
      RN_CHECK(database_.run("UPDATE steps SET phase='applied' WHERE plan=?", {plan}));
    if (outcome == PlanOutcome::undone)
      RN_CHECK(database_.run("UPDATE steps SET phase='undone' WHERE plan=?", {plan}));
    RN_CHECK(database_.run("UPDATE plans SET outcome=?, ended_at_ms=? WHERE id=?",
                           {names[static_cast<std::size_t>(outcome)], now_ms, plan}));
    // Only of finished plans: an unfinished one is taken up at its last step, however old it is.
    RN_CHECK(database_.run(
        "DELETE FROM steps WHERE plan IN (SELECT id FROM plans WHERE id<=? AND outcome IS NOT NULL)",
        {plan - kept_plans}));
    return database_.run("DELETE FROM plans WHERE id<=? AND outcome IS NOT NULL", {plan - kept_plans});
  });
}

Result<std::vector<PlanSummary>> Journal::last(std::string_view cluster, int count) {
  std::vector<PlanSummary> out;
  RN_CHECK(database_.run(
      "SELECT id,kind,coalesce(outcome,''),started_at_ms,coalesce(ended_at_ms,0) FROM plans "
      "WHERE cluster=? ORDER BY id DESC LIMIT ?",
      {cluster, count}, [&](const Row& row) {
        out.push_back({row.integer(0), row.text(1), row.text(2), row.integer(3), row.integer(4)});
      }));
  return out;
}

Result<std::vector<PlanRecord>> Journal::unfinished() {
  std::vector<PlanRecord> out;
  RN_CHECK(database_.run(
      "SELECT id,cluster,kind,arguments,started_at_ms FROM plans WHERE outcome IS NULL ORDER BY id", {},
      [&](const Row& row) {
        out.push_back({row.integer(0), row.text(1), row.text(2), row.text(3), row.integer(4)});
      }));
  return out;
}

Result<std::vector<StepRecord>> Journal::steps(std::int64_t plan) {
  std::vector<StepRecord> out;
  RN_CHECK(database_.run("SELECT position,step,phase,at_ms FROM steps WHERE plan=? ORDER BY position", {plan},
                         [&](const Row& row) {
                           out.push_back({static_cast<int>(row.integer(0)), row.text(1),
                                          phase_from(row.text(2)), row.integer(3)});
                         }));
  return out;
}

}  // namespace rusternetes::state
