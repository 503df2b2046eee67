#pragma once
// What the kubelet asks of a container runtime: the verbs of CRI (k8s.io/cri-api, runtime/v1) without its
// gRPC. A sandbox is a pause container with network `none` (the kubelet wires it through netns_path) or with
// the network of a holder. All state is container labels and the engine's own, so that a restarted kubelet
// loses nothing. Belongs to one executor.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "engine/std_stream.h"
#include "engine/types.h"
#include "http/message.h"

namespace rusternetes::engine {

class Engine;
using Labels = std::map<std::string, std::string>;

enum class SandboxNetwork {
  own,        // an empty network namespace, wired by the kubelet
  container,  // the network of SandboxConfig::network_container: a host-network Pod on a node of its own
  host,       // the host itself is the node
};
enum class PidMode { container, pod, node, target };

struct SandboxConfig {
  std::string name, namespace_name, uid;  // of the Pod
  std::uint32_t attempt = 0;
  std::string hostname;
  Labels labels, annotations;
  std::string cgroup_parent;  // absolute cgroupfs path: "/kubepods/burstable/podUID"
  std::map<std::string, std::string> sysctls;
  std::int64_t shm_bytes = 64 << 20;
  SandboxNetwork network = SandboxNetwork::own;
  std::string network_container;
  bool uses_host_pid = false;
  bool uses_host_ipc = false;
};

enum class SandboxState { ready, not_ready };

struct Sandbox {
  std::string id;
  std::string name, namespace_name, uid;
  std::uint32_t attempt = 0;
  SandboxState state = SandboxState::not_ready;
  std::int64_t created_at_ns = 0;
  Labels labels, annotations;
};

struct SandboxStatus : Sandbox {
  int pid = 0;             // 0 when not ready
  std::string netns_path;  // "/proc/PID/ns/net"; empty when not ready
  SandboxNetwork network = SandboxNetwork::own;
};

// The node's holder: a container whose pause has entered the node's pinned network namespace and then given up its
// capabilities. Host-network Pods join it on a node that is not the host, since Docker joins containers only.
struct HolderConfig {
  std::string netns_path;  // as the engine's PID namespace sees it: "/proc/PID/ns/net"
  std::string hostname;    // the node's; Pods that join the holder inherit it
  std::string cgroup_parent;
  bool is_replacement = false;  // make another one even if there is one for this path
};

struct Holder {
  std::string id;
  int pid = 0;
  std::string netns_path;  // of the holder's process: the caller compares it with the node's before a Pod joins
};

struct ContainerConfig {
  std::string name;
  std::uint32_t attempt = 0;
  std::string image;            // what to run: an image id or reference
  std::string image_reference;  // what the Pod says; reported back by status. Empty: `image`
  std::vector<std::string> command, args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string working_dir;
  std::vector<Mount> mounts;  // hosts, resolv.conf and the termination log among them; sources exist
  std::vector<Device> devices;
  Labels labels, annotations;
  // Absolute. Podman writes there; on Docker the start makes it a link to Docker's own file. Either way a
  // ContainerLog reads it.
  std::string log_path;
  bool has_stdin = false, is_stdin_once = false, has_tty = false;
  Resources resources;
  Security security;
  PidMode pid = PidMode::container;
  std::string pid_target;  // container id, for PidMode::target
  std::string stop_signal;
  std::int64_t log_max_bytes = 10 << 20;
  int log_max_files = 5;
};

struct Container {
  std::string id;
  std::string sandbox_id;
  std::string name;  // of the Pod's container
  std::uint32_t attempt = 0;
  std::string image_id;
  std::string image;  // as the Pod says it
  ContainerState state = ContainerState::unknown;
  std::int64_t created_at_ns = 0;
  Labels labels, annotations;
};

struct ContainerStatus : Container {
  int pid = 0;
  int exit_code = 0;
  // "Completed", "Error", "OOMKilled", "StartError" or "ContainerStatusUnknown" (gone without a trace), when
  // exited.
  std::string reason;
  std::string message;
  std::int64_t started_at_ns = 0, finished_at_ns = 0;  // 0: not yet
  std::string log_path;
  bool has_tty = false;
};

struct RuntimeVersion {
  std::string runtime_name;     // "podman", "docker"
  std::string runtime_version;  // "4.3.1"
  std::string cgroup_driver;
  int cgroup_version = 1;
};

struct RuntimeStatus {
  bool is_ready = false;
  std::string reason, message;  // why not
};

struct RuntimeEvent {
  enum class Kind {
    relist,  // what happened before is unknown: list again (first connection, and after each gap)
    created,
    started,
    died,
    removed,
  };
  Kind kind = Kind::relist;
  std::string id;  // container or sandbox; empty for relist
  bool is_sandbox = false;
  bool is_holder = false;
  std::string pod_uid;
  std::int64_t time_ns = 0;
};

struct ExecOutput {
  std::string stdout_bytes, stderr_bytes;
  int exit_code = 0;
};

// A process in a container with its streams. Destroying it closes the streams; the process runs on (kill()
// ends it).
class ExecSession {
 public:
  virtual ~ExecSession() = default;
  // Framed unless it has a terminal: see StdStreamDecoder.
  virtual http::ByteStream& stream() = 0;
  virtual bool has_tty() const = 0;
  // Whether a whole frame is the engine's complaint about input that was not read, which belongs to no output.
  virtual bool is_own_word(StdStream, std::string_view) const { return false; }
  virtual Task<Result<void>> resize(int width, int height) = 0;
  // After the stream's end: the exit code (attach: the container's), once the process has ended, which may be later.
  virtual Task<Result<int>> exit_code() = 0;
  virtual Task<Result<void>> kill() = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual Task<Result<RuntimeVersion>> version() = 0;
  virtual Task<RuntimeStatus> status() = 0;

