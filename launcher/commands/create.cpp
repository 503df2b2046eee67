// create: a cluster, from nothing to Ready nodes; one that is there already is brought up.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/containers/compose.h"
#include "launcher/failure.h"
#include "launcher/new_cluster.h"
#include "launcher/ports/host_port.h"
#include "launcher/report.h"
#include "launcher/starting.h"

namespace rusternetes::launcher {
namespace {

void print_created(const Invocation& invocation, const ClusterSettings& settings,
                   const ClusterRequest& request, SteadyTime started, std::string_view verb,
                   bool is_created) {
  const bool is_ready = request.wait.count() > 0;
  const std::int64_t elapsed = elapsed_ms(invocation, started);
  invocation.print(fmt::format("Cluster \"{}\" {} {} ({:.1f} s). Try: kubectl get nodes\n", settings.name,
                               verb, is_ready ? "ready" : "starting", static_cast<double>(elapsed) / 1000),
                   boost::json::serialize(boost::json::object{{"cluster", describe_json(settings)},
                                                              {"created", is_created},
                                                              {"ready", is_ready},
                                                              {"elapsedMs", elapsed}}) +
                       "\n");
}

// One that exists with the settings asked for: as many calls of `create` as one likes give one cluster.
Result<> run_existing(Invocation& invocation, Session& session, const ClusterRequest& request,
                      const ClusterSettings& settings, SteadyTime started) {
  RN_CHECK(check_is_same(invocation, request, settings));
  const Context context = session.context(settings);
  RN_TRY(const bool is_down, needs_start(session, *context));
  if (invocation.has("--dry-run")) {
    if (is_down)
      print_plan(invocation, start_plan(context), settings);
    else
      print_plan(invocation, Plan{.kind = "create", .cluster = settings.name, .steps = {}}, settings);
    return {};
  }
  if (is_down) RN_CHECK(start_cluster(session, context));
  if (request.wait.count() > 0) RN_CHECK(wait_with_progress(session, *context, request.wait));
  print_created(invocation, settings, request, started,
                is_down ? "is there already, was started and" : "is there already and", false);
  return {};
}

Result<> run_create(Invocation& invocation) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  RN_TRY(const ClusterRequest request, read_request(invocation));
  RN_CHECK(check_host(invocation, request.mode));
  const bool is_dry = invocation.has("--dry-run");
  RN_TRY(auto session, Session::open(invocation, is_dry ? Session::Access::look : Session::Access::change));
  RN_CHECK(session->check_recovered(invocation.name));
  RN_TRY(const auto known, session->find(invocation.name));
  if (known) return run_existing(invocation, *session, request, *known, started);
  RN_TRY(const ClusterSettings settings, choose_settings(invocation, *session, request));
  const Context context = session->context(settings);
  if (is_dry) {
    print_plan(invocation, create_plan(context), settings,
               settings.has_containers() ? render_manifest(settings, context->paths, settings.images) : "");
    return {};
  }
  if (settings.engine.is_private)
    session->progress().note("No engine is running: the cluster gets a Podman of its own.");
  RN_CHECK(session->run(create_plan(context), settings));
  if (request.wait.count() > 0) RN_CHECK(wait_with_progress(*session, *context, request.wait));
  print_created(invocation, settings, request, started, "is", true);
  return {};
}

}  // namespace

Command create_command() {
  Command command{.word = "create",
                  .subword = "",
                  .summary = "Create a cluster and make it kubectl's current context.",
                  .examples =
                      "rusternetes-ctl create\n"
                      "rusternetes-ctl create dev --engine docker --wait 2m\n"
                      "rusternetes-ctl create web --publish 8080:30080 --publish 8443:30443\n"
                      "rusternetes-ctl create three --mode sqlite --nodes 3\n"
                      "rusternetes-ctl create prod --ha\n"
                      "rusternetes-ctl create --config cluster.yaml\n"
                      "rusternetes-ctl create two --pod-cidr 10.200.0.0/16 --api-port 7443\n"
                      "rusternetes-ctl create --dry-run",
                  .flags = cluster_flags(),
                  .run = run_create};
  for (const Flag& flag :
       {Flag{"--wait", "DURATION", "how long to wait for a Ready node (60s; 0 returns at once)"},
        Flag{"--dry-run", "", "print the steps, and the manifest of a cluster of containers; change nothing"},
        Flag{"--yes", "", "answer what asks", false, 'y'}})
    command.flags.push_back(flag);
  return command;
}

}  // namespace rusternetes::launcher
