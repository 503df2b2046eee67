// status: how one cluster is, from the process up to the node.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "certs/pki.h"
#include "launcher/component_health.h"
#include "launcher/containers/topology.h"
#include "launcher/examine.h"
#include "launcher/failure.h"
#include "launcher/ports/engine_port.h"
#include "launcher/readiness.h"
#include "launcher/report.h"
#include "launcher/schedule/look.h"
#include "launcher/session.h"
#include "launcher/store_size.h"

namespace rusternetes::launcher {
namespace {

using json_object = boost::json::object;

// What the answer is made of.
struct Look {
  ClusterSettings settings;
  std::string phase;
  Liveness liveness;
  ClusterHealth health;
  bool is_engine_answering = false;
  std::vector<ComponentHealth> component_health;  // in the order of members_of()
  std::vector<ComponentProblem> problems;
  std::string expiry = "unknown";
  std::optional<long> days_left;  // of the certificate that ends first
  std::uint64_t store_bytes = 0;
  std::optional<ScheduleLook> schedule;

  // Nobody can say what runs: Podman's containers go on without its service.
  bool is_in_the_dark() const { return settings.has_containers() && !is_engine_answering; }
  std::string shown_phase() const {
    const bool has_ended = !liveness.is_running && !(is_in_the_dark() && health.is_api_ready);
    return phase == "running" && has_ended ? "ended" : phase;
  }
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

const ComponentHealth* health_of(const Look& look, std::size_t member) {
  return member < look.component_health.size() ? &look.component_health[member] : nullptr;
}

std::string_view health_text(const ComponentHealth* health) {
  if (health == nullptr || !health->is_asked) return "-";
  return health->is_healthy ? "ok" : "not well";
}

// Every component with what its container does, and what it says of itself.
std::string components_text(const Look& look, SystemTime now) {
  std::string text =
      fmt::format("\n{:<22} {:<16} {:<22} {:<9} {}\n", "COMPONENT", "ADDRESS", "STATE", "HEALTH", "VERSION");
  const std::vector<Member> members = members_of(look.settings);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    const ComponentContainer* one = find_component(look.liveness, member.key);
    const std::string state = look.is_in_the_dark() ? "not known" : state_of(one, now);
    text += fmt::format("{:<22} {:<16} {:<22} {:<9} {}\n", member.key,
                        member.address.empty() ? "-" : member.address, state, health_text(health_of(look, i)),
                        one == nullptr ? "-" : image_version(one->image));
  }
  return text;
}

std::string problems_text(const Look& look) {
  std::string text;
  for (const ComponentProblem& one : look.problems)
    text += fmt::format("\n{} {}\n  {}\n", one.key, one.problem, one.advice);
  return text;
}

boost::json::array components_json(const Look& look) {
  boost::json::array out;
  const std::vector<Member> members = members_of(look.settings);
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    const ComponentContainer* one = find_component(look.liveness, member.key);
    const ComponentHealth* health = health_of(look, i);
    json_object object{{"name", member.key},
                       {"component", member.component},
                       {"address", member.address},
                       {"node", member.node},
                       {"container", one == nullptr ? "" : one->name},
                       {"image", one == nullptr ? "" : one->image},
                       {"version", one == nullptr ? "" : image_version(one->image)},
                       {"running", one != nullptr && one->is_running},
                       {"restarts", one == nullptr ? 0 : one->restarts},
                       {"exitCode", one == nullptr ? 0 : one->exit_code}};
    // Null: it serves nothing that could be asked, or does not run.
    if (health != nullptr && health->is_asked)
      object["healthy"] = health->is_healthy;
    else
      object["healthy"] = nullptr;
    object["message"] = health == nullptr ? "" : health->message;
    out.push_back(std::move(object));
  }
  return out;
}

boost::json::array problems_json(const Look& look) {
  boost::json::array out;
  for (const ComponentProblem& one : look.problems)
    out.push_back(json_object{{"component", one.key}, {"problem", one.problem}, {"advice", one.advice}});
  return out;
}

std::string size_text(std::uint64_t bytes) {
  return bytes < (10u << 20) ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
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
    const std::size_t waiting = std::min(look.health.waiting_nodes.size(), s.nodes.size());
    add(text, "Nodes ready:",
        fmt::format("{} of {}", look.health.is_api_ready ? s.nodes.size() - waiting : 0, s.nodes.size()));
  } else {
    add(text, "Node ready:", fmt::format("{} ({}, {})", yes(look.health.is_node_ready), s.node_name,
                                         joined(s.node_addresses)));
  }
  if (!look.health.message.empty() && look.phase != "stopped") add(text, "Because:", look.health.message);
  add(text, "Pods:", joined(s.pod_cidrs));
  add(text, "Services:", joined(s.service_cidrs));
  if (!s.published_ports.empty()) add(text, "Published ports:", joined(s.published_ports, ", "));
  add(text, "Store:", size_text(look.store_bytes));
  add(text, "Next expiry:",
      look.expiry + (look.days_left ? fmt::format(", {} days left", *look.days_left) : std::string()));
  if (look.schedule) {
    add(text, "Snapshots:", schedule_text(look.schedule->schedule) + "; " + times_text(*look.schedule));
    if (const std::string why = failure_text(*look.schedule); !why.empty())
      add(text, "Snapshot failed:", why);
  }
  if (s.has_containers() && look.phase != "stopped") text += components_text(look, now) + problems_text(look);
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
  object["problems"] = problems_json(look);
  object["storeBytes"] = look.store_bytes;
  object["snapshotSchedule"] = json_of(look.schedule);
  object["nextCertificateExpiry"] = look.expiry;
  if (look.days_left) object["certificateDaysLeft"] = *look.days_left;
  return object;
}

