#include "kube-proxy/plain_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "network/address.h"

namespace rusternetes::kube_proxy {

namespace {

struct Listener {
  int fd = -1;
  std::uint16_t port = 0;
};

Result<Listener> listen_on(const network::IpAddress& ip, std::uint16_t port) {
  sockaddr_storage place{};
  socklen_t size = 0;
  place.ss_family = static_cast<sa_family_t>(ip.family());
  if (ip.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(place);
    std::memcpy(&in.sin_addr, ip.bytes().data(), 4);
    in.sin_port = htons(port);
    size = sizeof in;
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(place);
    std::memcpy(&in.sin6_addr, ip.bytes().data(), 16);
    in.sin6_port = htons(port);
    size = sizeof in;
  }
  const int fd = ::socket(ip.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno_error("socket", errno);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const int no = 0;
  if (!ip.is_v4()) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&place), size) != 0 || ::listen(fd, 128) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&place), &size) != 0) {
    const int error = errno;
    ::close(fd);
    return errno_error(fmt::format("listen on {} port {}", ip.to_string(), port), error);
  }
  const auto bound = ip.is_v4() ? reinterpret_cast<sockaddr_in&>(place).sin_port
                                : reinterpret_cast<sockaddr_in6&>(place).sin6_port;
  return Listener{fd, ntohs(bound)};
}

// All addresses are those of both families, however they are written; without IPv6 those of IPv4.
Result<Listener> listen_on(const std::string& address, std::uint16_t port) {
  RN_TRY(const auto ip, network::IpAddress::parse(address));
  if (address != "0.0.0.0") return listen_on(ip, port);
  const int probe = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return listen_on(ip, port);
  ::close(probe);
  return listen_on(*network::IpAddress::parse("::"), port);
}

http::Server::Options server_options(asio::any_io_executor executor, std::string name,
                                     http::Handler handler) {
  http::Server::Options options;
  options.name = std::move(name);
  options.executors = {std::move(executor)};
  options.handler = std::move(handler);
  options.limits.connections = 100;
  return options;
}

}  // namespace

PlainServer::PlainServer(asio::any_io_executor executor, std::string name,
                         std::function<Answer(std::string)> answer)
    : answer_(std::move(answer)),
      server_(server_options(
          std::move(executor), std::move(name),
          [this](std::shared_ptr<http::Exchange> exchange) { return handle(std::move(exchange)); })) {}

PlainServer::~PlainServer() = default;

Result<std::uint16_t> PlainServer::start(const network::NetworkNamespace& where, const std::string& address,
                                         std::uint16_t port) {
  RN_TRY(const auto listener, network::inside(where, [&] { return listen_on(address, port); }));
  RN_CHECK(server_.adopt_listener(listener.fd, std::nullopt));
  server_.start();
  return listener.port;
}

Task<> PlainServer::stop() { co_await server_.stop(std::chrono::milliseconds(200)); }

Task<> PlainServer::handle(std::shared_ptr<http::Exchange> exchange) {
  const std::string method = exchange->head().method;
  std::string path = exchange->head().target;
  path.resize(std::min(path.size(), path.find('?')));
  Answer answer;
  if (method == "GET" || method == "HEAD")
    answer = answer_(std::move(path));
  else
    answer = {405, "text/plain; charset=utf-8", "Method Not Allowed\n", {}};
  http::ResponseHead head;
  head.status = answer.status;
  head.headers = std::move(answer.headers);
  head.headers.add("content-type", answer.content_type);
  head.headers.add("x-content-type-options", "nosniff");
  std::vector<http::Slice> body;
  body.push_back(http::Slice::own(std::move(answer.body)));
  auto sent = co_await exchange->respond(std::move(head), std::move(body));
  (void)sent;  // the asker has gone
}

}  // namespace rusternetes::kube_proxy
