#pragma once
// What the launcher asks of a container engine. Calls block.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

struct Manifest;

struct EngineChoice {
  std::string kind;    // "podman" or "docker"
  std::string socket;  // absolute path
  std::string version;
  bool is_private =
      false;  // started by us for the cluster: the socket answers once start_private() was called
};

struct ClusterContainer {
  std::string id;
  std::string name;
  bool is_running = false;
  bool is_sandbox = false;  // pause: stopped last, since its Pod's containers stand on it
  bool is_holder =
      false;  // what sandboxes of host-network Pods stand on: a sandbox that goes after all others
  std::string sandbox_id;  // of its Pod; its own for a sandbox
  std::string name_in_pod;  // empty for a sandbox
  std::string node;         // on which it is
  // A sandbox's: the Pod's terminationGracePeriodSeconds, or Kubernetes' default where it is not known.
  std::chrono::seconds grace{30};
  // A sandbox's: the names of its Pod's sidecars, in the order in which they start.
  std::vector<std::string> sidecars;
};

// Groups of containers, one after the other: those of a group get their stop signal together and SIGKILL when
// `grace` is over, which counts from the first group's beginning; a later group has two seconds at least. Then
// the sandboxes end. (KEP-753: sidecars end after the Pod's other containers, the one that started last first.)
struct PodToStop {
  std::vector<std::vector<std::string>> groups;
  std::vector<std::string> sandboxes;
  std::chrono::seconds grace{30};
};

// Why a container does not run.
enum class ComponentEnd {
  none,         // it runs
  exited,       // with its exit code
  not_started,  // since it was made, or since the host's start, where the engine forgets what was before
  unseen,       // neither its process nor its monitor is there, and nobody knows its exit code
};

// Behind the name of a container that has handed its work over.
inline constexpr std::string_view leaving_suffix = "-leaving";

// A container that is a component of a cluster, as the labels of its manifest say.
struct ComponentContainer {
  std::string id, name;
  std::string key, component;
  std::string image;     // as it was asked for
  std::string image_id;  // "sha256:..."
  // It takes no new clients, and another one has its place: EnginePort::hand_over().
  bool is_leaving() const { return name.ends_with(leaving_suffix); }
  bool is_running = false;
  ComponentEnd end = ComponentEnd::exited;  // unless it runs
  int pid = 0;                              // 0: not running
  int exit_code = 0;                        // of its last end
  std::string log_file;  // what it writes; in the engine's format
  bool has_ended = false;  // once at least, by itself or by a stop
  int restarts = 0;        // by the engine, since it was last started by hand
  std::chrono::system_clock::time_point started_at;  // the epoch: never
};

class EnginePort {
 public:
  virtual ~EnginePort() = default;
  // A live, rootful engine: of `kind`, or, when that is empty, Podman and then Docker. EngineUnreachable,
  // RootlessEngine, Forbidden.
  virtual Result<EngineChoice> find(const std::string& kind) = 0;
  // Whether a Podman is installed that start_private() could run.
  virtual bool can_start_private() = 0;
  // The socket that a private engine of this folder has or will have.
  virtual std::string private_socket(const std::filesystem::path& folder) = 0;
  virtual Result<> start_private(const std::filesystem::path& folder) = 0;  // runs already: no error
  virtual Result<> stop_private(const std::filesystem::path& folder) = 0;   // absent: no error
  // Whether somebody listens on the engine's socket.
  virtual bool is_answering(const EngineChoice& engine) = 0;

