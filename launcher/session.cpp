#include "launcher/session.h"

#include <fmt/format.h>

#include <set>

#include "base/nearest.h"
#include "certs/file.h"
#include "launcher/failure.h"
#include "launcher/ports/host_port.h"

namespace rusternetes::launcher {

namespace fs = std::filesystem;

Session::Session(Invocation& invocation)
    : invocation_(invocation),
      progress_(invocation.environment.err,
                invocation.environment.is_progress_terminal && !invocation.is_json,
                invocation.environment.clock) {}

Result<std::unique_ptr<Session>> Session::open(Invocation& invocation, Access access,
                                               const std::string& deleted) {
  std::unique_ptr<Session> session(new Session(invocation));
  const Home& home = invocation.home;
  std::error_code ignored;
  const bool is_changing = access == Access::change || access == Access::snapshot;
  if (is_changing) {
    RN_CHECK(certs::make_folder(home.root, 0700));
    RN_TRY(session->lock_, state::HomeLock::acquire(home.lock_file(), [&](const std::string& holder) {
             session->progress_.note(fmt::format("Waiting for another rusternetes-ctl ({}) ...",
                                                 holder.empty() ? "unknown" : holder));
           }));
  } else if (!fs::exists(home.state_file(), ignored)) {
    return session;
  } else if (access == Access::read && invocation.environment.host.is_root()) {
    RN_TRY(session->lock_, state::HomeLock::try_acquire(home.lock_file()));
  }
  RN_TRY(session->state_, state::State::open(home.state_file(), is_changing));
  if (session->lock_) RN_CHECK(session->recover(access, deleted));
  return session;
}

Session::~Session() { remove_empty_home(); }

// `delete` leaves nothing: without a cluster and without an open plan there is nothing to remember.
void Session::remove_empty_home() {
  if (!lock_ || !state_) return;
  const auto clusters = state_->clusters();
  const auto plans = state_->journal().unfinished();
  if (!clusters || !clusters->empty() || !plans || !plans->empty()) return;
  state_.reset();
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(home().state_file().string() + suffix, ignored);
  fs::remove(home().image_cache(), ignored);
  fs::remove(home().clusters(), ignored);  // only when empty, like the home itself
  lock_->remove_file();
  fs::remove(home().root, ignored);
}

Result<> Session::recover(Access access, const std::string& deleted) {
  RN_TRY(const std::vector<state::PlanRecord> records, state_->journal().unfinished());
  PlanRunner runner(environment(), *state_, progress_);
  std::set<std::string> being_deleted;
  for (const state::PlanRecord& record : records)
    if (record.kind == "delete") being_deleted.insert(record.cluster);
  for (const state::PlanRecord& record : records) {
    if (access == Access::snapshot && record.kind != "snapshot") {
      stuck_[record.cluster] = fmt::format(
          "the {} of \"{}\" was interrupted; the next rusternetes-ctl command that somebody runs finishes or undoes it",
          record.kind, record.cluster);
      continue;
    }
    if (record.kind != "delete" && being_deleted.contains(record.cluster)) {
      RN_CHECK(runner.supersede(record));
      continue;
    }
    RN_TRY(const auto recorded, state_->find(record.cluster));
    if (record.kind != "delete" && record.cluster == deleted && recorded) {
      progress_.note(fmt::format("The {} of \"{}\" was interrupted; deleting the cluster.", record.kind,
                                 record.cluster));
      superseded_.push_back(record);
      continue;
    }
    auto plan = plan_from_record(record, environment(), state_.get(), home(), &progress_);
    auto told = plan ? runner.recover(record, *plan) : Result<std::string>(plan.error());
    if (told) {
      progress_.note(*told);
      RN_TRY(const auto left, state_->find(record.cluster));
      if (!left) undone_ = record.cluster;
    } else {
      progress_.note(told.error().message + ".");
      stuck_[record.cluster] = told.error().message;
      // It begins anew, instead of once more beside this one.
      if (record.kind == "delete" && record.cluster == deleted && recorded) superseded_.push_back(record);
    }
  }
  return {};
}

Result<> Session::check_recovered(const std::string& name) const {
  const auto found = stuck_.find(name);
  if (found == stuck_.end()) return {};
  return failure("RecoveryFailed", found->second);
}

namespace {
// What a later release has kept of this one's, when it rolled the cluster back.
void forget_own_manifest(ClusterSettings& settings, const Environment& environment) {
  if (settings.release == environment.release) settings.manifest.clear();
}
}  // namespace

Result<std::vector<ClusterSettings>> Session::clusters() {
  std::vector<ClusterSettings> out;
  if (!state_) return out;
  RN_TRY(const std::vector<state::Cluster> all, state_->clusters());
  for (const state::Cluster& one : all) {
    RN_TRY(ClusterSettings settings, settings_from_json(one.settings));
    forget_own_manifest(settings, environment());
    out.push_back(std::move(settings));
  }
  return out;
}

Result<std::optional<ClusterSettings>> Session::find(const std::string& name) {
  if (!state_) return std::nullopt;
  RN_TRY(const auto known, state_->find(name));
  if (!known) return std::nullopt;
  RN_TRY(ClusterSettings settings, settings_from_json(known->settings));
  forget_own_manifest(settings, environment());
  return settings;
}

Result<ClusterSettings> Session::cluster(const std::string& name) {
  RN_TRY(const std::vector<ClusterSettings> all, clusters());
  std::vector<std::string> names;
  for (const ClusterSettings& one : all) {
    if (one.name == name) return one;
    names.push_back(one.name);
  }
  const std::string near = nearest(name, names);
  std::string message = fmt::format("there is no cluster \"{}\"", name);
  if (!near.empty())
    message += fmt::format("; did you mean \"{}\"?", near);
  else if (!names.empty() && names.size() <= 5)
    message += fmt::format("; there is {}", joined(names, ", "));
  return failure("ClusterNotFound", message);
}

Result<std::string> Session::phase(const std::string& name) {
  RN_TRY(const auto found, state_->find(name));
  return found ? found->phase : std::string();
}

Result<> Session::run(Plan plan, const ClusterSettings& settings) {
  return run(std::move(plan), to_json(settings));
}

Result<> Session::run(Plan plan, const std::string& arguments) {
  PlanRunner runner(environment(), *state_, progress_);
  return runner.run(plan, arguments, superseded_);
}

}  // namespace rusternetes::launcher
