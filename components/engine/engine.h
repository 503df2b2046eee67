#pragma once
// The HTTP API of Podman (4.3 and newer) and Docker (20.10 and newer) over a unix socket, one method a
// request. What the two do differently is hidden in the dialect (dialect.h). Belongs to one executor. Every
// error has one of the reasons of types.h or Kubernetes' own; the message is the engine's.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "engine/types.h"
#include "http/message.h"

namespace rusternetes::engine {

class Connection;
class Dialect;

struct EngineOptions {
  std::chrono::milliseconds request_timeout{60'000};
  // Called before a request is sent (`is_done` false) and after its head came (true): for tracing and for
  // tests that interrupt at every call. `method` and `target` as on the wire.
  std::function<void(std::string_view method, std::string_view target, bool is_done)> on_request;
};

using Labels = std::map<std::string, std::string>;

// A process's hijacked streams. With a terminal the bytes are raw; without, read through StdStreamDecoder.
struct StreamSession {
  std::unique_ptr<http::ByteStream> stream;
  bool has_tty = false;
};

class Engine {
 public:
  // Connects to the engine behind `socket_path` and learns which one it is, and of Docker the rest too. Status:
  // EngineUnreachable.
  static Task<Result<std::unique_ptr<Engine>>> connect(asio::any_io_executor executor,
                                                       std::string socket_path, EngineOptions options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // From cgroup_version on empty until learn() was called, since Podman takes 0.1 s to tell it.
  const EngineInfo& info() const { return info_; }
  // Reads what is not known yet. Containers cannot be made without it: create_container() asks by itself.
  // Status: RootlessEngine.
  Task<Result<void>> learn();
  const std::string& socket_path() const;
  asio::any_io_executor executor() const;
  // The engine's process in our PID namespace; 0 when it cannot be seen (another namespace).
  int process_id() const { return process_id_; }
  Task<Result<void>> ping();

  // --- images. References are normalised to fully qualified ones.
  Task<Result<std::vector<ImageSummary>>> list_images();
  Task<Result<ImageDetails>> inspect_image(std::string reference);  // NotFound
  Task<Result<bool>> has_image(std::string reference);
  // Reads the progress stream to its end. `timeout` is for the whole pull. Status: InvalidImageName,
  // NotFound, Unauthorized, RegistryUnavailable, Timeout. Returns the image's id.
  Task<Result<std::string>> pull_image(std::string reference, RegistryAuth auth,
                                       std::chrono::milliseconds timeout,
                                       std::function<void(const PullProgress&)> on_progress = {});
  // `archive` is a tar in docker-save or OCI layout. Returns the references (or ids) that the engine names.
  Task<Result<std::vector<std::string>>> load_images(std::string archive);
  Task<Result<void>> tag_image(std::string source, std::string reference);
  Task<Result<void>> remove_image(std::string reference, bool force);  // absent is no error

  // --- containers
  Task<Result<std::string>> create_container(ContainerSpec spec);  // the id; AlreadyExists, NotFound (image)
  Task<Result<void>> start_container(std::string id);              // started already is no error; StartError
  Task<Result<void>> stop_container(std::string id, int grace_seconds);   // stopped already is no error
  Task<Result<void>> kill_container(std::string id, std::string signal);  // Conflict when it does not run
  Task<Result<void>> rename_container(std::string id, std::string name);  // AlreadyExists
  // With its anonymous volumes; absent is no error.
  Task<Result<void>> remove_container(std::string id, bool force);
  // By force, also of one that others have joined: with Podman those go, too; with Docker they stay as they
  // are.
  Task<Result<void>> remove_container_with_dependents(std::string id);
  Task<Result<ContainerDetails>> inspect_container(std::string id);
  // Podman says "running" of a container that nobody watched the end of. Whether there is no such process on
  // this host; no where that cannot be told.
  bool is_gone(int pid) const;
  // The container ran, and neither its process nor its monitor is there. Such a one cannot be started, only
  // removed.
  bool is_lost(const ContainerDetails& details) const;
  // All that carry every label (an empty value asks for the key alone), running or not.
  Task<Result<std::vector<ContainerSummary>>> list_containers(Labels labels);
  // Until it is not running; the exit code.
  Task<Result<int>> wait_container(std::string id);
  Task<Result<void>> update_resources(std::string id, Resources resources);

  // --- processes
  Task<Result<std::string>> create_exec(std::string container_id, ExecSpec spec);
  Task<Result<StreamSession>> start_exec(std::string exec_id, bool has_tty);
  Task<Result<void>> resize_exec(std::string exec_id, int width, int height);  // after the start
  Task<Result<ExecDetails>> inspect_exec(std::string exec_id);
  Task<Result<StreamSession>> attach(std::string container_id, bool has_stdin, bool has_tty);
  Task<Result<void>> resize_container(std::string container_id, int width, int height);

  // --- networks and volumes
  Task<Result<std::string>> create_network(NetworkSpec spec);  // AlreadyExists, PoolOverlap
  Task<Result<NetworkDetails>> inspect_network(std::string name);
  Task<Result<std::vector<NetworkDetails>>> list_networks(Labels labels);
  Task<Result<void>> remove_network(std::string name);  // absent is no error
  Task<Result<std::vector<VolumeDetails>>> list_volumes(Labels labels);
  Task<Result<void>> remove_volume(std::string name, bool force);

  // Streams events of containers until the engine ends the stream (an ok Result), an error, or cancellation.
  // `on_open` is called once the engine listens: list after it, and nothing is missed.
  Task<Result<void>> stream_events(std::function<void()> on_open,
                                   std::function<void(const EngineEvent&)> on_event);

  // For what only one caller needs and the dialect decides.
  const Dialect& dialect() const { return *dialect_; }
  Connection& connection() { return *connection_; }

 private:
  Engine(std::unique_ptr<Connection> connection, EngineInfo info, std::unique_ptr<Dialect> dialect,
         int process_id);
  std::unique_ptr<Connection> connection_;
  EngineInfo info_;
  bool is_known_ = false;  // all of info_
  std::unique_ptr<Dialect> dialect_;
  int process_id_ = 0;
};

}  // namespace rusternetes::engine
