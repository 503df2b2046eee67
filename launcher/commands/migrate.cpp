// migrate: a running cluster's objects go into another store, or another Kubernetes cluster's into a new one
// of ours.
#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launcher/containers/topology.h"
#include "launcher/failure.h"
#include "launcher/liveness.h"
#include "launcher/new_cluster.h"
#include "launcher/ports/store_port.h"
#include "launcher/readiness.h"
#include "launcher/release.h"
#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

std::string text_of(const ClusterSettings& settings) {
  return settings.mode + (settings.is_highly_available ? " (ha)" : "");
}

// What the cluster becomes. The same as it is: nothing to be done.
Result<ClusterSettings> wanted_settings(const Invocation& invocation, const ClusterSettings& now) {
  const std::string mode = invocation.text("--mode", invocation.has("--ha") ? "etcd" : "");
  if (mode.empty()) return failure("Usage", "migrate needs --mode sqlite or --mode etcd");
  if (mode != "all-in-one" && mode != "sqlite" && mode != "etcd")
    return failure("BadRequest", fmt::format("--mode \"{}\" is not one of sqlite, etcd", mode));
  if (invocation.has("--ha") && mode != "etcd") return failure("BadRequest", "--ha needs --mode etcd");
  ClusterSettings wanted = now;
  if (mode == now.mode && (now.is_highly_available || !invocation.has("--ha"))) return wanted;
  if (mode == "all-in-one" || !now.has_containers())
    return failure(
        "NotSupported",
        fmt::format("cluster \"{}\" is {}, and the nodes of {} are others: `rusternetes-ctl clone NEWNAME "
                    "--from-cluster {} --mode {}` makes a cluster with its objects beside it",
                    now.name, text_of(now), mode, now.name, mode));
  wanted.mode = mode;
  wanted.previous.reset();  // what it ran before its last upgrade has the other store
  wanted.is_highly_available = invocation.has("--ha");
  return wanted;
}

// Those that it has stay; that of the new store is chosen as `create` does, or named.
Result<> choose_new_images(Invocation& invocation, ClusterSettings& wanted) {
  const std::string node = wanted.images["node"];  // its containers stay as they are
  std::map<std::string, std::string> images;
  for (const std::string& component : components_of(wanted))
    if (const auto found = wanted.images.find(component); found != wanted.images.end()) images.insert(*found);
  if (const auto flags = invocation.flags.find("--image"); flags != invocation.flags.end())
    for (const std::string& text : flags->second) {
      const auto equals = text.find('=');
      if (equals == std::string::npos || equals + 1 == text.size() || !is_store(text.substr(0, equals)))
        return failure("BadRequest", fmt::format("--image \"{}\" is not {}=REFERENCE", text,
                                                 wanted.mode == "etcd" ? "etcd" : "rhino"));
      images[text.substr(0, equals)] = text.substr(equals + 1);
    }
  RN_CHECK(choose_images(invocation, wanted.registry, images, wanted));
  if (!node.empty()) wanted.images["node"] = node;
  return {};
}

Result<> check_is_well(StepContext& context) {
  RN_TRY(const Liveness liveness, look_at(context));
  const ClusterHealth health = cluster_health(context, liveness);
  if (health.is_api_ready) return {};
  return failure("NotReady", fmt::format("cluster \"{}\" is not well, and nothing was changed: {}",
                                         context.settings.name, health.message));
}

// Of what only one of both can have.
Result<> check_flags(const Invocation& invocation, bool is_import) {
  for (const char* flag : {"--no-snapshot", "--passphrase-file", "--image"})
    if (is_import && invocation.has(flag))
      return failure(
          "Usage",
          fmt::format("{} is for a cluster that is there, and --from-etcd-snapshot makes one", flag));
  for (const char* flag :
       {"--nodes", "--engine", "--node-network", "--publish", "--api-port", "--pod-cidr", "--service-cidr"})
    if (!is_import && invocation.has(flag))
      return failure("Usage", fmt::format("{} is for a new cluster, with --from-etcd-snapshot", flag));
  return {};
}

Result<> run_import(Invocation& invocation) {
  if (!invocation.has_name)
    return failure("Usage", "migrate --from-etcd-snapshot needs the NAME of the new cluster");
  std::error_code ignored;
  // The journal's plans are finished in other folders.
  const std::filesystem::path file =
      std::filesystem::absolute(invocation.text("--from-etcd-snapshot"), ignored);
  RN_TRY(const auto session,
         Session::open(invocation,
                       invocation.has("--dry-run") ? Session::Access::look : Session::Access::change));
  RN_TRY(const auto same, session->find(invocation.name));
  if (same) return failure("ClusterExists", fmt::format("cluster \"{}\" exists", invocation.name));
  Environment& environment = invocation.environment;
  RN_TRY(const ForeignCluster foreign,
         environment.store->read_foreign(file, environment.binary_dir / "rhino"));
  NewClusterSource of{.before = {},
                      .task = {},
                      .text = fmt::format("the objects in {}", file.string()),
                      .json = {{"file", file.string()}}};
  of.before.service_cidrs = foreign.service_cidrs;
  // Where each member of etcd belongs.
  of.task.id = fmt::format("{}-{}", invocation.name, environment.clock.now().time_since_epoch().count());
  of.task.file = file;
  of.task.is_foreign = true;
  return make_cluster_of(invocation, *session, std::move(of));
}

