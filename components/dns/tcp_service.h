#pragma once
// Answers over TCP (RFC 7766): any number of questions on a connection, answered as soon as each answer is
// there, in whatever order that is.

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/task.h"
#include "dns/listeners.h"
#include "dns/responder.h"

namespace rusternetes::dns {

struct TcpLimits {
  // Who comes then takes the place of the connection that has been idle for longest (RFC 7766 section 6.2.3),
  // or waits in the kernel's queue while none is.
  std::size_t connections = 1000;
  std::size_t pending = 100;               // questions of a connection that wait for other servers
  std::size_t unsent_bytes = 64 << 10;     // of a connection; it is not read from beyond
  std::size_t per_client = 100;            // connections of one address; further ones are closed at once
  std::chrono::milliseconds idle{10'000};  // without a whole question and without a byte of an answer taken
  // So long a connection stays even if others wait: its question may be on the way.
  std::chrono::milliseconds least_idle{1'000};
};

class TcpService {
 public:
  TcpService(asio::any_io_executor executor, Responder& responder, ListenSockets::Pair& sockets,
             TcpLimits limits);
  // Accepts until it is cancelled.
  Task<> run();
  Task<> stop() { return tasks_.stop(); }
  std::size_t connections() const { return connections_; }

 private:
  struct Connection;
  Task<> read(std::shared_ptr<Connection> connection);
  Task<> write(std::shared_ptr<Connection> connection);
  void take(const std::shared_ptr<Connection>& connection, std::string_view message);
  void arm(const std::shared_ptr<Connection>& connection);
  Task<> make_room();
  bool is_full(const Connection& connection) const;

  Responder& responder_;
  TcpLimits limits_;
  std::shared_ptr<asio::ip::tcp::acceptor> acceptor_;
  AsyncEvent ended_;
  std::size_t connections_ = 0;
  std::list<std::weak_ptr<Connection>> by_use_;  // longest without use first
  std::map<asio::ip::address, std::size_t> of_client_;  // connections
  TaskGroup tasks_;
};

}  // namespace rusternetes::dns
