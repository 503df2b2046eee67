#pragma once
// One question to one server, over UDP and, when the answer does not fit there, over TCP. Each question has
// an id, a socket and thus a source port of its own, and takes an answer only from whom it asked and to what
// it asked (RFC 5452).

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "dns/message.h"
#include "network/namespace.h"

namespace rusternetes::dns {

struct ServerAddress {
  asio::ip::address address;
  std::uint16_t port = 53;
  bool operator==(const ServerAddress&) const = default;
  std::string to_string() const;  // "10.0.0.1:53", "[fd00::1]:53"
};

// "10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]:5353", "fe80::1%eth0". BadRequest otherwise.
Result<ServerAddress> parse_server(std::string_view text);
// The nameservers of a resolv.conf(5), each once, at most 15; what cannot be read there is passed over.
std::vector<ServerAddress> parse_resolv_conf(std::string_view text);

struct Question {
  std::string name;  // wire form, lower case
  std::uint16_t type = 0, klass = class_in;
  bool wants_dnssec = false, disables_checking = false;
};

struct Exchanged {
  std::string message;
  Walk walk;
};

struct ExchangeOptions {
  std::chrono::steady_clock::time_point deadline;
  bool has_edns = true;
  // Where sockets are made; none: where the thread is.
  std::optional<network::NetworkNamespace> name_space;
};

// The answer, whatever its code. Errors: nothing in time (504 Timeout), nobody there, nonsense; NoSocket when it
// was not asked, for want of a descriptor here, which says nothing of the server. A truncated answer comes back only if TCP did not work either.
Task<Result<Exchanged>> exchange(ServerAddress server, Question question, ExchangeOptions options);

// Bytes nobody can guess.
std::uint64_t unguessable();

}  // namespace rusternetes::dns
