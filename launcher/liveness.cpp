#include "launcher/liveness.h"

#include <fmt/format.h>

#include <algorithm>

#include "launcher/containers/topology.h"

namespace rusternetes::launcher {
namespace {

Result<Liveness> look_at_process(const StepContext& context) {
  Liveness out;
  RN_TRY(out.process, context.environment.process.status(process_spec(context)));
  out.is_running = out.process.is_running;
  // One that is not released belongs to a supervisor that was started anew: its node's namespace is empty.
  out.is_whole = out.is_running && out.process.is_released;
  if (!out.is_running)
    out.problem = "the process does not run";
  else if (!out.is_whole)
    out.problem = "the process waits to be released";
  return out;
}

Result<Liveness> look_at_containers(const StepContext& context) {
  Liveness out;
  EnginePort& engine = context.environment.engine;
  if (!engine.is_answering(context.settings.engine)) {
    out.problem = fmt::format("{} does not answer at {}", context.settings.engine.kind,
                              context.settings.engine.socket);
    return out;
  }
  RN_TRY(out.components, engine.components(context.settings.engine, context.settings.name));
  for (const Member& member : members_of(context.settings)) {
    const auto found = std::find_if(out.components.begin(), out.components.end(),
                                    [&](const ComponentContainer& one) { return one.key == member.key; });
    const bool is_up = found != out.components.end() && found->is_running;
    out.is_running |= is_up;
    if (is_up || !out.problem.empty()) continue;
    out.problem =
        fmt::format("{} {}", member.key, found == out.components.end() ? "has no container" : end_of(*found));
  }
  out.is_whole = out.problem.empty();
  return out;
}

}  // namespace

Result<Liveness> look_at(const StepContext& context) {
  return context.settings.has_containers() ? look_at_containers(context) : look_at_process(context);
}

SystemTime start_of(const StepContext& context, const Liveness& liveness, const std::string& node) {
  SystemTime began = liveness.process.started_at;
  if (context.settings.has_containers())
    for (const Member& member : members_of(context.settings, "kubelet"))
      for (const ComponentContainer& one : liveness.components)
        if (member.node == node && one.key == member.key) began = one.started_at;
  return began <= context.environment.clock.now() ? began : SystemTime();
}

std::string end_of(const ComponentContainer& component) {
  switch (component.end) {
    case ComponentEnd::none:
      return {};
    case ComponentEnd::exited:
      return fmt::format("has ended with exit code {}", component.exit_code);
    case ComponentEnd::not_started:
      return "has not been started";
    case ComponentEnd::unseen:
      return "has ended while nobody watched it";
  }
  return {};
}

std::vector<std::string> node_names(const ClusterSettings& settings) {
  if (!settings.has_containers()) return {settings.node_name};
  std::vector<std::string> out;
  for (const NodeSettings& node : settings.nodes) out.push_back(node.name);
  return out;
}

}  // namespace rusternetes::launcher
