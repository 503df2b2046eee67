#include "launcher/report.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <istream>
#include <ostream>

#include "base/duration.h"
#include "launcher/failure.h"
#include "launcher/readiness.h"

namespace rusternetes::launcher {

namespace json = boost::json;

json::object describe_json(const ClusterSettings& s) {
  const auto list = [](const std::vector<std::string>& parts) {
    json::array out;
    for (const std::string& part : parts) out.emplace_back(part);
    return out;
  };
  json::array nodes;
  for (const NodeSettings& node : s.nodes)
    nodes.push_back(json::object{{"name", node.name}, {"address", node.address}});
  return {{"name", s.name},
          {"mode", s.mode},
          {"engine", s.engine.kind},
          {"engineSocket", s.engine.socket},
          {"server", s.server()},
          {"context", s.context()},
          {"kubeconfig", s.user_kubeconfig},
          {"nodeName", s.node_name},
          {"highlyAvailable", s.is_highly_available},
          {"nodes", std::move(nodes)},
          {"networkCIDR", s.network_cidr},
          {"nodeNetwork", s.node_network},
          {"nodeAddresses", list(s.node_addresses)},
          {"podCIDRs", list(s.pod_cidrs)},
          {"serviceCIDRs", list(s.service_cidrs)},
          {"publishedPorts", list(s.published_ports)},
          {"release", s.release},
          {"kubernetes", s.kubernetes},
          {"previousRelease", s.previous ? json::value(s.previous->release) : json::value()},
          {"createdAtMs", s.created_at_ms}};
}

std::string date_text(SystemTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::int64_t elapsed_ms(const Invocation& invocation, SteadyTime started) {
  const auto elapsed = invocation.environment.clock.steady_now() - started;
  return std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count();
}

Result<> check_runs(Session& session, StepContext& context) {
  const std::string& name = context.settings.name;
  RN_TRY(const Liveness liveness, look_at(context));
  if (context.settings.has_containers() ? liveness.is_running : liveness.is_whole) return {};
  RN_TRY(const std::string phase, session.phase(name));
  if (phase == "stopped") return failure("ClusterStopped", fmt::format("cluster \"{}\" is stopped", name));
  return failure("ClusterStopped", fmt::format("cluster \"{}\" does not run: {}", name, liveness.problem));
}

void print_plan(const Invocation& invocation, const Plan& plan, const ClusterSettings& settings,
                const std::string& manifest) {
  std::string text = plan.steps.empty()
                         ? fmt::format("{} \"{}\" would do nothing: it runs.\n", plan.kind, plan.cluster)
                         : fmt::format("{} \"{}\" would do:\n", plan.kind, plan.cluster);
  json::array steps;
  int number = 0;
  for (const auto& step : plan.steps) {
    const bool is_point = number == plan.point_of_no_return && number > 0;
    text += fmt::format("{:3}. {}{}\n", ++number, step->describe(),
                        is_point ? " (from here on an interrupted plan is finished, not undone)" : "");
    steps.push_back(json::object{{"id", step->id()}, {"description", step->describe()}});
  }
  json::object object{{"plan", plan.kind},
                      {"cluster", describe_json(settings)},
                      {"pointOfNoReturn", plan.point_of_no_return},
                      {"steps", std::move(steps)}};
  if (!manifest.empty()) {
    text += "\nby this manifest:\n\n" + manifest;
    object["manifest"] = manifest;
  }
  invocation.print(text, json::serialize(object) + "\n");
}

Result<std::chrono::milliseconds> wait_flag(const Invocation& invocation) {
  auto wait = parse_duration(invocation.text("--wait", "60s"));
  if (!wait) return failure("BadRequest", "--wait " + wait.error().message);
  return wait;
}

Result<> wait_with_progress(Session& session, StepContext& context, std::chrono::milliseconds timeout) {
  session.progress().begin(
      fmt::format("Wait for the api-server and {} (up to {} s)",
                  node_names(context.settings).size() == 1
                      ? "a Ready node"
                      : fmt::format("{} Ready nodes", node_names(context.settings).size()),
                  timeout.count() / 1000));
  const Result<> result = wait_until_ready(context, timeout);
  result ? session.progress().done() : session.progress().failed();
  return result;
}

Result<> confirm(const Invocation& invocation, const std::string& question) {
  if (invocation.has("--yes")) return {};
  Environment& environment = invocation.environment;
  if (!environment.is_input_terminal)
    return failure("ConfirmationRequired",
                   fmt::format("\"{}\" cannot be asked: there is no terminal", question));
  environment.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(environment.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return failure("ConfirmationRequired", "not confirmed, so nothing was changed");
}

}  // namespace rusternetes::launcher
