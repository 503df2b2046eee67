// controller-manager: the controllers as a program of their own. The flags are kube-controller-manager's own
// where it has them.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/duration.h"
#include "client/service_account_tokens.h"
#include "controller-manager/manager.h"
#include "controller-manager/node_ranges.h"
#include "program/program.h"

using namespace rusternetes;

namespace {

// kube-controller-manager v1.35's flags that have no counterpart here.
const std::set<std::string_view> unsupported = program::with_common_unsupported({
    "attach-detach-reconcile-sync-period", "cidr-allocator-type", "cloud-config", "cloud-provider",
    "cluster-name", "cluster-signing-cert-file", "cluster-signing-duration", "cluster-signing-key-file",
    "cluster-signing-kube-apiserver-client-cert-file", "cluster-signing-kube-apiserver-client-key-file",
    "cluster-signing-kubelet-client-cert-file", "cluster-signing-kubelet-client-key-file",
    "cluster-signing-kubelet-serving-cert-file", "cluster-signing-kubelet-serving-key-file",
    "cluster-signing-legacy-unknown-cert-file", "cluster-signing-legacy-unknown-key-file",
    "concurrent-cron-job-syncs", "concurrent-daemonset-syncs", "concurrent-deployment-syncs",
    "concurrent-device-taint-eviction-syncs", "concurrent-endpoint-syncs",
    "concurrent-ephemeralvolume-syncs", "concurrent-gc-syncs",
    "concurrent-horizontal-pod-autoscaler-syncs", "concurrent-job-syncs", "concurrent-namespace-syncs",
    "concurrent-rc-syncs", "concurrent-replicaset-syncs", "concurrent-resource-quota-syncs",
    "concurrent-service-endpoint-syncs", "concurrent-service-syncs",
    "concurrent-serviceaccount-token-syncs", "concurrent-statefulset-syncs",
    "concurrent-ttl-after-finished-syncs", "concurrent-validating-admission-policy-status-syncs",
    "configure-cloud-routes", "controller-shutdown-timeout", "controller-start-interval",
    "disable-attach-detach-reconcile-sync", "disable-force-detach-on-timeout",
    "enable-dynamic-provisioning", "enable-garbage-collector", "enable-hostpath-provisioner",
    "enable-leader-migration", "endpoint-updates-batch-period", "endpointslice-updates-batch-period",
    "external-cloud-volume-plugin", "flex-volume-plugin-dir",
    "horizontal-pod-autoscaler-cpu-initialization-period",
    "horizontal-pod-autoscaler-downscale-stabilization",
    "horizontal-pod-autoscaler-initial-readiness-delay", "horizontal-pod-autoscaler-sync-period",
    "horizontal-pod-autoscaler-tolerance", "leader-migration-config",
    "legacy-service-account-token-clean-up-period", "max-endpoints-per-slice", "min-resync-period",
    "mirroring-concurrent-service-endpoint-syncs", "mirroring-endpointslice-updates-batch-period",
    "mirroring-max-endpoints-per-subset", "namespace-sync-period", "node-cidr-mask-size-ipv4",
    "node-cidr-mask-size-ipv6", "pv-recycler-increment-timeout-nfs",
    "pv-recycler-minimum-timeout-hostpath", "pv-recycler-minimum-timeout-nfs",
    "pv-recycler-pod-template-filepath-hostpath", "pv-recycler-pod-template-filepath-nfs",
    "pv-recycler-timeout-increment-hostpath", "pvclaimbinder-sync-period", "resource-quota-sync-period",
    "route-reconciliation-period", "service-account-private-key-file",
    "service-cluster-ip-range"});

struct Flags {
  program::CommonFlags common;
  std::string root_ca_file, cluster_cidr;
  bool allocate_node_cidrs = false, use_service_account_credentials = true;
  int node_cidr_mask_size = 24;
  std::vector<std::string> controllers = {"*"};
  std::string node_monitor_grace_period = "50s", node_monitor_period = "5s", node_startup_grace_period = "1m0s";
  controller_manager::NodeLifecycleOptions node_lifecycle;
  int terminated_pod_gc_threshold = 12'500;
  bool node_load_balancer = false;
  std::vector<std::string> reserved_node_ports = {"10250/TCP", "10249/TCP", "10256/TCP"};
  std::string service_cidr_condition;
};

void add_flags(CLI::App& app, Flags& flags) {
  program::add_common_flags(app, flags.common);
  app.add_option(
      "--root-ca-file", flags.root_ca_file,
      "Authority of the API, for each namespace's ConfigMap kube-root-ca.crt; default: the kubeconfig's");
  app.add_flag("--allocate-node-cidrs", flags.allocate_node_cidrs,
               "Give each node a Pod CIDR out of --cluster-cidr")
      ->default_str("false");
  app.add_option("--cluster-cidr", flags.cluster_cidr, "Where nodes' Pod CIDRs come from");
  app.add_option("--node-cidr-mask-size", flags.node_cidr_mask_size, "Length of a node's Pod CIDR")
      ->capture_default_str();
  app.add_flag("--use-service-account-credentials", flags.use_service_account_credentials,
               "Each controller acts as a service account of its own; =false: all as the kubeconfig's user")
      ->default_str("true");
  app.add_option("--controllers", flags.controllers,
                 "Which run: name, -name, or * for all that are not named")
      ->delimiter(',')
      ->capture_default_str();
}

void add_node_flags(CLI::App& app, Flags& flags) {
  app.add_option("--node-monitor-grace-period", flags.node_monitor_grace_period,
                 "A node that was not heard of for longer is Unknown")
      ->capture_default_str();
  app.add_option("--node-monitor-period", flags.node_monitor_period,
                 "Silent nodes are found at multiples of it; 0: at once")
      ->capture_default_str();
  app.add_option("--node-startup-grace-period", flags.node_startup_grace_period,
                 "The grace period of a node that never posted a status")
      ->capture_default_str();
  app.add_option("--node-eviction-rate", flags.node_lifecycle.eviction_rate,
                 "Nodes a second that are tainted NoExecute in a zone that is healthy")
      ->capture_default_str();
  app.add_option("--secondary-node-eviction-rate", flags.node_lifecycle.secondary_eviction_rate,
                 "The same in a large zone that is not")
      ->capture_default_str();
  app.add_option("--large-cluster-size-threshold", flags.node_lifecycle.large_zone_threshold,
                 "Up to so many nodes an unhealthy zone is not large, and none is tainted")
      ->capture_default_str();
  app.add_option("--unhealthy-zone-threshold", flags.node_lifecycle.unhealthy_zone_threshold,
                 "The share of nodes (3 at least) that are not ready in an unhealthy zone")
      ->capture_default_str();
  app.add_flag("--node-load-balancer", flags.node_load_balancer,
               "Services of type LoadBalancer answer on the nodes' own addresses; for nodes that are network "
               "namespaces of their own")
      ->default_str("false");
  app.add_option("--reserved-node-ports", flags.reserved_node_ports,
                 "Ports of the nodes' own that --node-load-balancer gives to no Service, as PORT/PROTOCOL")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--service-cidr-condition", flags.service_cidr_condition,
                 "Type of the condition without which a ServiceCIDR does not become ready, such as host-agent "
                 "sets; default: none");
  app.add_option("--terminated-pod-gc-threshold", flags.terminated_pod_gc_threshold,
                 "So many terminated Pods may stay; 0: all")
      ->capture_default_str();
}