  // Starts the sandbox; a failed one is removed again. Returns its id. Only the newest attempt of a Pod may
  // be running.
  virtual Task<Result<std::string>> run_pod_sandbox(SandboxConfig config) = 0;
  // Ends every container in it, then itself. Stopped or absent is no error.
  virtual Task<Result<void>> stop_pod_sandbox(std::string id) = 0;
  // Its containers too. Absent is no error.
  virtual Task<Result<void>> remove_pod_sandbox(std::string id) = 0;
  virtual Task<Result<std::vector<Sandbox>>> list_pod_sandboxes(std::string pod_uid = {}) = 0;
  virtual Task<Result<SandboxStatus>> pod_sandbox_status(std::string id) = 0;

  // The holder of that path, made if there is none and started if it has ended. Its process may still be on its way
  // into the namespace. Conflict while the engine takes a dead one for running: ask again.
  virtual Task<Result<Holder>> run_network_holder(HolderConfig config) = 0;
  // All but `kept_id`. Those that containers still depend on stay, which is no error.
  virtual Task<Result<void>> remove_network_holders(std::string kept_id) = 0;

  virtual Task<Result<std::string>> create_container(std::string sandbox_id, ContainerConfig config) = 0;
  // Status StartError when the command cannot be run; the container's status says so from then on.
  virtual Task<Result<void>> start_container(std::string id) = 0;
  // The stop signal, and SIGKILL `grace` later. Stopped or absent is no error.
  virtual Task<Result<void>> stop_container(std::string id, std::chrono::seconds grace) = 0;
  virtual Task<Result<void>> remove_container(std::string id) = 0;  // running too; absent is no error
  virtual Task<Result<std::vector<Container>>> list_containers(std::string pod_uid = {}) = 0;
  virtual Task<Result<ContainerStatus>> container_status(std::string id) = 0;
  virtual Task<Result<void>> update_container_resources(std::string id, Resources resources) = 0;

  // Collects the output up to 16 MiB. After `timeout` (0: none) the process is killed on the host and Timeout
  // returned.
  virtual Task<Result<ExecOutput>> exec_sync(std::string id, std::vector<std::string> command,
                                             std::chrono::milliseconds timeout) = 0;
  virtual Task<Result<std::unique_ptr<ExecSession>>> exec(std::string id, ExecSpec spec) = 0;
  virtual Task<Result<std::unique_ptr<ExecSession>>> attach(std::string id, bool has_stdin) = 0;

  // NotFound when it is not here.
  virtual Task<Result<ImageDetails>> image_status(std::string reference) = 0;
  virtual Task<Result<std::vector<ImageSummary>>> list_images() = 0;
  virtual Task<Result<std::string>> pull_image(std::string reference, RegistryAuth auth) = 0;  // the id
  virtual Task<Result<void>> remove_image(std::string reference) = 0;

  // Calls `on_event` on the executor until cancelled. Begins with a relist; reconnects by itself, with a
  // relist each time.
  virtual Task<> watch_events(std::function<void(const RuntimeEvent&)> on_event) = 0;

  // Where the cgroup of `cgroup_parent` is below each hierarchy's mount point: with the systemd driver a path
  // of slices.
  virtual std::string pod_cgroup_path(std::string_view cgroup_parent) const = 0;
};

struct RuntimeOptions {
  // Cluster and node: what carries another owner's label is never seen nor touched.
  std::string owner = "default";
  std::string pause_image = "localhost/rusternetes/pause:1";
  std::string pause_program;  // bytes of the static program, loaded when the image is missing
  std::chrono::milliseconds pull_timeout{600'000};
  int parallel_starts = 6;  // more at once is slower on both engines (hosts.md §1)
};

// `engine` must outlive the runtime.
std::unique_ptr<Runtime> make_runtime(Engine& engine, RuntimeOptions options);

// Labels that the runtime adds; they are not in Sandbox::labels or Container::labels.
namespace label {
inline constexpr char kOwner[] = "io.rusternetes.owner";
inline constexpr char kKind[] = "io.rusternetes.kind";  // "sandbox", "container" or "holder"
inline constexpr char kSandboxId[] = "io.rusternetes.sandbox-id";
inline constexpr char kPodName[] = "io.rusternetes.pod-name";
inline constexpr char kPodNamespace[] = "io.rusternetes.pod-namespace";
inline constexpr char kPodUid[] = "io.rusternetes.pod-uid";
inline constexpr char kContainerName[] = "io.rusternetes.container-name";
inline constexpr char kAttempt[] = "io.rusternetes.attempt";
inline constexpr char kLogPath[] = "io.rusternetes.log-path";
inline constexpr char kImage[] = "io.rusternetes.image";
inline constexpr char kNetwork[] = "io.rusternetes.network";
inline constexpr char kNetns[] = "io.rusternetes.netns";  // of a holder: the path that it entered
inline constexpr char kAnnotationPrefix[] = "io.rusternetes.annotation/";
inline constexpr char kOwnPrefix[] = "io.rusternetes.";
}  // namespace label

}  // namespace rusternetes::engine
