#pragma once
// The proxy: accepts connections, leads each to a server, and asks every server all the time whether it is
// ready. Everything lives on one executor.

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "api-proxy/backend.h"
#include "api-proxy/balancer.h"
#include "api-proxy/health.h"
#include "api-proxy/host_port.h"
#include "api-proxy/tls_files.h"
#include "api-proxy/tunnel.h"
#include "base/task.h"

namespace rusternetes::api_proxy {

struct Options {
  HostPort listen;  // a literal address; port 0: any free one
  std::vector<HostPort> servers;
  http::ClientTls tls;                 // for probes
  std::shared_ptr<TlsFiles> tls_files;  // instead, if there are any
  std::chrono::milliseconds probe_interval{1'000}, probe_timeout{1'000};
  std::optional<HostPort> health;
  // Who comes then waits in the kernel's queue. Fewer where the limit of open files does not allow them.
  std::size_t connections = 4096;
  std::chrono::milliseconds connect_timeout{300};
  // Where no other server is left to try.
  std::chrono::milliseconds last_connect_timeout{3'000};
  // How long connections may go on once it stops.
  std::chrono::milliseconds grace{1'000};
};

class ApiProxy {
 public:
  // Listens; addresses and certificates that cannot be used are an error here.
  static Result<std::unique_ptr<ApiProxy>> make(asio::any_io_executor executor, Options options);
  ~ApiProxy();
  void start();
  // Accepts no more; connections go on. For one whose place another has taken: the port can be shared.
  Task<> leave();
  // Accepts no more, waits for connections until the grace is over, ends what is left.
  Task<> stop();

  std::uint16_t port() const { return port_; }
  std::uint16_t health_port() const { return health_port_; }
  const Balancer& balancer() const { return balancer_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection;
  // One server's place here.
  struct Watched {
    std::unique_ptr<Backend> backend;
    AsyncEvent probe_now;
  };

  ApiProxy(asio::any_io_executor executor, Options options);
  Result<void> listen();
  void take_waiting();
  Task<> accept();
  Task<> serve(std::shared_ptr<Connection> connection);
  Task<> copy(std::shared_ptr<Connection> connection, Tunnel::Way way);
  Task<bool> connect(std::shared_ptr<Connection> connection);
  Task<std::string> dial(std::shared_ptr<Connection> connection, std::size_t server,
                         std::chrono::milliseconds timeout);
  Task<> probe(std::size_t server);
  Task<> keep_resolved(std::size_t server);
  void note_refused(std::size_t server, const std::string& why);
  void leave_the_dead();

  asio::any_io_executor executor_;
  Options options_;
  Balancer balancer_;
  std::vector<Watched> servers_;
  std::list<Connection*> connections_;
  asio::ip::tcp::acceptor acceptor_;
  std::optional<Health> health_;
  std::uint16_t port_ = 0, health_port_ = 0;
  std::size_t unresolved_ = 0;  // names that nothing was found out of yet
  AsyncEvent is_resolved_, has_room_, is_empty_;
  TaskGroup tasks_;
};

}  // namespace rusternetes::api_proxy