Result<void> read_node_flags(const Flags& flags, controller_manager::ManagerOptions& options) {
  options.node_lifecycle = flags.node_lifecycle;
  options.terminated_pod_gc_threshold = flags.terminated_pod_gc_threshold;
  const auto read = [](const char* flag, const std::string& text, std::chrono::milliseconds& to) -> Result<void> {
    auto parsed = parse_duration(text);
    if (!parsed) return internal_error(fmt::format("{}: {}", flag, parsed.error().message));
    to = *parsed;
    return {};
  };
  auto& node = options.node_lifecycle;
  RN_CHECK(read("--node-monitor-grace-period", flags.node_monitor_grace_period, node.monitor_grace_period));
  RN_CHECK(read("--node-monitor-period", flags.node_monitor_period, node.monitor_period));
  return read("--node-startup-grace-period", flags.node_startup_grace_period, node.startup_grace_period);
}

Result<controller_manager::NodePortKey> node_port(const std::string& text) {
  const auto slash = text.find('/');
  int port = 0;
  const char* end = text.data() + std::min(slash, text.size());
  const auto read = std::from_chars(text.data(), end, port);
  const std::string protocol = slash == text.npos ? std::string() : text.substr(slash + 1);
  const bool is_port = read.ec == std::errc() && read.ptr == end && port > 0 && port < 65536;
  if (!is_port || (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP"))
    return internal_error(fmt::format("--reserved-node-ports: \"{}\" is no port such as 10250/TCP", text));
  return controller_manager::NodePortKey(protocol, port);
}

Result<void> check_controllers(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    const std::string_view name = std::string_view(word).substr(word.starts_with("-") ? 1 : 0);
    bool is_known = word == "*";
    std::string all;
    for (const auto& each : controller_manager::controller_names()) {
      is_known |= name == each.name || name == each.alias;
      all += fmt::format("{}{}", all.empty() ? "" : ", ", each.name);
    }
    if (!is_known)
      return internal_error(
          fmt::format("--controllers: \"{}\" is not in the list of known controllers: {}", name, all));
  }
  return {};
}

Result<controller_manager::ManagerOptions> manager_options(const Flags& flags) {
  controller_manager::ManagerOptions options;
  RN_CHECK(check_controllers(flags.controllers));
  options.controllers = flags.controllers;
  RN_CHECK(read_node_flags(flags, options));
  options.has_node_balancer = flags.node_load_balancer;
  options.service_cidr_condition = flags.service_cidr_condition;
  for (const auto& text : flags.reserved_node_ports) {
    RN_TRY(const auto port, node_port(text));
    options.reserved_node_ports.insert(port);
  }
  if (flags.allocate_node_cidrs) {
    if (flags.cluster_cidr.empty())
      return internal_error("--allocate-node-cidrs takes them out of --cluster-cidr, which is missing");
    auto first = controller_manager::free_node_range(flags.cluster_cidr, flags.node_cidr_mask_size, {});
    if (!first)
      return internal_error(fmt::format("--cluster-cidr {} and --node-cidr-mask-size {}: {}",
                                        flags.cluster_cidr, flags.node_cidr_mask_size,
                                        first.error().message));
    options.cluster_cidr = flags.cluster_cidr;
    options.node_cidr_mask_size = flags.node_cidr_mask_size;
  }
  if (!flags.root_ca_file.empty()) {
    std::ifstream in(flags.root_ca_file, std::ios::binary);
    if (!in) return internal_error(fmt::format("--root-ca-file: cannot read {}", flags.root_ca_file));
    std::stringstream text;
    text << in.rdbuf();
    options.root_ca_pem = text.str();
    if (options.root_ca_pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos)
      return internal_error(fmt::format("--root-ca-file: {} holds no certificate", flags.root_ca_file));
  }
  return options;
}

class ManagerService final : public program::Service {
 public:
  ManagerService(const program::ClientMaker& clients, controller_manager::ManagerOptions options,
                 bool own_accounts)
      : clients_(clients),
        own_accounts_(own_accounts),
        token_client_(clients.make()),
        manager_(
            clients.make(), [this](std::string_view account) { return client_of(account); },
            complete(std::move(options))) {}
  void start() override { manager_.start(); }
  Task<> stop() override { co_await manager_.stop(); }

 private:
  controller_manager::ManagerOptions complete(controller_manager::ManagerOptions options) const {
    if (options.root_ca_pem.empty()) options.root_ca_pem = clients_.options().tls.ca_pem;
    return options;
  }
  std::unique_ptr<client::ApiClient> client_of(std::string_view account) {
    const std::string user_agent = fmt::format("kube-controller-manager/{}", account);
    if (!own_accounts_) return clients_.make(user_agent);
    return clients_.make(user_agent, std::make_shared<client::ServiceAccountTokens>(
                                         token_client_, "kube-system", std::string(account)));
  }
  const program::ClientMaker& clients_;
  bool own_accounts_;
  std::shared_ptr<client::ApiClient> token_client_;  // asks for the controllers' tokens
  controller_manager::Manager manager_;
};

}  // namespace

int main(int argc, char** argv) {
  program::block_signals();
  Flags flags;
  flags.common.lease_name = "kube-controller-manager";
  flags.common.secure_port = 10257;
  CLI::App app{"The controllers: bring the cluster to what its objects ask for", "controller-manager"};
  app.footer(
      "Example:\n  controller-manager --kubeconfig /etc/kubernetes/controller-manager.conf "
      "--allocate-node-cidrs --cluster-cidr 10.244.0.0/16");
  add_flags(app, flags);
  add_node_flags(app, flags);
  if (const auto code = program::parse(app, argc, argv, unsupported)) return *code;
  auto options = manager_options(flags);
  if (!options) {
    std::cerr << "controller-manager: " << options.error().message << "\n";
    return 1;
  }
  auto make = [&options, own = flags.use_service_account_credentials](const program::ClientMaker& clients) {
    return std::make_unique<ManagerService>(clients, *options, own);
  };
  return program::run("controller-manager", "kube-controller-manager", flags.common, make);
}