Result<> run_migrate(Invocation& invocation) {
  const bool is_import = invocation.has("--from-etcd-snapshot");
  RN_CHECK(check_flags(invocation, is_import));
  if (is_import) return run_import(invocation);
  RN_TRY(const std::chrono::milliseconds wait, wait_flag(invocation));
  RN_TRY(auto passphrase, passphrase_flag(invocation));
  const SteadyTime started = invocation.environment.clock.steady_now();
  RN_TRY(OpenedCluster opened, open_running(invocation));
  Session& session = *opened.session;
  const ClusterSettings& now = opened.settings;
  RN_TRY(ClusterSettings wanted, wanted_settings(invocation, now));
  if (wanted.mode == now.mode && wanted.is_highly_available == now.is_highly_available) {
    invocation.print(
        fmt::format("Cluster \"{}\" is {} already.\n", now.name, text_of(now)),
        json::serialize(json::object{{"cluster", describe_json(now)}, {"migrated", false}}) + "\n");
    return {};
  }
  RN_CHECK(check_this_release(*session.context(now), "migrate"));
  RN_CHECK(choose_new_images(invocation, wanted));
  const auto task = std::make_shared<ChangeTask>();
  task->previous = now;
  RN_TRY(task->previous_manifest, kept_manifest(*session.context(now)));
  const Context context = session.context(wanted);
  if (opened.is_dry) {
    print_plan(invocation, migrate_plan(context, task), wanted);
    return {};
  }
  RN_CHECK(check_is_well(*session.context(now)));
  RN_CHECK(confirm(invocation,
                   fmt::format("The api-servers stand still while the objects are copied; Pods run on.{} "
                               "Move cluster \"{}\" from {} to {}?",
                               now.previous ? " `rollback` does not reach behind it." : "",
                               now.name, text_of(now), text_of(wanted))));
  std::string before;
  if (!invocation.has("--no-snapshot")) {
    RN_TRY(
        const TakenSnapshot taken,
        take_snapshot(session, now, {fmt::format("before the migration to {}", text_of(wanted)), passphrase}));
    before = taken.snapshot.id;
  }
  RN_CHECK(session.run(migrate_plan(context, task), change_arguments(wanted, *task)));
  if (wait.count() > 0) RN_CHECK(wait_with_progress(session, *context, wait));
  const std::int64_t elapsed = elapsed_ms(invocation, started);
  std::string text =
      fmt::format("Cluster \"{}\" is {} now ({:.1f} s){}.\n", wanted.name, text_of(wanted),
                  static_cast<double>(elapsed) / 1000, wait.count() > 0 ? "" : "; it is starting");
  json::object out{{"cluster", describe_json(wanted)},
                   {"migrated", true},
                   {"from", text_of(now)},
                   {"ready", wait.count() > 0},
                   {"elapsedMs", elapsed}};
  if (!before.empty()) {
    text += fmt::format("What it was before is snapshot {}.\n", before);
    out["before"] = before;
  }
  invocation.print(text, json::serialize(out) + "\n");
  return {};
}

}  // namespace

Command migrate_command() {
  std::vector<Flag> flags{
      {"--mode", "MODE",
       "where the objects go: sqlite or etcd; of a new cluster also all-in-one (the default)"},
      {"--ha", "", "three etcd members and api-servers, two of the others (--mode etcd)"},
      {"--image", "COMPONENT=REFERENCE", "take the image of the new store from elsewhere", true},
      {"--no-snapshot", "", "do not keep the present state as a snapshot first"},
      {"--passphrase-file", "FILE", "its first line encrypts that snapshot"},
      {"--from-etcd-snapshot", "FILE",
       "make the cluster NAME of what `etcdctl snapshot save` wrote of another Kubernetes cluster's etcd"}};
  for (Flag& flag : clone_flags())
    if (flag.name != "--mode" && flag.name != "--ha") flags.push_back(flag);
  return {.word = "migrate",
          .subword = "",
          .summary =
              "Move a running cluster's objects from SQLite to etcd or back, or another cluster's into a new "
              "one.",
          .examples =
              "rusternetes-ctl migrate dev --mode etcd\n"
              "rusternetes-ctl migrate dev --mode etcd --ha\n"
              "rusternetes-ctl migrate dev --mode sqlite --yes\n"
              "rusternetes-ctl migrate new --from-etcd-snapshot /backup/kubeadm.db",
          .flags = std::move(flags),
          .run = run_migrate};
}

}  // namespace rusternetes::launcher
