#include "network/route_events.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

namespace rusternetes::network {

Result<RouteEvents> RouteEvents::open(const NetworkNamespace& where) {
  RN_TRY(auto socket, EventSocket::open(where, NETLINK_ROUTE,
                                        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                            RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE));
  return RouteEvents(std::move(socket));
}

}  // namespace rusternetes::network
