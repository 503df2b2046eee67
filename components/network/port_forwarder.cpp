#include "network/port_forwarder.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <tuple>

#include "base/log.h"
#include "base/task.h"

namespace rusternetes::network {

namespace {

using asio::ip::tcp;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

constexpr int kMostConnections = 1024;
constexpr std::size_t kPiece = 16 * 1024;
constexpr std::chrono::seconds kRetry{2};

// Both ends of a connection, counted while it is there; each direction ends by itself.
struct Pair {
  Pair(tcp::socket c, int& all) : client(std::move(c)), node(client.get_executor()), count(all) { ++count; }
  ~Pair() { --count; }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  tcp::socket client, node;
  int& count;
};

void keep_alive(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(tcp::no_delay(true), ignored);
}

// The other side sees a reset instead of an end: nobody answers, or what it reads is not the whole.
void refuse(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

Task<> copy(std::shared_ptr<Pair> pair, tcp::socket& from, tcp::socket& to) {
  std::array<char, kPiece> piece;
  for (;;) {
    auto [error, size] = co_await from.async_read_some(asio::buffer(piece), kQuietly);
    if (error == asio::error::eof) {
      boost::system::error_code ignored;
      to.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
    if (!error)
      std::tie(error, size) = co_await asio::async_write(to, asio::buffer(piece.data(), size), kQuietly);
    if (error == asio::error::operation_aborted) co_return;  // the other direction, or stop(), ends the pair
    if (error) {
      refuse(from);
      refuse(to);
      co_return;
    }
  }
}

}  // namespace

struct PortForwarder::Impl {
  std::vector<std::string> node_addresses;
  std::vector<PublishedPort> ports;
  std::unique_ptr<EventThread> thread;
  std::unique_ptr<TaskGroup> tasks;
  int connections = 0;

  Task<> begin();
  Task<> end();
  Task<> listen(tcp::endpoint at, std::uint16_t node_port);
  Task<> accept(tcp::acceptor& acceptor, std::uint16_t node_port);
  Task<> forward(std::shared_ptr<Pair> pair, std::uint16_t node_port);
};

PortForwarder::PortForwarder(std::vector<std::string> node_addresses, std::vector<PublishedPort> ports)
    : impl_(std::make_unique<Impl>()) {
  impl_->node_addresses = std::move(node_addresses);
  impl_->ports = std::move(ports);
}
PortForwarder::~PortForwarder() { stop(); }

Task<> PortForwarder::Impl::listen(tcp::endpoint at, std::uint16_t node_port) {
  for (bool is_told = false;;) {
    boost::system::error_code error;
    tcp::acceptor acceptor(thread->executor());
    acceptor.open(at.protocol(), error);
    if (error) co_return;  // a host without IPv6
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (at.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(true), error);
    acceptor.bind(at, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) {
      co_await accept(acceptor, node_port);
      co_return;
    }
    if (error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL) co_return;
    if (!is_told)
      log::error("network", "the published port {} cannot be had: {}", at.port(), error.message());
    is_told = true;
    co_await sleep_for(kRetry);
  }
}

Task<> PortForwarder::Impl::accept(tcp::acceptor& acceptor, std::uint16_t node_port) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kQuietly);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {  // no descriptors are left, most likely
      co_await sleep_for(kRetry);
    } else if (connections >= kMostConnections) {
      refuse(socket);
    } else {
      tasks->spawn("published port",
                   forward(std::make_shared<Pair>(std::move(socket), connections), node_port));
    }
  }
}

Task<> PortForwarder::Impl::forward(std::shared_ptr<Pair> pair, std::uint16_t node_port) {
  const auto candidates = node_addresses;  // others may be set meanwhile
  for (const auto& address : candidates) {
    boost::system::error_code ignored;
    pair->node = tcp::socket(thread->executor());
    const tcp::endpoint endpoint(asio::ip::make_address(address, ignored), node_port);
    const auto [error] = co_await pair->node.async_connect(endpoint, kQuietly);
    if (error) continue;
    keep_alive(pair->client);
    keep_alive(pair->node);
    tasks->spawn("published port", copy(pair, pair->node, pair->client));
    co_await copy(pair, pair->client, pair->node);
    co_return;
  }
  refuse(pair->client);
}

Task<> PortForwarder::Impl::begin() {
  tasks = std::make_unique<TaskGroup>(thread->executor());
  for (const auto& port : ports)
    for (const auto& protocol : {tcp::v4(), tcp::v6()})
      tasks->spawn("published port", listen(tcp::endpoint(protocol, port.host_port), port.node_port));
  co_return;
}

Task<> PortForwarder::Impl::end() {
  co_await tasks->stop();
  tasks.reset();
}

void PortForwarder::start() {
  Impl& i = *impl_;
  i.thread = std::make_unique<EventThread>("published");
  run_blocking(i.thread->executor(), i.begin());
}

void PortForwarder::stop() {
  Impl& i = *impl_;
  if (!i.thread) return;
  run_blocking(i.thread->executor(), i.end());
  i.thread->stop();
  i.thread.reset();
}

void PortForwarder::set_node_addresses(std::vector<std::string> node_addresses) {
  Impl& i = *impl_;
  if (!i.thread) {
    i.node_addresses = std::move(node_addresses);
    return;
  }
  asio::post(i.thread->executor(),
             [&i, all = std::move(node_addresses)]() mutable { i.node_addresses = std::move(all); });
}

}  // namespace rusternetes::network
