// clone: a new cluster with the objects of another one's snapshot.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/addresses.h"
#include "launcher/failure.h"
#include "launcher/new_cluster.h"
#include "launcher/report.h"
#include "launcher/snapshot_commands.h"
#include "launcher/user_kubeconfig.h"

namespace rusternetes::launcher {
namespace {

// The ranges and the port of before if nobody else has them, and free ones else: what the user named counts
// in any case.
Result<> choose_like(Session& session, const AddressRequest& asked, const ClusterSettings& before,
                     ClusterSettings& settings) {
  std::vector<AddressRequest> tries;
  for (const bool keeps_pods : {true, false})
    for (const bool keeps_services : {true, false})
      for (const bool keeps_port : {true, false}) {
        AddressRequest request = asked;
        if (!before.pod_cidrs.empty()) request.like = before.pod_cidrs.front();
        if (request.pod_cidr.empty() && keeps_pods) request.pod_cidr = joined(before.pod_cidrs);
        if (request.service_cidr.empty() && keeps_services)
          request.service_cidr = joined(before.service_cidrs);
        if (request.api_port == 0 && keeps_port) request.api_port = before.api_port;
        tries.push_back(std::move(request));
      }
  Result<> chosen;
  for (const AddressRequest& request : tries) {
    ClusterSettings wanted = settings;
    chosen = choose_addresses(session, request, wanted);
    if (chosen) settings = std::move(wanted);
    if (chosen || !chosen.error().is("AddressConflict")) return chosen;
  }
  return chosen;
}

struct Topology {
  std::string mode;
  bool is_highly_available = false;
  std::size_t nodes = 1;
};

// That of the original, unless flags say otherwise.
Result<Topology> topology_of(const Invocation& invocation, const ClusterSettings& before) {
  Topology out{.mode = invocation.text("--mode", invocation.has("--ha") ? "etcd" : before.mode)};
  if (out.mode != "all-in-one" && out.mode != "sqlite" && out.mode != "etcd")
    return failure("BadRequest", fmt::format("--mode \"{}\" is not one of all-in-one, sqlite, etcd", out.mode));
  if (invocation.has("--ha") && out.mode != "etcd") return failure("BadRequest", "--ha needs --mode etcd");
  out.is_highly_available =
      out.mode == "etcd" && (invocation.has("--ha") || (before.is_highly_available && !invocation.has("--mode")));
  if (out.mode == "all-in-one") return out;
  out.nodes = before.has_containers() ? before.nodes.size() : 2;
  if (const std::string text = invocation.text("--nodes"); !text.empty()) {
    const auto number = parse_port(text);  // 1 to 65535
    if (!number) return failure("BadRequest", fmt::format("--nodes \"{}\" is not a number of nodes", text));
    out.nodes = *number;
  }
  return out;
}

Result<AddressRequest> parse_addresses(const Invocation& invocation) {
  AddressRequest request;
  if (const auto published = invocation.flags.find("--publish"); published != invocation.flags.end())
    request.published_ports = published->second;
  for (const std::string& port : request.published_ports) RN_CHECK(parse_published_port(port));
  request.pod_cidr = invocation.text("--pod-cidr");
  request.service_cidr = invocation.text("--service-cidr");
  if (const std::string text = invocation.text("--api-port"); !text.empty()) {
    const auto port = parse_port(text);
    if (!port)
      return failure("BadRequest",
                     fmt::format("--api-port \"{}\" is not a port, a number from 1 to 65535", text));
    request.api_port = *port;
  }
  return request;
}

Result<> run_clone(Invocation& invocation) {
  const std::string id = invocation.text("--from");
  const std::string file = invocation.text("--file");
  const std::string cluster = invocation.text("--from-cluster");
  if (!invocation.has_name) return failure("Usage", "clone needs the NAME of the new cluster");
  if (static_cast<int>(!id.empty()) + static_cast<int>(!file.empty()) + static_cast<int>(!cluster.empty()) !=
      1)
    return failure("Usage", "clone needs --from ID, --from-cluster NAME or --file FILE");
  const bool is_dry = invocation.has("--dry-run");
  if (is_dry && !cluster.empty())
    return failure("Usage", "--dry-run needs a snapshot that is there: --from ID or --file FILE");
  RN_TRY(auto passphrase, passphrase_flag(invocation));
  RN_CHECK(check_cluster_name(invocation.name));
  RN_TRY(auto session, Session::open(invocation, is_dry ? Session::Access::look : Session::Access::change));
  if (cluster.empty()) {
    RN_TRY(OpenSnapshot source, open_snapshot(invocation, id, file, "", std::move(passphrase)));
    return make_clone(invocation, *session, std::move(source), false);
  }
  RN_TRY(const ClusterSettings original, session->cluster(cluster));
  RN_CHECK(session->check_recovered(cluster));
  RN_TRY(const auto same, session->state()->find(invocation.name));
  if (same) return failure("ClusterExists", fmt::format("cluster \"{}\" exists", invocation.name));
  RN_TRY(const TakenSnapshot taken,
         take_snapshot(*session, original, {fmt::format("for the clone {}", invocation.name), passphrase}));
  RN_TRY(OpenSnapshot source,
         open_snapshot(invocation, taken.snapshot.id, "", cluster, std::move(passphrase)));
  return make_clone(invocation, *session, std::move(source), false);
}

}  // namespace

Result<> make_clone(Invocation& invocation, Session& session, OpenSnapshot source, bool has_certificates) {
  const ClusterSettings& before = source.cluster.settings;
  NewClusterSource of{
      .before = before,
      .task = {.id = source.id(), .note = {}, .file = source.file, .passphrase = source.passphrase},
      .text =
          fmt::format("the objects of \"{}\" of {}", before.name, snapshot::time_text(source.created_at_s())),
      .json = {{"id", source.id()}, {"cluster", before.name}}};
  of.task.has_certificates = has_certificates;
  return make_cluster_of(invocation, session, std::move(of));
}

Result<> make_cluster_of(Invocation& invocation, Session& session, NewClusterSource source) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  const bool is_dry = invocation.has("--dry-run");
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(AddressRequest asked, parse_addresses(invocation));
  const std::string kind = invocation.text("--engine");
  if (!kind.empty() && kind != "podman" && kind != "docker")
    return failure("BadRequest", fmt::format("--engine \"{}\" is not one of podman, docker", kind));
  const ClusterSettings& before = source.before;
  const std::string node_network = invocation.text("--node-network", before.node_network);
  if (node_network != "own" && node_network != "host")
    return failure("BadRequest", fmt::format("--node-network \"{}\" is not one of own, host", node_network));
  RN_TRY(const Topology topology, topology_of(invocation, before));
  RN_CHECK(check_host(invocation, topology.mode));
  RN_CHECK(session.check_recovered(invocation.name));
  RN_TRY(const EngineChoice engine, choose_engine(invocation, kind));
  RN_CHECK(check_is_new(invocation, session, engine));
  ClusterSettings settings{.name = invocation.name,
                           .mode = topology.mode,
                           .node_network = node_network,
                           .node_name = before.node_name.empty() ? invocation.name : before.node_name,  // objects name it
                           .key_algorithm = before.key_algorithm,
                           .engine = engine,
                           .has_network_policy = before.has_network_policy,
                           .is_highly_available = topology.is_highly_available};
  if (settings.has_containers()) {
    settings.node_name.clear();
    settings.node_network = "own";
  }
  asked.nodes = topology.nodes;
  settings.user_kubeconfig = user_kubeconfig_path(invocation.environment.variable).string();
  RN_CHECK(check_kubeconfig_file(settings.user_kubeconfig));
  settings.created_at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                               invocation.environment.clock.now().time_since_epoch())
                               .count();
  RN_CHECK(choose_release(invocation, settings));
  RN_CHECK(choose_like(session, asked, before, settings));
  RN_CHECK(choose_images(invocation, before.registry, {}, settings));
  const auto task = std::make_shared<SnapshotTask>(std::move(source.task));
  task->service_cidrs_before = before.service_cidrs;
  const Context context = session.context(settings);
  if (is_dry) {
    print_plan(invocation, clone_plan(context, task), settings);
    return {};
  }
  RN_CHECK(session.run(clone_plan(context, task), plan_arguments(settings, *task)));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(session, *context, wait));
  const std::int64_t elapsed = elapsed_ms(invocation, started);
  invocation.print(
      fmt::format("Cluster \"{}\" is {} with {} ({:.1f} s).\n", settings.name,
                  wait.count() > 0 ? "ready" : "starting", source.text, static_cast<double>(elapsed) / 1000),
      boost::json::serialize(boost::json::object{{"cluster", describe_json(settings)},
                                                 {"from", std::move(source.json)},
                                                 {"ready", wait.count() > 0},
                                                 {"elapsedMs", elapsed}}) +
          "\n");
  return {};
}

