#pragma once
// Tells that something in a namespace's links, addresses or routes has changed, whoever changed it.

#include "network/event_socket.h"

namespace rusternetes::network {

class RouteEvents : public EventSocket {
 public:
  static Result<RouteEvents> open(const NetworkNamespace& where);

 private:
  explicit RouteEvents(EventSocket socket) : EventSocket(std::move(socket)) {}
};

}  // namespace rusternetes::network
