#include "http/streams/connect_loopback.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/this_coro.hpp>
#include <cstring>

#include "http/connect.h"
#include "http/header_text.h"
#include "http/stream.h"

namespace rusternetes::http {

Task<Result<std::unique_ptr<ByteStream>>> connect_loopback(Descriptor socket, int family, std::uint16_t port,
                                                           std::chrono::milliseconds timeout) {
  const auto executor = co_await asio::this_coro::executor;
  const int fd = socket.release();
  auto transport = std::make_shared<Transport>(executor, fd);
  prepare_tcp(fd);
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(port);
    to->sin6_addr = in6addr_loopback;
    length = sizeof *to;
  } else {
    auto* to = reinterpret_cast<sockaddr_in*>(&storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  const int error = co_await connect_transport(transport, reinterpret_cast<const sockaddr*>(&storage), length,
                                               std::chrono::steady_clock::now() + timeout);
  if (error == 0) co_return make_stream(std::move(transport), {}, nullptr);
  transport->close();
  const std::string why = uncapitalized(::strerror(error));
  co_return Status{503, "ConnectionFailed",
                   fmt::format("dial {}:{}: connect: {}",
                               family == AF_INET6 ? "tcp6 [::1]" : "tcp4 127.0.0.1", port, why)};
}

}  // namespace rusternetes::http
