#pragma once
// The cluster's DNS server: mirrors Services, EndpointSlices and Namespaces, and answers on its sockets.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "client/api_client.h"
#include "client/informer.h"
#include "dns/listeners.h"
#include "dns/tcp_service.h"
#include "dns/udp_service.h"

namespace rusternetes::dns {

struct DnsOptions {
  ZoneOptions zone;
  UpstreamOptions upstream;
  CacheOptions cache;
  AnswerLimits answers;
  TcpLimits tcp;
};

// Runs on the client's executor, whose io_context has one thread. Whoever is allowed to list and watch the
// three resources can be its client (the system:coredns ClusterRole).
class DnsServer {
 public:
  // `client` and `clock` outlive it. BadRequest: a domain of the options is no name.
  static Result<std::unique_ptr<DnsServer>> make(client::ApiClient& client, DnsOptions options,
                                                 ListenSockets sockets, const Clock& clock = Clock::system());
  ~DnsServer();

  void start();
  Task<> stop();

  // From the executor's thread, all three.
  bool is_ready() const;  // names of the cluster get SERVFAIL before
  std::string metrics() const;
  std::uint64_t questions() const { return metrics_.requests(); }

  std::uint16_t port() const { return port_; }

 private:
  DnsServer(client::ApiClient& client, DnsOptions options, std::unique_ptr<Catalog> catalog, Zone zone,
            std::unique_ptr<Forwarder> forwarder, ListenSockets sockets, const Clock& clock);
  void on_change();
  void measure(const apimachinery::Document& slice);
  Task<> report_readiness();

  const Clock& clock_;
  std::uint16_t port_;
  std::unique_ptr<Catalog> catalog_;
  Zone zone_;
  std::unique_ptr<Forwarder> forwarder_;
  Metrics metrics_;
  Responder responder_;
  client::Informer namespaces_, services_, slices_;
  std::vector<std::unique_ptr<UdpService>> udp_;
  std::vector<std::unique_ptr<TcpService>> tcp_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::dns
