#include "rusternetes/traffic.h"

#include "base/task.h"
#include "dns/server.h"
#include "kube-proxy/kube_proxy.h"
#include "network/name_server_guard.h"
#include "network/rule_keeper.h"

namespace rusternetes {

namespace {
// Others change many rules at a time.
constexpr std::chrono::milliseconds kSettle{100};
}  // namespace

struct Traffic::Impl {
  Impl(const ProcessOptions& o, const NodeSetup& s, dns::ListenSockets listening) : options(o), setup(s), sockets(std::move(listening)), dns_port(sockets.port) {}

  const ProcessOptions& options;
  const NodeSetup& setup;
  dns::ListenSockets sockets;
  std::uint16_t dns_port;
  std::unique_ptr<network::RuleKeeper> dns_guard;  // where the host is the node
  // Many rules take a while to compute; names are waited for.
  std::unique_ptr<EventThread> proxy_thread, dns_thread;
  std::unique_ptr<client::ApiClient> dns_client;
  std::unique_ptr<dns::DnsServer> dns;
  std::unique_ptr<kube_proxy::KubeProxy> proxy;

  Result<kube_proxy::KubeProxyOptions> proxy_options() const;
  Result<void> guard_dns(network::NameServerGuard wanted);
  Task<> begin_proxy(api_server::Instance& api, kube_proxy::KubeProxyOptions wanted);
  Task<> begin_dns(api_server::Instance& api, Result<void>& out);
  Task<> end_proxy();
  Task<> end_dns();
};

Traffic::Traffic(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Traffic::~Traffic() { stop(); }

std::uint16_t Traffic::dns_port() const { return impl_->dns_port; }

Result<std::unique_ptr<Traffic>> Traffic::prepare(const ProcessOptions& options, const NodeSetup& setup) {
  dns::ListenOptions listening;
  for (const auto& text : split_list(options.node_address)) {
    RN_TRY(const auto address, network::IpAddress::parse(text));
    listening.addresses.push_back(address);
  }
  listening.port = options.has_own_node() ? 53 : 0;
  listening.name_space = setup.node();
  RN_TRY(auto sockets, dns::listen(listening));
  std::unique_ptr<Traffic> out(new Traffic(std::make_unique<Impl>(options, setup, std::move(sockets))));
  if (!options.has_own_node()) RN_CHECK(out->impl_->guard_dns({options.cluster_name, listening.addresses, out->dns_port()}));
  return out;
}

// Before the server answers anybody.
Result<void> Traffic::Impl::guard_dns(network::NameServerGuard wanted) {
  const auto host = setup.node();
  RN_CHECK(network::load_name_server_guard(host, wanted));
  auto mend = [host, wanted]() -> Result<bool> {
    RN_TRY(const bool stands, network::has_name_server_guard(host, wanted.cluster));
    if (stands) return false;
    RN_CHECK(network::load_name_server_guard(host, wanted));
    return true;
  };
  std::vector<network::RuleKeeper::Rule> rules;
  rules.push_back({"what keeps strangers from the cluster's name server", std::move(mend)});
  dns_guard = std::make_unique<network::RuleKeeper>(host, "dns-guard", kSettle, std::move(rules));
  return dns_guard->start();
}

Result<kube_proxy::KubeProxyOptions> Traffic::Impl::proxy_options() const {
  kube_proxy::KubeProxyOptions out;
  out.cluster = options.cluster_name;
  out.node_name = options.node_name;
  for (const auto& [text, list] : {std::pair{&options.pod_cidr, &out.pod_cidrs}, {&options.service_cluster_ip_range, &out.service_ranges}})
    for (const auto& one : split_list(*text)) {
      RN_TRY(const auto prefix, network::IpPrefix::parse(one));
      list->push_back(prefix);
    }
  out.network_policy = options.network_policy;
  for (const auto& one : split_list(options.host_address)) {
    RN_TRY(const auto address, network::IpAddress::parse(one));
    out.host_addresses.push_back(address);
  }
  for (const auto& one : split_list(options.node_address)) {
    RN_TRY(const auto address, network::IpAddress::parse(one));
    out.node_addresses.push_back(address);
  }
  if (options.has_own_node()) {  // several clusters may share the host
    out.healthz = kube_proxy::BindAddress{"0.0.0.0", kHealthPort};
    out.metrics = kube_proxy::BindAddress{"127.0.0.1", kMetricsPort};
  }
  return out;
}

Task<> Traffic::Impl::begin_proxy(api_server::Instance& api, kube_proxy::KubeProxyOptions wanted) {
  const auto executor = proxy_thread->executor();
  api_server::User user;
  user.name = "system:kube-proxy";
  user.groups = {std::string(api_server::group_authenticated)};
  auto policies = api.make_client(api_server::Instance::service_account("kube-system", "network-policy"), executor, "network-policy");
  proxy = std::make_unique<kube_proxy::KubeProxy>(api.make_client(user, executor, "kube-proxy"), setup.node(), std::move(wanted), std::move(policies));
  proxy->start();
  co_return;
}

Task<> Traffic::Impl::begin_dns(api_server::Instance& api, Result<void>& out) {
  dns_client = api.make_client(api_server::Instance::service_account("kube-system", "coredns"), dns_thread->executor(), "dns");
  dns::DnsOptions wanted;
  wanted.upstream.resolv_conf = "/etc/resolv.conf";  // asked from here, the host, also where its server sits on loopback
  auto made = dns::DnsServer::make(*dns_client, std::move(wanted), std::move(sockets));
  if (!made) {
    out = made.error();
    co_return;
  }
  dns = *std::move(made);
  dns->start();
}

Result<void> Traffic::start(api_server::Instance& api) {
  Impl& i = *impl_;
  RN_TRY(auto proxy_options, i.proxy_options());
  RN_CHECK(kube_proxy::KubeProxy::shut_pods(i.setup.node(), proxy_options));
  i.proxy_thread = std::make_unique<EventThread>("traffic");
  run_blocking(i.proxy_thread->executor(), i.begin_proxy(api, std::move(proxy_options)));
  i.dns_thread = std::make_unique<EventThread>("dns");
  Result<void> out;
  run_blocking(i.dns_thread->executor(), i.begin_dns(api, out));
  return out;
}

Task<> Traffic::Impl::end_proxy() {
  if (proxy) co_await proxy->stop();
  proxy.reset();
}

Task<> Traffic::Impl::end_dns() {
  if (dns) co_await dns->stop();
  dns.reset();
  dns_client.reset();
}

void Traffic::stop() {
  Impl& i = *impl_;
  if (i.dns_thread) run_blocking(i.dns_thread->executor(), i.end_dns());
  if (i.proxy_thread) run_blocking(i.proxy_thread->executor(), i.end_proxy());
  for (auto* thread : {&i.dns_thread, &i.proxy_thread}) {
    if (*thread) (*thread)->stop();
    thread->reset();
  }
  i.dns_guard.reset();
}

}  // namespace rusternetes
