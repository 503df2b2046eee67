#include "net/load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rusternetes::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::chrono::seconds kAnswerTimeout{3};
constexpr std::chrono::milliseconds kRest{20};  // at most, after a failure

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Worker {
  int fd = -1;
  bool is_connected = false;
  Steady::time_point begin;  // of the request under way
  std::string answer;
};

class Load {
 public:
  Load(const sockaddr_in& where, LoadMode mode, std::size_t workers, LoadReport& report)
      : where_(where),
        mode_(mode),
        workers_(workers),
        report_(report),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    char address[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &where.sin_addr, address, sizeof address);
    request_ = std::string("GET / HTTP/1.1\r\nHost: ") + address + "\r\n\r\n";
  }
  ~Load() {
    for (auto& worker : workers_) drop(worker);
    ::close(epoll_);
  }

  void run(Steady::duration time) {
    const auto start = Steady::now();
    begin_ = start + time / 10;
    const auto end = start + time;
    double cpu_before = 0;
    for (auto& worker : workers_) connect(worker);
    epoll_event events[256];
    auto checked = start;
    for (auto now = start; now < end; now = Steady::now()) {
      if (!is_counting_ && now >= begin_) is_counting_ = true, cpu_before = own_cpu_seconds();
      const int count = ::epoll_wait(epoll_, events, 256, 20);
      for (int i = 0; i < count; ++i) go_on(*static_cast<Worker*>(events[i].data.ptr), events[i].events);
      if (now - checked < kRest) continue;
      checked = now;
      for (auto& worker : workers_) {
        if (worker.fd < 0)
          connect(worker);
        else if (now - worker.begin > kAnswerTimeout)
          fail(worker, "no answer within 3 s");
      }
    }
    report_.seconds = std::chrono::duration<double>(Steady::now() - begin_).count();
    report_.client_cpu_seconds = own_cpu_seconds() - cpu_before;
    std::sort(report_.latencies_ms.begin(), report_.latencies_ms.end());
  }

 private:
  void connect(Worker& worker) {
    worker = Worker{};
    worker.begin = Steady::now();
    worker.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (worker.fd < 0) std::perror("bench_net: socket"), std::exit(1);
    const int one = 1;
    ::setsockopt(worker.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const linger reset{1, 0};
    ::setsockopt(worker.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    epoll_event event{EPOLLOUT, {&worker}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, worker.fd, &event);
    if (::connect(worker.fd, reinterpret_cast<const sockaddr*>(&where_), sizeof where_) != 0 &&
        errno != EINPROGRESS)
      fail(worker, std::strerror(errno));
  }

  static void drop(Worker& worker) {
    if (worker.fd >= 0) ::close(worker.fd);
    worker.fd = -1;
  }

  // What failed is left to run(), since a refused connection would be tried again at once and for ever.
  void fail(Worker& worker, const char* why) {
    if (is_counting_ && report_.failures++ == 0) report_.first_failure = why;
    drop(worker);
  }

  void send(Worker& worker) {
    worker.answer.clear();
    if (::send(worker.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      fail(worker, std::strerror(errno));
  }

  void go_on(Worker& worker, std::uint32_t events) {
    if (!worker.is_connected) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(worker.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return fail(worker, std::strerror(error));
      if (!(events & EPOLLOUT)) return;
      worker.is_connected = true;
      epoll_event event{EPOLLIN, {&worker}};
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, worker.fd, &event);
      return send(worker);
    }
    char buffer[4096];
    const auto got = ::recv(worker.fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return fail(worker, got == 0 ? "the connection was closed" : std::strerror(errno));
    worker.answer.append(buffer, static_cast<std::size_t>(got));
    if (!is_whole(worker.answer)) return;
    if (worker.answer.compare(0, 12, "HTTP/1.1 200") != 0) return fail(worker, "the answer is not 200");
    const auto now = Steady::now();
    if (is_counting_)
      report_.latencies_ms.push_back(std::chrono::duration<float, std::milli>(now - worker.begin).count());
    if (mode_ == LoadMode::connections) {
      drop(worker);
      return connect(worker);
    }
    worker.begin = now;
    send(worker);
  }

  static bool is_whole(const std::string& answer) {
    const auto head = answer.find("\r\n\r\n");
    if (head == answer.npos) return false;
    constexpr const char* kLength = "\r\nContent-Length:";
    const char* length = ::strcasestr(answer.c_str(), kLength);
    const auto body = length ? std::strtoul(length + std::strlen(kLength), nullptr, 10) : 0;
    return answer.size() >= head + 4 + body;
  }

  sockaddr_in where_;
  LoadMode mode_;
  std::vector<Worker> workers_;
  LoadReport& report_;
  int epoll_;
  std::string request_;
  Steady::time_point begin_;
  bool is_counting_ = false;
};

}  // namespace

bool run_load(const std::string& address, int port, LoadMode mode, std::size_t workers, int milliseconds,
              LoadReport& report) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<in_port_t>(port));
  if (::inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) {
    std::fprintf(stderr, "bench_net: \"%s\" is no IPv4 address\n", address.c_str());
    return false;
  }
  Load(where, mode, workers, report).run(std::chrono::milliseconds(milliseconds));
  return true;
}

}  // namespace rusternetes::bench
