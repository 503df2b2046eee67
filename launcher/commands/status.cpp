// status: how one cluster is, from the process up to the node.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/pki.h"
#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/ports/engine_port.h"
#include "launcher/readiness.h"
#include "launcher/report.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

using json_object = boost::json::object;

// What the answer is made of.
struct Look {
  const ClusterSettings& settings;
  std::string phase;
  Liveness liveness;
  ClusterHealth health;
  bool is_engine_answering = false;
  std::string expiry = "unknown";

  std::string shown_phase() const { return phase == "running" && !liveness.is_running ? "ended" : phase; }
};

std::string_view yes(bool is) { return is ? "yes" : "no"; }

void add(std::string& text, std::string_view key, const std::string& value) {
  text += fmt::format("{:<20} {}\n", key, value);
}

std::string state_of(const ComponentContainer* one, SystemTime now) {
  if (one == nullptr) return "no container";
  if (one->end == ComponentEnd::not_started) return "not started";
  if (one->end == ComponentEnd::unseen) return "ended unseen";
  if (!one->is_running) return fmt::format("ended, exit code {}", one->exit_code);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - one->started_at).count();
  return fmt::format("runs for {} s", std::max<std::int64_t>(seconds, 0));
}

const ComponentContainer* find(const Liveness& liveness, const std::string& key) {
  for (const ComponentContainer& one : liveness.components)
    if (one.key == key) return &one;
  return nullptr;
}

// Every component with what its container does.
std::string components_text(const Look& look, SystemTime now) {
  std::string text = fmt::format("\n{:<22} {:<16} {:<22} {}\n", "COMPONENT", "ADDRESS", "STATE", "IMAGE");
  for (const Member& member : members_of(look.settings)) {
    const ComponentContainer* one = find(look.liveness, member.key);
    text += fmt::format("{:<22} {:<16} {:<22} {}\n", member.key, member.address.empty() ? "-" : member.address,
                        state_of(one, now), one == nullptr ? "-" : one->image);
  }
  return text;
}

boost::json::array components_json(const Look& look) {
  boost::json::array out;
  for (const Member& member : members_of(look.settings)) {
    const ComponentContainer* one = find(look.liveness, member.key);
    out.push_back(json_object{{"name", member.key},
                              {"component", member.component},
                              {"address", member.address},
                              {"node", member.node},
                              {"container", one == nullptr ? "" : one->name},
                              {"image", one == nullptr ? "" : one->image},
                              {"running", one != nullptr && one->is_running},
                              {"exitCode", one == nullptr ? 0 : one->exit_code}});
  }
  return out;
}

std::string text_of(const Look& look, SystemTime now) {
  const ClusterSettings& s = look.settings;
  const ProcessStatus& process = look.liveness.process;
  std::string text;
  add(text, "Cluster:", fmt::format("{} ({}{}, {})", s.name, s.mode,
                                    s.is_highly_available ? ", highly available" : "", look.shown_phase()));
  add(text, "Server:", s.server());
  add(text, "Context:", s.context());
  add(text, "Engine:",
      fmt::format("{} {} at {}{}", s.engine.kind, s.engine.version, s.engine.socket,
                  look.is_engine_answering || look.phase == "stopped" ? "" : ", which does not answer"));
  if (!s.has_containers())
    add(text, "Process:", process.is_running
                              ? fmt::format("pid {}, {} restarts", process.child_pid, process.restarts)
                              : "not running");
  add(text, "Api-server ready:", std::string(yes(look.health.is_api_ready)));
  if (s.has_containers()) {
    const std::size_t ready = s.nodes.size() - std::min(look.health.waiting_nodes.size(), s.nodes.size());
    add(text, "Nodes ready:", fmt::format("{} of {}", ready, s.nodes.size()));
  } else {
    add(text, "Node ready:", fmt::format("{} ({}, {})", yes(look.health.is_node_ready), s.node_name,
                                         joined(s.node_addresses)));
  }
  if (!look.health.message.empty() && look.phase != "stopped") add(text, "Because:", look.health.message);
  add(text, "Pods:", joined(s.pod_cidrs));
  add(text, "Services:", joined(s.service_cidrs));
  if (!s.published_ports.empty()) add(text, "Published ports:", joined(s.published_ports, ", "));
  add(text, "Next expiry:", look.expiry);
  if (s.has_containers() && look.phase != "stopped") text += components_text(look, now);
  return text;
}

json_object json_of(const Look& look) {
  const ProcessStatus& process = look.liveness.process;
  json_object object = describe_json(look.settings);
  object["status"] = look.shown_phase();
  if (look.settings.has_containers())
    object["components"] = components_json(look);
  else
    object["process"] = json_object{{"running", process.is_running},
                                    {"supervisorPid", process.supervisor_pid},
                                    {"pid", process.child_pid},
                                    {"restarts", process.restarts},
                                    {"lastExit", process.last_exit}};
  object["engineAnswers"] = look.is_engine_answering;
  object["apiServerReady"] = look.health.is_api_ready;
  object["nodeReady"] = look.health.is_node_ready;
  object["message"] = look.health.message;
  object["nextCertificateExpiry"] = look.expiry;
  return object;
}

Result<> verdict_of(const Look& look) {
  const std::string& name = look.settings.name;
  if (!look.liveness.is_running && look.phase == "stopped")
    return failure("ClusterStopped", fmt::format("cluster \"{}\" is stopped", name));
  if (look.liveness.is_running && look.settings.engine.is_private && !look.is_engine_answering)
    return failure("EngineStopped", fmt::format("the Podman of cluster \"{}\" has ended", name));
  if (!look.liveness.is_running)
    return failure("ClusterEnded", fmt::format("cluster \"{}\" does not run: {}", name, look.health.message));
  if (look.settings.has_containers() && !look.liveness.is_whole)
    return failure("ComponentEnded", fmt::format("a component of cluster \"{}\" does not run: {}", name,
                                                 look.liveness.problem));
  if (!look.health.is_api_ready || !look.health.is_node_ready)
    return failure("NotReady", fmt::format("cluster \"{}\" is not ready: {}", name, look.health.message));
  return {};
}

Result<> run_status(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  const Context context = session->context(settings);
  Look look{.settings = settings, .phase = {}, .liveness = {}, .health = {}};
  RN_TRY(look.phase, session->phase(settings.name));
  RN_TRY(look.liveness, look_at(*context));
  if (look.liveness.is_running) {
    look.health = cluster_health(*context, look.liveness);
  } else {
    look.health.waiting_nodes = node_names(settings);
    look.health.message = look.liveness.problem;
  }
  look.is_engine_answering = invocation.environment.engine.is_answering(settings.engine);
  if (const auto list = certs::expiries(context->paths.pki()); list && !list->empty())
    look.expiry = fmt::format("{} ({})", date_text(list->front().info.not_after), list->front().file);
  const Result<> verdict = verdict_of(look);
  json_object object = json_of(look);
  if (!verdict) object["error"] = error_json(verdict.error());
  invocation.print(text_of(look, invocation.environment.clock.now()), boost::json::serialize(object) + "\n");
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
