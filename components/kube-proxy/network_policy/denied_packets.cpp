#include "kube-proxy/network_policy/denied_packets.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>  // NFPROTO_INET
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>

namespace rusternetes::kube_proxy::network_policy {

namespace {

constexpr std::size_t kHead = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));

struct Request {
  alignas(NLMSG_ALIGNTO) std::array<char, 1024> bytes{};
  std::size_t size = kHead;

  Request() {
    auto& head = *reinterpret_cast<nlmsghdr*>(bytes.data());
    head.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ;
    head.nlmsg_flags = NLM_F_REQUEST;
    auto& more = *reinterpret_cast<nfgenmsg*>(bytes.data() + NLMSG_HDRLEN);
    more.nfgen_family = NFPROTO_INET;
    more.version = NFNETLINK_V0;
  }
  bool add(std::uint16_t type, const void* data, std::size_t length) {
    const nlattr head{static_cast<std::uint16_t>(NLA_HDRLEN + length), type};
    if (size + NLA_ALIGN(head.nla_len) > bytes.size()) return false;
    std::memcpy(bytes.data() + size, &head, sizeof head);
    std::memcpy(bytes.data() + size + NLA_HDRLEN, data, length);
    size += NLA_ALIGN(head.nla_len);
    return true;
  }
  bool add(std::uint16_t type, std::string_view text) {
    return add(type, std::string(text).c_str(), text.size() + 1);
  }
};

// What an attribute holds.
std::optional<std::span<const char>> find(std::span<const char> attributes, std::uint16_t wanted) {
  while (attributes.size() >= NLA_HDRLEN) {
    nlattr head;
    std::memcpy(&head, attributes.data(), sizeof head);
    if (head.nla_len < NLA_HDRLEN || head.nla_len > attributes.size()) break;
    if ((head.nla_type & NLA_TYPE_MASK) == wanted)
      return attributes.subspan(NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(head.nla_len), attributes.size()));
  }
  return std::nullopt;
}

}  // namespace

Result<PacketCounters> PacketCounters::open(const network::NetworkNamespace& where) {
  return network::inside(where, []() -> Result<PacketCounters> {
    PacketCounters out(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (out.fd_ < 0) return errno_error("nftables: a socket for counters", errno);
    const timeval limit{2, 0};
    ::setsockopt(out.fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return out;
  });
}

PacketCounters::~PacketCounters() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::uint64_t> PacketCounters::packets(std::string_view table, std::string_view counter) const {
  Request request;
  const std::uint32_t type = htonl(NFT_OBJECT_COUNTER);
  if (!request.add(NFTA_OBJ_TABLE, table) || !request.add(NFTA_OBJ_NAME, counter) ||
      !request.add(NFTA_OBJ_TYPE, &type, sizeof type))
    return Status{400, "BadRequest", "nftables: the name is too long"};
  reinterpret_cast<nlmsghdr*>(request.bytes.data())->nlmsg_len = static_cast<std::uint32_t>(request.size);
  // A late answer to an earlier question is not this one's.
  alignas(NLMSG_ALIGNTO) std::array<char, 8192> buffer;
  while (::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
  if (::send(fd_, request.bytes.data(), request.size, 0) < 0) return errno_error("nftables: ask", errno);
  const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got < 0) return errno_error("nftables: the answer", errno);
  const auto& head = *reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (static_cast<std::size_t>(got) < NLMSG_HDRLEN || head.nlmsg_len > static_cast<std::size_t>(got))
    return internal_error("nftables: a short answer");
  if (head.nlmsg_type == NLMSG_ERROR) {
    const int error = -reinterpret_cast<const nlmsgerr*>(buffer.data() + NLMSG_HDRLEN)->error;
    if (error == ENOENT) return Status{404, "NotFound", "nftables: there is no such counter"};
    return errno_error("nftables", error);
  }
  const auto data = head.nlmsg_len < kHead
                        ? std::nullopt
                        : find(std::span(buffer).subspan(kHead, head.nlmsg_len - kHead), NFTA_OBJ_DATA);
  const auto packets = data ? find(*data, NFTA_COUNTER_PACKETS) : std::nullopt;
  std::uint64_t count = 0;
  if (!packets || packets->size() != sizeof count)
    return internal_error("nftables: another answer than was asked for");
  std::memcpy(&count, packets->data(), sizeof count);
  return be64toh(count);
}

}  // namespace rusternetes::kube_proxy::network_policy
