#include "rusternetes/process.h"

#include <fmt/format.h>

#include <filesystem>
#include <future>
#include <iostream>

#include <boost/asio/post.hpp>

#include "addons/addons.h"
#include "api-server/instance.h"
#include "base/log.h"
#include "controller-manager/manager.h"
#include "network/port_forwarder.h"
#include "rusternetes/host_rules.h"
#include "rusternetes/node.h"
#include "rusternetes/node_setup.h"
#include "rusternetes/pki.h"
#include "rusternetes/service_ranges.h"
#include "rusternetes/settings.h"
#include "rusternetes/traffic.h"
#include "scheduler/scheduler.h"
#include "storage/copy/copy_server.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes {

struct Process::Impl {
  explicit Impl(ProcessOptions o) : options(std::move(o)) {}

  ProcessOptions options;
  ProcessPki pki;
  std::unique_ptr<ClusterClaim> claim;
  std::unique_ptr<NodeSetup> node_setup;
  std::shared_ptr<ServiceRanges> service_ranges;
  std::unique_ptr<network::RuleKeeper> host_rules;
  std::unique_ptr<network::PortForwarder> published;
  std::unique_ptr<storage::sqlite::SqliteStore> store;
  std::unique_ptr<api_server::Instance> api;
  std::unique_ptr<EventThread> control;  // scheduler and controllers
  std::unique_ptr<scheduler::Scheduler> scheduler;
  std::unique_ptr<controller_manager::Manager> manager;
  std::unique_ptr<Traffic> traffic;
  std::unique_ptr<Node> node;
  std::unique_ptr<storage::CopyServer> copies;

  Result<void> open_store();
  Result<void> start_host_side(const network::NetworkNamespace& host);
  Result<void> add_addons(api_server::InstanceOptions& api_options) const;
  Result<void> start_api();
  void tell_how_to_connect(const std::string& kubeconfig, const std::string& waits_for) const;
  void start_control();
  Task<> stand_service_ranges();
  Task<> stop_control();
  api_server::User user(std::string name) {
    api_server::User out;
    out.name = std::move(name);
    out.groups = {std::string(api_server::group_authenticated)};
    return out;
  }
};

Process::Process(ProcessOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Process::~Process() { stop(); }

// First of all: its lock makes the folder ours.
Result<void> Process::Impl::open_store() {
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) return internal_error(fmt::format("--data-dir {}: {}", options.data_dir, error.message()));
  std::filesystem::permissions(options.data_dir, std::filesystem::perms::owner_all, error);
  storage::sqlite::StoreOptions store_options;
  store_options.path = std::filesystem::path(options.data_dir) / "store.db";
  RN_TRY(store, storage::sqlite::SqliteStore::open(store_options));
  return {};
}

Result<void> Process::Impl::add_addons(api_server::InstanceOptions& api_options) const {
  addons::DnsOptions names;
  names.service_cluster_ip_range = options.service_cluster_ip_range;
  names.server_addresses = split_list(options.node_address);
  if (names.server_addresses.size() > 1) names.server_addresses.resize(1);
  names.port = traffic->dns_port();
  names.node_name = options.node_name;
  RN_TRY(auto objects, addons::dns(names));
  for (auto& object : addons::network_policy()) objects.push_back(std::move(object));
  for (auto& object : objects) {
    const auto& kind = *object.kind;
    const client::Resource resource{kind.group_version.group, kind.group_version.version, kind.resource};
    api_options.addons.push_back({resource, std::move(object.document)});
  }
  return {};
}

Result<void> Process::Impl::start_api() {
  api_server::InstanceOptions api_options;
  api_options.bind_address = options.bind_address;
  api_options.secure_port = options.secure_port;
  if (options.tls)
    api_options.tls = http::ServerTls{pki.api_server_certificate_pem, pki.api_server_key_pem, pki.ca_pem};
  if (!options.tls) {  // nothing to show but a token, so whoever shows none is nobody
    RN_TRY(const auto token, ensure_admin_token(options));
    api_options.token_auth_file = token.table_path;
    api_options.anonymous_auth = false;
  }
  api_options.enable_admission_plugins = {"NodeRestriction"};
  api_options.service_account_signing_key_pem = pki.service_account_key_pem;
  api_options.service_account_key_pems = {pki.service_account_public_pem};
  api_options.service_cluster_ip_ranges = split_list(options.service_cluster_ip_range);
  http::ClientTls kubelet;
  kubelet.ca_pem = pki.ca_pem;
  kubelet.certificate_chain_pem = pki.kubelet_client_certificate_pem;
  kubelet.private_key_pem = pki.kubelet_client_key_pem;
  api_options.kubelet_client = std::move(kubelet);
  api_options.admin_group = "kubeadm:cluster-admins";
  const auto node_addresses = split_list(options.node_address);
  if (options.tls && !node_addresses.empty()) api_options.advertise_address = node_addresses.front();
  RN_CHECK(add_addons(api_options));
  api = std::make_unique<api_server::Instance>(*store, std::move(api_options));
  RN_CHECK(api->start());
  // Pods reach the API even when the host's firewall keeps them from the host. Plain HTTP stays on loopback.
  if (!options.tls) return {};
  for (const auto& address : node_addresses) {
    const bool is_bound = options.bind_address == "0.0.0.0" || options.bind_address == "::" || options.bind_address == address;
    if (!options.has_own_node() && is_bound) continue;
    RN_TRY(const int listener, listen_in(node_setup->node(), address, api->port()));
    RN_CHECK(api->adopt_listener(listener));
  }
  return {};
}

