#pragma once
// The journal of plans: what a command is about to do, written before it does it, so that the next command
// can finish or roll back what a killed one left.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "state/sqlite.h"

namespace rusternetes::state {

struct PlanRecord {
  std::int64_t id = 0;
  std::string cluster;
  std::string kind;       // "create", "delete", "start", "stop"
  std::string arguments;  // JSON from which the launcher builds the same plan again
  std::int64_t started_at_ms = 0;
};

// A plan as people read it: finished ones, too.
struct PlanSummary {
  std::int64_t id = 0;
  std::string kind;
  std::string outcome;  // "done", "undone", "superseded"; empty: it is not finished
  std::int64_t started_at_ms = 0, ended_at_ms = 0;
};

enum class StepPhase { applying, applied, undoing, undone };
std::string_view to_string(StepPhase phase);

struct StepRecord {
  int position = 0;
  std::string step;
  StepPhase phase = StepPhase::applying;
  std::int64_t at_ms = 0;
};

// How a plan ended. A plan that has none of these is unfinished.
enum class PlanOutcome { done, undone, superseded };

class Journal {
 public:
  explicit Journal(Database& database) : database_(database) {}

  Result<std::int64_t> begin(std::string_view cluster, std::string_view kind, std::string_view arguments,
                             std::int64_t now_ms);
  // Intent: the step at `position` is about to be applied; every step before it is applied. One transaction.
  Result<> applying(std::int64_t plan, int position, std::string_view step, std::int64_t now_ms);
  // Intent: the step at `position` is about to be undone; every later step that was begun is undone.
  Result<> undoing(std::int64_t plan, int position, std::string_view step, std::int64_t now_ms);
  Result<> finish(std::int64_t plan, PlanOutcome outcome, std::int64_t now_ms);

  Result<std::vector<PlanRecord>> unfinished();  // oldest first
  Result<std::vector<PlanSummary>> last(std::string_view cluster, int count);  // newest first
  Result<std::vector<StepRecord>> steps(std::int64_t plan);

 private:
  Database& database_;
};

}  // namespace rusternetes::state
