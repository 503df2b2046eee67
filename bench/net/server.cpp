#include "net/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace rusternetes::bench {
namespace {

constexpr const char kAnswer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
constexpr std::size_t kPiece = 256u << 10;

int listen_on(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<in_port_t>(port));
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 && ::listen(fd, 1024) == 0)
    return fd;
  std::perror("bench_net: listen");
  return -1;
}

int accept_from(int listener, int flags) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | flags);
  const int one = 1;
  if (fd >= 0) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

bool read_all(int fd, void* to, std::size_t size) {
  return ::recv(fd, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool write_all(int fd, const char* from, std::size_t size) {
  while (size > 0) {
    const auto sent = ::send(fd, from, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

void serve_stream(int fd) {
  char letter = 0;
  std::uint64_t count = 0;
  std::vector<char> piece(kPiece, 'x');
  if (!read_all(fd, &letter, 1)) letter = 0;
  if ((letter == 'U' || letter == 'D') && !read_all(fd, &count, sizeof count)) letter = 0;
  if (letter == 'E') {
    for (;;) {
      const auto got = ::recv(fd, piece.data(), piece.size(), 0);
      if (got <= 0 || !write_all(fd, piece.data(), static_cast<std::size_t>(got))) break;
    }
  } else if (letter == 'D') {
    for (std::uint64_t left = count; left > 0;) {
      const auto size = std::min<std::uint64_t>(left, piece.size());
      if (!write_all(fd, piece.data(), size)) break;
      left -= size;
    }
  } else if (letter == 'U') {
    std::uint64_t left = count;
    while (left > 0) {
      const auto got = ::recv(fd, piece.data(), std::min<std::uint64_t>(left, piece.size()), 0);
      if (got <= 0) break;
      left -= static_cast<std::uint64_t>(got);
    }
    if (left == 0) write_all(fd, reinterpret_cast<const char*>(&count), sizeof count);
  }
  ::close(fd);
}

void serve_streams(int listener) {
  for (;;)
    if (const int fd = accept_from(listener, 0); fd >= 0) std::thread(serve_stream, fd).detach();
}

void serve_http(int listener) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN, {}};
  event.data.fd = listener;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  std::unordered_map<int, std::string> unread;  // what of a request has come
  epoll_event events[256];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int from = events[i].data.fd;
      if (from == listener) {
        event.data.fd = accept_from(listener, SOCK_NONBLOCK);
        if (event.data.fd >= 0) ::epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        continue;
      }
      char buffer[4096];
      const auto got = ::recv(from, buffer, sizeof buffer, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0) {
        unread.erase(from);
        ::close(from);
        continue;
      }
      auto& text = unread[from];
      text.append(buffer, static_cast<std::size_t>(got));
      for (auto end = text.find("\r\n\r\n"); end != text.npos; end = text.find("\r\n\r\n")) {
        text.erase(0, end + 4);
        write_all(from, kAnswer, sizeof kAnswer - 1);
      }
    }
  }
}

}  // namespace

int serve(int http_port, int stream_port) {
  // As the first process of a container it has no default action for signals.
  ::signal(SIGTERM, [](int) { ::_exit(0); });
  const int http = listen_on(http_port), streams = listen_on(stream_port);
  if (http < 0 || streams < 0) return 1;
  std::thread(serve_streams, streams).detach();
  serve_http(http);
  return 0;
}

}  // namespace rusternetes::bench
