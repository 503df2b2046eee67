#pragma once
// /etc/hosts, /etc/resolv.conf and /etc/hostname of a Pod's containers, and the files that their last words go to.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kubelet/options.h"
#include "kubelet/pod/pod.h"

namespace rusternetes::kubelet {

// `node_hosts` is the node's own file, which host-network Pods see.
std::string hosts_file(const core_v1::Pod& pod, const std::vector<std::string>& pod_ips, std::string_view cluster_domain,
                       std::string_view node_hosts);

struct DnsConfig {
  std::vector<std::string> servers, searches, options;
  // Of the node: it has no resolv.conf to give (--resolv-conf is empty), so Pods that would get it look nothing up.
  bool is_disabled = false;
  std::string to_string() const;  // as resolv.conf(5)
};
DnsConfig parse_resolv_conf(std::string_view text);
// What is to be had of the node's file from another network namespace than the one it was written for: `servers` stand in for
// its own if those are all on loopback, as 127.0.0.53 of systemd-resolved is, or if it has none (a resolver then asks its own
// host, resolv.conf(5)). Without `servers` as it is.
DnsConfig seen_from_outside(DnsConfig node, const std::vector<std::string>& servers);
// The node's file as the Pod can use it. Only a host-network Pod shares the loopback of the node, and of the host unless the node
// is a namespace of its own. Blocking.
DnsConfig node_dns(const core_v1::Pod& pod, const KubeletOptions& options);
// What an event says of it.
struct DnsNote {
  std::string reason, message;
};
// After dnsPolicy and dnsConfig. At most 3 servers and 32 search domains of 2048 characters together (KEP-2595), of 253 each;
// what was left out is told in `notes`.
DnsConfig pod_dns(const core_v1::Pod& pod, const DnsConfig& node, const std::vector<std::string>& cluster_dns,
                  std::string_view cluster_domain, std::vector<DnsNote>* notes = nullptr);

// Writes what changed and returns the mounts, of which those that the container mounts itself are left out. Blocking.
struct PodFiles {
  std::string folder;  // of the Pod
  std::string hosts, resolv_conf, hostname;
};
Result<std::vector<engine::Mount>> write_pod_files(const PodFiles& files, const core_v1::Container& container);

// <root>/pods/UID/containers/NAME/ATTEMPT, mounted at terminationMessagePath.
std::string termination_file(const KubeletOptions& options, std::string_view pod_uid, std::string_view container, std::uint32_t attempt);
// An empty file that everybody may write; its mount. Blocking.
Result<engine::Mount> make_termination_file(const std::string& path, std::string_view container_path);
// At most 4096 bytes of it; empty when there is none. Blocking.
std::string read_termination_message(const std::string& path);

// The whole file, or empty. Blocking.
std::string read_text_file(const std::string& path);

}  // namespace rusternetes::kubelet
