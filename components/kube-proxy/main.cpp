// kube-proxy: Services' rules of one node, as a program of its own. The flags are kube-proxy's own where it
// has them.

#include <CLI/CLI.hpp>
#include <iostream>

#include "kube-proxy/flags.h"
#include "kube-proxy/kube_proxy.h"
#include "program/program.h"
#include "uplink/uplink_watch.h"

using namespace rusternetes;

namespace {

// kube-proxy v1.35's flags that have no counterpart here.
const std::set<std::string_view> unsupported = {"allow-metric-labels",
                                                "allow-metric-labels-manifest",
                                                "bind-address",
                                                "bind-address-hard-fail",
                                                "config",
                                                "config-sync-period",
                                                "conntrack-max-per-core",
                                                "conntrack-min",
                                                "conntrack-tcp-be-liberal",
                                                "conntrack-tcp-timeout-close-wait",
                                                "conntrack-tcp-timeout-established",
                                                "conntrack-udp-timeout",
                                                "conntrack-udp-timeout-stream",
                                                "disabled-metrics",
                                                "feature-gates",
                                                "healthz-port",
                                                "init-only",
                                                "iptables-localhost-nodeports",
                                                "iptables-min-sync-period",
                                                "iptables-sync-period",
                                                "ipvs-exclude-cidrs",
                                                "ipvs-min-sync-period",
                                                "ipvs-scheduler",
                                                "ipvs-strict-arp",
                                                "ipvs-sync-period",
                                                "ipvs-tcp-timeout",
                                                "ipvs-tcpfin-timeout",
                                                "ipvs-udp-timeout",
                                                "kube-api-burst",
                                                "kube-api-content-type",
                                                "kube-api-qps",
                                                "log-flush-frequency",
                                                "log-json-info-buffer-size",
                                                "log-json-split-stream",
                                                "log-text-info-buffer-size",
                                                "log-text-split-stream",
                                                "logging-format",
                                                "metrics-port",
                                                "oom-score-adj",
                                                "pod-bridge-interface",
                                                "pod-interface-name-prefix",
                                                "profiling",
                                                "show-hidden-metrics-for-version",
                                                "vmodule",
                                                "write-config-to"};

class ProxyService final : public program::Service {
 public:
  // `policies`: who reads what network policies need.
  ProxyService(const program::ClientMaker& clients, const program::ClientMaker& policies,
               network::NetworkNamespace node, kube_proxy::KubeProxyOptions options)
      : proxy_(clients.make(), std::move(node), std::move(options), policies.make()) {}
  void start() override { proxy_.start(); }
  Task<> stop() override { co_await proxy_.stop(); }

