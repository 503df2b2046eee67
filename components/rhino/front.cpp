#include "rhino/front.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/log.h"

namespace rusternetes::rhino {
namespace {

constexpr int accepts_a_turn = 64;
constexpr std::chrono::milliseconds rest{100};

}  // namespace

Front::Front(Options options, std::vector<FrontDoor> doors)
    : options_(std::move(options)), doors_(std::move(doors)), buffer_(new char[most_first_bytes]) {}

Front::~Front() {
  stop();
  for (const auto& door : doors_)
    if (door.socket.fd >= 0) ::close(door.socket.fd);
}

Result<void> Front::start() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || wake_ < 0) return errno_error("a poller for the listening sockets", errno);
  watch(wake_, EPOLLIN);
  for (const auto& door : doors_) watch(door.socket.fd, EPOLLIN);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "front");
    loop();
  });
  return {};
}

void Front::stop() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
    thread_.join();
  }
  for (const auto& waiting : waiting_) ::close(waiting.fd);
  waiting_.clear();
  by_fd_.clear();
  undecided_count_ = 0;
  for (auto& door : doors_) {
    if (door.socket.fd < 0) continue;
    ::close(door.socket.fd);
    door.socket.fd = -1;
    if (door.socket.url.is_unix()) ::unlink(door.socket.url.socket_path().c_str());
  }
  for (int* fd : {&epoll_, &wake_})
    if (*fd >= 0) ::close(std::exchange(*fd, -1));
}

void Front::watch(int fd, unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void Front::loop() {
  std::array<epoll_event, 64> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                   wait_ms(std::chrono::steady_clock::now()));
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == wake_) return;
      // An event of the same round may be of a descriptor that was given away meanwhile; then it is in
      // neither.
      const auto door = std::find_if(doors_.begin(), doors_.end(),
                                     [fd](const FrontDoor& each) { return each.socket.fd == fd; });
      if (door != doors_.end()) {
        accept_some(static_cast<std::size_t>(door - doors_.begin()));
      } else if (const auto found = by_fd_.find(fd); found != by_fd_.end()) {
        if (look(fd, *found->second->door)) forget(fd);
      }
    }
    close_late(std::chrono::steady_clock::now());
  }
}

int Front::wait_ms(Time now) const {
  Time next = Time::max();
  if (!waiting_.empty()) next = waiting_.front().until;
  if (is_out_of_descriptors_) next = std::min(next, rest_until_);
  if (next == Time::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Front::accept_some(std::size_t index) {
  const FrontDoor& door = doors_[index];
  for (int i = 0; i < accepts_a_turn; ++i) {
    const int fd = ::accept4(door.socket.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      greet(fd, door);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::warn("rhino", "accept: {}", errno_error("out of resources", errno).message);
      for (const auto& each : doors_) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, each.socket.fd, nullptr);
      is_out_of_descriptors_ = true;
      rest_until_ = std::chrono::steady_clock::now() + rest;
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void Front::greet(int fd, const FrontDoor& door) {
  if (!door.socket.url.is_unix()) prepare_connection(fd);
  if (look(fd, door)) return;
  if (waiting_.size() >= options_.most_undecided) {
    const int oldest = waiting_.front().fd;
    forget(oldest);
    ::close(oldest);
  }
  waiting_.push_back({fd, &door, std::chrono::steady_clock::now() + options_.patience});
  by_fd_[fd] = std::prev(waiting_.end());
  undecided_count_ = waiting_.size();
  // Edge-triggered: what was looked at stays in the socket, and only more of it is news.
  watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

bool Front::look(int fd, const FrontDoor& door) {
  const bool is_either = door.takes_plain && door.takes_tls;
  if (!is_either && door.serves != FrontDoor::Serves::grpc_and_http) {
    hand_over(fd, door, door.takes_tls,
              door.serves == FrontDoor::Serves::grpc ? FirstBytes::grpc : FirstBytes::http);
    return true;
  }
  const auto length = ::recv(fd, buffer_.get(), most_first_bytes, MSG_PEEK | MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
  if (length <= 0) {
    if (by_fd_.contains(fd)) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    ::close(fd);
    return true;
  }
  const std::string_view bytes(buffer_.get(), static_cast<std::size_t>(length));
  const bool is_tls = is_either ? bytes.front() == tls_handshake : door.takes_tls;
  auto to = is_tls ? classify_tls(bytes) : classify_plain(bytes);
  if (door.serves == FrontDoor::Serves::grpc) to = FirstBytes::grpc;
  if (door.serves == FrontDoor::Serves::http || door.serves == FrontDoor::Serves::metrics)
    to = FirstBytes::http;
  if (to == FirstBytes::undecided && bytes.size() < most_first_bytes) return false;
  hand_over(fd, door, is_tls, to);
  return true;
}

void Front::hand_over(int fd, const FrontDoor& door, bool is_tls, FirstBytes to) {
  if (by_fd_.contains(fd)) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  if (to == FirstBytes::grpc)
    options_.to_grpc(fd, is_tls);
  else
    options_.to_http(fd, is_tls, door.serves == FrontDoor::Serves::metrics);
}

void Front::forget(int fd) {
  const auto found = by_fd_.find(fd);
  if (found == by_fd_.end()) return;
  waiting_.erase(found->second);
  by_fd_.erase(found);
  undecided_count_ = waiting_.size();
}

void Front::close_late(Time now) {
  while (!waiting_.empty() && waiting_.front().until <= now) {
    const int fd = waiting_.front().fd;
    forget(fd);
    ::close(fd);
  }
  if (!is_out_of_descriptors_ || rest_until_ > now) return;
  is_out_of_descriptors_ = false;
  for (const auto& door : doors_) watch(door.socket.fd, EPOLLIN);
}

}  // namespace rusternetes::rhino
