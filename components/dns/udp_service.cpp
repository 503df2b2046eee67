#include "dns/udp_service.h"

#include <netinet/in.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace rusternetes::dns {

using asio::ip::udp;

namespace {
constexpr int batch_size = 32;
constexpr int most_batches = 16;  // before others of the thread have their turn
}  // namespace

struct UdpService::Batch {
  std::array<mmsghdr, batch_size> in{}, out{};
  std::array<iovec, batch_size> in_parts{}, out_parts{};
  std::array<Peer, batch_size> peers{};
  std::array<std::array<char, most_query>, batch_size> queries;
  std::array<std::string, batch_size> answers;
};

UdpService::UdpService(asio::any_io_executor executor, Responder& responder, ListenSockets::Pair& sockets)
    : responder_(responder),
      socket_(std::make_shared<udp::socket>(executor, sockets.address.is_v4() ? udp::v4() : udp::v6(),
                                            sockets.udp.release())),
      batch_(std::make_unique<Batch>()) {}

UdpService::~UdpService() = default;

Task<> UdpService::run() {
  const auto executor = socket_->get_executor();
  for (;;) {
    co_await socket_->async_wait(udp::socket::wait_read, asio::use_awaitable);
    int batches = 0;
    for (;;) {
      const int count = receive();
      if (count > 0) answer(count);
      if (count < batch_size) break;
      if (++batches % most_batches == 0) co_await asio::post(executor, asio::use_awaitable);
    }
  }
}

int UdpService::receive() {
  Batch& batch = *batch_;
  for (int i = 0; i < batch_size; ++i) {
    Peer& peer = batch.peers[i];
    batch.in_parts[i] = {batch.queries[i].data(), most_query};
    batch.in[i].msg_hdr = {};
    batch.in[i].msg_hdr.msg_name = &peer.name;
    batch.in[i].msg_hdr.msg_namelen = sizeof peer.name;
    batch.in[i].msg_hdr.msg_iov = &batch.in_parts[i];
    batch.in[i].msg_hdr.msg_iovlen = 1;
    batch.in[i].msg_hdr.msg_control = peer.control;
    batch.in[i].msg_hdr.msg_controllen = sizeof peer.control;
  }
  // Errors are those of single peers (ICMP); the next call goes on after them.
  return ::recvmmsg(socket_->native_handle(), batch.in.data(), batch_size, MSG_DONTWAIT, nullptr);
}

namespace {
// What the kernel told of the address that was asked, as it wants to be told where to answer from: on any
// interface, unless the address is good on one alone.
void prepare_control(msghdr& header) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      reinterpret_cast<in_pktinfo*>(CMSG_DATA(part))->ipi_ifindex = 0;
      return;
    }
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      auto& info = *reinterpret_cast<in6_pktinfo*>(CMSG_DATA(part));
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      return;
    }
  }
  header.msg_controllen = 0;
}
}  // namespace

void UdpService::answer(int count) {
  Batch& batch = *batch_;
  int answers = 0;
  for (int i = 0; i < count; ++i) {
    msghdr& header = batch.in[i].msg_hdr;
    if (header.msg_flags & MSG_TRUNC) continue;
    prepare_control(header);
    const std::string_view message(batch.queries[i].data(), batch.in[i].msg_len);
    const bool is_v6 = batch.peers[i].name.ss_family == AF_INET6;
    const auto outcome = responder_.answer(message, Transport::udp, is_v6, batch.answers[i]);
    if (outcome == Responder::Outcome::answered) {
      batch.out_parts[answers] = {batch.answers[i].data(), batch.answers[i].size()};
      batch.out[answers].msg_hdr = header;
      batch.out[answers].msg_hdr.msg_flags = 0;
      batch.out[answers].msg_hdr.msg_iov = &batch.out_parts[answers];
      ++answers;
    } else if (outcome == Responder::Outcome::later) {
      auto peer = std::make_shared<Peer>(batch.peers[i]);
      peer->size = header.msg_namelen;
      peer->control_size = header.msg_controllen;
      responder_.answer_later(message, Transport::udp, is_v6,
                              [this, peer](std::string answer) { send_one(answer, *peer); });
    }
  }
  send(answers);
}

// What the kernel has no room for is lost, as datagrams are; clients ask again.
void UdpService::send(int count) {
  for (int sent = 0; sent < count;) {
    const int now = ::sendmmsg(socket_->native_handle(), batch_->out.data() + sent,
                               static_cast<unsigned>(count - sent), MSG_DONTWAIT);
    sent += now > 0 ? now : 1;  // the first of them failed: the others may not
  }
}

void UdpService::send_one(const std::string& answer, Peer& peer) {
  iovec part{const_cast<char*>(answer.data()), answer.size()};
  msghdr header{};
  header.msg_name = &peer.name;
  header.msg_namelen = peer.size;
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = peer.control_size ? peer.control : nullptr;
  header.msg_controllen = peer.control_size;
  ::sendmsg(socket_->native_handle(), &header, MSG_DONTWAIT);
}

}  // namespace rusternetes::dns
