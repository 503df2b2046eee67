#pragma once
// Listening sockets for etcd's listen URLs.

#include <cstdint>
#include <string>

#include "base/status.h"
#include "rhino/flags_values.h"

namespace rusternetes::rhino {

struct ListeningSocket {
  int fd = -1;  // non-blocking; the caller's
  Url url;      // with the port that was bound
};

struct ListenOptions {
  bool reuse_port = false;  // --socket-reuse-port
};

// Binds and listens. As Go does it: localhost is 127.0.0.1 (::1 without IPv4), the wildcard of either family
// takes both, an old socket file is replaced. Port 0: a free one.
Result<ListeningSocket> listen_on(const Url& url, ListenOptions options = {});

// What is written leaves at once, and a vanished peer is noticed.
void prepare_connection(int fd);

}  // namespace rusternetes::rhino
