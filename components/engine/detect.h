#pragma once
// Finds an engine that runs, and refuses what cannot carry a cluster.

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace rusternetes::engine {

struct DetectOptions {
  std::optional<EngineKind> kind;  // nothing: Podman, then Docker
  std::string socket_path;         // empty: the places of the system's services
  std::vector<std::string> podman_sockets{"/run/podman/podman.sock"};
  std::vector<std::string> docker_sockets{"/var/run/docker.sock"};
  EngineOptions engine;
};

// A live, rootful engine. Status: RootlessEngine (the message has reason and fix), Forbidden (the socket is
// there but not for this user), EngineUnreachable (what was tried, and what to start). `Invalid` when the
// socket is another kind's.
Task<Result<std::unique_ptr<Engine>>> detect_engine(asio::any_io_executor executor,
                                                    DetectOptions options = {});

}  // namespace rusternetes::engine
