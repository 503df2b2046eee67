#pragma once
// kube-proxy's own flags, checked and turned into options.

#include <string>
#include <vector>

#include "kube-proxy/kube_proxy.h"

namespace rusternetes::kube_proxy {

struct Flags {
  std::string node_name;  // default: the host's
  std::string node_netns;
  std::string cluster_name = "rusternetes";
  std::string proxy_mode = "nftables";
  std::string detect_local_mode = "ClusterCIDR";
  std::vector<std::string> cluster_cidrs, nodeport_addresses{"primary"}, service_ranges;
  bool masquerade_all = false;
  int masquerade_bit = 14;
  std::string healthz_bind_address = "0.0.0.0:10256";  // empty: not served
  std::string metrics_bind_address = "127.0.0.1:10249";
  std::string min_sync_period = "20ms";
  bool network_policy = true;
  std::string network_policy_kubeconfig;  // empty: the proxy's own
  std::vector<std::string> host_addresses, node_addresses;
};

// An error is one sentence that names the flag.
Result<KubeProxyOptions> options_of(const Flags& flags);

}  // namespace rusternetes::kube_proxy
