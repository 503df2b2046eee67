// upgrade: a running cluster comes to run the release of this rusternetes-ctl. rollback: the one of before.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "base/duration.h"
#include "launcher/failure.h"
#include "launcher/new_cluster.h"
#include "launcher/readiness.h"
#include "launcher/release.h"
#include "launcher/report.h"
#include "launcher/running.h"
#include "launcher/snapshot_commands.h"

namespace rusternetes::launcher {
namespace {

namespace json = boost::json;

// What `upgrade` makes of the cluster, without anything of before.
Result<ClusterSettings> wanted_settings(Invocation& invocation, const OpenedCluster& opened) {
  ClusterSettings wanted = opened.settings;
  wanted.manifest.clear();
  RN_CHECK(choose_release(invocation, wanted));
  if (!wanted.has_containers()) return wanted;
  RN_TRY(auto images, image_flags(invocation));
  // What the user chose by --image stays until --image says something else.
  const std::string published = wanted.registry.empty() ? "" : wanted.registry + "/";
  for (const auto& [component, reference] : opened.settings.images)
    if (component != "node" && !reference.starts_with(local_images) &&
        (published.empty() || !reference.starts_with(published)))
      images.emplace(component, reference);
  RN_CHECK(choose_images(invocation, invocation.text("--registry", wanted.registry), images, wanted));
  return wanted;
}

bool is_same(const ClusterSettings& a, const ClusterSettings& b) {
  return a.release == b.release && a.program == b.program && a.images == b.images && a.manifest == b.manifest;
}

// Kubernetes' version skew policy: a control plane goes up one minor version at a time.
Result<> check_skew(const ClusterSettings& have, const ClusterSettings& wanted) {
  if (!have.release.empty() && compare_releases(wanted.release, have.release) < 0)
    return failure("ReleaseOlder", fmt::format("cluster \"{}\" runs {}, and this rusternetes-ctl is {}", have.name,
                                               have.release, wanted.release));
  const auto from = kubernetes_minor(have.kubernetes), to = kubernetes_minor(wanted.kubernetes);
  if (!from || !to) return {};
  if (*to < *from)
    return failure("ReleaseOlder", fmt::format("cluster \"{}\" serves Kubernetes {}, and this release {}", have.name,
                                               have.kubernetes, wanted.kubernetes));
  if (*to > *from + 1)
    return failure("ReleaseSkew", fmt::format("cluster \"{}\" serves Kubernetes {}: from there to {} is too far for "
                                              "one upgrade",
                                              have.name, have.kubernetes, wanted.kubernetes));
  return {};
}

// Every component well and every node Ready: what is ill before could not be told from what the upgrade made ill.
Result<> check_healthy(StepContext& context, std::string_view what) {
  RN_TRY(const Liveness liveness, look_at(context));
  const std::string problem = liveness.problem.empty() ? what_is_wrong(context, liveness) : liveness.problem;
  if (problem.empty()) return {};
  return failure("NotReady", fmt::format("before {} everything has to be well, and it is not: {}; nothing was changed",
                                         what, problem));
}

Result<std::chrono::milliseconds> gate_flag(const Invocation& invocation) {
  auto timeout = parse_duration(invocation.text("--timeout", "2m"));
  if (!timeout) return failure("BadRequest", "--timeout " + timeout.error().message);
  return timeout;
}

Result<Change> change_of(const Invocation& invocation, const OpenedCluster& opened) {
  auto change = std::make_shared<ChangeTask>();
  change->previous = opened.settings;
  RN_TRY(change->previous_manifest, kept_manifest(*opened.context()));
  RN_TRY(change->gate_timeout, gate_flag(invocation));
  return change;
}

std::string release_text(const ClusterSettings& settings) {
  return settings.release.empty() ? "an earlier release" : settings.release;
}

// Runs the plan; one that fails has been taken back, which is waited for and told.
Result<> run_release_plan(Session& session, Plan plan, const Context& context, const ChangeTask& change,
                          const std::string& arguments, std::string_view what) {
  const std::string& name = context->settings.name;
  const Result<> done = session.run(std::move(plan), arguments);
  if (done) return {};
  RN_TRY(const auto unfinished, session.state()->journal().unfinished());
  if (std::any_of(unfinished.begin(), unfinished.end(), [&](const auto& one) { return one.cluster == name; }))
    return failure("RecoveryFailed", fmt::format("the {} failed: {}; the next command goes on from there", what,
                                                 done.error().message));
  const Context back = session.context(change.previous);
  const Result<> well = wait_with_progress(session, *back, std::chrono::seconds(60));
  return failure("UpgradeFailed",
                 fmt::format("the {} failed and was taken back: {}. Cluster \"{}\" runs {} again{}", what,
                             done.error().message, name, release_text(change.previous),
                             well ? "" : ", but is not well yet: " + well.error().message));
}

Result<> run_upgrade(Invocation& invocation) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  RN_TRY(auto passphrase, passphrase_flag(invocation));
  RN_TRY(OpenedCluster opened, open_running(invocation));
  const ClusterSettings& have = opened.settings;
  RN_TRY(ClusterSettings wanted, wanted_settings(invocation, opened));
  RN_CHECK(check_skew(have, wanted));
  RN_TRY(const Change change, change_of(invocation, opened));
  if (is_same(have, wanted)) {
    invocation.print(fmt::format("Cluster \"{}\" runs {} already.\n", have.name, wanted.release),
                     json::serialize(json::object{{"cluster", describe_json(have)}, {"upgraded", false}}) + "\n");
    return {};
  }
  wanted.previous = PreviousRelease{.release = have.release,
                                    .kubernetes = have.kubernetes,
                                    .program = have.program,
                                    .manifest = change->previous_manifest,
                                    .images = have.images,
                                    .registry = have.registry,
                                    .snapshot = {},
                                    .shape = shape_of(have)};
  if (opened.is_dry) {
    print_plan(invocation, upgrade_plan(opened.session->context(wanted), change), wanted);
    return {};
  }
  const std::string what = fmt::format("upgrade from {} to {}", release_text(have), wanted.release);
  RN_CHECK(check_healthy(*opened.context(), fmt::format("the {}", what)));
  if (!invocation.has("--no-snapshot")) {
    RN_TRY(const auto taken,
           take_snapshot(*opened.session, have, {fmt::format("before the {}", what), passphrase}));
    wanted.previous->snapshot = taken.snapshot.id;
  }
  const Context context = opened.session->context(wanted);
  RN_CHECK(run_release_plan(*opened.session, upgrade_plan(context, change), context, *change,
                            change_arguments(wanted, *change), what));
  RN_CHECK(wait_with_progress(*opened.session, *context, change->gate_timeout));
  const std::string& snapshot = wanted.previous->snapshot;
  const auto elapsed = elapsed_ms(invocation, started);
  invocation.print(
      fmt::format("Cluster \"{}\" runs {} ({:.1f} s). `rusternetes-ctl rollback {}` goes back to {}{}.\n", have.name,
                  wanted.release, static_cast<double>(elapsed) / 1000, have.name, release_text(have),
                  snapshot.empty() ? "" : fmt::format(", and with --restore-data to snapshot {}", snapshot)),
      json::serialize(json::object{{"cluster", describe_json(wanted)},
                                   {"upgraded", true},
                                   {"from", have.release},
                                   {"to", wanted.release},
                                   {"snapshot", snapshot.empty() ? json::value() : json::value(snapshot)},
                                   {"elapsedMs", elapsed}}) +
          "\n");
  return {};
}

// The cluster as it was before its last upgrade.
ClusterSettings settings_before(const Invocation& invocation, const ClusterSettings& have) {
  ClusterSettings wanted = have;
  wanted.release = have.previous->release;
  wanted.kubernetes = have.previous->kubernetes;
  wanted.program = have.previous->program;
  wanted.images = have.previous->images;
  wanted.registry = have.previous->registry;
  wanted.manifest = have.previous->manifest;
  wanted.previous.reset();
  if (wanted.release == invocation.environment.release) wanted.manifest.clear();  // that is what we would write
  return wanted;
}

Result<> run_rollback(Invocation& invocation) {
  const SteadyTime started = invocation.environment.clock.steady_now();
  RN_TRY(auto passphrase, passphrase_flag(invocation));
  RN_TRY(OpenedCluster opened, open_running(invocation));
  const ClusterSettings& have = opened.settings;
  if (!have.previous)
    return failure("NoPreviousRelease",
                   fmt::format("cluster \"{}\" runs {}, and was not upgraded to it, is rolled back already, or was migrated "
                               "since",
                               have.name, release_text(have)));
  const bool restores = invocation.has("--restore-data");
  if (restores && have.previous->snapshot.empty())
    return failure("NoPreviousRelease",
                   fmt::format("no snapshot was taken before \"{}\" was upgraded to {}", have.name, have.release));
  const ClusterSettings wanted = settings_before(invocation, have);
  if (!wanted.manifest.empty() && have.previous->shape != shape_of(have))
    return failure("ReleaseDiffers",
                   fmt::format("nodes or ports of \"{}\" have changed since its upgrade, and what it was made of then does "
                               "not have them: a rusternetes-ctl {} can roll it back",
                               have.name, release_text(wanted)));
  RN_TRY(const Change change, change_of(invocation, opened));
  const Context context = opened.session->context(wanted);
  PreparedRestore prepared{.task = std::make_shared<SnapshotTask>(), .dropped_revisions = {}, .kept = {}};
  std::optional<OpenSnapshot> source;
  if (restores) {
    RN_TRY(source, open_snapshot(invocation, have.previous->snapshot, {}, have.name, std::move(passphrase)));
    prepared.task->id = source->id();
    prepared.task->file = source->file;
  }
  if (opened.is_dry) {
    print_plan(invocation, rollback_plan(context, change, prepared.task), wanted);
    return {};
  }
  const std::string what = fmt::format("rollback from {} to {}", have.release, release_text(wanted));
  if (restores) {
    RN_TRY(prepared, prepare_restore(invocation, *opened.session, have, *source,
                                     fmt::format("Roll cluster \"{}\" back to {} and its data", have.name,
                                                 release_text(wanted))));
  } else {
    RN_CHECK(confirm(invocation,
                     fmt::format("Roll cluster \"{}\" back from {} to {}? What was written since stays.", have.name,
                                 have.release, release_text(wanted))));
  }
  RN_CHECK(run_release_plan(*opened.session, rollback_plan(context, change, prepared.task), context, *change,
                            with_task(change_arguments(wanted, *change), *prepared.task), what));
  RN_CHECK(wait_with_progress(*opened.session, *context, change->gate_timeout));
  const auto elapsed = elapsed_ms(invocation, started);
  std::string text = fmt::format("Cluster \"{}\" runs {} again ({:.1f} s){}.\n", have.name, release_text(wanted),
                                 static_cast<double>(elapsed) / 1000,
                                 restores ? ", with what it held before the upgrade" : "");
  json::object out{{"cluster", describe_json(wanted)}, {"from", have.release}, {"to", wanted.release},
                   {"elapsedMs", elapsed}};
  if (restores) {
    out["restored"] = source->id();
    out["droppedRevisions"] =
        prepared.dropped_revisions ? json::value(*prepared.dropped_revisions) : json::value();
  }
  if (prepared.kept) {
    text += fmt::format("What it held until now is snapshot {}.\n", prepared.kept->snapshot.id);
    out["before"] = prepared.kept->snapshot.id;
  }
  invocation.print(text, json::serialize(out) + "\n");
  return {};
}

constexpr Flag timeout_flag{"--timeout", "DURATION", "how long each component may take until it is well (2m)"};
constexpr Flag dry_run_flag{"--dry-run", "", "print the steps and change nothing"};

}  // namespace

