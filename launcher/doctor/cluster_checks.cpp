#include "launcher/doctor/cluster_checks.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>

#include "certs/file.h"
#include "certs/pki.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/http_port.h"

namespace rusternetes::launcher::doctor {
namespace {

namespace fs = std::filesystem;

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

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t out = 0;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code gone;
    if (!at->is_regular_file(gone)) continue;
    const auto size = at->file_size(gone);
    if (!gone) out += size;
  }
  return out;
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

}  // namespace

ClusterFacts read_cluster(StepContext& context, std::string phase) {
  const ClusterSettings& settings = context.settings;
  ClusterFacts facts{.name = settings.name,
                     .phase = std::move(phase),
                     .server = settings.server(),
                     .engine = fmt::format("{} at {}", settings.engine.kind, settings.engine.socket),
                     .kubeconfig = settings.user_kubeconfig};
  if (const auto process = context.environment.process.status(process_spec(context))) {
    facts.is_running = process->is_running;
    facts.pid = process->child_pid;
    facts.restarts = process->restarts;
    facts.last_exit = process->last_exit;
  } else {
    facts.process_error = process.error().message;
  }
  if (facts.is_running) facts.silence = ask_readiness(context);
  facts.does_engine_answer = context.environment.engine.is_answering(settings.engine);
  const auto expiries = certs::expiries(context.paths.pki());
  if (!expiries) {
    facts.certificates_error = expiries.error().message;
  } else if (expiries->empty()) {
    facts.certificates_error = fmt::format("there are none in {}", context.paths.pki().string());
  } else {
    facts.first_to_expire = expiries->front().file;
    facts.expires_at = expiries->front().info.not_after;
  }
  facts.store_bytes = bytes_below(context.paths.data());
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

}  // namespace

Findings check_cluster(const ClusterFacts& facts, SystemTime now) {
  const std::string start = fmt::format("rusternetes-ctl start {}", facts.name);
  Findings out{check_process(facts, start)};
  if (facts.is_running) {
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
  out.push_back(facts.has_context
                    ? Finding{Level::ok, "kubeconfig", "its context is in " + facts.kubeconfig, ""}
                    : Finding{Level::warning, "kubeconfig", "its context is not in " + facts.kubeconfig,
                              "rusternetes-ctl kubeconfig merge " + facts.name});
  for (Finding& one : out) one.cluster = facts.name;
  return out;
}

}  // namespace rusternetes::launcher::doctor
