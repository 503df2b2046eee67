#pragma once
// Tells that something in a namespace's nftables rules has changed, whoever changed it (nfnetlink's own
// group).

#include "network/event_socket.h"

namespace rusternetes::network {

class NftEvents : public EventSocket {
 public:
  static Result<NftEvents> open(const NetworkNamespace& where);

 private:
  explicit NftEvents(EventSocket socket) : EventSocket(std::move(socket)) {}
};

}  // namespace rusternetes::network
