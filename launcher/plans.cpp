#include "launcher/plans.h"

#include <fmt/format.h>

#include "launcher/failure.h"
#include "launcher/steps/migrate.h"
#include "launcher/steps/upgrade.h"

namespace rusternetes::launcher {
namespace {

// What `create` and `start` share: from the engine to the running process. The drop rules stand before the
// node is linked and before the process, and with it the api-server, gives out a service address (invariant
// 14).
void add_start_steps(const Context& context, Plan& plan, bool is_new) {
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  plan.resume_position = static_cast<int>(plan.steps.size());
  if (context->settings.engine.is_private) add(start_private_engine(context));
  add(share_folder(context));
  add(load_pause_image(context));
  if (context->settings.has_containers()) {
    add(load_images(context, is_new));
    add(load_drop_rules(context, is_new));
    add(make_network(context, is_new));
    add(start_containers(context, is_new));
    add(start_at_boot(context));
    plan.point_of_no_return = static_cast<int>(plan.steps.size());
    if (context->settings.snapshot_schedule) add(start_schedule(context));
    return;
  }
  add(start_supervisor(context));
  add(load_drop_rules(context, is_new));
  if (context->settings.has_own_node()) add(link_node(context));
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  add(release_process(context));
  if (context->settings.snapshot_schedule) add(start_schedule(context));
}

// What is written into the cluster's folder out of its certificates.
void add_files(const Context& context, Plan& plan) {
  plan.steps.push_back(write_kubeconfigs(context));
  if (!context->settings.has_containers()) return;
  plan.steps.push_back(write_component_folders(context));
  plan.steps.push_back(write_manifest(context));
}

// `fill`: what is put into the folder first; may be null.
Plan new_cluster_plan(const Context& context, const char* kind, StepPtr fill) {
  Plan plan{.kind = kind, .cluster = context->settings.name, .steps = {}};
  plan.steps.push_back(record_cluster(context));
  plan.steps.push_back(make_folder_step(context));
  if (!context->settings.program.empty()) plan.steps.push_back(keep_program(context));
  if (fill) plan.steps.push_back(std::move(fill));
  plan.steps.push_back(make_certificates(context));
  add_files(context, plan);
  add_start_steps(context, plan, true);
  plan.steps.push_back(merge_user_kubeconfig(context));
  plan.steps.push_back(set_phase(context, "running", ""));
  return plan;
}

// From what the cluster runs to what it is to run, and back again if that fails.
void add_release_steps(const Context& context, const Change& change, Plan& plan, bool is_back) {
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  add(remember_previous(context, change));
  const bool has_containers = context->settings.has_containers();
  // First, so that a `delete` knows of all that there is.
  add(record_change(context, change));
  if (has_containers)
    add(load_images(context, change->previous));
  else if (!context->settings.program.empty())
    add(keep_program(context, change));
  add(make_certificates(context));
  add_files(context, plan);
  if (!has_containers)
    add(replace_process(context, change));
  else
    for (StepPtr& step : replace_components(context, change, is_back)) add(std::move(step));
}

void finish_release(const Context& context, const Change& change, Plan& plan) {
  // What the host's init starts is this release's from now on, and so is what takes snapshots.
  plan.steps.push_back(context->settings.has_containers() ? start_at_boot(context) : start_supervisor(context));
  if (context->settings.snapshot_schedule) plan.steps.push_back(start_schedule(context));
  plan.steps.push_back(remove_old_releases(context, change));
}

void add_restore_steps(const Context& context, const Task& task, Plan& plan) {
  plan.steps.push_back(stage_snapshot(context, task));
  plan.steps.push_back(hold_process(context));
  plan.steps.push_back(swap_store(context));
  if (task->has_certificates) plan.steps.push_back(swap_certificates(context));
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  if (task->has_certificates) {
    plan.steps.push_back(make_certificates(context));
    add_files(context, plan);
    plan.steps.push_back(renew_user_kubeconfig(context));
  }
  plan.steps.push_back(resume_process(context));
  // Those that ran on have read others. A process that was held has read these.
  if (task->has_certificates && context->settings.has_containers())
    plan.steps.push_back(reload_components(context, true));
  plan.steps.push_back(remove_staging(context, task));
}

Plan restart_with(const Context& context, const char* kind, StepPtr certificates, StepPtr restart) {
  Plan plan{.kind = kind, .cluster = context->settings.name, .steps = {}, .point_of_no_return = 0};
  plan.steps.push_back(std::move(certificates));
  add_files(context, plan);
  plan.steps.push_back(renew_user_kubeconfig(context));
  plan.steps.push_back(context->settings.has_containers() ? std::move(restart) : restart_process(context));
  return plan;
}

}  // namespace

Context make_context(Environment& environment, state::State* state, const Home& home,
                     ClusterSettings settings, Progress* progress) {
  ClusterPaths paths = home.cluster(settings.name);
  return std::make_shared<StepContext>(
      StepContext{environment, state, home, std::move(settings), std::move(paths), progress});
}

Plan create_plan(const Context& context) { return new_cluster_plan(context, "create", nullptr); }

Plan start_plan(const Context& context) {
  Plan plan{.kind = "start", .cluster = context->settings.name, .steps = {}};
  plan.steps.push_back(set_phase(context, "starting", "stopped"));
  plan.steps.push_back(make_certificates(context));
  add_files(context, plan);
  plan.steps.push_back(renew_user_kubeconfig(context));
  add_start_steps(context, plan, false);
  plan.steps.push_back(set_phase(context, "running", ""));
  return plan;
}

Plan restart_plan(const Context& context) {
  return restart_with(context, "restart", make_certificates(context), restart_components(context));
}

Plan rotate_plan(const Context& context) {
  return restart_with(context, "rotate", rotate_certificates(context), reload_components(context, true));
}

Plan rotate_authorities_plan(const Context& context, const Rotation& rotation, bool is_recovery) {
  Plan plan{.kind = "rotate-authorities", .cluster = context->settings.name, .steps = {}};
  const auto add_stage = [&](StepPtr step) {
    plan.steps.push_back(std::move(step));
    add_files(context, plan);
    plan.steps.push_back(renew_user_kubeconfig(context));
    plan.steps.push_back(reload_components(context, is_recovery));
  };
  if (!rotation->begun.empty()) {
    add_stage(trust_new_authorities(context, rotation));
    plan.point_of_no_return = static_cast<int>(plan.steps.size());
    add_stage(sign_with_new_authorities(context, rotation));
  }
  if (!rotation->dropped.empty()) add_stage(drop_old_authorities(context, rotation));
  return plan;
}

Plan stop_plan(const Context& context) {
  Plan plan{.kind = "stop", .cluster = context->settings.name, .steps = {}, .point_of_no_return = 0};
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  const bool has_containers = context->settings.has_containers();
  add(set_phase(context, "stopping", ""));
  if (context->settings.snapshot_schedule) add(end_schedule(context));
  add(has_containers ? forget_boot(context) : stop_process(context, true));
  // It may have died; without it no container can be stopped.
  if (context->settings.engine.is_private) add(start_private_engine(context));
  if (has_containers) add(end_components(context));
  add(stop_pods(context));
  if (has_containers) add(end_containers(context));
  add(remove_cgroups(context, false));
  // The host's drop rule stays: the addresses are still the cluster's.
  add(unlink_node(context));
  if (context->settings.engine.is_private) add(stop_private_engine(context));
  add(unmount_folder(context));
  add(set_phase(context, "stopped", ""));
  return plan;
}

Plan snapshot_plan(const Context& context, const Task& task) {
  Plan plan{.kind = "snapshot", .cluster = context->settings.name, .steps = {}};
  plan.steps.push_back(copy_store(context, task));
  plan.steps.push_back(write_snapshot(context, task));
  plan.steps.push_back(keep_snapshot(context, task));
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  plan.steps.push_back(remove_store_copy(context));
  return plan;
}

Plan restore_plan(const Context& context, const Task& task) {
  Plan plan{.kind = "restore", .cluster = context->settings.name, .steps = {}};
  add_restore_steps(context, task, plan);
  return plan;
}

Plan upgrade_plan(const Context& context, const Change& change) {
  Plan plan{.kind = "upgrade", .cluster = context->settings.name, .steps = {}};
  add_release_steps(context, change, plan, false);
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  finish_release(context, change, plan);
  return plan;
}

Plan rollback_plan(const Context& context, const Change& change, const Task& task) {
  Plan plan{.kind = "rollback", .cluster = context->settings.name, .steps = {}};
  add_release_steps(context, change, plan, true);
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  if (!task->file.empty()) add_restore_steps(context, task, plan);  // only with its store in place there is no way back
  finish_release(context, change, plan);
  return plan;
}

Plan clone_plan(const Context& context, const Task& task) {
  return new_cluster_plan(context, task->is_foreign ? "import" : "clone", put_store(context, task));
}

Plan delete_plan(const Context& context, bool has_snapshots) {
  Plan plan{.kind = "delete", .cluster = context->settings.name, .steps = {}, .point_of_no_return = 0};
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  const bool has_containers = context->settings.has_containers();
  add(set_phase(context, "deleting", ""));
  // Whatever the settings say: a change of them may have been cut off, which is not finished any more.
  add(end_schedule(context));
  add(has_containers ? forget_boot(context) : stop_process(context, true));
  if (context->settings.engine.is_private) add(start_private_engine(context));
  if (has_containers) add(end_components(context));
  add(remove_containers(context));
  if (has_containers) {
    add(end_containers(context));
    add(remove_engine_network(context));
    add(remove_images(context));
  }
  add(remove_pause_image(context));
  if (context->settings.engine.is_private) add(stop_private_engine(context));
  add(remove_cgroups(context, true));
  add(remove_network(context));
  add(remove_folder(context));
  if (has_snapshots) add(remove_snapshots(context));
  // The one step that a file of the user's own can keep from being done.
  add(remove_user_kubeconfig(context));
  add(forget_cluster(context));
  return plan;
}

Plan change_plan(const Context& context, const Change& change) {
  Plan plan{.kind = "change", .cluster = context->settings.name, .steps = {}};
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  add(remember_previous(context, change));
  if (!change->removed_node.empty()) {
    add(drain_node(context, change));
    plan.point_of_no_return = static_cast<int>(plan.steps.size());
    add(remove_node(context, change));
  }
  add(record_change(context, change));
  if (context->settings.has_containers()) {
    add(make_certificates(context));
    ClusterSettings described = context->settings;
    if (!change->manifest.empty()) described.manifest = change->manifest;
    add_files(with_settings(context, std::move(described)), plan);
    add(apply_manifest(context));
  } else {
    if (context->settings.has_own_node()) add(link_node(context));  // with the ports
    add(restart_process(context));
  }
  if (change->removed_node.empty()) plan.point_of_no_return = static_cast<int>(plan.steps.size());
  return plan;
}

Plan migrate_plan(const Context& context, const Change& change) {
  Plan plan{.kind = "migrate", .cluster = context->settings.name, .steps = {}};
  auto add = [&](StepPtr step) { plan.steps.push_back(std::move(step)); };
  add(begin_migration(context, change));
  add(load_images(context, change->previous));
  add(end_api_servers(context));
  add(stage_store(context, change));
  add(end_old_store(context, change));
  add(put_new_store(context));
  add(make_certificates(context));
  add_files(context, plan);
  add(start_new_store(context));
  // An api-server on the new store may acknowledge writes.
  plan.point_of_no_return = plan.resume_position = static_cast<int>(plan.steps.size());
  add(record_migration(context, change));
  // All of it stands but after a restart of the host.
  if (context->settings.engine.is_private) add(start_private_engine(context));
  add(share_folder(context));
  add(load_drop_rules(context, false));
  add(make_network(context, false));
  add(apply_manifest(context));
  add(remove_old_store(context, change));
  return plan;
}

Plan schedule_plan(const Context& context, const Change& change) {
  Plan plan{.kind = "schedule", .cluster = context->settings.name, .steps = {}};
  // What is started looks at once for what is recorded.
  plan.steps.push_back(record_change(context, change));
  plan.steps.push_back(change_schedule(context, change));
  plan.point_of_no_return = static_cast<int>(plan.steps.size());
  return plan;
}

Plan revive_engine_plan(const Context& context) {
  Plan plan{.kind = "revive-engine", .cluster = context->settings.name, .steps = {}, .point_of_no_return = 0};
  plan.steps.push_back(start_private_engine(context));
  return plan;
}

Result<Plan> plan_from_record(const state::PlanRecord& record, Environment& environment, state::State* state,
                              const Home& home, Progress* progress) {
  RN_TRY(ClusterSettings settings, settings_from_json(record.arguments));
  const Context context = make_context(environment, state, home, std::move(settings), progress);
  if (record.kind == "create") return create_plan(context);
  if (record.kind == "start") return start_plan(context);
  if (record.kind == "restart") return restart_plan(context);
  if (record.kind == "rotate") return rotate_plan(context);
  if (record.kind == "rotate-authorities") {
    RN_TRY(const Rotation rotation, rotation_from_arguments(record.arguments));
    return rotate_authorities_plan(context, rotation, true);
  }
  if (record.kind == "stop") return stop_plan(context);
  const Task task = task_from_arguments(record.arguments);
  if (record.kind == "delete") return delete_plan(context, task->has_snapshots);
  if (record.kind == "snapshot") return snapshot_plan(context, task);
  if (record.kind == "restore") return restore_plan(context, task);
  if (record.kind == "clone" || record.kind == "import") return clone_plan(context, task);
  if (record.kind == "change" || record.kind == "schedule") {
    RN_TRY(const Change change, change_from_arguments(record.arguments));
    return record.kind == "change" ? change_plan(context, change) : schedule_plan(context, change);
  }
  if (record.kind == "upgrade" || record.kind == "rollback") {
    RN_TRY(const Change change, change_from_arguments(record.arguments));
    return record.kind == "upgrade" ? upgrade_plan(context, change) : rollback_plan(context, change, task);
  }
  if (record.kind == "migrate") {
    RN_TRY(const Change change, change_from_arguments(record.arguments));
    return migrate_plan(context, change);
  }
  if (record.kind == "revive-engine") return revive_engine_plan(context);
  return failure("RecoveryFailed",
                 fmt::format("this release cannot finish an interrupted \"{}\"", record.kind));
}

}  // namespace rusternetes::launcher
