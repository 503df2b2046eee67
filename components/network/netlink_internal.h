#pragma once
// What netlink*.cpp share: owners of libnl's objects, and addresses to and from its own.

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>

#include <memory>
#include <optional>

#include "network/address.h"

namespace rusternetes::network::detail {

template <auto Free>
struct Releaser {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using LinkPtr = std::unique_ptr<rtnl_link, Releaser<rtnl_link_put>>;
using AddrPtr = std::unique_ptr<rtnl_addr, Releaser<rtnl_addr_put>>;
using RoutePtr = std::unique_ptr<rtnl_route, Releaser<rtnl_route_put>>;
using NlAddrPtr = std::unique_ptr<nl_addr, Releaser<nl_addr_put>>;
using CachePtr = std::unique_ptr<nl_cache, Releaser<nl_cache_free>>;

NlAddrPtr to_nl(const IpPrefix& prefix);
// None for an address that is neither IPv4 nor IPv6.
std::optional<IpPrefix> from_nl(nl_addr* address);

}  // namespace rusternetes::network::detail
