#include "network/nft_events.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

namespace rusternetes::network {

Result<NftEvents> NftEvents::open(const NetworkNamespace& where) {
  RN_TRY(auto socket, EventSocket::open(where, NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1)));
  return NftEvents(std::move(socket));
}

}  // namespace rusternetes::network
