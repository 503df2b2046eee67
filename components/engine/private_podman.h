#pragma once
// `podman system service` with a containers.conf of its own: the way to run where Podman is installed but no
// service runs, or where the host's configuration does not work (hosts.md's first table). The host's files
// stay untouched.

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/status.h"
#include "engine/host_facts.h"
#include "engine/types.h"

namespace rusternetes::engine {

struct PrivatePodmanOptions {
  std::string directory;     // made with 0700; gets podman.sock, containers.conf, podman.log
  std::string storage_root;  // empty: the host's own images and containers
  std::string program;       // empty: podman from PATH
  std::chrono::milliseconds timeout{10'000};
};

struct PrivatePodman {
  pid_t pid = 0;  // a child of the caller, in a session of its own; outlives the caller
  std::string socket_path;
};

// Which OCI runtime starts containers here: crun refuses hybrid cgroups. Empty leaves the choice to Podman.
// An error says what to install.
Result<std::string> choose_runtime(CgroupMode mode, bool has_runc, bool has_crun);
// The text of containers.conf for this host.
std::string private_containers_conf(const HostFacts& host, const std::string& runtime);

// Blocks until the socket answers (up to the timeout): from a program's main or a WorkerThread. An error
// carries the end of Podman's log. A service that already answers in the directory is an AlreadyExists error.
Result<PrivatePodman> start_private_podman(PrivatePodmanOptions options);
// TERM, and KILL after `grace`. Containers run on. Blocks; reaps if it is our child.
void stop_private_podman(const PrivatePodman& podman,
                         std::chrono::milliseconds grace = std::chrono::seconds(5));

}  // namespace rusternetes::engine
