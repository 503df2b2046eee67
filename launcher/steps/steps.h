#pragma once
// The steps that plans are made of. Each holds the cluster's settings and the ports, and nothing that a later
// process could not build again from the journal.

#include <chrono>
#include <memory>
#include <string>

#include "certs/pki.h"
#include "launcher/environment.h"
#include "launcher/home.h"
#include "launcher/plan.h"
#include "launcher/ports/process_port.h"
#include "launcher/settings.h"

namespace rusternetes::launcher {

// What every step needs; lives as long as the plan. References outlive it.
struct StepContext {
  Environment& environment;
  state::State* state;  // null in a dry run of a home without one: steps then only describe themselves
  Home home;
  ClusterSettings settings;
  ClusterPaths paths;
  Progress* progress = nullptr;  // of the command, for steps that take long

  // Runs a call that leaves the process between two hook points.
  template <class F>
  auto call(std::string_view what, F&& work) {
    environment.hooks.point("before " + std::string(what));
    auto result = work();
    environment.hooks.point("after " + std::string(what));
    return result;
  }
};
using Context = std::shared_ptr<StepContext>;
// Calls `work` with the same as a Context that nobody interrupts: on the way back, what was begun is waited for also
// where the user has asked to stop, which is why it goes back.
template <class F>
auto uninterrupted(const StepContext& context, F&& work) {
  Environment calm = context.environment;
  calm.is_interrupted = [] { return false; };
  return work(std::make_shared<StepContext>(
      StepContext{calm, context.state, context.home, context.settings, context.paths, context.progress}));
}
using StepPtr = std::unique_ptr<Step>;

// state.cpp
StepPtr record_cluster(Context context);  // cluster and reservations; undo forgets both
StepPtr set_phase(Context context, std::string phase, std::string phase_after_undo);
StepPtr forget_cluster(Context context);

// folder.cpp
StepPtr make_folder_step(Context context);  // undo removes all of it
StepPtr share_folder(Context context);      // the kubelet's folder, so that mounts reach containers
StepPtr unmount_folder(Context context);
StepPtr remove_folder(Context context);

// certificates.cpp
StepPtr make_certificates(Context context);
StepPtr write_kubeconfigs(Context context);
// Removes leaves that `settings` has and `kept` lacks: nobody would renew them, and one that an authority of before has
// signed would be in the way of the next of its name. Of clusters of containers.
Result<> remove_other_leaves(StepContext& context, const ClusterSettings& settings, const ClusterSettings& kept);
StepPtr rotate_certificates(Context context);  // every leaf anew, with a new key
// What the cluster's certificates have to be good for.
Result<certs::PkiOptions> pki_options(const ClusterSettings& settings);

// engine.cpp
StepPtr start_private_engine(Context context);
StepPtr stop_private_engine(Context context);
StepPtr load_pause_image(Context context);
StepPtr remove_pause_image(Context context);
StepPtr stop_pods(Context context);
StepPtr remove_containers(Context context);
// What that step does, or, with a node, of its Pods alone.
Result<> remove_pod_containers(StepContext& context, const std::string& node = {});

// cgroups.cpp
// `must_end`: the cluster goes, and with it whatever still runs in its cgroups.
StepPtr remove_cgroups(Context context, bool must_end);

// node.cpp
StepPtr start_supervisor(Context context);
// A stopped cluster keeps its addresses and with them the host's rule: undo removes only that of a new one.
StepPtr load_drop_rules(Context context, bool is_new);
StepPtr link_node(Context context);
StepPtr unlink_node(Context context);
StepPtr release_process(Context context);
StepPtr stop_process(Context context, bool is_forgotten);
// The process alone: its node, and Pods' containers, stay as they are.
StepPtr restart_process(Context context);
StepPtr remove_network(Context context);

// boot.cpp: what the host's init is told of a cluster of containers. Undo forgets it.
StepPtr start_at_boot(Context context);
StepPtr forget_boot(Context context);

// schedule.cpp: what takes snapshots by itself, beside the cluster (change.h has the step that changes it).
StepPtr start_schedule(Context context);  // undo ends it
StepPtr end_schedule(Context context);
ProcessSpec schedule_spec(const StepContext& context);

// containers.cpp: of clusters whose components are containers.
StepPtr write_component_folders(Context context);  // what each component sees of certificates and kubeconfigs
StepPtr write_manifest(Context context);
// Those of the components that the engine lacks. Undo removes those of a new cluster, and of one that becomes another
// one what it was `before` did not have.
StepPtr load_images(Context context, bool is_new);
StepPtr load_images(Context context, const ClusterSettings& before);
StepPtr remove_images(Context context);  // unless another cluster uses them
// Undo removes that of a new cluster: one that is stopped keeps it.
StepPtr make_network(Context context, bool is_new);
StepPtr remove_engine_network(Context context);
// Undo ends them, and what Pods they have begun, which go with a new cluster.
StepPtr start_containers(Context context, bool is_new);
// All but those that hold the nodes' networks, which Pods stand on; and all.
StepPtr end_components(Context context);
StepPtr end_containers(Context context);
// One after the other, stores first; nodes' networks, and with them Pods, stay as they are.
StepPtr restart_components(Context context);

// kubeconfig.cpp
StepPtr merge_user_kubeconfig(Context context);
StepPtr remove_user_kubeconfig(Context context);
// What the user's file has of the cluster gets the certificates that are valid now. A file that cannot be
// changed is told and left: the old ones are good until they expire.
StepPtr renew_user_kubeconfig(Context context);

// The supervised process of a cluster.
ProcessSpec process_spec(const StepContext& context);
// Its node's namespace as it is now; empty for a node that is the host, and for nodes that are containers, in which
// kube-proxy drops before the kubelet wires a Pod. ProcessFailed when it does not run.
Result<std::string> node_netns(const StepContext& context);

}  // namespace rusternetes::launcher
