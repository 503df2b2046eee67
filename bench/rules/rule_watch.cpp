#include "rules/rule_watch.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "rules/objects.h"

namespace rusternetes::bench {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;
// Ten thousand rules are told in one go.
constexpr int kBuffer = 256 << 20;

Status too_late(const std::string& what) {
  return internal_error(fmt::format("{} was not seen in time", what));
}

// Elements and rules that came, not those that went.
bool is_new(const nlmsghdr& header) {
  switch (header.nlmsg_type & 0xff) {
    case NFT_MSG_NEWRULE:
    case NFT_MSG_NEWSETELEM:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<RuleWatch> RuleWatch::open() {
  RuleWatch watch(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  if (watch.fd_ < 0) return errno_error("a socket for nftables' events", errno);
  if (::setsockopt(watch.fd_, SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof kBuffer) != 0)
    return errno_error("the size of the buffer for nftables' events", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1u << (NFNLGRP_NFTABLES - 1);
  if (::bind(watch.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno_error("listen to nftables' events", errno);
  return watch;
}

RuleWatch::RuleWatch(RuleWatch&& other) noexcept : fd_(std::exchange(other.fd_, -1)), seen_(other.seen_) {}

RuleWatch::~RuleWatch() {
  if (fd_ >= 0) ::close(fd_);
}

void RuleWatch::forget() { seen_.reset(); }

Result<void> RuleWatch::wait_quiet(milliseconds quiet, Time deadline) {
  while (Steady::now() < deadline) {
    RN_TRY(const bool came, read_some(Steady::now() + quiet));
    if (!came) return {};
  }
  return too_late("quiet");
}

Result<RuleWatch::Time> RuleWatch::wait_for(std::uint16_t number, Time deadline) {
  while (!seen_[number]) {
    RN_TRY(const bool came, read_some(deadline));
    if (!came) return too_late(endpoint_address(number));
  }
  return Steady::now();
}

Result<RuleWatch::Time> RuleWatch::wait_for_all(std::uint16_t last, Time deadline) {
  for (std::uint16_t number = 1; number <= last; ++number) RN_CHECK(wait_for(number, deadline));
  return Steady::now();
}

Result<bool> RuleWatch::read_some(Time deadline) {
  // A message holds a batch of elements; the kernel's buffers are at most 32 KiB.
  static std::array<char, 256 << 10> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = left.count() > 0 ? ::poll(&waiting, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno != EINTR) return errno_error("wait for nftables' events", errno);
    if (ready == 0) return false;
    const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got >= 0) {
      note({buffer.data(), static_cast<std::size_t>(got)});
      return true;
    }
    if (errno != EAGAIN && errno != EINTR) return errno_error("nftables' events", errno);
  }
}

void RuleWatch::note(std::string_view messages) {
  auto left = static_cast<unsigned>(messages.size());
  for (auto* header = reinterpret_cast<const nlmsghdr*>(messages.data()); NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (!is_new(*header)) continue;
    const std::string_view body(reinterpret_cast<const char*>(header), header->nlmsg_len);
    constexpr std::string_view kRange = "\x0a\xf4";  // 10.244
    for (auto at = body.find(kRange); at != body.npos && at + 4 <= body.size();
         at = body.find(kRange, at + 1))
      seen_.set(static_cast<std::size_t>(static_cast<unsigned char>(body[at + 2]) << 8 |
                                         static_cast<unsigned char>(body[at + 3])));
  }
}

}  // namespace rusternetes::bench
