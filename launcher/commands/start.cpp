// start: brings a stopped cluster back, also after a reboot of the host.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/report.h"
#include "launcher/session.h"
#include "launcher/starting.h"

namespace rusternetes::launcher {
namespace {

Result<> run_start(Invocation& invocation) {
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  const bool is_dry = invocation.has("--dry-run");
  RN_TRY(auto session, Session::open(invocation, is_dry ? Session::Access::look : Session::Access::change));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_CHECK(session->check_recovered(settings.name));
  const Context context = session->context(settings);
  if (is_dry) {
    print_plan(invocation, start_plan(context), settings);
    return {};
  }
  RN_CHECK(start_cluster(*session, context));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(*session, *context, wait));
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