std::vector<Flag> clone_flags() {
  return {
      {"--mode", "MODE", "of a new cluster: all-in-one, sqlite or etcd; else the snapshot's"},
      {"--ha", "", "of a new cluster: three etcd members and api-servers"},
      {"--nodes", "NUMBER", "of a new cluster of containers: else as many as the snapshot's had, or 2"},
      {"--engine", "podman|docker", "engine of a new cluster; else as `create` chooses"},
      {"--node-network", "own|host", "of a new cluster: else as the snapshot's"},
      {"--publish", "HOST:NODEPORT", "of a new cluster: port HOST of this host leads to port NODEPORT", true},
      {"--api-port", "PORT", "of a new cluster: else the snapshot's if it is free, or a free one"},
      {"--pod-cidr", "CIDR", "of a new cluster: else the snapshot's if it is free, or a free block"},
      {"--service-cidr", "CIDR", "of a new cluster: else the snapshot's if it is free, or a free block"},
      {"--wait", "DURATION", "how long to wait for a Ready node (60s; 0 returns at once)"},
      {"--dry-run", "", "print the steps and change nothing"},
      {"--yes", "", "answer what asks", false, 'y'}};
}

Command clone_command() {
  std::vector<Flag> flags{
      {"--from", "ID", "the snapshot, as `snapshot list` shows it"},
      {"--from-cluster", "NAME", "take a snapshot of this cluster, and clone that"},
      {"--file", "FILE", "a snapshot's file instead, wherever it is"},
      {"--passphrase-file", "FILE", "its first line opens an encrypted snapshot"},
  };
  for (Flag& flag : clone_flags()) flags.push_back(flag);
  return {.word = "clone",
          .subword = "",
          .summary = "Make a new cluster with the objects of another one's snapshot, beside it.",
          .examples =
              "rusternetes-ctl clone copy --from 20261122-082015\n"
              "rusternetes-ctl clone copy --from-cluster dev\n"
              "rusternetes-ctl clone copy --file /backup/dev.snapshot --engine docker",
          .flags = std::move(flags),
          .run = run_clone};
}

}  // namespace rusternetes::launcher
