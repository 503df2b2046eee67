// delete: takes a cluster away with everything it made.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <ostream>

#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/session.h"
#include "launcher/snapshots.h"

namespace rusternetes::launcher {
namespace {

Result<> run_delete(Invocation& invocation) {
  const bool is_all = invocation.has("--all");
  const bool is_dry = invocation.has("--dry-run");
  const bool has_snapshots = invocation.has("--snapshots");
  if (is_all && invocation.has_name) return failure("Usage", "delete takes a name or --all, not both");
  RN_TRY(auto session, Session::open(invocation, is_dry ? Session::Access::look : Session::Access::change,
                                     is_all || is_dry ? std::string() : invocation.name));
  std::vector<ClusterSettings> chosen;
  if (is_all) {
    RN_TRY(chosen, session->clusters());
  } else if (auto one = session->cluster(invocation.name)) {
    chosen.push_back(*std::move(one));
  } else if (!session->was_undone(invocation.name)) {
    return std::move(one).error();
  }
  if (is_dry) {
    for (const ClusterSettings& settings : chosen)
      print_plan(invocation, delete_plan(session->context(settings), has_snapshots), settings);
    return {};
  }
  std::vector<std::string> names;
  for (const ClusterSettings& settings : chosen) names.push_back(settings.name);
  if (!names.empty())
    RN_CHECK(confirm(invocation, fmt::format("Delete {} with all data{}?", joined(names, ", "),
                                             has_snapshots ? " and snapshots" : "")));
  Status last;
  std::vector<std::string> failed;
  boost::json::array deleted;
  for (const ClusterSettings& settings : chosen) {
    // One that cannot be deleted does not keep the others.
    auto task = std::make_shared<SnapshotTask>();
    task->has_snapshots = has_snapshots;
    if (auto result = session->run(delete_plan(session->context(settings), has_snapshots),
                                   plan_arguments(settings, *task));
        !result) {
      invocation.environment.err << fmt::format("delete of \"{}\": {}\n", settings.name,
                                                result.error().message);
      failed.push_back(settings.name);
      last = std::move(result).error();
    } else {
      deleted.emplace_back(settings.name);
    }
  }
  if (chosen.size() == 1 && !failed.empty()) return last;
  if (!failed.empty())
    return failure("StepFailed", fmt::format("{} could not be deleted", joined(failed, ", ")));
  std::size_t kept = 0;
  for (const std::string& name : names)
    if (const auto known = known_snapshots(invocation.home, name)) kept += known->size();
  if (kept > 0)
    session->progress().note(fmt::format("{} snapshot{} stay{} in {}; `rusternetes-ctl snapshot list --all` lists them.",
                                         kept, kept == 1 ? "" : "s", kept == 1 ? "s" : "",
                                         invocation.home.snapshots().string()));
  invocation.print(
      names.empty() ? "Nothing is left to delete.\n" : fmt::format("Deleted {}.\n", joined(names, ", ")),
      boost::json::serialize(boost::json::object{{"deleted", std::move(deleted)}}) + "\n");
  return {};
}

}  // namespace

Command delete_command() {
  return {.word = "delete",
          .subword = "",
          .summary = "Delete a cluster: containers, links, rules, files, and its kubectl context.",
          .examples =
              "rusternetes-ctl delete\nrusternetes-ctl delete dev --yes\nrusternetes-ctl delete --all --yes",
          .flags = {{"--all", "", "every cluster of this home"},
                    {"--snapshots", "", "its snapshots, too, which stay else"},
                    {"--dry-run", "", "print the steps and change nothing"},
                    {"--yes", "", "do not ask", false, 'y'}},
          .run = run_delete};
}

}  // namespace rusternetes::launcher
