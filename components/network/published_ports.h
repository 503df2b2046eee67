#pragma once
// Ports of the host that stand for ports of a node that is a namespace of its own: what others, and the host by any of
// its addresses but loopback's, send there is translated to the node's address, with the client's address kept. A
// connection to a loopback address cannot be, without opening loopback to the node; a forwarder takes those.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"
#include "network/rule_table.h"

namespace rusternetes::network {

struct PublishedPort {  // of TCP
  std::uint16_t host_port = 0;
  std::uint16_t node_port = 0;
  bool operator==(const PublishedPort&) const = default;
  // "8080:30080"; BadRequest for anything else.
  static Result<PublishedPort> parse(std::string_view text);
  std::string to_string() const;
};

struct PublishedPorts {
  std::string cluster;
  std::vector<IpAddress> node_addresses;  // at most one of each family; the host's addresses of that family are meant
  std::vector<PublishedPort> ports;
  std::string links = {};  // the cluster's own (names.h), where they do not have its names
};

RuleTable published_table(const PublishedPorts& wanted);

// Replaces the cluster's translations in one transaction; connections keep theirs. What comes from the cluster's own
// links is left to the host's sockets, since the answer would not come back by the host. Without ports nothing is loaded.
Result<> load_published_ports(const NetworkNamespace& host, const PublishedPorts& wanted);
// Whether there is a table of them.
Result<bool> has_published_ports(const NetworkNamespace& host, std::string_view cluster);
Result<> remove_published_ports(const NetworkNamespace& host, std::string_view cluster);  // absent is success

}  // namespace rusternetes::network
