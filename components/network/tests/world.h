#pragma once
// Namespaces made for a test, and TCP and UDP between them. The host of the machine that runs the tests is
// never touched: "host" is a namespace too.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"
#include "network/nft.h"

namespace rusternetes::network::testing {

// Why namespaces cannot be made here, if so.
const std::optional<std::string>& missing_privilege();
#define RN_NEEDS_NAMESPACES()                                  \
  if (const auto& rn_missing = testing::missing_privilege()) { \
    WARN("skipped: " << *rn_missing);                          \
    return;                                                    \
  }

IpAddress ip(const char* text);
IpPrefix range(const char* text);
NetworkNamespace new_namespace();

// A connected pair of sockets; `seen` is the client's address as the server sees it.
class Connection {
 public:
  // Listens on `address` in `server` and connects from `client`; fails the test unless both ends meet in two
  // seconds.
  Connection(const NetworkNamespace& server, const IpAddress& address, const NetworkNamespace& client);
  // The same with ports, to another address than that on which is listened (0: the server's).
  Connection(const NetworkNamespace& server, const IpAddress& address, std::uint16_t port, const NetworkNamespace& client,
             const IpAddress& target, std::uint16_t target_port);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // Bytes get through both ways within five seconds.
  bool works() const;
  IpAddress seen;

 private:
  int client_ = -1;
  int server_ = -1;
};

// Sends one UDP datagram to port 9 of `address`; false if the kernel refuses at once.
bool send_datagram(const NetworkNamespace& from, const IpAddress& address);

// Counts what reaches a namespace for a range, before anything else looks at it.
class ArrivalCounter {
 public:
  ArrivalCounter(NetworkNamespace where, const IpPrefix& range);
  int packets() const;

 private:
  NetworkNamespace where_;
};

// A veth between two namespaces with an address each, up.
void join(const NetworkNamespace& a, const std::string& a_name, const IpPrefix& a_address,
          const NetworkNamespace& b, const std::string& b_name, const IpPrefix& b_address, int mtu = 0);

// The namespace's links, addresses, routes and rules as text, to compare before with after.
std::string describe(const NetworkNamespace& where);
// The same by lines, sorted and without counts: a table that was loaded again stands behind the others.
std::vector<std::string> lines_of(const NetworkNamespace& where);

}  // namespace rusternetes::network::testing
