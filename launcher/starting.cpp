#include "launcher/starting.h"

#include <fmt/format.h>

#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/ports/engine_port.h"
#include "launcher/ports/host_port.h"

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

bool has_lost_engine(const StepContext& context) {
  const EngineChoice& engine = context.settings.engine;
  return engine.is_private && !context.environment.engine.is_answering(engine);
}

// Its process has ended, which no init keeps.
bool has_lost_schedule(const StepContext& context) {
  if (!context.settings.snapshot_schedule) return false;
  const auto process = context.environment.process.status(schedule_spec(context));
  return process && !process->is_running;
}

}  // namespace

Result<bool> needs_start(Session& session, StepContext& context) {
  RN_TRY(const std::string phase, session.phase(context.settings.name));
  RN_TRY(const Liveness liveness, look_at(context));
  return phase != "running" || !liveness.is_whole || has_lost_engine(context) || has_lost_schedule(context);
}

Result<> start_cluster(Session& session, const Context& context) {
  const ClusterSettings& settings = context->settings;
  RN_TRY(const std::string phase, session.phase(settings.name));
  RN_TRY(const Liveness liveness, look_at(*context));
  if (phase != "running" || !liveness.is_whole) {
    if (!liveness.is_running) RN_CHECK(check_ports(context->environment.host, settings));
    return session.run(start_plan(context), settings);
  }
  if (has_lost_engine(*context)) {
    session.progress().note("The cluster's own Podman has ended.");
    RN_CHECK(session.run(revive_engine_plan(context), settings));
  }
  if (!has_lost_schedule(*context)) return {};
  session.progress().note("What takes the cluster's snapshots has ended.");
  const auto same = std::make_shared<ChangeTask>();
  same->previous = settings;
  return session.run(schedule_plan(context, same), change_arguments(settings, *same));
}

}  // namespace rusternetes::launcher
