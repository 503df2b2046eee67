#include "launcher/doctor/cluster_checks.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/containers/topology.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/facts_port.h"
#include "launcher/ports/host_port.h"
#include "launcher/ports/http_port.h"
#include "launcher/ports/network_port.h"
#include "launcher/store_size.h"

namespace rusternetes::launcher::doctor {
namespace {

constexpr std::chrono::milliseconds api_patience{1500};
// It is the launcher's own: `start` makes a leaf anew that ends sooner.
constexpr long renewal_days = 30;
constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t big_store = 4096 * mib;
// A process that was restarted this often does not live long.
constexpr long many_restarts = 4;

std::string ask_readiness(const StepContext& context) {
  const auto pair = certs::read_pair(context.paths.pki(), "admin");
  if (!pair) return pair.error().message;
  const auto authority = certs::read_text(context.paths.pki() / "ca.crt");
  if (!authority) return authority.error().message;
  const auto answer = context.environment.http.send({.url = context.settings.server() + "/readyz",
                                                     .authority_pem = *authority,
                                                     .certificate_pem = pair->certificate_pem,
                                                     .key_pem = pair->key_pem,
                                                     .timeout = api_patience});
  if (!answer) return answer.error().message;
  return answer->status == 200
             ? std::string()
             : fmt::format("/readyz answers {}: {}", answer->status, answer->body.substr(0, 200));
}

bool has_context(const std::string& file, const std::string& name) {
  const auto text = certs::read_text(file);
  if (!text) return false;
  try {
    const YAML::Node root = YAML::Load(*text);
    for (const YAML::Node& one : root["contexts"])
      if (one["name"].as<std::string>("") == name) return true;
  } catch (const YAML::Exception&) {
    // Another's broken file: the context is not in it.
  }
  return false;
}

void read_components(StepContext& context, const Liveness& liveness, ClusterFacts& facts) {
  const ClusterSettings& settings = context.settings;
  facts.components = members_of(settings).size();
  facts.problems = component_problems(settings, liveness, ask_components(context, liveness));
  if (!facts.does_engine_answer) return;
  std::set<std::string> references;
  for (const auto& [component, reference] : settings.images) references.insert(reference);
  for (const std::string& reference : references) {
    const auto is_there = context.environment.engine.has_image(settings.engine, reference);
    if (!is_there) facts.images_error = is_there.error().message;
    if (is_there && !*is_there) facts.missing_images.push_back(reference);
  }
  if (context.environment.facts == nullptr) return;
  std::vector<std::uint16_t> ports;
  if (!facts.is_running) ports.push_back(settings.api_port);  // else its silence tells more
  for (const std::string& text : settings.published_ports)
    if (const auto port = parse_published_port(text)) ports.push_back(port->host);
  for (const std::uint16_t port : ports) {
    const auto listeners = context.environment.facts->listeners(port);
    if (!listeners) continue;  // not shown to this user
    facts.ports.push_back({port, listeners->empty() ? ""
                                                    : fmt::format("{} (pid {})", listeners->front().program,
                                                                  listeners->front().pid)});
  }
}

void read_rules(StepContext& context, ClusterFacts& facts) {
  if (!context.environment.host.is_root()) {
    facts.rules_error = "the host's rules are shown to root alone";
    return;
  }
  const auto missing = context.environment.network.missing_host_rules(node_network_of(context.settings, ""));
  if (missing)
    facts.missing_rules = *missing;
  else
    facts.rules_error = missing.error().message;
}

}  // namespace

ClusterFacts read_cluster(StepContext& context, std::string phase) {
  const ClusterSettings& settings = context.settings;
  ClusterFacts facts{.name = settings.name,
                     .phase = std::move(phase),
                     .server = settings.server(),
                     .engine = fmt::format("{} at {}", settings.engine.kind, settings.engine.socket),
                     .kubeconfig = settings.user_kubeconfig};
  facts.does_engine_answer = context.environment.engine.is_answering(settings.engine);
  if (const auto liveness = look_at(context)) {
    facts.is_running = liveness->is_running;
    facts.pid = liveness->process.child_pid;
    facts.restarts = liveness->process.restarts;
    facts.last_exit = liveness->process.last_exit;
    if (settings.has_containers()) read_components(context, *liveness, facts);
  } else {
    facts.process_error = liveness.error().message;
  }
  if (facts.is_running) {
    facts.silence = ask_readiness(context);
    read_rules(context, facts);
  }
  const auto expiries = certs::expiries(context.paths.pki());
  if (!expiries) {
    facts.certificates_error = expiries.error().message;
  } else if (expiries->empty()) {
    facts.certificates_error = fmt::format("there are none in {}", context.paths.pki().string());
  } else {
    facts.first_to_expire = expiries->front().file;
    facts.expires_at = expiries->front().info.not_after;
  }
  facts.store_bytes = store_bytes(context.paths);
  if (auto look = look_at_schedule(context)) facts.schedule = *std::move(look);
  facts.has_context = has_context(settings.user_kubeconfig, settings.context());
  return facts;
}

namespace {

Finding check_process(const ClusterFacts& facts, const std::string& start) {
  if (!facts.process_error.empty()) return {Level::unknown, "process", facts.process_error, ""};
  if (facts.phase != "running" && facts.phase != "stopped")
    return {Level::warning, "process",
            fmt::format("a command is under way, or was interrupted: it is {}", facts.phase),
            "If none is under way, any command that changes something finishes or undoes it: " + start};
  if (!facts.is_running && facts.phase == "stopped") return {Level::ok, "process", "stopped", ""};
  if (!facts.is_running) return {Level::problem, "process", "supervisor and process have ended", start};
  if (facts.restarts >= many_restarts)
    return {
        Level::warning, "process",
        fmt::format("pid {}, but restarted {} times (last: {})", facts.pid, facts.restarts, facts.last_exit),
        fmt::format("See why: rusternetes-ctl logs {}", facts.name)};
  return {Level::ok, "process", fmt::format("pid {}, {} restarts", facts.pid, facts.restarts), ""};
}

// Of a cluster of containers: one finding for all that is well, or one for each that is not.
void check_components(const ClusterFacts& facts, const std::string& start, Findings& out) {
  if (!facts.is_running || !facts.process_error.empty()) {
    Finding one = check_process(facts, start);
    one.what = "components";
    if (one.level == Level::problem)
      one.finding =
          facts.does_engine_answer ? "all have ended" : "the engine, which runs them, does not answer";
    return out.push_back(std::move(one));
  }
  bool is_well = true;
  for (const ComponentProblem& each : facts.problems) {
    is_well = is_well && !each.is_serious;
    out.push_back({each.is_serious ? Level::problem : Level::warning, "components",
                   fmt::format("{} {}", each.key, each.problem), each.advice});
  }
  if (is_well)
    out.push_back(
        {Level::ok, "components", fmt::format("{} run, and say that they are well", facts.components), ""});
}

void check_images(const ClusterFacts& facts, Findings& out) {
  const std::string anew = fmt::format("rusternetes-ctl stop {0} && rusternetes-ctl start {0}", facts.name);
  if (!facts.images_error.empty()) out.push_back({Level::unknown, "images", facts.images_error, ""});
  for (const std::string& one : facts.missing_images)
    out.push_back({Level::warning, "images",
                   fmt::format("{} has no image {} any more: what runs of it could not be made again",
                               facts.engine, one),
                   "It is loaded again by: " + anew});
  if (facts.images_error.empty() && facts.missing_images.empty() && facts.does_engine_answer)
    out.push_back({Level::ok, "images", "the engine has those of all components", ""});
}

void check_rules(const ClusterFacts& facts, const std::string& start, Findings& out) {
  const bool has_agent = facts.components > 0;
  if (!facts.rules_error.empty()) out.push_back({Level::unknown, "host-rules", facts.rules_error, ""});
  for (const std::string& one : facts.missing_rules)
    out.push_back({Level::problem, "host-rules", "the host lacks " + one,
                   has_agent
                       ? fmt::format("The host-agent puts it back; if not, see: rusternetes-ctl logs {} "
                                     "--component host-agent",
                                     facts.name)
                       : "The process puts it back; if not: " + start});
  if (facts.rules_error.empty() && facts.missing_rules.empty())
    out.push_back({Level::ok, "host-rules", "they stand", ""});
}

void check_ports(const ClusterFacts& facts, Findings& out) {
  for (const PortFacts& one : facts.ports) {
    if (facts.is_running && one.holder.empty())
      out.push_back({Level::problem, "ports",
                     fmt::format("nobody listens on the published port {}", one.port),
                     fmt::format("See why: rusternetes-ctl logs {} --component host-agent", facts.name)});
    else if (!facts.is_running && !one.holder.empty())
      out.push_back({Level::warning, "ports", fmt::format("{} is taken by {}", one.port, one.holder),
                     "End that program before the cluster is started."});
  }
}

Finding check_certificates(const ClusterFacts& facts, SystemTime now, const std::string& start) {
  if (!facts.certificates_error.empty())
    return {Level::unknown, "certificates", facts.certificates_error, ""};
  const long days = std::chrono::duration_cast<std::chrono::hours>(facts.expires_at - now).count() / 24;
  const std::string renew = fmt::format(
      "rusternetes-ctl stop {0} && {1}, which makes it anew (Pods end and come back)", facts.name, start);
  if (facts.expires_at <= now)
    return {Level::problem, "certificates", fmt::format("{} has ended", facts.first_to_expire), renew};
  return {days < renewal_days ? Level::warning : Level::ok, "certificates",
          fmt::format("{} days left ({})", days, facts.first_to_expire), days < renewal_days ? renew : ""};
}

Finding check_schedule(const ClusterFacts& facts, const std::string& start) {
  const ScheduleLook& look = *facts.schedule;
  if (!look.memory.failure.empty())
    return {Level::warning, "snapshots", failure_text(look),
            fmt::format("Correct the cause; it is tried again. See: {}, and rusternetes-ctl snapshot {}",
                        look.log_file, facts.name)};
  if (facts.is_running && !look.is_kept)
    return {Level::warning, "snapshots",
            schedule_text(look.schedule) + "; but what takes them has ended", start};
  return {Level::ok, "snapshots", schedule_text(look.schedule) + "; " + times_text(look), ""};
}

}  // namespace

Findings check_cluster(const ClusterFacts& facts, SystemTime now) {
  const std::string start = fmt::format("rusternetes-ctl start {}", facts.name);
  Findings out;
  if (facts.components > 0) {
    check_components(facts, start, out);
    check_images(facts, out);
    check_ports(facts, out);
  } else {
    out.push_back(check_process(facts, start));
  }
  if (facts.is_running) {
    check_rules(facts, start, out);
    out.push_back(
        facts.silence.empty()
            ? Finding{Level::ok, "api-server", "ready at " + facts.server, ""}
            : Finding{Level::problem, "api-server", "not ready: " + facts.silence,
                      fmt::format("See why: rusternetes-ctl logs {} --component api-server", facts.name)});
    out.push_back(facts.does_engine_answer
                      ? Finding{Level::ok, "engine", facts.engine, ""}
                      : Finding{Level::problem, "engine", facts.engine + " does not answer",
                                "Start the engine; one of the cluster's own: " + start});
  }
  out.push_back(check_certificates(facts, now, start));
  if (facts.store_bytes == 0)
    out.push_back({Level::problem, "store", "there is no store in the cluster's folder",
                   "Put the folder back from a copy, or: rusternetes-ctl delete " + facts.name});
  else
    out.push_back({facts.store_bytes > big_store ? Level::warning : Level::ok, "store",
                   fmt::format("{} MiB", (facts.store_bytes + mib - 1) / mib),
                   facts.store_bytes > big_store
                       ? "Look for objects that pile up, for example: kubectl get --raw /metrics | grep "
                         "apiserver_storage_objects"
                       : ""});
  if (facts.schedule) out.push_back(check_schedule(facts, start));
  out.push_back(facts.has_context
                    ? Finding{Level::ok, "kubeconfig", "its context is in " + facts.kubeconfig, ""}
                    : Finding{Level::warning, "kubeconfig", "its context is not in " + facts.kubeconfig,
                              "rusternetes-ctl kubeconfig merge " + facts.name});
  for (Finding& one : out) one.cluster = facts.name;
  return out;
}

}  // namespace rusternetes::launcher::doctor
