// doctor: what is wrong with this host and its clusters, and what to do about it. Changes nothing.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/doctor/checks.h"
#include "launcher/doctor/cluster_checks.h"
#include "launcher/doctor/probes.h"
#include "launcher/examine.h"
#include "launcher/failure.h"
#include "launcher/session.h"

namespace rusternetes::launcher {
namespace {

using doctor::Finding;
using doctor::Findings;
using doctor::Level;

constexpr std::chrono::milliseconds check_limit{2000};
// No cluster is begun after this, so that all ends within five seconds.
constexpr std::chrono::milliseconds cluster_limit{3200};
constexpr std::uint16_t first_api_port = 6443;
// Where a Podman of a cluster's own has its images.
constexpr const char* podman_storage = "/var/lib/containers/storage";

using Facts = std::shared_ptr<FactsPort>;

// The check of what is known, or why nothing is.
template <class T, class Check>
Findings judged(const std::string& what, const Result<T>& facts, Check&& check) {
  if (!facts) return {{Level::unknown, what, facts.error().message, ""}};
  return check(*facts);
}

void append(Findings& to, Findings more) {
  for (Finding& one : more) to.push_back(std::move(one));
}

Findings examine_engines(FactsPort& facts) {
  return judged("engine", facts.engines(), [&](const EnginesFacts& engines) {
    Findings out = doctor::check_engines(engines);
    append(out, judged("oci-runtime", facts.cgroups(), [&](const CgroupFacts& cgroups) {
             return doctor::check_runtime(engines, cgroups.mode);
           }));
    std::string storage = podman_storage;
    for (const EngineFacts& one : engines.engines)
      if (!one.storage.empty() && !one.is_users) {
        storage = one.storage;
        break;
      }
    append(out, judged("disk-engine", facts.folder(storage),
                       [](const FolderFacts& folder) { return doctor::check_disk("disk-engine", folder); }));
    return out;
  });
}

Findings examine_home(FactsPort& facts, const std::filesystem::path& home) {
  return judged("home", facts.folder(home), [](const FolderFacts& folder) {
    Findings out = doctor::check_home(folder);
    append(out, doctor::check_disk("disk-home", folder));
    return out;
  });
}

std::vector<doctor::Probe> host_probes(const Facts& facts, const std::filesystem::path& home) {
  std::vector<doctor::Probe> out;
  const auto add = [&](std::string what, auto gather, auto check) {
    out.push_back({what, [facts, what, gather, check] { return judged(what, gather(*facts), check); }});
  };
  out.push_back({"user", [facts] { return doctor::check_user(facts->is_root()); }});
  out.push_back({"engine", [facts] { return examine_engines(*facts); }});
  add(
      "cgroups", [](FactsPort& port) { return port.cgroups(); }, doctor::check_cgroups);
  add(
      "limits", [](FactsPort& port) { return port.limits(); }, doctor::check_limits);
  add(
      "kernel", [](FactsPort& port) { return port.kernel(); }, doctor::check_kernel);
  add(
      "ip-forward", [](FactsPort& port) { return port.forwarding(); }, doctor::check_forwarding);
  add(
      "firewall", [](FactsPort& port) { return port.firewall(); }, doctor::check_firewall);
  add(
      fmt::format("port-{}", first_api_port), [](FactsPort& port) { return port.listeners(first_api_port); },
      [](const std::vector<Listener>& found) { return doctor::check_port(first_api_port, found); });
  out.push_back({"home", [facts, home] { return examine_home(*facts, home); }});
  add(
      "clock", [](FactsPort& port) { return port.clock(); }, doctor::check_clock);
  add(
      "memory", [](FactsPort& port) { return port.memory(); }, doctor::check_memory);
  out.push_back({"init", [facts] { return doctor::check_init(facts->has_systemd()); }});
  add(
      "programs", [](FactsPort& port) { return port.programs(); }, doctor::check_programs);
  return out;
}

Finding about_state(const Status& status) {
  const ErrorKind& kind = error_kind(status.reason);
  return {Level::problem, "state", status.message,
          kind.advice.empty() ? "Run `rusternetes-ctl list`, which says more." : std::string(kind.advice)};
}

// Of the named cluster, or of all; ClusterNotFound.
Result<Findings> examine_clusters(Invocation& invocation, bool has_name, SteadyTime deadline) {
  auto session = Session::open(invocation, Session::Access::look);
  if (!session) return Findings{about_state(session.error())};
  std::vector<ClusterSettings> clusters;
  if (has_name) {
    RN_TRY(ClusterSettings settings, (*session)->cluster(invocation.name));
    clusters.push_back(std::move(settings));
  } else if (auto all = (*session)->clusters()) {
    clusters = *std::move(all);
  } else {
    return Findings{about_state(all.error())};
  }
  Findings out;
  for (const ClusterSettings& settings : clusters) {
    const auto phase = (*session)->phase(settings.name);
    if (!phase) {
      out.push_back(about_state(phase.error()));
    } else if (invocation.environment.clock.steady_now() >= deadline) {
      out.push_back({Level::unknown, "cluster", "no time was left for it",
                     "Ask for it alone: rusternetes-ctl doctor " + settings.name, settings.name});
    } else {
      const Context context = (*session)->context(settings);
      append(out, doctor::check_cluster(doctor::read_cluster(*context, *phase),
                                        invocation.environment.clock.now()));
    }
  }
  return out;
}

Result<Findings> examine(Invocation& invocation, bool has_name) {
  RN_ASSERT(invocation.environment.facts != nullptr, "doctor needs facts");
  const SteadyTime deadline = invocation.environment.clock.steady_now() + cluster_limit;
  Findings findings =
      doctor::run_probes(host_probes(invocation.environment.facts, invocation.home.root), check_limit);
  const bool is_home_unknown = std::any_of(findings.begin(), findings.end(), [](const Finding& one) {
    return one.what == "home" && one.level == Level::unknown;
  });
  if (is_home_unknown) {
    findings.push_back({Level::unknown, "clusters", "they are not looked at, since the home cannot be", ""});
  } else {
    RN_TRY(Findings clusters, examine_clusters(invocation, has_name, deadline));
    append(findings, std::move(clusters));
  }
  return findings;
}

boost::json::object json_with_verdict(const Findings& findings) {
  boost::json::object object = doctor::json_of(findings);
  if (doctor::has_problem(findings))
    object["error"] = error_json(failure("HostProblem", doctor::summary(findings)));
  return object;
}

Result<> run_doctor(Invocation& invocation) {
  RN_TRY(const Findings findings, examine(invocation, invocation.has_name));
  if (doctor::has_problem(findings))
    invocation.exit_code = error_kind("HostProblem").exit_code;  // the findings have told it
  invocation.print(doctor::text_of(findings), boost::json::serialize(json_with_verdict(findings)) + "\n");
  return {};
}

}  // namespace

boost::json::object doctor_json(Invocation& invocation) {
  const auto findings = examine(invocation, true);
  return findings ? json_with_verdict(*findings)
                  : boost::json::object{{"error", error_json(findings.error())}};
}

Command doctor_command() {
  return {
      .word = "doctor",
      .subword = "",
      .summary = "Look at this host and its clusters, and say what is wrong and what to do; changes nothing.",
      .examples = "rusternetes-ctl doctor\nrusternetes-ctl doctor dev --output json",
      .flags = {},
      .run = run_doctor};
}

}  // namespace rusternetes::launcher