// What of the node others reach by the host, and the node by it.
Result<void> Process::Impl::start_host_side(const network::NetworkNamespace& host) {
  RN_TRY(service_ranges, ServiceRanges::make(options, *node_setup));
  RN_TRY(host_rules, make_host_rules(host, options, service_ranges));
  RN_CHECK(host_rules->start());
  RN_TRY(auto ports, published_ports(options));
  if (ports.empty()) return {};
  published = std::make_unique<network::PortForwarder>(split_list(options.node_address), std::move(ports));
  published->start();
  return {};
}

void Process::Impl::tell_how_to_connect(const std::string& kubeconfig, const std::string& waits_for) const {
  std::string how = fmt::format("export KUBECONFIG={}\n  kubectl get nodes\n", kubeconfig);
  if (!options.tls)
    how = fmt::format(
        "curl -H \"Authorization: Bearer $(cat {}/admin.token)\" {}/api/v1/nodes\n\n(kubectl sends no token "
        "over plain HTTP; other clients find it in {}.)\n",
        options.data_dir, server_url(options, api->port()), kubeconfig);
  std::cout << fmt::format(
                   "The cluster {} runs. To use it:\n\n  {}\nCtrl-C stops it: links and rules go, data stay "
                   "in {}, and containers of Pods run on until the next start "
                   "takes them up again.\n",
                   options.cluster_name, how, options.data_dir)
            << (waits_for.empty()
                    ? std::string()
                    : fmt::format("\nIts node is not ready, and no Pod runs yet: it waits for a container engine.\n  {}\n", waits_for))
            << std::flush;
}

// Before the controllers, for what is in the store already.
Task<> Process::Impl::stand_service_ranges() {
  auto client = api->make_client(user("system:kube-controller-manager"), control->executor(), "rusternetes");
  co_await service_ranges->stand_known(*client);
}

void Process::Impl::start_control() {
  control = std::make_unique<EventThread>("control");
  const auto executor = control->executor();
  run_blocking(executor, stand_service_ranges());
  std::promise<void> started;
  asio::post(executor, [&] {
    scheduler = std::make_unique<scheduler::Scheduler>(
        api->make_client(user("system:kube-scheduler"), executor, "kube-scheduler"));
    controller_manager::ManagerOptions manager_options;
    manager_options.cluster_cidr = options.pod_cidr.substr(0, options.pod_cidr.find(','));
    manager_options.root_ca_pem = pki.ca_pem;
    manager_options.has_node_balancer = options.has_own_node();
    manager_options.reserved_node_ports = {{"UDP", traffic->dns_port()}, {"TCP", traffic->dns_port()}, {"TCP", api->port()}};
    for (const int port : {10250, int{Traffic::kHealthPort}, int{Traffic::kMetricsPort}}) manager_options.reserved_node_ports.emplace("TCP", port);
    manager_options.service_cidr_guard = service_ranges;
    auto factory = [this, executor](std::string_view account) {
      return api->make_client(api_server::Instance::service_account("kube-system", account), executor,
                              std::string(account));
    };
    manager = std::make_unique<controller_manager::Manager>(
        api->make_client(user("system:kube-controller-manager"), executor, "kube-controller-manager"),
        factory, std::move(manager_options));
    scheduler->start();
    manager->start();
    started.set_value();
  });
  started.get_future().get();
}

Task<> Process::Impl::stop_control() {
  co_await scheduler->stop();
  co_await manager->stop();
}

Result<void> Process::start() {
  Impl& i = *impl_;
  RN_CHECK(i.open_store());
  RN_TRY(const auto host, network::NetworkNamespace::current());
  RN_TRY(i.claim, settle(i.options, host));
  RN_TRY(i.pki, load_pki(i.options));
  RN_TRY(i.node_setup,
         NodeSetup::prepare(i.options,
                            host));  // with the drop rule, before any service address can be given out
  RN_CHECK(i.start_host_side(host));
  RN_TRY(i.traffic, Traffic::prepare(i.options, *i.node_setup));
  RN_CHECK(i.start_api());
  RN_TRY(const std::string kubeconfig, write_admin_kubeconfig(i.options, i.pki, i.api->port()));
  i.start_control();
  auto copy = [&i](const std::string& path) { return i.store->copy_to(path); };
  i.copies = std::make_unique<storage::CopyServer>(i.control->executor(), i.options.data_dir, copy);
  RN_CHECK(i.copies->start(i.options.data_dir + "/store.sock"));
  RN_CHECK(i.traffic->start(*i.api));
  i.node = std::make_unique<Node>(i.options, i.pki, *i.node_setup, *i.api);
  RN_TRY(const std::string waits_for, i.node->start());
  log::info("rusternetes", "the API serves on {}:{}", i.options.bind_address, i.api->port());
  if (i.options.is_by_hand()) i.tell_how_to_connect(kubeconfig, waits_for);
  return {};
}

void Process::stop() {
  Impl& i = *impl_;
  if (i.node) i.node->stop();
  if (i.traffic) i.traffic->stop();
  if (i.control) {
    if (i.copies) run_blocking(i.control->executor(), i.copies->stop());
    if (i.scheduler && i.manager) run_blocking(i.control->executor(), i.stop_control());
    std::promise<void> destroyed;
    asio::post(i.control->executor(), [&] {
      i.scheduler.reset();
      i.manager.reset();
      i.copies.reset();
      destroyed.set_value();
    });
    destroyed.get_future().get();
    i.control->stop();
  }
  i.node.reset();
  i.traffic.reset();
  if (i.api) i.api->stop(std::chrono::seconds(5));
  i.api.reset();
  i.control.reset();
  i.published.reset();
  i.host_rules.reset();
  i.service_ranges.reset();
  i.node_setup.reset();
  i.claim.reset();
  i.store.reset();
}

}  // namespace rusternetes
