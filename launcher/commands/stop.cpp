// stop: ends a cluster's processes and its Pods' containers, and keeps its data and addresses.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/failure.h"
#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

Result<> run_stop(Invocation& invocation) {
  RN_TRY(const OpenedCluster opened, open_cluster(invocation));
  const ClusterSettings& settings = opened.settings;
  const Context context = opened.context();
  if (opened.is_dry) {
    print_plan(invocation, stop_plan(context), settings);
    return {};
  }
  RN_TRY(const std::string phase, opened.session->phase(settings.name));
  if (phase != "stopped") RN_CHECK(opened.session->run(stop_plan(context), settings));
  invocation.print(
      fmt::format("Cluster \"{}\" is stopped. `rusternetes-ctl start {}` brings the same Pods back.\n",
                  settings.name, settings.name),
      boost::json::serialize(
          boost::json::object{{"cluster", describe_json(settings)}, {"status", "stopped"}}) +
          "\n");
  return {};
}

}  // namespace

Command stop_command() {
  return {.word = "stop",
          .subword = "",
          .summary = "Stop a cluster and its Pods; data and addresses are kept.",
          .examples = "rusternetes-ctl stop\nrusternetes-ctl stop dev",
          .flags = {{"--dry-run", "", "print the steps and change nothing"},
                    {"--yes", "", "answer what asks", false, 'y'}},
          .run = run_stop};
}

}  // namespace rusternetes::launcher
