// certs rotate --authorities, --authority and --drop-old: authorities and the key of service account tokens,
// by overlap.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/failure.h"
#include "launcher/readiness.h"
#include "launcher/report.h"
#include "launcher/rotation.h"
#include "launcher/running.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;
using certs::RotationPhase;

bool holds(const std::vector<std::string>& all, const std::string& name) {
  return std::find(all.begin(), all.end(), name) != all.end();
}

// What the flags ask for, of what the cluster has.
Result<RotationTask> task_of(const Invocation& invocation, const std::vector<RotatedSubject>& all) {
  const bool drops = invocation.has("--drop-old");
  std::vector<std::string> asked;
  if (const auto found = invocation.flags.find("--authority"); found != invocation.flags.end())
    asked = found->second;
  if (!asked.empty() && invocation.has("--authorities"))
    return failure("Usage", "certs rotate takes --authorities or --authority, not both");
  std::vector<std::string> known;
  for (const RotatedSubject& one : all) known.push_back(one.name);
  for (const std::string& name : asked)
    if (!holds(known, name))
      return failure("BadRequest",
                     fmt::format("--authority \"{}\": the cluster has {}", name, joined(known, ", ")));
  const bool begins = invocation.has("--authorities") || !asked.empty();
  RotationTask task;
  for (const RotatedSubject& one : all) {
    if (!asked.empty() && !holds(asked, one.name)) continue;
    // After a rotation that was cut off and could not be undone.
    if (one.phase == RotationPhase::both_trusted)
      return failure("RotationUnderWay", fmt::format("a rotation of {} was cut off", one.name));
    const bool is_signing = one.phase == RotationPhase::new_signs;
    if (is_signing && !drops)
      return failure(
          "RotationUnderWay",
          fmt::format("of {} the last rotation has not ended: the old one is still trusted", one.name));
    if (!is_signing && begins) task.begun.push_back(one.name);
    if (drops && (is_signing || begins)) task.dropped.push_back(one.name);
  }
  return task;
}

// A cluster that is not well would not get through the gates, and its Pods would not be served meanwhile.
Result<> check_is_well(StepContext& context) {
  RN_TRY(const Liveness liveness, look_at(context));
  if (!liveness.is_running) return {};  // what is stopped reads its files at its start
  if (!liveness.is_whole) return failure("ComponentEnded", liveness.problem + "; nothing was changed");
  const std::string problem = what_is_wrong(context, liveness);
  return problem.empty() ? Result<>() : Result<>(failure("NotReady", problem + "; nothing was changed"));
}

std::string told(const ClusterSettings& settings, const RotationTask& task) {
  if (!task.dropped.empty())
    return fmt::format(
        "The old {} of \"{}\" are trusted no longer. Copies of its kubeconfig from before have ended: "
        "`rusternetes-ctl kubeconfig {}` prints a new one.\n",
        joined(task.dropped, ", "), settings.name, settings.name);
  return fmt::format(
      "New {0} sign all of \"{1}\"; what the old ones signed is trusted on, so that nothing has to be done "
      "at once. Before "
      "they go:\n"
      "  - restart the Pods that use the API and run since before (kubectl rollout restart ...): many read "
      "ca.crt once;\n"
      "  - hand out new kubeconfigs (rusternetes-ctl kubeconfig {1}) and tokens in place of copies of the "
      "old ones.\n"
      "Then: rusternetes-ctl certs rotate {1} --drop-old\n",
      joined(task.begun, ", "), settings.name);
}

}  // namespace

bool asks_for_authorities(const Invocation& invocation) {
  return invocation.has("--authorities") || invocation.has("--authority") || invocation.has("--drop-old");
}

Result<> run_rotate_authorities(Invocation& invocation) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  const Context context = opened.context();
  RN_TRY(const auto before, rotation_of(context->paths.pki()));
  RN_TRY(RotationTask chosen, task_of(invocation, before));
  const auto task = std::make_shared<const RotationTask>(std::move(chosen));
  if (task->begun.empty() && task->dropped.empty()) {
    invocation.print(
        fmt::format("No rotation of authorities of \"{}\" is under way: there is nothing to drop.\n",
                    settings.name),
        json::serialize(
            json::object{{"cluster", describe_json(settings)}, {"rotation", rotation_json(before)}}) +
            "\n");
    return {};
  }
  if (opened.is_dry) {
    print_plan(invocation, rotate_authorities_plan(context, task), settings);
    return {};
  }
  RN_CHECK(check_is_well(*context));
  if (!task->dropped.empty())
    RN_CHECK(confirm(
        invocation,
        fmt::format("Drop the old {} of \"{}\"? Kubeconfigs, certificates and tokens that they signed "
                    "end, and so do Pods' ways to the API that have read nothing since.",
                    joined(task->dropped, ", "), settings.name)));
  RN_TRY(const Liveness liveness, look_at(*context));
  RN_CHECK(opened.session->run(rotate_authorities_plan(context, task), rotation_arguments(settings, *task)));
  const bool is_waiting = wait.count() > 0 && liveness.is_running;
  if (is_waiting) RN_CHECK(wait_with_progress(*opened.session, *context, wait));
  RN_TRY(const auto after, rotation_of(context->paths.pki()));
  invocation.print(told(settings, *task), json::serialize(json::object{{"cluster", describe_json(settings)},
                                                                       {"rotation", rotation_json(after)},
                                                                       {"ready", is_waiting}}) +
                                              "\n");
  return {};
}

}  // namespace rusternetes::launcher
