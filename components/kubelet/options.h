#pragma once
// What a kubelet is told at its start. Flags of the binary and the fields of the one process fill the same structure.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/runtime.h"

namespace rusternetes::kubelet {

struct KubeletOptions {
  std::string cluster = "rusternetes";  // names links and rules (network/names.h)
  std::string node_name;
  // InternalIP; of IPv4 Pods also the gateway. Empty: the address of the link with the default route.
  std::string node_ip;
  std::map<std::string, std::string> labels;  // of the Node, beside kubernetes.io/hostname, os and arch
  bool register_node = true;

  std::string root_dir = "/var/lib/kubelet";
  std::string log_dir = "/var/log/pods";
  std::string cgroup_mount = "/sys/fs/cgroup";  // where the hierarchies are
  std::string cgroup_root;                      // "/rusternetes-x": kubepods is made below it; empty: the root itself

  // The node's network namespace: "/proc/PID/ns/net" or a bind of one; empty: that of the process.
  std::string netns_path;
  std::string uplink = "eth0";      // the node's way out; empty: the host is the node, of which only forwarding is set
  bool prepares_node_network = true;  // forwarding, redirects and ICMP limits of the node (network/node_sysctls.h)
  // Pods reach what is outside of these ranges from the node's address. Empty: the kubelet makes no such rule.
  std::vector<std::string> cluster_cidrs;
  std::vector<std::string> no_masquerade_cidrs;  // beside cluster_cidrs: the host's and the nodes' addresses
  // No Pod is begun before the node drops what is left untranslated of these (network/service_drop.h), which
  // another process sees to. Empty: it has been seen to.
  std::vector<std::string> service_ranges;
  // How host-network Pods come to the node's network: `host` when the host is the node; `container` joins
  // `holder_container`, or, when that is empty, a holder that the kubelet makes for netns_path and keeps running.
  engine::SandboxNetwork host_network = engine::SandboxNetwork::host;
  std::string holder_container;

  std::vector<std::string> cluster_dns;
  // Servers for Pods that get the node's resolv.conf, where that names nobody but this host's loopback. Empty: cluster_dns,
  // which forwards to the same servers.
  std::vector<std::string> node_dns;
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";  // what Pods with dnsPolicy Default get; empty: nothing

  // The kubelet's own server. Without a certificate there is none.
  std::string bind_address;  // empty: node_ip
  std::uint16_t port = 10250;  // 0: a free one, which the Node then names
  std::string serving_certificate_pem, serving_key_pem;
  std::string client_ca_pem;

  // Resources kept from Pods: allocatable is capacity less these ("cpu": "100m", "memory": "100Mi").
  std::map<std::string, std::string> reserved;
  int max_pods = 110;
  std::int64_t container_log_max_bytes = 10 << 20;
  int container_log_max_files = 5;

  std::chrono::milliseconds lease_duration{40'000};             // renewed every quarter of it
  std::chrono::milliseconds node_status_update_frequency{10'000};
  std::chrono::milliseconds node_status_report_frequency{300'000};  // when nothing changes
  std::chrono::milliseconds sync_frequency{60'000};             // of a Pod without events; also refreshes its volumes
  const Clock* clock = &Clock::system();
};

}  // namespace rusternetes::kubelet
