#include "kubelet/probe/tcp_connect.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <vector>

#include "http/header_text.h"

namespace rusternetes::kubelet {

namespace {

using asio::ip::tcp;
using Time = std::chrono::steady_clock::time_point;

std::string text_of(const boost::system::error_code& error) { return http::uncapitalized(error.message()); }

// Cancels what it is given at the deadline; the object may be gone by then.
template <class T>
void cancel_at(asio::steady_timer& timer, std::shared_ptr<T> what) {
  timer.async_wait([weak = std::weak_ptr<T>(what)](const boost::system::error_code& error) {
    if (error) return;
    if (auto strong = weak.lock()) strong->cancel();
  });
}

Task<std::vector<tcp::endpoint>> resolve(std::string host, std::uint16_t port, Time deadline, boost::system::error_code& error) {
  std::vector<tcp::endpoint> out;
  if (const auto literal = asio::ip::make_address(host, error); !error) {
    out.emplace_back(literal, port);
    co_return out;
  }
  error.clear();
  auto executor = co_await asio::this_coro::executor;
  auto resolver = std::make_shared<tcp::resolver>(executor);
  asio::steady_timer limit(executor, deadline);
  cancel_at(limit, resolver);
  auto found = co_await resolver->async_resolve(host, std::to_string(port), asio::ip::resolver_base::numeric_service,
                                                asio::redirect_error(asio::use_awaitable, error));
  for (const auto& entry : found) out.push_back(entry.endpoint());
  co_return out;
}

}  // namespace

Task<Result<void>> tcp_connect(http::OpenSocket open_socket, std::string host, std::uint16_t port, std::chrono::milliseconds timeout) {
  const Time deadline = std::chrono::steady_clock::now() + timeout;
  boost::system::error_code error;
  auto executor = co_await asio::this_coro::executor;
  const auto endpoints = co_await resolve(host, port, deadline, error);
  if (error) co_return internal_error(fmt::format("dial tcp: lookup {}: {}", host, text_of(error)));
  std::string last = "no address";
  for (const auto& endpoint : endpoints) {
    const std::string where = endpoint.address().is_v6() ? fmt::format("[{}]:{}", endpoint.address().to_string(), port)
                                                         : fmt::format("{}:{}", endpoint.address().to_string(), port);
    auto socket = std::make_shared<tcp::socket>(executor);
    if (open_socket) {
      RN_CO_TRY(const int fd, open_socket(endpoint.address().is_v6() ? AF_INET6 : AF_INET));
      socket->assign(endpoint.protocol(), fd, error);
    } else {
      socket->open(endpoint.protocol(), error);
    }
    if (error) co_return internal_error(fmt::format("dial tcp {}: socket: {}", where, text_of(error)));
    asio::steady_timer limit(executor, deadline);
    cancel_at(limit, socket);
    co_await socket->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (!error) co_return Result<void>{};
    if (std::chrono::steady_clock::now() >= deadline) co_return internal_error(fmt::format("dial tcp {}: i/o timeout", where));
    last = fmt::format("dial tcp {}: connect: {}", where, text_of(error));
  }
  co_return internal_error(last);
}

}  // namespace rusternetes::kubelet
