#pragma once
// What the launcher asks of a container engine. Calls block.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

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
};

}  // namespace rusternetes::launcher
