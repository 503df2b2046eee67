// dns: the cluster's DNS server as a program of its own. It stands where CoreDNS stands in a cluster of
// kubeadm's, with the same ports and the same metrics.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "base/log.h"
#include "dns/server.h"
#include "dns/status_server.h"
#include "program/program.h"

using namespace rusternetes;

namespace {

const std::set<std::string_view> unsupported{"conf", "dns.port", "pidfile", "plugins", "quiet"};

struct DnsFlags {
  std::vector<std::string> bind_addresses{"0.0.0.0", "::"};
  std::uint16_t port = 53, health_port = 8080, ready_port = 8181, metrics_port = 9153;
  std::string listen_netns;
  std::vector<std::string> stub_domains, upstreams;
  std::uint32_t cache_ttl_s = 30;
  dns::DnsOptions dns;
};

void add_flags(CLI::App& app, program::CommonFlags& common, DnsFlags& flags) {
  app.allow_extras();
  app.add_option("--kubeconfig", common.kubeconfig, "How to reach the API, and as whom");
  app.add_option("--master", common.masters,
                 "Address of the API instead of the kubeconfig's; several by commas")
      ->delimiter(',');
  app.add_option("--bind-address", flags.bind_addresses, "Where to serve; several by commas")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--port", flags.port, "Port for DNS, UDP and TCP")
      ->capture_default_str()
      ->check(CLI::Range(1, 65535));
  app.add_option(
      "--listen-netns", flags.listen_netns,
      "Network namespace to serve in (a file like /proc/PID/ns/net); other servers are reached from where "
      "the program was started");
  app.add_option("--cluster-domain", flags.dns.zone.domain, "The cluster's domain")->capture_default_str();
  app.add_option("--ttl", flags.dns.zone.ttl_s, "TTL of the cluster's records, in seconds")
      ->capture_default_str()
      ->check(CLI::Range(0, 3600));
  app.add_option("--resolv-conf", flags.dns.upstream.resolv_conf,
                 "Where the servers for all other names stand; empty: there are none")
      ->capture_default_str();
  app.add_option("--upstream", flags.upstreams,
                 "Servers for all other names, ADDRESS[:PORT], instead of --resolv-conf's")
      ->delimiter(',');
  app.add_option("--stub-domain", flags.stub_domains,
                 "DOMAIN=ADDRESS[:PORT][,ADDRESS...]: servers for the names of a domain; may be repeated");
  app.add_option("--cache-ttl", flags.cache_ttl_s,
                 "For how long other servers' answers are kept at most, in seconds")
      ->capture_default_str()
      ->check(CLI::Range(0, 86400));
  app.add_option("--health-port", flags.health_port, "Port of /health; 0: not served")->capture_default_str();
  app.add_option("--ready-port", flags.ready_port, "Port of /ready; 0: not served")->capture_default_str();
  app.add_option("--metrics-port", flags.metrics_port, "Port of /metrics; 0: not served")
      ->capture_default_str();
  app.add_option("-v,--v", common.verbosity, "Verbosity of the log; from 4 on, details")
      ->capture_default_str();
}

Result<std::vector<dns::ServerAddress>> servers_of(const std::vector<std::string>& texts) {
  std::vector<dns::ServerAddress> out;
  for (const auto& text : texts) {
    RN_TRY(auto server, dns::parse_server(text));
    out.push_back(server);
  }
  return out;
}

Result<void> fill_upstream(DnsFlags& flags) {
  auto& upstream = flags.dns.upstream;
  RN_TRY(upstream.servers, servers_of(flags.upstreams));
  for (const auto& text : flags.stub_domains) {
    const auto equals = text.find('=');
    if (equals == text.npos || equals == 0 || equals + 1 == text.size())
      return internal_error(fmt::format("--stub-domain \"{}\" is not DOMAIN=ADDRESS[,ADDRESS...]", text));
    RN_TRY(auto servers, servers_of(CLI::detail::split(text.substr(equals + 1), ',')));
    upstream.stub_domains.push_back({text.substr(0, equals), std::move(servers)});
  }
  flags.dns.cache.longest = flags.dns.cache.longest_denial = std::chrono::seconds(flags.cache_ttl_s);
  return {};
}

// All sockets are there before anything else begins, so that what is wrong with them ends the program.
struct Sockets {
  dns::ListenSockets dns;
  std::vector<dns::Socket> status;
};

Result<Sockets> open_sockets(const DnsFlags& flags) {
  dns::ListenOptions options;
  options.port = flags.port;
  for (const auto& text : flags.bind_addresses) {
    RN_TRY(const auto address, network::IpAddress::parse(text));
    options.addresses.push_back(address);
  }
  if (!flags.listen_netns.empty()) {
    RN_TRY(options.name_space, network::NetworkNamespace::open(flags.listen_netns));
  }
  Sockets out;
  RN_TRY(out.dns, dns::listen(options));
  for (const std::uint16_t port :
       std::set<std::uint16_t>{flags.health_port, flags.ready_port, flags.metrics_port}) {
    if (port == 0) continue;
    for (const auto& pair : out.dns.pairs) {
      RN_TRY(auto socket, dns::listen_tcp(pair.address, port, options.name_space));
      out.status.push_back(std::move(socket));
    }
  }
  return out;
}

class DnsService final : public program::Service {
 public:
  DnsService(const program::ClientMaker& clients, dns::DnsOptions options, Sockets sockets)
      : client_(clients.make()) {
    auto made = dns::DnsServer::make(*client_, std::move(options), std::move(sockets.dns));
    RN_ASSERT(made, "options that were checked make a server");
    server_ = *std::move(made);
    auto status = dns::StatusServer::make(client_->executor(), *server_, std::move(sockets.status));
    RN_ASSERT(status, "sockets that listen can be served");
    status_ = *std::move(status);
  }
  void start() override {
    server_->start();
    status_->start();
  }
  Task<> stop() override {
    co_await server_->stop();
    co_await status_->stop();
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  std::unique_ptr<dns::DnsServer> server_;
  std::unique_ptr<dns::StatusServer> status_;
};

Result<Sockets> prepare(DnsFlags& flags) {
  RN_CHECK(fill_upstream(flags));
  for (const auto& stub : flags.dns.upstream.stub_domains) RN_CHECK(dns::name_from_text(stub.domain));
  dns::Catalog none;
  RN_CHECK(dns::Zone::make(flags.dns.zone, none));
  return open_sockets(flags);
}

}  // namespace

int main(int argc, char** argv) {
  program::block_signals();
  program::CommonFlags common;
  common.leader_elect = false;
  DnsFlags flags;
  flags.dns.upstream.resolv_conf = "/etc/resolv.conf";
  CLI::App app{"The cluster's DNS server", "dns"};
  app.footer(
      "Example:\n  dns --kubeconfig /etc/kubernetes/dns.conf --bind-address 10.96.0.10 "
      "--stub-domain corp.example=10.1.0.1,10.1.0.2");
  add_flags(app, common, flags);
  if (const auto code = program::parse(app, argc, argv, unsupported)) return *code;
  auto sockets = prepare(flags);
  if (!sockets) {
    std::cerr << "dns: " << sockets.error().message << "\n";
    return 1;
  }
  const auto shared = std::make_shared<Sockets>(*std::move(sockets));
  auto make = [options = flags.dns, shared](const program::ClientMaker& clients) {
    return std::make_unique<DnsService>(clients, options, std::move(*shared));
  };
  return program::run("dns", "rusternetes-dns", std::move(common), make);
}
