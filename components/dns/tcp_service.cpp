#include "dns/tcp_service.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"

namespace rusternetes::dns {

using asio::ip::tcp;

struct TcpService::Connection {
  Connection(tcp::socket accepted, TcpService& service, const asio::ip::address& client)
      : socket(std::move(accepted)),
        wake_writer(socket.get_executor()),
        wake_reader(socket.get_executor()),
        idle(socket.get_executor()),
        service(service),
        client(client) {
    ++service.connections_;
    ++service.of_client_[client];
    place = service.by_use_.emplace(service.by_use_.end());
  }
  ~Connection() {
    --service.connections_;
    service.by_use_.erase(place);
    if (const auto mine = service.of_client_.find(client); --mine->second == 0) service.of_client_.erase(mine);
    service.ended_.set();
  }
  void close() {
    boost::system::error_code ignored;
    socket.close(ignored);
    wake_writer.set();
    wake_reader.set();
  }
  void put(const std::string& answer) {
    char length[2];
    write16(length, static_cast<std::uint16_t>(answer.size()));
    unsent.append(length, 2).append(answer);
    wake_writer.set();
  }

  tcp::socket socket;
  AsyncEvent wake_writer, wake_reader;
  asio::steady_timer idle;
  std::string unsent;
  std::size_t pending = 0;
  bool is_v6 = false, has_ended = false;  // has_ended: no more questions
  bool is_sending = false;
  TcpService& service;
  const asio::ip::address client;
  std::chrono::steady_clock::time_point last_use = std::chrono::steady_clock::now();
  std::list<std::weak_ptr<Connection>>::iterator place;  // in by_use_

  bool is_idle() const { return pending == 0 && unsent.empty() && !is_sending; }
};

TcpService::TcpService(asio::any_io_executor executor, Responder& responder, ListenSockets::Pair& sockets,
                       TcpLimits limits)
    : responder_(responder),
      limits_(limits),
      acceptor_(std::make_shared<tcp::acceptor>(executor, sockets.address.is_v4() ? tcp::v4() : tcp::v6(),
                                                sockets.tcp.release())),
      ended_(executor),
      tasks_(executor) {}

Task<> TcpService::run() {
  for (;;) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor_->async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) {  // of one connection, or for want of descriptors: then it would come again at once
      log::debug("dns", "accept: {}", error.message());
      co_await sleep_for(std::chrono::milliseconds(50));
      continue;
    }
    const auto client = socket.remote_endpoint(error).address();
    if (error) continue;  // gone already
    if (const auto held = of_client_.find(client); held != of_client_.end() && held->second >= limits_.per_client)
      continue;  // nobody takes what all others need
    // The one that came waits here, others behind it in the kernel's queue.
    co_await make_room();
    socket.set_option(tcp::no_delay(true), error);
    auto connection = std::make_shared<Connection>(std::move(socket), *this, client);
    *connection->place = connection;
    connection->is_v6 = acceptor_->local_endpoint(error).address().is_v6();
    arm(connection);
    tasks_.spawn("dns connection", read(connection));
    tasks_.spawn("dns connection", write(connection));
  }
}

// Returns once there is a place for one more. The closed one's coroutines end, and with them its place comes free.
Task<> TcpService::make_room() {
  while (connections_ >= limits_.connections) {
    auto until = std::chrono::steady_clock::now() + limits_.least_idle;
    for (const auto& weak : by_use_) {
      const auto one = weak.lock();
      if (!one || !one->is_idle()) continue;
      if (!one->socket.is_open()) break;  // on its way out already
      const auto ripe = one->last_use + limits_.least_idle;
      if (ripe <= std::chrono::steady_clock::now())
        one->close();
      else
        until = ripe;
      break;
    }
    (void)co_await ended_.wait_until(until);
  }
}

// Closes the connection when nothing has moved for long, other than that we keep it waiting.
void TcpService::arm(const std::shared_ptr<Connection>& connection) {
  connection->last_use = std::chrono::steady_clock::now();
  by_use_.splice(by_use_.end(), by_use_, connection->place);
  connection->idle.expires_after(limits_.idle);
  connection->idle.async_wait([this, weak = std::weak_ptr(connection)](boost::system::error_code error) {
    const auto still_there = weak.lock();
    if (error || !still_there) return;
    if (still_there->pending > 0 && still_there->unsent.empty()) return arm(still_there);
    still_there->close();
  });
}

bool TcpService::is_full(const Connection& connection) const {
  return connection.pending >= limits_.pending || connection.unsent.size() >= limits_.unsent_bytes;
}

Task<> TcpService::read(std::shared_ptr<Connection> connection) {
  std::array<char, 4096> piece;
  std::string buffer;
  boost::system::error_code error;
  while (!error && connection->socket.is_open()) {
    const std::size_t size = co_await connection->socket.async_read_some(
        asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
    if (error) break;
    buffer.append(piece.data(), size);
    std::size_t at = 0;
    while (buffer.size() - at >= 2 && connection->socket.is_open()) {
      const std::size_t length = read16(&buffer[at]);
      if (length > most_query) {
        connection->close();
        break;
      }
      if (buffer.size() - at - 2 < length) break;
      arm(connection);  // not for each piece: a byte now and then would hold a connection for ever
      take(connection, std::string_view(buffer).substr(at + 2, length));
      at += length + 2;
      while (is_full(*connection) && connection->socket.is_open()) co_await connection->wake_reader.wait();
    }
    buffer.erase(0, at);
  }
  connection->has_ended = true;
  connection->wake_writer.set();
}

void TcpService::take(const std::shared_ptr<Connection>& connection, std::string_view message) {
  std::string answer;
  switch (responder_.answer(message, Transport::tcp, connection->is_v6, answer)) {
    case Responder::Outcome::answered:
      return connection->put(answer);
    case Responder::Outcome::nothing:
      return connection->close();  // not DNS
    case Responder::Outcome::later:
      break;
  }
  ++connection->pending;
  responder_.answer_later(message, Transport::tcp, connection->is_v6,
                          [weak = std::weak_ptr(connection)](std::string late) {
                            const auto still_there = weak.lock();
                            if (!still_there) return;
                            --still_there->pending;
                            still_there->put(late);
                            still_there->wake_reader.set();
                          });
}

Task<> TcpService::write(std::shared_ptr<Connection> connection) {
  boost::system::error_code error;
  while (!error && connection->socket.is_open()) {
    if (connection->unsent.empty()) {
      if (connection->has_ended && connection->pending == 0) break;
      co_await connection->wake_writer.wait();
      continue;
    }
    const std::string sending = std::exchange(connection->unsent, {});
    connection->is_sending = true;
    co_await asio::async_write(connection->socket, asio::buffer(sending),
                               asio::redirect_error(asio::use_awaitable, error));
    connection->is_sending = false;
    arm(connection);
    connection->wake_reader.set();
  }
  connection->close();
  connection->idle.cancel();
}

}  // namespace rusternetes::dns
