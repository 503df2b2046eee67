#pragma once
// What the process is told by its flags. The launcher sets every one of them; by hand `--data-dir` is enough.

#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes {

struct ProcessOptions {
  std::string data_dir;
  std::string cluster_name = "rusternetes";
  std::string pki_dir;   // default: DATA_DIR/pki; what is missing is made
  std::string root_dir;  // the kubelet's; default: DATA_DIR/kubelet
  std::string bind_address = "127.0.0.1";
  std::uint16_t secure_port = 6443;
  bool tls = true;
  std::string pod_cidr = "10.244.0.0/16";
  std::string service_cluster_ip_range = "10.96.0.0/16";
  std::string node_name;           // default: the host's name
  std::string node_network = "own";  // own or host
  std::string node_netns;          // /proc/PID/ns/net of the supervisor; empty: made here
  std::string node_address = "10.213.0.2", host_address = "10.213.0.1";
  std::string engine;         // podman or docker; empty: whichever runs
  std::string engine_socket;
  int verbosity = 0;

  bool has_own_node() const { return node_network == "own"; }
  // Nobody prepared certificates and the node's network: this process does, and takes it away when it stops.
  bool is_by_hand() const { return has_own_node() ? node_netns.empty() : pki_dir.empty(); }
};

// Fills in defaults that depend on others and checks what can be checked. An error says what to do.
Result<void> complete(ProcessOptions& options);

}  // namespace rusternetes
