// The socket of Netlink: opening it, waiting for news, and what the kernel gives as reason for a refusal, of
// which libnl keeps only a class ("Unspecific failure").
#include <errno.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>

#include "network/netlink.h"

namespace rusternetes::network {

struct Netlink::Refusal {
  int error_number = 0;
  std::string message;  // of the kernel's extended acknowledgement; may be empty

  static int take(sockaddr_nl*, nlmsgerr* error, void* self) {
    auto& refusal = *static_cast<Refusal*>(self);
    refusal.error_number = -error->error;
    refusal.message.clear();
    const auto* header =
        reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(error) - NLMSG_HDRLEN);
    if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return NL_STOP;
    // The attributes stand behind the request, of which only the header is sent back when it is capped.
    std::size_t at = NLMSG_HDRLEN + sizeof(nlmsgerr);
    if (!(header->nlmsg_flags & NLM_F_CAPPED)) at += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
    const char* bytes = reinterpret_cast<const char*>(header);
    while (at + sizeof(nlattr) <= header->nlmsg_len) {
      nlattr attribute;
      std::memcpy(&attribute, bytes + at, sizeof attribute);
      if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > header->nlmsg_len) break;
      if ((attribute.nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG)
        refusal.message.assign(bytes + at + sizeof attribute,
                               strnlen(bytes + at + sizeof attribute, attribute.nla_len - sizeof attribute));
      at += NLA_ALIGN(attribute.nla_len);
    }
    return NL_STOP;
  }
};

void Netlink::Close::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Netlink::Netlink(NetworkNamespace where, nl_sock* socket)
    : where_(std::move(where)), refusal_(std::make_shared<Refusal>()), socket_(socket) {
  RN_ASSERT(socket, "memory for a netlink socket");
  nl_socket_modify_err_cb(socket, NL_CB_CUSTOM, &Refusal::take, refusal_.get());
}

Result<Netlink> Netlink::open() {
  RN_TRY(auto here, NetworkNamespace::current());
  return open(here);
}

Result<Netlink> Netlink::open(const NetworkNamespace& where) {
  return inside(where, [&]() -> Result<Netlink> {
    Netlink netlink(where, nl_socket_alloc());
    if (const int error = nl_connect(netlink.socket_.get(), NETLINK_ROUTE); error < 0)
      return netlink.failure(fmt::format("open a netlink socket in {}", where.name()), error);
    const int on = 1;  // kernels before 4.12 do not know it, and give only the number
    setsockopt(nl_socket_get_fd(netlink.socket_.get()), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    return netlink;
  });
}

Status Netlink::failure(std::string_view what, int error) const {
  std::string reason = nl_geterror(error);
  if (refusal_->error_number != 0) {
    reason = std::strerror(refusal_->error_number);
    if (!refusal_->message.empty()) reason += fmt::format(" ({})", refusal_->message);
    *refusal_ = {};
  }
  const std::string message = fmt::format("{}: {}", what, reason);
  switch (-error) {
    case NLE_EXIST:
      return Status{409, "AlreadyExists", message};
    case NLE_NODEV:
    case NLE_NOADDR:
    case NLE_OBJ_NOTFOUND:
      return Status{404, "NotFound", message};
    case NLE_PERM:
      return Status{403, "Forbidden", message};
    default:
      return internal_error(message);
  }
}

namespace {
// Hears of every change of a link in the namespace from its opening on.
Result<int> open_link_monitor(const NetworkNamespace& where) {
  return inside(where, [&]() -> Result<int> {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return errno_error(fmt::format("watch links in {}", where.name()), errno);
    const int group = RTNLGRP_LINK;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0) return fd;
    const int error = errno;
    close(fd);
    return errno_error(fmt::format("watch links in {}", where.name()), error);
  });
}
}  // namespace

Result<> Netlink::wait_until_running(std::string_view name, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  int monitor = -1;
  Result<> outcome;
  for (;;) {
    // Asking is what makes kernels from 6.8 on look at the link themselves; older ones send word.
    const auto link = find_link(name);
    if (!link) outcome = link.error();
    if (link && !*link)
      outcome = Status{404, "NotFound", fmt::format("link {}: gone while it came up", name)};
    if (!outcome || (*link)->is_running) break;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      outcome = Status{504, "Timeout", fmt::format("link {}: not running after {} ms", name, limit.count())};
      break;
    }
    if (monitor < 0) {
      const auto opened = open_link_monitor(where_);
      if (!opened) {
        outcome = opened.error();
        break;
      }
      monitor = *opened;
      continue;  // it may have come up before the monitor was there
    }
    pollfd item{monitor, POLLIN, 0};
    poll(&item, 1, static_cast<int>(left.count()));
    char ignored[8192];
    while (recv(monitor, ignored, sizeof ignored, 0) > 0) {
    }
  }
  if (monitor >= 0) close(monitor);
  return outcome;
}

}  // namespace rusternetes::network
