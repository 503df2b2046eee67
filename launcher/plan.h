#pragma once
// Plans: steps that are journaled before they act, undone when one fails, and finished or undone by the next
// command when the process was killed (invariant 11).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/environment.h"
#include "launcher/progress.h"
#include "state/state.h"

namespace rusternetes::launcher {

// One change of the host. apply() and undo() look first and may be called again after either was cut off
// anywhere.
class Step {
 public:
  virtual ~Step() = default;
  virtual std::string id() const = 0;        // "link-node"; stands in the journal
  virtual std::string describe() const = 0;  // "Connect the node to the host (10.213.0.1 - 10.213.0.2)"
  virtual Result<> apply() = 0;
  virtual Result<> undo() { return {}; }
};

struct Plan {
  std::string kind;  // "create", "start", "stop", "delete"
  std::string cluster;
  std::vector<std::unique_ptr<Step>> steps;
  // Steps before this position can be undone; once the step at it has begun, the plan only goes forward. 0:
  // from the start; steps.size(): never.
  int point_of_no_return = 0;
  // Where finishing an interrupted plan begins again, if that is before the step it was at: what stands on a
  // process may be gone after a reboot. -1: at the step itself.
  int resume_position = -1;
};

class PlanRunner {
 public:
  PlanRunner(Environment& environment, state::State& state, Progress& progress)
      : environment_(environment), state_(state), progress_(progress) {}

  // Journals the plan and runs it. `arguments` is what a later process needs to build the same plan. When a
  // step fails before the point of no return, what was done is undone; after it the plan stays unfinished for
  // the next command. The error is the step's own. Interrupted when the user asked to stop. Plans in
  // `superseded` are closed once this one is journaled: a delete makes them unnecessary.
  Result<> run(Plan& plan, const std::string& arguments,
               const std::vector<state::PlanRecord>& superseded = {});

  // Finishes or undoes a plan that another process left. Returns what was done, one sentence.
  Result<std::string> recover(const state::PlanRecord& record, Plan& plan);

  // Closes a plan that an unfinished `delete` makes unnecessary.
  Result<> supersede(const state::PlanRecord& record);

 private:
  // `must_finish`: nothing is undone, whatever fails.
  Result<> forward(Plan& plan, std::int64_t id, int from, bool must_finish);
  Result<> backward(Plan& plan, std::int64_t id, int from);
  Result<> write(std::string_view what, const std::function<Result<>()>& work);
  std::int64_t now_ms() const;

  Environment& environment_;
  state::State& state_;
  Progress& progress_;
};

}  // namespace rusternetes::launcher