Result<> verdict_of(const Look& look) {
  const std::string& name = look.settings.name;
  if (!look.liveness.is_running && look.phase == "stopped")
    return failure("ClusterStopped", fmt::format("cluster \"{}\" is stopped", name));
  if (look.liveness.is_running && look.settings.engine.is_private && !look.is_engine_answering)
    return failure("EngineStopped", fmt::format("the Podman of cluster \"{}\" has ended", name));
  if (look.is_in_the_dark())
    return failure("NotReady",
                   fmt::format("what runs of cluster \"{}\" is not known: {}", name, look.liveness.problem));
  if (!look.liveness.is_running)
    return failure("ClusterEnded", fmt::format("cluster \"{}\" does not run: {}", name, look.health.message));
  if (look.settings.has_containers() && !look.liveness.is_whole)
    return failure("ComponentEnded", fmt::format("a component of cluster \"{}\" does not run: {}", name,
                                                 look.liveness.problem));
  if (!look.health.is_api_ready || !look.health.is_node_ready)
    return failure("NotReady", fmt::format("cluster \"{}\" is not ready: {}", name, look.health.message));
  return {};
}

Result<Look> look_closely(Session& session, const Context& context) {
  const ClusterSettings& settings = context->settings;
  Environment& environment = context->environment;
  Look look{.settings = settings,
            .phase = {},
            .liveness = {},
            .health = {},
            .component_health = {},
            .problems = {},
            .days_left = {},
            .schedule = {}};
  RN_TRY(look.phase, session.phase(settings.name));
  RN_TRY(look.liveness, look_at(*context));
  look.component_health = ask_components(*context, look.liveness);
  if (settings.has_containers() && look.phase != "stopped")
    look.problems = component_problems(settings, look.liveness, look.component_health);
  look.is_engine_answering = environment.engine.is_answering(settings.engine);
  if (look.liveness.is_running || (look.is_in_the_dark() && look.phase != "stopped"))
    look.health = cluster_health(*context, look.liveness);
  if (!look.liveness.is_running) look.health.message = look.liveness.problem;
  if (!look.health.is_api_ready) look.health.waiting_nodes = node_names(settings);
  look.store_bytes = store_bytes(context->paths);
  RN_TRY(look.schedule, look_at_schedule(*context));
  if (const auto list = certs::expiries(context->paths.pki()); list && !list->empty()) {
    const SystemTime end = list->front().info.not_after;
    look.expiry = fmt::format("{} ({})", date_text(end), list->front().file);
    look.days_left =
        std::chrono::duration_cast<std::chrono::hours>(end - environment.clock.now()).count() / 24;
  }
  return look;
}

json_object json_with_verdict(const Look& look, const Result<>& verdict) {
  json_object object = json_of(look);
  if (!verdict) object["error"] = error_json(verdict.error());
  return object;
}

Result<> run_status(Invocation& invocation) {
  RN_TRY(auto session, Session::open(invocation, Session::Access::read));
  RN_TRY(const ClusterSettings settings, session->cluster(invocation.name));
  RN_TRY(const Look look, look_closely(*session, session->context(settings)));
  const Result<> verdict = verdict_of(look);
  invocation.print(text_of(look, invocation.environment.clock.now()),
                   boost::json::serialize(json_with_verdict(look, verdict)) + "\n");
  if (verdict || !invocation.is_json) return verdict;
  invocation.exit_code = error_kind(verdict.error().reason).exit_code;  // one document, not two
  return {};
}

}  // namespace

json_object status_json(Session& session, const Context& context) {
  const auto look = look_closely(session, context);
  return look ? json_with_verdict(*look, verdict_of(*look))
              : json_object{{"error", error_json(look.error())}};
}

Command status_command() {
  return {.word = "status",
          .subword = "",
          .summary = "Show how a cluster is; exit code 0 when its node is Ready.",
          .examples = "rusternetes-ctl status\nrusternetes-ctl status dev --output json",
          .flags = {},
          .run = run_status};
}

}  // namespace rusternetes::launcher
