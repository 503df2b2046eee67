#include "kube-proxy/flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/duration.h"
#include "network/nft.h"

namespace rusternetes::kube_proxy {

namespace {

Status wrong(std::string message) { return {400, "BadRequest", std::move(message)}; }

Result<std::vector<IpPrefix>> ranges(const char* flag, const std::vector<std::string>& texts) {
  std::vector<IpPrefix> out;
  for (const auto& text : texts) {
    const auto range = IpPrefix::parse(text);
    if (!range) return wrong(fmt::format("--{}: \"{}\" is no range such as 10.244.0.0/16", flag, text));
    out.push_back(range->masked());
  }
  return out;
}

Result<std::vector<IpAddress>> addresses(const char* flag, const std::vector<std::string>& texts) {
  std::vector<IpAddress> out;
  for (const auto& text : texts) {
    const auto address = IpAddress::parse(text);
    if (!address) return wrong(fmt::format("--{}: \"{}\" is no address", flag, text));
    out.push_back(*address);
  }
  return out;
}

Result<std::optional<BindAddress>> bind_address(const char* flag, const std::string& text,
                                                std::uint16_t port) {
  if (text.empty()) return std::optional<BindAddress>{};
  const auto parsed = BindAddress::parse(text, port);
  if (!parsed) return wrong(fmt::format("--{}: {}", flag, parsed.error().message));
  return std::optional(*parsed);
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

Result<KubeProxyOptions> options_of(const Flags& flags) {
  KubeProxyOptions out;
  if (flags.proxy_mode != "nftables")
    return wrong(fmt::format("--proxy-mode: \"{}\" is not supported; leave the flag out, or say nftables",
                             flags.proxy_mode));
  if (!network::is_safe_name(flags.cluster_name))
    return wrong(fmt::format("--cluster-name: \"{}\" is no name", flags.cluster_name));
  out.cluster = flags.cluster_name;
  out.node_name = flags.node_name.empty() ? host_name() : flags.node_name;
  if (!network::is_safe_name(out.node_name))
    return wrong(fmt::format("--hostname-override: \"{}\" is no node's name", out.node_name));
  if (flags.detect_local_mode == "NodeCIDR")
    out.uses_node_cidr = true;
  else if (flags.detect_local_mode != "ClusterCIDR")
    return wrong(fmt::format("--detect-local-mode: \"{}\" is not supported; ClusterCIDR and NodeCIDR are",
                             flags.detect_local_mode));
  RN_TRY(out.pod_cidrs, ranges("cluster-cidr", flags.cluster_cidrs));
  const bool is_primary =
      flags.nodeport_addresses.size() == 1 && flags.nodeport_addresses.front() == "primary";
  if (!is_primary) RN_CHECK(ranges("nodeport-addresses", flags.nodeport_addresses));
  out.nodeport_addresses = flags.nodeport_addresses;
  RN_TRY(out.service_ranges, ranges("service-cluster-ip-range", flags.service_ranges));
  out.masquerade_all = flags.masquerade_all;
  if (!flags.network_policy && !flags.network_policy_kubeconfig.empty())
    return wrong("--network-policy-kubeconfig: with --network-policy=false nobody needs it");
  out.network_policy = flags.network_policy;
  RN_TRY(out.host_addresses, addresses("host-address", flags.host_addresses));
  RN_TRY(out.node_addresses, addresses("node-address", flags.node_addresses));
  if (flags.masquerade_bit < 0 || flags.masquerade_bit > 31)
    return wrong("--iptables-masquerade-bit: a bit is from 0 to 31");
  out.masquerade_bit = flags.masquerade_bit;
  RN_TRY(out.healthz, bind_address("healthz-bind-address", flags.healthz_bind_address, 10256));
  RN_TRY(out.metrics, bind_address("metrics-bind-address", flags.metrics_bind_address, 10249));
  const auto period = parse_duration(flags.min_sync_period);
  if (!period) return wrong(fmt::format("--min-sync-period: {}", period.error().message));
  out.min_sync_period = *period;
  return out;
}

}  // namespace rusternetes::kube_proxy
