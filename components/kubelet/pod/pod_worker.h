#pragma once
// One Pod's life on the node, as a coroutine: look at what the runtime has, say it in status, decide (pod_actions.h), act,
// and wait for the next event. Long things (pulls, graceful ends) run beside it and wake it.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/worker.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "kubelet/node/cgroups.h"
#include "kubelet/container/container_config.h"
#include "kubelet/container/images.h"
#include "kubelet/node/network_holder.h"
#include "kubelet/node/node_agent.h"
#include "kubelet/pod/lifecycle_hooks.h"
#include "kubelet/pod/pod_actions.h"
#include "kubelet/container/pod_files.h"
#include "kubelet/node/pod_network.h"
#include "kubelet/pod/pod_status.h"
#include "kubelet/probe/pod_probes.h"
#include "kubelet/volumes/volume_manager.h"

namespace rusternetes::kubelet {

// What all workers share.
struct WorkerContext {
  const KubeletOptions& options;
  client::ApiClient& client;
  engine::Runtime& runtime;
  client::EventRecorder& events;
  Objects& objects;
  Images& images;
  VolumeManager& volumes;
  PodNetwork& network;
  NetworkHolder& holder;
  NodeAgent& node;
  client::Informer& services;
  const Cgroups& cgroups;
  WorkerThread& files;
  TaskGroup& tasks;
  Prober& prober;
  LifecycleHooks& hooks;
  SystemTime started_at;  // of the kubelet
};

// Annotations of sandboxes: what a restarted kubelet must know.
namespace annotation {
inline constexpr char kPodIps[] = "pod-ips";                    // "10.1.0.5,fd00::5"
// Of a Pod that the API has forgotten, or whose cluster is stopped:
inline constexpr char kGracePeriod[] = "grace-period-seconds";
inline constexpr char kSidecars[] = "sidecars";  // names in the order of the spec, "proxy,logs"; they end last, the last one first
}  // namespace annotation

// Held by shared pointers: what runs beside it keeps it.
class PodWorker : public std::enable_shared_from_this<PodWorker> {
 public:
  PodWorker(WorkerContext& context, Document pod);

  // A newer object of the same UID.
  void update(Document pod);
  // The API has it no more; the Pod is ended and everything of it removed. Without `last` it was removed while nobody
  // looked, and gets the grace that it was made with.
  void removed(Document last);
  void wake() { wake_.set(); }
  // A container of it died, started or went: what was read of it is stale.
  void runtime_event(const std::string& container_id);
  // A probe has found something new: status says so at once, whatever the worker is busy with.
  void probe_changed();
  // Returns when nothing of the Pod is left.
  Task<> run();

  // With the last known status.
  const Document& pod() const { return pod_; }
  const PodRuntimeState& state() const { return state_; }

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  Deadline after(std::chrono::nanoseconds delay) const { return std::chrono::steady_clock::now() + delay; }
  core_v1::Pod view() const { return pod_view(pod_); }
  bool is_ending() const;
  DownwardContext downward() const;

  Task<Deadline> step();
  std::optional<SystemTime> active_deadline() const;
  void check_active_deadline();
  // --- looking
  Task<Result<void>> gather();
  Task<Result<engine::ContainerStatus>> read_container(std::string id);
  Task<> add_last_words(engine::ContainerStatus& container);
  Task<Result<void>> ensure_wired();
  // --- saying
  Task<Result<void>> publish();
  Task<Result<void>> read_again();
  static Task<> publish_readiness(std::shared_ptr<PodWorker> self);
  void note_back_off(const PodActions& actions);
  // --- running (pod_start.cpp)
  Task<Deadline> run_pod();
  Task<std::optional<Deadline>> kill_pod(PodActions actions, Deadline next);
  Task<Result<void>> create_sandbox(std::uint32_t attempt);
  Task<Result<void>> stop_sandboxes();
  Task<> start_container(ContainerRef ref, Deadline& next);
  Task<Result<ContainerInput>> prepare_container(ContainerRef ref, std::uint32_t attempt, engine::ImageDetails image);
  std::uint32_t next_attempt(const core_v1::Container& container, bool is_init) const;
  Task<> collect_dead(std::string name);
  Task<bool> post_start(ContainerRef ref, std::string id);
  static Task<> run_post_start(std::shared_ptr<PodWorker> self, ContainerRef ref, std::string id, std::shared_ptr<std::optional<HookOutcome>> out);
  Task<> end_after_post_start(ContainerRef ref, std::string id);
  void fail(ContainerRef ref, std::string reason, std::string message);
  std::string log_path(std::string_view container, std::uint32_t attempt) const;
  std::string pod_ip() const;
  // --- ending (pod_stop.cpp, pod_end.cpp)
  Task<Deadline> end_pod();
  SystemTime end_deadline();
  bool stop_next_group(SystemTime until);
  void stop(const engine::ContainerStatus& container, SystemTime until, std::string message, bool is_its_turn = true);
  std::optional<Deadline> next_grace_end() const;
  std::optional<ContainerRef> find_container(std::string_view name) const;
  static Task<> run_pre_stop(std::shared_ptr<PodWorker> self, ContainerRef ref, std::string id);
  static Task<> stop_container(std::shared_ptr<PodWorker> self, std::string id, std::chrono::seconds grace);
  Task<Result<void>> take_down();
  Task<Result<void>> remove_everything();
  static Task<> remove_cgroups(WorkerContext& context, std::vector<std::string> groups);
  Task<Result<void>> delete_from_api();

  WorkerContext& context_;
  Document pod_;
  const std::string uid_;
  AsyncEvent wake_;
  bool is_doubtful_ = false;  // whether the api-server has pod_ so
  bool is_removed_ = false;  // from the API
  bool is_orphan_ = false;
  bool is_finished_ = false;
  PodRuntimeState state_;
  std::map<std::string, engine::ContainerStatus> ended_;  // exited containers do not change any more
  StartFailures failures_;
  FailedStarts failed_starts_;
  Replaced replaced_;
  BackOff crashes_{std::chrono::seconds(10), std::chrono::seconds(300)};
  std::set<std::string> told_back_off_;  // container ids whose back-off an event has told
  std::string wired_sandbox_;
  std::string told_sandbox_changed_;          // the id of the sandbox that an event has told the loss of
  std::optional<SystemTime> kill_began_;      // while everything is stopped, to be made anew or not
  int sandbox_failures_ = 0;
  std::string told_mount_failure_;
  std::string told_dns_sandbox_;
  bool is_prepared_ = false;  // volumes, by this process
  Deadline refresh_at_{};     // of the volumes
  std::string forced_phase_, forced_reason_, forced_message_;
  // Ending.
  std::optional<SystemTime> end_began_;
  std::optional<std::chrono::seconds> end_grace_;
  // A container that is being ended: its hook first, then, when it is its turn, its stop signal.
  struct Stop {
    SystemTime until;  // when its grace is over
    bool has_hook_begun = false, is_hook_done = false;
    std::optional<SystemTime> killed_at;  // stopping: when it will be killed
  };
  std::map<std::string, Stop> stops_;  // by container id
  std::set<std::string> told_killing_;
  bool is_taken_down_ = false;
  bool is_publishing_readiness_ = false;
  PodProbes probes_;
};

// Ends what is left of Pods that the API does not know, found by their sandboxes: a Document with name, namespace and UID.
Document orphan_pod(const engine::Sandbox& sandbox);

}  // namespace rusternetes::kubelet
