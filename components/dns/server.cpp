#include "dns/server.h"

#include <algorithm>

#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/time.h"
#include "base/log.h"

namespace rusternetes::dns {

using apimachinery::Document;

namespace {
constexpr client::Resource namespaces{"", "v1", "namespaces"}, services{"", "v1", "services"},
    slices{"discovery.k8s.io", "v1", "endpointslices"};
}

Result<std::unique_ptr<DnsServer>> DnsServer::make(client::ApiClient& client, DnsOptions options,
                                                   ListenSockets sockets, const Clock& clock) {
  auto catalog = std::make_unique<Catalog>();
  for (const auto& pair : sockets.pairs) {
    const auto bytes = pair.address.bytes();
    if (std::ranges::any_of(bytes, [](auto byte) { return byte != 0; }))
      options.zone.own_addresses.push_back(pair.address);
  }
  RN_TRY(auto zone, Zone::make(options.zone, *catalog));
  RN_TRY(auto forwarder, Forwarder::make(client.executor(), clock, options.upstream, options.cache));
  return std::unique_ptr<DnsServer>(new DnsServer(client, std::move(options), std::move(catalog),
                                                  std::move(zone), std::move(forwarder), std::move(sockets),
                                                  clock));
}

DnsServer::DnsServer(client::ApiClient& client, DnsOptions options, std::unique_ptr<Catalog> catalog,
                     Zone zone, std::unique_ptr<Forwarder> forwarder, ListenSockets sockets,
                     const Clock& clock)
    : clock_(clock),
      port_(sockets.port),
      catalog_(std::move(catalog)),
      zone_(std::move(zone)),
      forwarder_(std::move(forwarder)),
      metrics_(sockets.port),
      responder_(zone_, *forwarder_, metrics_, clock, options.answers, [this] { return is_ready(); }),
      namespaces_(client, namespaces),
      services_(client, services),
      slices_(client, slices),
      tasks_(client.executor()) {
  const auto follow = [this](client::Informer& informer,
                             void (Catalog::*take)(const Document&, const Document&)) {
    informer.add_handler({[this, take](const Document& before, const Document& now) {
      ((*catalog_).*take)(before, now);
      on_change();
    }});
  };
  follow(namespaces_, &Catalog::on_namespace);
  follow(services_, &Catalog::on_service);
  follow(slices_, &Catalog::on_slice);
  for (auto& pair : sockets.pairs) {
    udp_.push_back(std::make_unique<UdpService>(client.executor(), responder_, pair));
    tcp_.push_back(std::make_unique<TcpService>(client.executor(), responder_, pair, options.tcp));
  }
  slices_.add_handler({[this](const Document&, const Document& now) {
    if (now && is_ready()) measure(now);
  }});
  on_change();
}

DnsServer::~DnsServer() = default;

void DnsServer::on_change() {
  zone_.set_serial(static_cast<std::uint32_t>(std::chrono::system_clock::to_time_t(clock_.now())));
}

// The EndpointSlice controller says when the first of the changes happened that a slice tells of.
void DnsServer::measure(const Document& slice) {
  constexpr std::string_view annotation = "endpoints.kubernetes.io/last-change-trigger-time";
  const auto text =
      apimachinery::discovery_v1::EndpointSlice(&slice.root()).metadata().annotations().get(annotation);
  const auto* service = text.empty() ? nullptr : catalog_->service_of_slice(slice);
  if (!service) return;
  const auto changed = apimachinery::parse_time(text);
  if (!changed) return;
  const auto passed = std::chrono::microseconds(apimachinery::to_microseconds(clock_.now()) - *changed);
  metrics_.on_programmed(service->kind == ServiceRecords::Kind::headless,
                         std::max(passed, std::chrono::microseconds(0)));
}

void DnsServer::start() {
  forwarder_->start();
  for (auto* informer : {&namespaces_, &services_, &slices_}) informer->start(tasks_);
  for (const auto& service : udp_) tasks_.spawn("dns udp", service->run());
  for (const auto& service : tcp_) tasks_.spawn("dns tcp", service->run());
  tasks_.spawn("dns readiness", report_readiness());
}

Task<> DnsServer::report_readiness() {
  for (auto* informer : {&namespaces_, &services_, &slices_}) co_await informer->wait_for_sync();
  log::info("dns", "names of {} Services are served on port {}", catalog_->services(), port_);
}

// The forwarder before the sockets, so that no late answer looks for one.
Task<> DnsServer::stop() {
  co_await tasks_.stop();
  co_await forwarder_->stop();
  for (const auto& service : tcp_) co_await service->stop();
}

bool DnsServer::is_ready() const {
  return namespaces_.has_synced() && services_.has_synced() && slices_.has_synced();
}

std::string DnsServer::metrics() const { return metrics_.text(*forwarder_, catalog_->services()); }

}  // namespace rusternetes::dns
