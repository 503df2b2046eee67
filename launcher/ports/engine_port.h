#pragma once
// What the launcher asks of a container engine. Calls block.

#include <chrono>
#include <filesystem>
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

  virtual Result<bool> has_image(const EngineChoice& engine, const std::string& reference) = 0;
  // A tar in docker-save or OCI layout. Returns what the engine calls the images.
  virtual Result<std::vector<std::string>> load_archive(const EngineChoice& engine,
                                                        const std::filesystem::path& archive) = 0;
  // Writes the image as such a tar.
  virtual Result<> save_image(const EngineChoice& engine, const std::string& reference,
                              const std::filesystem::path& archive) = 0;
  virtual Result<> load_pause_image(const EngineChoice& engine) = 0;  // there already: no error
  // In use or absent: no error.
  virtual Result<> remove_pause_image(const EngineChoice& engine) = 0;

  // Every container of the cluster, running or not.
  virtual Result<std::vector<ClusterContainer>> containers(const EngineChoice& engine,
                                                           const std::string& cluster) = 0;
  // All at once, each with `grace` between its stop signal and SIGKILL; stopped already is no error.
  virtual Result<> stop_containers(const EngineChoice& engine, const std::vector<std::string>& ids,
                                   std::chrono::seconds grace) = 0;
  virtual Result<> remove_container(const EngineChoice& engine,
                                    const std::string& id) = 0;  // absent: no error
};

}  // namespace rusternetes::launcher
