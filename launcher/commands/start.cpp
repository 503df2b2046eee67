// start: brings a stopped cluster back, also after a reboot of the host.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/host_port.h"
#include "launcher/report.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

// Somebody may have taken them while the cluster was stopped.
Result<> check_ports(HostPort& host, const ClusterSettings& settings) {
  const auto in_use = [&](std::uint16_t port) {
    return failure("AddressConflict", fmt::format("port {} of cluster \"{}\" is in use by another program",
                                                  port, settings.name));
  };
  if (!host.is_port_free(settings.bind_address, settings.api_port)) return in_use(settings.api_port);
  for (const std::string& text : settings.published_ports) {
    RN_TRY(const PublishedPort port, parse_published_port(text));
    if (!host.is_port_free("0.0.0.0", port.host)) return in_use(port.host);
  }
  return {};
}

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
  RN_TRY(const std::string phase, session->phase(settings.name));
  RN_TRY(const Liveness liveness, look_at(*context));
  if (phase != "running" || !liveness.is_whole) {
    if (!liveness.is_running) RN_CHECK(check_ports(invocation.environment.host, settings));
    RN_CHECK(session->run(start_plan(context), settings));
  } else if (settings.engine.is_private && !invocation.environment.engine.is_answering(settings.engine)) {
    session->progress().note("The cluster's own Podman has ended.");
    RN_CHECK(session->run(revive_engine_plan(context), settings));
  }
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
