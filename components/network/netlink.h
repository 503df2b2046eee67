#pragma once
// Links, addresses and routes of one namespace through libnl. A socket stays in the namespace in which it was
// opened, so a caller can hold one of the host, one of a node and one of a Pod at the same time on one
// thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"
#include "network/namespace.h"

struct nl_sock;

namespace rusternetes::network {

struct Link {
  int index = 0;
  std::string name;
  std::string alias;
  std::string kind;  // "veth", "bridge"; empty for hardware and lo
  int mtu = 0;
  bool is_up = false;       // as asked for
  bool is_running = false;  // and as it is: packets get through
  std::uint32_t group = 0;  // a mark that `ip link` and nftables' iifgroup know
  int peer_index = 0;       // of a veth: the other end's index in its namespace; 0 for none
};

struct InterfaceAddress {
  int index = 0;                  // of the link
  IpPrefix local;                 // with the link's prefix length; of a point-to-point address a host prefix
  std::optional<IpAddress> peer;  // of a point-to-point address; IPv4 only, as libnl sets no other
};

// The numbers are the kernel's (linux/rtnetlink.h).
struct Route {
  IpPrefix destination;
  std::optional<IpAddress> gateway;
  int index = 0;           // of the outgoing link; 0 lets the kernel find it by the gateway
  std::uint8_t scope = 0;  // RT_SCOPE_UNIVERSE; RT_SCOPE_LINK (253) for what is reached without a gateway
  std::uint8_t type = 1;   // RTN_UNICAST
  std::uint8_t protocol = route_protocol;
  std::uint32_t table = 254;  // RT_TABLE_MAIN
  std::uint32_t metric = 0;   // smaller wins; IPv6 makes 1024 of 0
  bool is_onlink = false;     // the gateway need not look reachable
  std::optional<IpAddress> source;

  // Marks routes as made by this project; unused in iproute2's rt_protos.
  static constexpr std::uint8_t route_protocol = 82;
};

struct VethRequest {
  std::string name;
  std::string peer_name;
  const NetworkNamespace* peer_namespace = nullptr;  // null: the same
  int mtu = 0;                                       // of both; 0: the kernel's 1500
  std::string alias;
};

class Netlink {
 public:
  static Result<Netlink> open();  // in the calling thread's namespace
  static Result<Netlink> open(const NetworkNamespace& where);

  Result<std::vector<Link>> links();
  Result<std::optional<Link>> find_link(std::string_view name);
  // Fails with AlreadyExists if there is a link of either name.
  Result<> create_veth(const VethRequest& request);
  Result<> create_bridge(const std::string& name, const std::string& alias);
  Result<> set_up(std::string_view name);
  // A link whose other end came up just now still drops packets until the kernel's link watcher has seen it:
  // the first ARP answer would be lost and cost a second. Returns once the link runs; fails with Timeout
  // after `limit`.
  Result<> wait_until_running(std::string_view name,
                              std::chrono::milliseconds limit = std::chrono::seconds{2});
  Result<> set_mtu(std::string_view name, int mtu);
  Result<> set_alias(std::string_view name, const std::string& alias);
  Result<> set_group(std::string_view name, std::uint32_t group);
  Result<> rename_link(std::string_view name, const std::string& new_name);  // the link must be down
  Result<> delete_link(std::string_view name);                               // absent is success
  // Deletes every link whose name begins so, and returns their names.
  Result<std::vector<std::string>> delete_links(std::string_view prefix);

  Result<std::vector<InterfaceAddress>> addresses();
  Result<> ensure_address(const InterfaceAddress& address);  // present is success
  Result<> delete_address(const InterfaceAddress& address);  // absent is success

  // Every table and both families, with the kernel's own (local, broadcast) routes.
  Result<std::vector<Route>> routes();
  // Replaces a route of the same destination, table and metric.
  Result<> ensure_route(const Route& route);
  Result<> delete_route(const Route& route);  // absent is success

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  struct Refusal;  // what the kernel said last
  Netlink(NetworkNamespace where, nl_sock* socket);
  Result<> change_link(std::string_view name, void* changes, std::string_view what);
  Status failure(std::string_view what, int error) const;

  NetworkNamespace where_;
  std::shared_ptr<Refusal> refusal_;  // the socket's callback points to it
  std::unique_ptr<nl_sock, Close> socket_;
};

// The link by which a namespace reaches the outside: that of the default route with the least metric.
struct Uplink {
  Link link;
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> source;  // the link's first address of the family
};
Result<std::optional<Uplink>> find_uplink(const NetworkNamespace& where, int family);
// The uplink's MTU in bytes, or 1500 where there is none.
Result<int> uplink_mtu(const NetworkNamespace& where);

// Every range in use in a namespace by a route or an interface (loopback, link-local and default routes left
// out): what a new cluster's ranges must not overlap.
Result<std::vector<IpPrefix>> used_prefixes(const NetworkNamespace& where);

}  // namespace rusternetes::network