  virtual Result<bool> has_image(const EngineChoice& engine, const std::string& reference) = 0;
  // Sends a tar in docker-save or OCI layout piece by piece; `on_progress` hears how many of its bytes are
  // sent. Returns what the engine calls the images. NotFound without the file; BadArchive, which says what is
  // wrong with it.
  virtual Result<std::vector<std::string>> load_archive(
      const EngineChoice& engine, const std::filesystem::path& archive,
      const std::function<void(std::uint64_t sent, std::uint64_t all)>& on_progress) = 0;
  // Writes the image as such a tar.
  virtual Result<> save_image(const EngineChoice& engine, const std::string& reference,
                              const std::filesystem::path& archive) = 0;
  virtual Result<> load_pause_image(const EngineChoice& engine) = 0;  // there already: no error
  // In use or absent: no error.
  virtual Result<> remove_pause_image(const EngineChoice& engine) = 0;

  // Every container of the cluster, running or not.
  virtual Result<std::vector<ClusterContainer>> containers(const EngineChoice& engine,
                                                           const std::string& cluster) = 0;
  // All Pods at once; `on_stopped` hears how many have ended. Stopped already is no error, and one that does
  // not stop keeps no other.
  virtual Result<> stop_pods(const EngineChoice& engine, const std::vector<PodToStop>& pods,
                             const std::function<void(std::size_t stopped)>& on_stopped) = 0;
  virtual Result<> remove_container(const EngineChoice& engine,
                                    const std::string& id) = 0;  // absent: no error

  // --- clusters of containers
  // In use or absent: no error.
  virtual Result<> remove_image(const EngineChoice& engine, const std::string& reference) = 0;
  virtual Result<> pull_image(const EngineChoice& engine, const std::string& reference) = 0;
  virtual std::string pause_image() = 0;  // what load_pause_image() loads
  // Makes the manifest's networks. One that is there already, and is the same, is left; AddressConflict where
  // another network has the block.
  virtual Result<> make_networks(const EngineChoice& engine, const Manifest& manifest) = 0;
  // Those with the cluster's label. Absent: no error.
  virtual Result<> remove_networks(const EngineChoice& engine, const std::string& cluster) = 0;
  // Brings services of the manifest up, several at a time, each after what it needs: what is missing is made,
  // what is stopped is started, and what was made of another description or image is made anew. Their output
  // goes to `log_folder`/KEY.log where the engine lets it. `on_up` hears how many run.
  virtual Result<> bring_up(const EngineChoice& engine, const Manifest& manifest,
                            const std::vector<std::string>& keys, const std::filesystem::path& log_folder,
                            const std::function<void(std::size_t up)>& on_up) = 0;
  // Brings one service up beside what is there of it, which is_leaving() from then on and is to be told so by SIGHUP
  // once the new one serves. For one that shares its port with the next. The same description: nothing.
  virtual Result<> hand_over(const EngineChoice& engine, const Manifest& manifest, const std::string& key,
                             const std::filesystem::path& log_folder) = 0;
  virtual Result<> signal_component(const EngineChoice& engine, const std::string& id,
                                    const std::string& signal) = 0;  // "HUP"
  // Every component's container, running or not.
  virtual Result<std::vector<ComponentContainer>> components(const EngineChoice& engine,
                                                             const std::string& cluster) = 0;
  // Stops them, TERM and after `grace` KILL, several at a time, and removes them. Absent: no error.
  virtual Result<> end_components(const EngineChoice& engine, const std::vector<std::string>& ids,
                                  std::chrono::seconds grace) = 0;
  // Gives the lines that components have written, those of one component in their order; with `follow` also
  // what is added, until `on_line` or `goes_on` says false or every one has ended. `tail`: the last lines of
  // each; below 0: all.
  struct LogRequest {
    std::vector<std::pair<std::string, std::string>> files;  // key, file; in the format of either engine
    long tail = -1;
    bool follow = false;
  };
  virtual Result<> read_logs(const LogRequest& request,
                             const std::function<bool(const std::string& key, std::string_view line)>& on_line,
                             const std::function<bool()>& goes_on) = 0;
  // Stops and starts it again. Others keep what they have of its namespaces.
  virtual Result<> restart_component(const EngineChoice& engine, const std::string& id,
                                     std::chrono::seconds grace) = 0;
};

}  // namespace rusternetes::launcher
