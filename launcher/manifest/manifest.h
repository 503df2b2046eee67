#pragma once
// A compose manifest, as far as ours go (the Compose file format 2.4, which Debian's docker-compose 1.29 and
// podman-compose 1.0 read, too): what the engine is to be brought to. What is not understood is refused,
// since it would otherwise silently not be done.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace rusternetes::launcher {

// A network's label that names its bridge. Podman's own client has no option for it, so that the manifests for
// Podman say it by this; for Docker it is the option com.docker.network.bridge.name.
inline constexpr const char* bridge_label = "io.rusternetes.bridge";

struct ManifestNetwork {
  std::string key;   // what services call it
  std::string name;  // what the engine calls it
  std::string subnet, gateway;
  std::string bridge_name;
  int mtu = 0;  // 0: the engine's own
  std::map<std::string, std::string> labels;
};

struct ManifestMount {
  std::string source, target;  // absolute
  bool is_read_only = false;
  std::string propagation;  // "", "rslave" or "rshared"
};

struct ManifestPort {
  std::string host_address;
  std::uint16_t host_port = 0, container_port = 0;
};

struct ManifestService {
  std::string key;
  std::string container_name;
  std::string image;
  std::string hostname;
  std::vector<std::string> entrypoint, command;
  std::string network;       // of the manifest, by key; or
  std::string network_mode;  // "host", "none", or "service:KEY": in that one's namespace
  std::string address;       // in `network`
  std::string pid_mode;      // "" or "host"
  bool is_privileged = false;
  std::vector<std::string> add_capabilities;
  std::map<std::string, std::string> sysctls;
  std::vector<ManifestMount> mounts;
  std::vector<ManifestPort> ports;
  std::vector<std::string> depends_on;  // by key: those are started before
  std::map<std::string, std::string> labels;
  std::string restart = "no";  // "no", "always", "on-failure", "unless-stopped"
  std::chrono::seconds stop_grace{10};
  std::string stop_signal;
};

struct Manifest {
  std::vector<ManifestNetwork> networks;  // in the order of the text, as the services
  std::vector<ManifestService> services;

  const ManifestService* find(std::string_view key) const;
  // Each after what it depends on and whose network it is in.
  std::vector<const ManifestService*> start_order() const;
};

// The keys of services that this one cannot be without: what it depends on, and whose network it is in.
std::vector<std::string> needs_of(const ManifestService& service);

// ManifestBroken, which names the line and what is wrong there.
Result<Manifest> read_manifest(std::string_view text);

}  // namespace rusternetes::launcher
