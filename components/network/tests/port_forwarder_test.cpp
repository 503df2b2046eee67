#include "network/port_forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <thread>

#include "network/namespace.h"

using namespace rusternetes;
using network::PortForwarder;

namespace {

int open_tcp() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

sockaddr_in place(const char* address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  ::inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

int listen_on(const char* address, std::uint16_t port) {
  const int fd = open_tcp();
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto at = place(address, port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(fd, 8) != 0) return -1;
  return fd;
}

// Tries until the forwarder listens, which it begins on its own thread.
int connect_to(const char* address, std::uint16_t port) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto at = place(address, port);
  while (std::chrono::steady_clock::now() < deadline) {
    const int fd = open_tcp();
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0) return fd;
    ::close(fd);
    ::poll(nullptr, 0, 10);
  }
  return -1;
}

int accept_one(int listener) {
  pollfd ready{listener, POLLIN, 0};
  return ::poll(&ready, 1, 10'000) == 1 ? ::accept(listener, nullptr, nullptr) : -1;
}

std::string read_to_the_end(int fd) {
  std::string out;
  char piece[65536];
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) return out + " (and then nothing)";
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0) return out + " (" + std::to_string(errno) + ")";
    if (got == 0) return out;
    out.append(piece, static_cast<std::size_t>(got));
  }
}

// In a namespace of the test's own: the forwarder listens on every address.
void in_namespace(void (*test)()) {
  const auto own = network::NetworkNamespace::create();
  if (!own) {
    std::cout << "SKIPPED: no network namespace can be made here\n";
    return;
  }
  const auto ran = network::inside_thread(*own, [&]() -> Result<> {
    test();
    return {};
  });
  CHECK(ran);
}

}  // namespace

TEST_CASE("a published port carries both directions, and each ends by itself") {
  in_namespace([] {
    const int server = listen_on("127.0.0.2", 30080);
    REQUIRE(server >= 0);
    PortForwarder forwarder({"127.0.0.3", "127.0.0.2"},
                            {{8080, 30080}});  // the first address does not answer
    forwarder.start();
    const int client = connect_to("127.0.0.1", 8080);
    REQUIRE(client >= 0);
    const int peer = accept_one(server);
    REQUIRE(peer >= 0);
    const std::string large(3'000'000, 'x');
    std::string seen;
    std::thread reader([&] { seen = read_to_the_end(peer); });
    std::size_t sent = 0;
    while (sent < large.size()) {
      const ssize_t written = ::write(client, large.data() + sent, large.size() - sent);
      if (written <= 0) break;
      sent += static_cast<std::size_t>(written);
    }
    ::shutdown(client, SHUT_WR);
    reader.join();
    CHECK(seen.size() == large.size());
    REQUIRE(::write(peer, "answer", 6) == 6);
    ::close(peer);
    CHECK(read_to_the_end(client) == "answer");
    ::close(client);
    ::close(server);
  });
}

TEST_CASE("a reset of one side is a reset of the other, and the pair goes") {
  in_namespace([] {
    const int server = listen_on("127.0.0.2", 30080);
    PortForwarder forwarder({"127.0.0.2"}, {{8080, 30080}});
    forwarder.start();
    const auto reset = [](int fd) {
      const linger now{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      ::close(fd);
    };
    for (const bool by_client : {true, false}) {
      const int client = connect_to("127.0.0.1", 8080);
      REQUIRE(client >= 0);
      const int peer = accept_one(server);
      REQUIRE(peer >= 0);
      reset(by_client ? client : peer);
      CHECK(read_to_the_end(by_client ? peer : client) == " (" + std::to_string(ECONNRESET) + ")");
      ::close(by_client ? peer : client);
    }
    ::close(server);
  });
}

TEST_CASE("where nobody listens on the node's port, the client is reset") {
  in_namespace([] {
    PortForwarder forwarder({"127.0.0.2"}, {{8080, 30080}});
    forwarder.start();
    const int client = connect_to("127.0.0.1", 8080);
    REQUIRE(client >= 0);
    CHECK(read_to_the_end(client) == " (" + std::to_string(ECONNRESET) + ")");
    ::close(client);
  });
}

TEST_CASE("a port that somebody else has is taken once it is free") {
  in_namespace([] {
    const int server = listen_on("127.0.0.2", 30080);
    const int other = listen_on("0.0.0.0", 8080);
    REQUIRE(other >= 0);
    PortForwarder forwarder({"127.0.0.2"}, {{8080, 30080}});
    forwarder.start();
    const int theirs = connect_to("127.0.0.1", 8080);
    const int accepted = accept_one(other);
    CHECK(accepted >= 0);
    ::close(accepted);
    ::close(theirs);
    ::close(other);
    const int client = connect_to("127.0.0.1", 8080);
    REQUIRE(client >= 0);
    const int peer = accept_one(server);
    CHECK(peer >= 0);
    for (const int fd : {client, peer, server}) ::close(fd);
  });
}

TEST_CASE("it stops with connections open") {
  in_namespace([] {
    const int server = listen_on("127.0.0.2", 30080);
    PortForwarder forwarder({"127.0.0.2"}, {{8080, 30080}});
    forwarder.start();
    const int client = connect_to("127.0.0.1", 8080);
    const int peer = accept_one(server);
    forwarder.stop();
    CHECK(read_to_the_end(peer) == "");
    for (const int fd : {client, peer, server}) ::close(fd);
  });
}

TEST_CASE("other nodes are for the connections that come after, and without any they are refused") {
  in_namespace([] {
    const int first = listen_on("127.0.0.2", 30080), second = listen_on("127.0.0.3", 30080);
    PortForwarder forwarder({}, {{8080, 30080}});
    forwarder.start();
    const int refused = connect_to("127.0.0.1", 8080);
    REQUIRE(refused >= 0);
    CHECK(read_to_the_end(refused) == " (" + std::to_string(ECONNRESET) + ")");
    forwarder.set_node_addresses({"127.0.0.2"});
    const int before = connect_to("127.0.0.1", 8080);
    const int before_peer = accept_one(first);
    REQUIRE(before_peer >= 0);
    forwarder.set_node_addresses({"127.0.0.3"});
    const int after = connect_to("127.0.0.1", 8080);
    const int after_peer = accept_one(second);
    REQUIRE(after_peer >= 0);
    REQUIRE(::write(before_peer, "still", 5) == 5);
    ::close(before_peer);
    CHECK(read_to_the_end(before) == "still");
    for (const int fd : {refused, before, after, after_peer, first, second}) ::close(fd);
  });
}
