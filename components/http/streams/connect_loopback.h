#pragma once
// A TCP connection to this host's loopback as a ByteStream, over a socket that somebody made: a socket
// belongs to the network namespace of the thread that made it, and may be used from any.

#include <chrono>
#include <cstdint>
#include <memory>

#include "http/listen.h"
#include "http/message.h"

namespace rusternetes::http {

// `socket` is a non-blocking TCP socket of `family` (AF_INET or AF_INET6). A failure has the words of Go's
// net.Dial, which kubectl's users know: "dial tcp4 127.0.0.1:80: connect: connection refused". Reading and
// writing know no deadline.
Task<Result<std::unique_ptr<ByteStream>>> connect_loopback(Descriptor socket, int family, std::uint16_t port,
                                                           std::chrono::milliseconds timeout);

}  // namespace rusternetes::http
