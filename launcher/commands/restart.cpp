// restart: ends a cluster's process and has it started again; its Pods run on.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

Result<> run_restart(Invocation& invocation) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  const Context context = opened.context();
  if (opened.is_dry) {
    print_plan(invocation, restart_plan(context), settings);
    return {};
  }
  RN_CHECK(check_runs(*opened.session, *context));
  RN_CHECK(opened.session->run(restart_plan(context), settings));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(*opened.session, *context, wait));
  invocation.print(
      fmt::format("Cluster \"{}\" is {}. Its Pods ran on.\n", settings.name,
                  wait.count() > 0 ? "ready again" : "starting"),
      boost::json::serialize(boost::json::object{
          {"cluster", describe_json(settings)}, {"status", "running"}, {"ready", wait.count() > 0}}) +
          "\n");
  return {};
}

}  // namespace

Command restart_command() {
  return {.word = "restart",
          .subword = "",
          .summary = "End a cluster's process and start it again; Pods run on.",
          .examples = "rusternetes-ctl restart\nrusternetes-ctl restart dev --wait 2m",
          .flags = {{"--wait", "DURATION", "how long to wait for a Ready node (60s; 0 returns at once)"},
                    {"--dry-run", "", "print the steps and change nothing"},
                    {"--yes", "", "answer what asks", false, 'y'}},
          .run = run_restart};
}

}  // namespace rusternetes::launcher
