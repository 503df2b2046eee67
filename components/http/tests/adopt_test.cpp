// Connections that somebody else accepted.

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "harness.h"
#include "http/tls.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

constexpr std::string_view request = "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

// Ours, and the server's.
struct Pair {
  Pair() {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    timeval timeout{10, 0};
    ::setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  }
  ~Pair() { ::close(fds[0]); }
  std::array<int, 2> fds{};
};

std::string read_to_end(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer,
                              0)) > 0;) all.append(buffer, static_cast<std::size_t>(n));
  return all;
}

}  // namespace

TEST_CASE("an adopted connection is served like an accepted one, with what it had sent before") {
  Harness harness;
  Pair pair;
  REQUIRE(::send(pair.fds[0], request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  harness.server->adopt_connection(pair.fds[1], nullptr);
  const auto answer = read_to_end(pair.fds[0]);
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(answer.find("hello") != std::string::npos);
  CHECK(eventually([&] { return harness.server->open_connections() == 0; }));
}

TEST_CASE("an adopted connection shakes hands with the context it is given") {
  Harness harness;
  auto context = make_server_context(harness.server_tls());
  REQUIRE(context);
  Pair pair;
  harness.server->adopt_connection(pair.fds[1], *context);
  std::unique_ptr<SSL_CTX,
      decltype(&::SSL_CTX_free)> client(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&::SSL_free)> ssl(::SSL_new(client.get()), &::SSL_free);
  ::SSL_set_fd(ssl.get(), pair.fds[0]);
  REQUIRE(::SSL_connect(ssl.get()) == 1);
  REQUIRE(::SSL_write(ssl.get(), request.data(), static_cast<int>(request.size())) > 0);
  std::string answer;
  char buffer[4096];
  for (int n; (n = ::SSL_read(ssl.get(), buffer,
                              sizeof buffer)) > 0;) answer.append(buffer, static_cast<std::size_t>(n));
  CHECK(answer.starts_with("HTTP/1.1 200"));
}

TEST_CASE("a connection that comes after the end, or is one too many, is closed") {
  ServerLimits limits;
  limits.connections = 1;
  Harness harness(limits);
  Pair first, second;
  harness.server->adopt_connection(first.fds[1], nullptr);
  REQUIRE(eventually([&] { return harness.server->open_connections() == 1; }));
  harness.server->adopt_connection(second.fds[1], nullptr);
  CHECK(read_to_end(second.fds[0]).empty());
  harness.stop_later(std::chrono::milliseconds(0)).get();
  Pair late;
  harness.server->adopt_connection(late.fds[1], nullptr);
  CHECK(read_to_end(late.fds[0]).empty());
}
