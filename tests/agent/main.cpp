// What busybox lacks, for containers of tests: a static program beside it in their image.
//   agent udp PORT     answers each datagram with the host's name
//   agent sctp PORT    accepts, says the host's name, closes
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int fail(const char* what) {
  std::perror(what);
  return 1;
}

int listen_on(int type, int protocol, int port) {
  const int fd = ::socket(AF_INET, type, protocol);
  if (fd < 0) return -1;
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<in_port_t>(port));
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0 ? fd : -1;
}

int serve_udp(int port, const char* name) {
  const int fd = listen_on(SOCK_DGRAM, IPPROTO_UDP, port);
  if (fd < 0) return fail("udp");
  for (;;) {
    char buffer[2048];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    if (::recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size) < 0 && errno != EINTR) return fail("recvfrom");
    ::sendto(fd, name, std::strlen(name), 0, reinterpret_cast<const sockaddr*>(&from), size);
  }
}

int serve_sctp(int port, const char* name) {
  const int fd = listen_on(SOCK_STREAM, IPPROTO_SCTP, port);
  if (fd < 0 || ::listen(fd, 16) != 0) return fail("sctp");
  for (;;) {
    const int peer = ::accept(fd, nullptr, nullptr);
    if (peer < 0) continue;
    if (::send(peer, name, std::strlen(name), MSG_NOSIGNAL) < 0) std::perror("send");
    ::close(peer);
  }
}

}  // namespace

int main(int argc, char** argv) {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  if (argc == 3 && std::strcmp(argv[1], "udp") == 0) return serve_udp(std::atoi(argv[2]), name);
  if (argc == 3 && std::strcmp(argv[1], "sctp") == 0) return serve_sctp(std::atoi(argv[2]), name);
  std::fputs("usage: agent udp|sctp PORT\n", stderr);
  return 2;
}
