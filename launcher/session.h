#pragma once
// How a command works with the home: its lock, its state, and the plans that an earlier command left behind.

#include <memory>
#include <optional>
#include <string>

#include "launcher/command.h"
#include "launcher/plan.h"
#include "launcher/plans.h"
#include "launcher/progress.h"
#include "state/lock.h"
#include "state/state.h"

namespace rusternetes::launcher {

class Session {
 public:
  enum class Access { look, read, change, snapshot };
  // change: makes the home, waits for its lock, and finishes or undoes what a killed command left, telling
  // the user which. read: the same if there is a state and no other command holds the lock, else like look.
  // look: touches nothing. snapshot: like change, but what was interrupted stays unless it is a snapshot, since
  // finishing it may end the very process that takes one by itself. `deleted` is a cluster whose interrupted plans are not worth undoing, since it is
  // about to be deleted.
  static Result<std::unique_ptr<Session>> open(Invocation& invocation, Access access,
                                               const std::string& deleted = {});
  ~Session();

  // Null when the home has no state and the access is not `change`: there are no clusters.
  state::State* state() { return state_.get(); }
  Progress& progress() { return progress_; }
  Environment& environment() { return invocation_.environment; }
  const Home& home() const { return invocation_.home; }

  Result<std::vector<ClusterSettings>> clusters();
  // Nothing for one that is not there.
  Result<std::optional<ClusterSettings>> find(const std::string& name);
  // ClusterNotFound with the nearest name.
  Result<ClusterSettings> cluster(const std::string& name);
  Result<std::string> phase(const std::string& name);
  // True when an interrupted plan of this cluster was undone by this command, so that it is gone.
  bool was_undone(const std::string& name) const { return undone_ == name; }

  Context context(ClusterSettings settings) {
    return make_context(environment(), state_.get(), home(), std::move(settings), &progress_);
  }
  Result<> run(Plan plan, const ClusterSettings& settings);
  // `arguments`: what plan_from_record() makes the same plan of.
  Result<> run(Plan plan, const std::string& arguments);
  // RecoveryFailed when an interrupted plan of the cluster could be neither finished nor undone.
  Result<> check_recovered(const std::string& name) const;

 private:
  explicit Session(Invocation& invocation);
  Result<> recover(Access access, const std::string& deleted);
  void remove_empty_home();

  Invocation& invocation_;
  Progress progress_;
  std::optional<state::HomeLock> lock_;
  std::unique_ptr<state::State> state_;
  std::map<std::string, std::string> stuck_;  // cluster -> why
  std::string undone_;
  std::vector<state::PlanRecord> superseded_;  // by the delete that this command is about to run
};

}  // namespace rusternetes::launcher
