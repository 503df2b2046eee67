#pragma once
// What the process is told by its flags. The launcher sets every one of them; by hand `--data-dir` is enough.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace rusternetes {

struct ProcessOptions {
  std::string data_dir;
  std::string pki_dir;   // default: DATA_DIR/pki; what is missing is made
  std::string root_dir;  // the kubelet's; default: DATA_DIR/kubelet
  std::string bind_address = "127.0.0.1";
  std::uint16_t secure_port = 6443;
  bool tls = true;
  std::string node_network = "own";  // own or host
  std::string node_netns;            // /proc/PID/ns/net of the supervisor; empty: made here
  std::string engine;                // podman or docker; empty: whichever runs
  std::string engine_socket;
  int verbosity = 0;

  // Empty until settle() (settings.h): by hand they are chosen once and kept with the data.
  std::string cluster_name;
  std::string node_name;  // default: the host's name
  std::string pod_cidr, service_cluster_ip_range;
  std::string node_address, host_address;
  std::vector<std::string> publish;  // "HOST:NODEPORT"
  bool network_policy = true;

  bool has_own_node() const { return node_network == "own"; }
  // Nobody prepared certificates and the node's network: this process does, and takes it away when it stops.
  bool is_by_hand() const { return has_own_node() ? node_netns.empty() : pki_dir.empty(); }
};

// "A,B" as A and B.
std::vector<std::string> split_list(std::string_view text);
// 127.0.0.0/8 and ::1.
bool is_loopback(const std::string& address);

// Fills in defaults that depend on others and checks what can be checked. An error says what to do.
Result<void> complete(ProcessOptions& options);

}  // namespace rusternetes
