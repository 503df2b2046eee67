#include "network/nft_state.h"

#include <arpa/inet.h>
#include <endian.h>
#include <fmt/format.h>
#include <linux/netfilter.h>  // NFPROTO_INET
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>

namespace rusternetes::network {

namespace {

constexpr std::size_t kHead = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
constexpr const char* kOtherAnswer = "nftables: another answer than was asked for";

struct Request {
  alignas(NLMSG_ALIGNTO) std::array<char, 1024> bytes{};
  std::size_t size = kHead;

  Request(int message, std::uint8_t family) {
    auto& head = *reinterpret_cast<nlmsghdr*>(bytes.data());
    head.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
    head.nlmsg_flags = NLM_F_REQUEST;
    auto& more = *reinterpret_cast<nfgenmsg*>(bytes.data() + NLMSG_HDRLEN);
    more.nfgen_family = family;
    more.version = NFNETLINK_V0;
  }
  Result<void> add(std::uint16_t type, std::string_view text) {
    return add(type, std::string(text).c_str(), text.size() + 1);
  }
  Result<void> add(std::uint16_t type, std::uint32_t number) {
    const std::uint32_t value = htonl(number);
    return add(type, &value, sizeof value);
  }

 private:
  Result<void> add(std::uint16_t type, const void* data, std::size_t length) {
    if (size + NLA_ALIGN(NLA_HDRLEN + length) > bytes.size())
      return Status{400, "BadRequest", "nftables: the name is too long"};
    const nlattr head{static_cast<std::uint16_t>(NLA_HDRLEN + length), type};
    std::memcpy(bytes.data() + size, &head, sizeof head);
    std::memcpy(bytes.data() + size + NLA_HDRLEN, data, length);
    size += NLA_ALIGN(head.nla_len);
    return {};
  }
};

using Attributes = std::span<const char>;

// What an attribute holds; nothing (of no length) when it is not among them.
Attributes find(Attributes attributes, std::uint16_t wanted) {
  while (attributes.size() >= NLA_HDRLEN) {
    nlattr head;
    std::memcpy(&head, attributes.data(), sizeof head);
    if (head.nla_len < NLA_HDRLEN || head.nla_len > attributes.size()) break;
    if ((head.nla_type & NLA_TYPE_MASK) == wanted)
      return attributes.subspan(NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(head.nla_len), attributes.size()));
  }
  return {};
}

struct Answer {
  alignas(NLMSG_ALIGNTO) std::array<char, 8192> bytes;
  Attributes attributes;  // of the one message that answers
};

// `what` is asked for: "chain".
Result<void> ask(int fd, Request& request, int wanted, std::string_view what, Answer& answer) {
  reinterpret_cast<nlmsghdr*>(request.bytes.data())->nlmsg_len = static_cast<std::uint32_t>(request.size);
  // A late answer to an earlier question is not this one's.
  while (::recv(fd, answer.bytes.data(), answer.bytes.size(), MSG_DONTWAIT) > 0) {
  }
  if (::send(fd, request.bytes.data(), request.size, 0) < 0) return errno_error("nftables: ask", errno);
  const auto got = ::recv(fd, answer.bytes.data(), answer.bytes.size(), 0);
  if (got < 0) return errno_error("nftables: the answer", errno);
  const auto& head = *reinterpret_cast<const nlmsghdr*>(answer.bytes.data());
  if (static_cast<std::size_t>(got) < NLMSG_HDRLEN || head.nlmsg_len > static_cast<std::size_t>(got))
    return internal_error("nftables: a short answer");
  if (head.nlmsg_type == NLMSG_ERROR) {
    const int error = -reinterpret_cast<const nlmsgerr*>(answer.bytes.data() + NLMSG_HDRLEN)->error;
    if (error == ENOENT) return Status{404, "NotFound", fmt::format("nftables: there is no such {}", what)};
    return errno_error("nftables", error);
  }
  if (head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | wanted) || head.nlmsg_len < kHead)
    return internal_error(kOtherAnswer);
  answer.attributes = Attributes(answer.bytes).subspan(kHead, head.nlmsg_len - kHead);
  return {};
}

template <typename Number>  // as the message has it, most significant byte first
Result<Number> number(Attributes value) {
  Number out;
  if (value.size() != sizeof out) return internal_error(kOtherAnswer);
  std::memcpy(&out, value.data(), sizeof out);
  return out;
}

Result<std::uint32_t> ask_number(int fd, Request& request, int wanted, std::string_view what,
                                 std::uint16_t attribute) {
  Answer answer;
  RN_CHECK(ask(fd, request, wanted, what, answer));
  RN_TRY(const auto value, number<std::uint32_t>(find(answer.attributes, attribute)));
  return ntohl(value);
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
  return ask_number(fd_, request, NFT_MSG_NEWGEN, "generation", NFTA_GEN_ID);
}

Result<std::uint32_t> NftState::table_flags(std::string_view table) const {
  Request request(NFT_MSG_GETTABLE, NFPROTO_INET);
  RN_CHECK(request.add(NFTA_TABLE_NAME, table));
  return ask_number(fd_, request, NFT_MSG_NEWTABLE, "table", NFTA_TABLE_FLAGS);
}

Result<std::uint32_t> NftState::chain_uses(std::string_view table, std::string_view chain) const {
  Request request(NFT_MSG_GETCHAIN, NFPROTO_INET);
  RN_CHECK(request.add(NFTA_CHAIN_TABLE, table));
  RN_CHECK(request.add(NFTA_CHAIN_NAME, chain));
  return ask_number(fd_, request, NFT_MSG_NEWCHAIN, "chain", NFTA_CHAIN_USE);
}

Result<std::uint64_t> NftState::counted_packets(std::string_view table, std::string_view counter) const {
  Request request(NFT_MSG_GETOBJ, NFPROTO_INET);
  RN_CHECK(request.add(NFTA_OBJ_TABLE, table));
  RN_CHECK(request.add(NFTA_OBJ_NAME, counter));
  RN_CHECK(request.add(NFTA_OBJ_TYPE, std::uint32_t{NFT_OBJECT_COUNTER}));
  Answer answer;
  RN_CHECK(ask(fd_, request, NFT_MSG_NEWOBJ, "counter", answer));
  const auto packets = find(find(answer.attributes, NFTA_OBJ_DATA), NFTA_COUNTER_PACKETS);
  RN_TRY(const auto count, number<std::uint64_t>(packets));
  return be64toh(count);
}

Result<bool> has_rules(const NetworkNamespace& where, std::string_view table, std::string_view chain) {
  RN_TRY(const auto state, NftState::open(where));
  const auto uses = state.chain_uses(table, chain);
  if (!uses && uses.error().reason == "NotFound") return false;
  if (!uses) return uses.error();
  return *uses > 0;
}

}  // namespace rusternetes::network
