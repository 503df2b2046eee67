#include "api-proxy/tunnel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace rusternetes::api_proxy {

namespace {

// One for all tunnels of a thread: its content is gone at the next suspension.
std::array<char, Tunnel::buffer_bytes>& scratch() {
  static thread_local std::array<char, Tunnel::buffer_bytes> buffer;
  return buffer;
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// How a way ends unless somebody says that it did in order, also by an exception.
struct Ending {
  Tunnel& tunnel;
  bool is_orderly = false;
  ~Ending() {
    if (!is_orderly) tunnel.abort();
  }
};

}  // namespace

void prepare_socket(asio::ip::tcp::socket& socket) {
  const int fd = socket.native_handle();
  const int on = 1, idle = 30, interval = 10, count = 3;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

Tunnel::Tunnel(Socket client) : client_(std::move(client)), server_(client_.get_executor()) {}

void Tunnel::connected() {
  prepare_socket(client_);
  prepare_socket(server_);
}

Task<> Tunnel::copy(Way way) {
  const bool is_answer = way == Way::to_client;
  Socket& from = is_answer ? server_ : client_;
  Socket& to = is_answer ? client_ : server_;
  Ending ending{*this};
  boost::system::error_code error;
  while (is_open_) {
    // Waits without a buffer: most connections rest most of the time.
    co_await from.async_wait(Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error || !is_open_) co_return;
    auto& buffer = scratch();
    const ssize_t length = ::recv(from.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length < 0 && would_block()) continue;
    if (length < 0) {
      note_broken(is_answer);
      co_return;
    }
    if (length == 0) {
      ending.is_orderly = true;
      to.shutdown(Socket::shutdown_send, error);
      if (++ended_ways_ == 2) close();
      co_return;
    }
    has_answered_ |= is_answer;
    std::string_view piece(buffer.data(), static_cast<std::size_t>(length));
    const ssize_t sent = ::send(to.native_handle(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) {
      note_broken(!is_answer);
      co_return;
    }
    if (sent > 0) piece.remove_prefix(static_cast<std::size_t>(sent));
    if (piece.empty()) continue;
    const bool is_sent = co_await send_rest(to, std::string(piece));
    if (!is_sent) {
      if (is_open_) note_broken(!is_answer);
      co_return;
    }
  }
}

Task<bool> Tunnel::send_rest(Socket& to, std::string rest) {
  boost::system::error_code error;
  std::string_view left = rest;
  while (!left.empty()) {
    co_await to.async_wait(Socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
    if (error || !is_open_) co_return false;
    const ssize_t sent = ::send(to.native_handle(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !would_block()) co_return false;
    if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
  }
  co_return true;
}

void Tunnel::note_broken(bool is_server) {
  // After an orderly end of either half there was nothing more to refuse.
  if (is_server && !has_answered_ && ended_ways_ == 0) was_refused_ = true;
}

void Tunnel::close() {
  is_open_ = false;
  boost::system::error_code ignored;
  client_.close(ignored);
  server_.close(ignored);
}

void Tunnel::abort() {
  if (!is_open_) return;
  const linger reset{1, 0};
  for (Socket* socket : {&client_, &server_})
    if (socket->is_open()) ::setsockopt(socket->native_handle(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close();
}

}  // namespace rusternetes::api_proxy
