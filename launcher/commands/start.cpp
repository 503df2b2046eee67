// start: brings a stopped cluster back, also after a reboot of the host.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/session.h"
#include "launcher/starting.h"

namespace rusternetes::launcher {
namespace {

Result<> run_start(Invocation& invocation) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  const Context context = opened.context();
  if (opened.is_dry) {
    print_plan(invocation, start_plan(context), settings);
    return {};
  }
  RN_CHECK(start_cluster(*opened.session, context));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(*opened.session, *context, wait));
  invocation.print(
      fmt::format("Cluster \"{}\" is {}.\n", settings.name, wait.count() > 0 ? "ready" : "starting"),
      boost::json::serialize(boost::json::object{
          {"cluster", describe_json(settings)}, {"status", "running"}, {"ready", wait.count() > 0}}) +
          "\n");
  return {};
}

}  // namespace

Command start_command() {
  return {.word = "start",
          .subword = "",
          .summary = "Start a stopped cluster with the Pods and addresses it had.",
          .examples = "rusternetes-ctl start\nrusternetes-ctl start dev --wait 2m",
          .flags = {{"--wait", "DURATION", "how long to wait for a Ready node (60s; 0 returns at once)"},
                    {"--dry-run", "", "print the steps and change nothing"},
                    {"--yes", "", "answer what asks", false, 'y'}},
          .run = run_start};
}

}  // namespace rusternetes::launcher
