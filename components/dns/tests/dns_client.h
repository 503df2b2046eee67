#pragma once
// A resolver's side of the wire, over blocking sockets. Messages are made and read by ldns, so that our own
// code does not check itself.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "dns/message.h"

// After the standard library, whose names it takes for macros.
#include <ldns/ldns.h>

namespace rusternetes::dns::testing {

struct PacketFree {
  void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
};
using Packet = std::unique_ptr<ldns_pkt, PacketFree>;

struct Answer {
  Packet packet;
  std::string raw;
  int rcode = -1;
  bool is_truncated = false, is_authoritative = false;
  std::vector<std::string> answer, authority, additional;  // "web.default.svc.cluster.local. 5 IN A 10.0.0.1"
  std::string question;  // its name as it came back, without a change of case

  // The data of the answers of a type, sorted.
  std::vector<std::string> data(ldns_rr_type type) const {
    std::vector<std::string> out;
    const ldns_rr_list* list = ldns_pkt_answer(packet.get());
    for (std::size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
      const ldns_rr* rr = ldns_rr_list_rr(list, i);
      if (ldns_rr_get_type(rr) != type) continue;
      std::string text;
      for (std::size_t j = 0; j < ldns_rr_rd_count(rr); ++j) {
        char* part = ldns_rdf2str(ldns_rr_rdf(rr, j));
        text += (j ? " " : "") + std::string(part);
        std::free(part);
      }
      out.push_back(text);
    }
    std::ranges::sort(out);
    return out;
  }
};

inline std::vector<std::string> texts_of(const ldns_rr_list* list) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(list); ++i) {
    char* text = ldns_rr2str(ldns_rr_list_rr(list, i));
    std::string line = text;
    std::free(text);
    std::ranges::replace(line, '\t', ' ');
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    out.push_back(line);
  }
  return out;
}

inline Answer read_answer(std::string raw) {
  Answer out;
  ldns_pkt* packet = nullptr;
  REQUIRE(ldns_wire2pkt(&packet, reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()) ==
          LDNS_STATUS_OK);
  out.packet.reset(packet);
  out.rcode = ldns_pkt_get_rcode(packet);
  out.is_truncated = ldns_pkt_tc(packet);
  out.is_authoritative = ldns_pkt_aa(packet);
  CHECK(ldns_pkt_qr(packet));
  out.answer = texts_of(ldns_pkt_answer(packet));
  out.authority = texts_of(ldns_pkt_authority(packet));
  out.additional = texts_of(ldns_pkt_additional(packet));
  if (read16(&raw[4]) == 1) {
    std::size_t end = header_size;
    REQUIRE(read_name(raw, end, nullptr));
    out.question = name_to_text(std::string_view(raw).substr(header_size, end - header_size));
  }
  out.raw = std::move(raw);
  return out;
}

struct Ask {
  std::uint16_t id = 4711;
  std::uint16_t edns_size = 0;  // 0: none
  bool wants_dnssec = false;
  std::uint16_t klass = class_in;
};

// Not by ldns: it would not keep a name's case, nor write what is wrong on purpose.
inline std::string query(std::string_view name, std::uint16_t type, Ask ask = {}) {
  std::string out(header_size, '\0');
  write16(&out[0], ask.id);
  write16(&out[2], flag_recursion_desired);
  write16(&out[4], 1);
  std::string_view rest = name;
  while (!rest.empty() && rest != ".") {
    const auto label = rest.substr(0, rest.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    rest.remove_prefix(std::min(rest.size(), label.size() + 1));
  }
  out += '\0';
  char numbers[4];
  write16(numbers, type);
  write16(numbers + 2, ask.klass);
  out.append(numbers, 4);
  if (ask.edns_size == 0) return out;
  write16(&out[10], 1);
  char opt[11] = {0, 0, 41};
  write16(opt + 3, ask.edns_size);
  opt[7] = static_cast<char>(ask.wants_dnssec ? 0x80 : 0);
  return out.append(opt, sizeof opt);
}

// A connected socket on loopback.
class ClientSocket {
 public:
  ClientSocket(int kind, std::uint16_t port, std::uint32_t address = INADDR_LOOPBACK)
      : fd_(::socket(AF_INET, kind, 0)) {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(port);
    peer.sin_addr.s_addr = htonl(address);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0);
  }
  // By IPv6.
  ClientSocket(int kind, std::uint16_t port, const in6_addr& address) : fd_(::socket(AF_INET6, kind, 0)) {
    sockaddr_in6 peer{};
    peer.sin6_family = AF_INET6;
    peer.sin6_port = htons(port);
    peer.sin6_addr = address;
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0);
  }
  ~ClientSocket() { ::close(fd_); }
  ClientSocket(const ClientSocket&) = delete;
  void send(const std::string& bytes) {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()));
  }
  // Empty: nothing came in that time, or the end did.
  std::string receive(int timeout_ms = 10'000, std::size_t most = 65536) {
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, timeout_ms) != 1) return {};
    std::string out(most, '\0');
    const auto size = ::recv(fd_, out.data(), out.size(), 0);
    out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return out;
  }
  std::string receive_exactly(std::size_t size) {
    std::string out;
    while (out.size() < size) {
      const auto more = receive(10'000, size - out.size());
      if (more.empty()) break;
      out += more;
    }
    return out;
  }
  // Whether the other side is there does not matter.
  void try_send(const std::string& bytes) { (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  // The other side ends the connection within 10 seconds.
  bool is_closed() {
    pollfd wait{fd_, POLLIN, 0};
    char one;
    return ::poll(&wait, 1, 10'000) == 1 && ::recv(fd_, &one, 1, 0) <= 0;
  }
  void end_writing() { ::shutdown(fd_, SHUT_WR); }
  void send_framed(const std::string& message) {
    std::string out(2, '\0');
    write16(out.data(), static_cast<std::uint16_t>(message.size()));
    send(out + message);
  }
  std::string receive_framed() {
    const auto length = receive_exactly(2);
    REQUIRE(length.size() == 2);
    return receive_exactly(read16(length.data()));
  }

 private:
  int fd_;
};

}  // namespace rusternetes::dns::testing
