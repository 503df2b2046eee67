// status: how one cluster is, from the process up to the node.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/pki.h"
#include "launcher/failure.h"
#include "launcher/ports/engine_port.h"
#include "launcher/readiness.h"
#include "launcher/report.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

Result<> run_status(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(const std::string phase, session->phase(settings.name));
  const Context context = session->context(settings);
  RN_TRY(const ProcessStatus process, invocation.environment.process.status(process_spec(*context)));
  ClusterHealth health;
  if (process.is_running)
    health = cluster_health(*context);
  else
    health.message = "the process does not run";
  std::string expiry = "unknown";
  if (const auto list = certs::expiries(context->paths.pki()); list && !list->empty())
    expiry = fmt::format("{} ({})", date_text(list->front().info.not_after), list->front().file);
  const auto yes = [](bool is) { return is ? "yes" : "no"; };
  std::string text;
  const auto line = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{:<20} {}\n", key, value);
  };
  const std::string shown_phase = phase == "running" && !process.is_running ? "ended" : phase;
  line("Cluster:", fmt::format("{} ({}, {})", settings.name, settings.mode, shown_phase));
  line("Server:", settings.server());
  line("Context:", settings.context());
  const bool is_answering = invocation.environment.engine.is_answering(settings.engine);
  line("Engine:",
       fmt::format("{} {} at {}{}", settings.engine.kind, settings.engine.version, settings.engine.socket,
                   is_answering || phase == "stopped" ? "" : ", which does not answer"));
  line("Process:", process.is_running
                       ? fmt::format("pid {}, {} restarts", process.child_pid, process.restarts)
                       : "not running");
  line("Api-server ready:", yes(health.is_api_ready));
  line("Node ready:", fmt::format("{} ({}, {})", yes(health.is_node_ready), settings.node_name,
                                  joined(settings.node_addresses)));
  if (!health.message.empty() && phase != "stopped") line("Because:", health.message);
  line("Pods:", joined(settings.pod_cidrs));
  line("Services:", joined(settings.service_cidrs));
  if (!settings.published_ports.empty()) line("Published ports:", joined(settings.published_ports, ", "));
  line("Next expiry:", expiry);
  boost::json::object object = describe_json(settings);
  object["status"] = shown_phase;
  object["process"] = boost::json::object{{"running", process.is_running},
                                          {"supervisorPid", process.supervisor_pid},
                                          {"pid", process.child_pid},
                                          {"restarts", process.restarts},
                                          {"lastExit", process.last_exit}};
  object["engineAnswers"] = is_answering;
  object["apiServerReady"] = health.is_api_ready;
  object["nodeReady"] = health.is_node_ready;
  object["message"] = health.message;
  object["nextCertificateExpiry"] = expiry;
  Result<> verdict;
  if (!process.is_running && phase == "stopped")
    verdict = failure("ClusterStopped", fmt::format("cluster \"{}\" is stopped", settings.name));
  else if (process.is_running && settings.engine.is_private && !is_answering)
    verdict = failure("EngineStopped", fmt::format("the Podman of cluster \"{}\" has ended", settings.name));
  else if (!health.is_api_ready || !health.is_node_ready)
    verdict =
        failure("NotReady", fmt::format("cluster \"{}\" is not ready: {}", settings.name, health.message));
  if (!verdict) object["error"] = error_json(verdict.error());
  invocation.print(text, boost::json::serialize(object) + "\n");
  if (verdict || !invocation.is_json) return verdict;
  invocation.exit_code = error_kind(verdict.error().reason).exit_code;  // one document, not two
  return {};
}

}  // namespace

Command status_command() {
  return {.word = "status",
          .subword = "",
          .summary = "Show how a cluster is; exit code 0 when its node is Ready.",
          .examples = "rusternetes-ctl status\nrusternetes-ctl status dev --output json",
          .flags = {},
          .run = run_status};
}

}  // namespace rusternetes::launcher