 private:
  kube_proxy::KubeProxy proxy_;
};

void add_flags(CLI::App& app, program::CommonFlags& common, kube_proxy::Flags& flags, std::string& uplink_name,
               bool& is_cleanup) {
  app.allow_extras();
  app.add_option("--kubeconfig", common.kubeconfig, "How to reach the API, and as whom");
  app.add_option("--master", common.masters, "Address of the API instead of the kubeconfig's")
      ->delimiter(',');
  app.add_option("--hostname-override", flags.node_name, "Name of the node; default: the host's name");
  app.add_option("--node-netns", flags.node_netns,
                 "The node's network namespace; default: that of the process");
  app.add_option("--node-uplink", uplink_name,
                 "The node's link to the outside: without it for 2 s the program ends with code 1, so that "
                 "who restarts it puts it into the node's new namespace; empty: it is not watched");
  app.add_option("--node-address", flags.node_addresses,
                 "The node's own addresses, where connections of published ports go: for these the host is "
                 "like anybody else")
      ->delimiter(',');
  app.add_option("--host-address", flags.host_addresses,
                 "Addresses of the node's host, which no NetworkPolicy keeps from the node's Pods")
      ->delimiter(',');
  app.add_option("--cluster-name", flags.cluster_name, "Tells clusters of one host apart")
      ->capture_default_str();
  app.add_option("--proxy-mode", flags.proxy_mode, "nftables is the one there is")->capture_default_str();
  app.add_option("--detect-local-mode", flags.detect_local_mode,
                 "What tells a Pod's traffic: ClusterCIDR, or the node's NodeCIDR")
      ->capture_default_str();
  app.add_option("--cluster-cidr", flags.cluster_cidrs,
                 "Ranges of the Pods; others are masqueraded on the way to a ClusterIP")
      ->delimiter(',');
  app.add_option("--service-cluster-ip-range", flags.service_ranges,
                 "Ranges whose untranslated packets are dropped, beside those of the API's ServiceCIDRs")
      ->delimiter(',');
  app.add_option("--nodeport-addresses", flags.nodeport_addresses,
                 "Ranges of the node's addresses with NodePorts (a family without any: all but loopback's), "
                 "or \"primary\": those of the Node object")
      ->delimiter(',')
      ->capture_default_str();
  app.add_flag("--masquerade-all", flags.masquerade_all, "Masquerade all traffic to ClusterIPs");
  app.add_option("--iptables-masquerade-bit", flags.masquerade_bit,
                 "Bit of the packet mark that says that a packet is to be masqueraded")
      ->capture_default_str();
  app.add_option("--min-sync-period", flags.min_sync_period,
                 "From one change of the rules to the next, at least")
      ->capture_default_str();
  app.add_option("--healthz-bind-address", flags.healthz_bind_address,
                 "Where /healthz and /livez are served; empty: nowhere")
      ->capture_default_str();
  app.add_option("--metrics-bind-address", flags.metrics_bind_address,
                 "Where /metrics is served; empty: nowhere")
      ->capture_default_str();
  app.add_flag("--network-policy", flags.network_policy,
               "--network-policy=false: NetworkPolicies are not served, and their rules are removed")
      ->default_str("true");
  app.add_option("--network-policy-kubeconfig", flags.network_policy_kubeconfig,
                 "As whom Pods, Namespaces and NetworkPolicies are read; default: as all else, which "
                 "kube-proxy's own role does not allow: no policy then has effect, and an event of the Node "
                 "says so");
  app.add_flag("--cleanup", is_cleanup, "Remove the rules of Services and NetworkPolicies, and exit");
  app.add_option("-v,--v", common.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
}

int fail(const Status& status) {
  std::cerr << "kube-proxy: " << status.message << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  program::block_signals();
  program::CommonFlags common;
  common.leader_elect = false;  // every node has one of its own
  kube_proxy::Flags flags;
  std::string uplink_name;
  bool is_cleanup = false;
  CLI::App app{"The proxy of a node: Services' addresses lead to their endpoints", "kube-proxy"};
  app.footer(
      "Example:\n  kube-proxy --kubeconfig /etc/kubernetes/kube-proxy.conf --cluster-cidr 10.244.0.0/16");
  add_flags(app, common, flags, uplink_name, is_cleanup);
  if (const auto code = program::parse(app, argc, argv, unsupported)) return *code;
  auto options = kube_proxy::options_of(flags);
  if (!options) return fail(options.error());
  auto node = flags.node_netns.empty() ? network::NetworkNamespace::current()
                                       : network::NetworkNamespace::open(flags.node_netns);
  if (!node) return fail(node.error());
  if (is_cleanup) {
    const auto done = kube_proxy::KubeProxy::cleanup(*node, options->cluster);
    return done ? 0 : fail(done.error());
  }
  std::unique_ptr<uplink::UplinkWatch> watch;
  if (!uplink_name.empty()) {
    auto started = uplink::end_without(*node, uplink_name, "kube-proxy");
    if (!started) return fail(started.error());
    watch = *std::move(started);
  }
  program::CommonFlags policy_flags = common;
  if (!flags.network_policy_kubeconfig.empty()) policy_flags.kubeconfig = flags.network_policy_kubeconfig;
  auto policy_remote = program::remote_options(policy_flags, "kube-proxy-network-policy");
  if (!policy_remote) return fail(policy_remote.error());
  // A kubelet waits for this rule, which needs no API.
  if (const auto dropped = kube_proxy::KubeProxy::drop_untranslated(*node, *options); !dropped)
    return fail(dropped.error());
  // Before any Pod is there: they are open else until policies are known. Not where they may never be.
  if (!flags.network_policy_kubeconfig.empty())
    if (const auto shut = kube_proxy::KubeProxy::shut_pods(*node, *options); !shut) return fail(shut.error());
  auto make = [&](const program::ClientMaker& clients) -> std::unique_ptr<program::Service> {
    const program::ClientMaker policies(clients.executor(), *policy_remote);
    return std::make_unique<ProxyService>(clients, policies, *node, *options);
  };
  return program::run("kube-proxy", "kube-proxy", std::move(common), make);
}
