#include "uplink/uplink_watch.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <thread>

#include "base/log.h"
#include "network/netlink.h"

namespace rusternetes::uplink {

namespace {

using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

constexpr milliseconds kLimit{2'000};
constexpr milliseconds kRetry{1'000};  // after a look that told nothing

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Readable when links of the namespace come, go or change.
Result<Descriptor> link_events(const network::NetworkNamespace& where) {
  return network::inside(where, []() -> Result<Descriptor> {
    Descriptor made(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (made.get() < 0) return errno_error("a socket for links' events", errno);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return errno_error("listen to links' events", errno);
    return made;
  });
}

// Whatever they say: the links are looked at after each.
void drain(int fd) {
  std::array<char, 8192> buffer;
  while (::recv(fd, buffer.data(), buffer.size(), MSG_TRUNC) >= 0 || errno == EINTR || errno == ENOBUFS) {
  }
}

}  // namespace

struct UplinkWatch::Impl {
  network::Netlink links;
  std::string name;
  milliseconds limit;
  std::function<void()> on_lost;
  Descriptor events, stop;
  std::thread thread{};

  void run();
  // False when the watch is to end.
  bool wait(std::optional<Time> until);
};

bool UplinkWatch::Impl::wait(std::optional<Time> until) {
  std::array<pollfd, 2> waited{pollfd{events.get(), POLLIN, 0}, pollfd{stop.get(), POLLIN, 0}};
  int timeout = -1;
  if (until) {
    const auto left = std::chrono::ceil<milliseconds>(*until - std::chrono::steady_clock::now());
    timeout = static_cast<int>(std::max(left, milliseconds(0)).count());
  }
  if (::poll(waited.data(), waited.size(), timeout) < 0 && errno != EINTR) {
    log::error("uplink", "link {} is not watched any more: {}", name, errno_error("poll", errno).message);
    return false;
  }
  drain(events.get());
  return (waited[1].revents & POLLIN) == 0;
}

void UplinkWatch::Impl::run() {
  ::pthread_setname_np(::pthread_self(), "uplink");
  std::optional<Time> lost_at;
  for (;;) {
    const auto found = links.find_link(name);
    const Time now = std::chrono::steady_clock::now();
    std::optional<Time> until;
    if (!found) {
      until = now + kRetry;
    } else if (*found) {
      lost_at.reset();
    } else {
      if (!lost_at) lost_at = now;
      until = *lost_at + limit;
      if (now >= *until) return on_lost();
    }
    if (!wait(until)) return;
  }
}

Result<std::unique_ptr<UplinkWatch>> UplinkWatch::start(const network::NetworkNamespace& node,
                                                        std::string name, milliseconds limit,
                                                        std::function<void()> on_lost) {
  RN_TRY(auto links, network::Netlink::open(node));
  RN_TRY(auto events, link_events(node));
  Descriptor stop(::eventfd(0, EFD_CLOEXEC));
  if (stop.get() < 0) return errno_error("eventfd", errno);
  std::unique_ptr<Impl> impl(new Impl{std::move(links), std::move(name), limit, std::move(on_lost),
                                      std::move(events), std::move(stop)});
  impl->thread = std::thread([&watch = *impl] { watch.run(); });
  return std::unique_ptr<UplinkWatch>(new UplinkWatch(std::move(impl)));
}

UplinkWatch::UplinkWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

UplinkWatch::~UplinkWatch() {
  const std::uint64_t one = 1;
  RN_ASSERT(::write(impl_->stop.get(), &one, sizeof one) == sizeof one, "an eventfd takes a number");
  impl_->thread.join();
}

Result<std::unique_ptr<UplinkWatch>> end_without(const network::NetworkNamespace& node, std::string name,
                                                 std::string program) {
  auto end = [name, program] {
    log::error(program,
               "the node has had no link {} for {} s: its network is gone; ending, to be started in another",
               name, kLimit.count() / 1000);
    std::_Exit(1);
  };
  return UplinkWatch::start(node, name, kLimit, end);
}

}  // namespace rusternetes::uplink