Command upgrade_command() {
  return {.word = "upgrade",
          .subword = "",
          .summary = "Bring a running cluster to the release of this rusternetes-ctl, component by component.",
          .examples =
              "rusternetes-ctl upgrade dev\n"
              "rusternetes-ctl upgrade prod --dry-run\n"
              "rusternetes-ctl upgrade prod --registry registry.example/rusternetes --timeout 5m",
          .flags = {timeout_flag,
                    {"--registry", "PREFIX", "take the images PREFIX/COMPONENT:RELEASE instead of making them"},
                    {"--image", "COMPONENT=REFERENCE", "take this image for a component; may be repeated", true},
                    {"--no-snapshot", "", "take no snapshot first; `rollback --restore-data` is not possible then"},
                    {"--passphrase-file", "FILE", "its first line encrypts the snapshot"},
                    dry_run_flag,
                    {"--yes", "", "answer what asks", false, 'y'}},
          .run = run_upgrade};
}

Command rollback_command() {
  return {.word = "rollback",
          .subword = "",
          .summary = "Bring a cluster back to the release of before its last upgrade.",
          .examples =
              "rusternetes-ctl rollback dev\n"
              "rusternetes-ctl rollback dev --restore-data",
          .flags = {{"--restore-data", "", "put the snapshot of before the upgrade back, too; what was written since is dropped"},
                    {"--no-snapshot", "", "with --restore-data: do not keep the present state as a snapshot first"},
                    {"--passphrase-file", "FILE", "its first line opens the snapshot of before the upgrade"},
                    timeout_flag,
                    dry_run_flag,
                    {"--yes", "", "answer what asks", false, 'y'}},
          .run = run_rollback};
}

}  // namespace rusternetes::launcher
