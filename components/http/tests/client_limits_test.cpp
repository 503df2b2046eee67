// What a server may make an HTTP/2 client keep.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/task.h"
#include "http/client.h"
#include "http/listen.h"

using namespace rusternetes;
using namespace rusternetes::http;

namespace {

// A frame of HTTP/2 (RFC 9113, 4.1).
std::string frame(char type, char flags, char stream, const std::string& payload) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift & 0xff);
  return out + type + flags + std::string(3, '\0') + stream + payload;
}

// One response's head: a field of 4,001 bytes, and `times` a reference of one byte to it (RFC 7541, 6.1 and 6.2.1).
std::string head(int times) {
  std::string block = "\x88";  // :status 200
  block += std::string("\x40\x01") + "a" + "\x7f\xa1\x1e" + std::string(4000, 'x');
  block += std::string(static_cast<std::size_t>(times), '\xbe');
  return frame(1, 5, 1, block);  // HEADERS, with the end of the headers and of the stream
}

void serve(int listener, std::string answer) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  const std::string all = frame(4, 0, 0, {}) + frame(4, 1, 0, {});
  (void)::send(fd, all.data(), all.size(), MSG_NOSIGNAL);
  std::string got;
  char buffer[4096];
  // Until the request's HEADERS are there: the preface, and frames in front of them.
  for (std::size_t at = 24;;) {
    if (got.size() >= at + 9) {
      if (got[at + 3] == 1) break;
      at += 9 + (static_cast<unsigned char>(got[at + 1]) << 8 | static_cast<unsigned char>(got[at + 2]));
      continue;
    }
    const auto size = ::recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    got.append(buffer, static_cast<std::size_t>(size));
  }
  (void)::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  while (::recv(fd, buffer, sizeof buffer, 0) > 0) {
  }
  ::close(fd);
}

Task<> ask(asio::any_io_executor executor, std::uint16_t port, bool& is_answered) {
  ClientOptions options;
  options.has_prior_knowledge = true;
  options.header_timeout = std::chrono::seconds(10);
  auto client = *Client::create(executor, {"http://127.0.0.1:" + std::to_string(port), {}}, options);
  ClientRequest request{"GET", "/", {}, {}};
  auto response = co_await client->send(std::move(request));
  is_answered = bool(response);
  if (!response) CHECK(response.error().reason == "ConnectionLost");
  client->close();
}

bool is_taken(int times) {
  auto listener = *listen_tcp("127.0.0.1", 0);
  const int blocking = ::fcntl(listener.get(), F_SETFL, 0);
  REQUIRE(blocking == 0);
  std::thread server(serve, listener.get(), head(times));
  EventThread thread("client-limits");
  bool is_answered = false;
  run_blocking(thread.executor(), ask(thread.executor(), *local_port(listener.get()), is_answered));
  thread.stop();
  server.join();
  return is_answered;
}

}  // namespace

TEST_CASE("a head that a server packs into few bytes and that would fill the memory is refused") {
  CHECK(is_taken(3));
  CHECK_FALSE(is_taken(30));
}
