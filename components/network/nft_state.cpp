#include "network/nft_state.h"

#include <arpa/inet.h>
#include <fmt/format.h>
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

namespace rusternetes::network {

namespace {

struct Request {
  alignas(NLMSG_ALIGNTO) std::array<char, 1024> bytes{};
  std::size_t size = 0;

  Request(int message, std::uint8_t family) {
    auto& head = *reinterpret_cast<nlmsghdr*>(bytes.data());
    head.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
    head.nlmsg_flags = NLM_F_REQUEST;
    auto& more = *reinterpret_cast<nfgenmsg*>(bytes.data() + NLMSG_HDRLEN);
    more.nfgen_family = family;
    more.version = NFNETLINK_V0;
    size = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  }
  Result<void> add(std::uint16_t type, std::string_view text) {
    const std::size_t length = NLA_HDRLEN + text.size() + 1;
    if (size + NLA_ALIGN(length) > bytes.size())
      return Status{400, "BadRequest", "nftables: the name is too long"};
    const nlattr head{static_cast<std::uint16_t>(length), type};
    std::memcpy(bytes.data() + size, &head, sizeof head);
    std::memcpy(bytes.data() + size + NLA_HDRLEN, text.data(), text.size());
    size += NLA_ALIGN(length);
    return {};
  }
};

// The 32-bit attribute of the one message that answers; nothing when it is not in it.
std::optional<std::uint32_t> find(const nlmsghdr& message, std::uint16_t wanted) {
  const char* at = reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
  const char* end = reinterpret_cast<const char*>(&message) + message.nlmsg_len;
  while (end - at >= NLA_HDRLEN) {
    nlattr head;
    std::memcpy(&head, at, sizeof head);
    if (head.nla_len < NLA_HDRLEN || head.nla_len > end - at) break;
    if ((head.nla_type & NLA_TYPE_MASK) == wanted && head.nla_len >= NLA_HDRLEN + sizeof(std::uint32_t)) {
      std::uint32_t value;
      std::memcpy(&value, at + NLA_HDRLEN, sizeof value);
      return ntohl(value);
    }
    at += NLA_ALIGN(head.nla_len);
  }
  return std::nullopt;
}

Result<std::uint32_t> ask(int fd, Request& request, int answer, std::uint16_t attribute) {
  reinterpret_cast<nlmsghdr*>(request.bytes.data())->nlmsg_len = static_cast<std::uint32_t>(request.size);
  // A late answer to an earlier question is not this one's.
  alignas(NLMSG_ALIGNTO) std::array<char, 8192> buffer;
  while (::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
  if (::send(fd, request.bytes.data(), request.size, 0) < 0) return errno_error("nftables: ask", errno);
  const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0) return errno_error("nftables: the answer", errno);
  const auto& head = *reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (static_cast<std::size_t>(got) < NLMSG_HDRLEN || head.nlmsg_len > static_cast<std::size_t>(got))
    return internal_error("nftables: a short answer");
  if (head.nlmsg_type == NLMSG_ERROR) {
    const int error = -reinterpret_cast<const nlmsgerr*>(buffer.data() + NLMSG_HDRLEN)->error;
    if (error == ENOENT) return Status{404, "NotFound", "nftables: there is no such chain"};
    return errno_error("nftables", error);
  }
  const auto found =
      head.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | answer) ? find(head, attribute) : std::nullopt;
  if (!found) return internal_error("nftables: another answer than was asked for");
  return *found;
}

}  // namespace

Result<NftState> NftState::open(const NetworkNamespace& where) {
  return inside(where, []() -> Result<NftState> {
    NftState state(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (state.fd_ < 0) return errno_error("nftables: a socket", errno);
    const timeval limit{2, 0};
    ::setsockopt(state.fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return state;
  });
}

NftState::~NftState() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::uint32_t> NftState::generation() const {
  Request request(NFT_MSG_GETGEN, AF_UNSPEC);
  return ask(fd_, request, NFT_MSG_NEWGEN, NFTA_GEN_ID);
}

Result<std::uint32_t> NftState::chain_uses(std::string_view table, std::string_view chain) const {
  Request request(NFT_MSG_GETCHAIN, NFPROTO_INET);
  RN_CHECK(request.add(NFTA_CHAIN_TABLE, table));
  RN_CHECK(request.add(NFTA_CHAIN_NAME, chain));
  return ask(fd_, request, NFT_MSG_NEWCHAIN, NFTA_CHAIN_USE);
}

Result<bool> has_rules(const NetworkNamespace& where, std::string_view table, std::string_view chain) {
  RN_TRY(const auto state, NftState::open(where));
  const auto uses = state.chain_uses(table, chain);
  if (!uses && uses.error().reason == "NotFound") return false;
  if (!uses) return uses.error();
  return *uses > 0;
}

}  // namespace rusternetes::network
