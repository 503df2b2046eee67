#pragma once
// Sockets of a node's or Pod's network: one stays in the namespace that it was made in, wherever it is used.

#include "http/client.h"
#include "http/listen.h"
#include "network/namespace.h"

namespace rusternetes::kubelet {

// A non-blocking TCP socket of `family` (AF_INET or AF_INET6), made in `where`. Blocking, for some microseconds.
Result<http::Descriptor> tcp_socket_in(const network::NetworkNamespace& where, int family);
// The same for http's clients.
http::OpenSocket sockets_in(network::NetworkNamespace where);

}  // namespace rusternetes::kubelet
