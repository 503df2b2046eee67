#pragma once
// What a connection's first bytes say about who is to serve it. Pure.

#include <cstddef>
#include <string_view>

namespace rusternetes::rhino {

enum class FirstBytes {
  undecided,  // more are needed
  grpc,
  http,  // also whatever is neither: the HTTP server has the words to refuse it
};

// More than the largest TLS record; who has not said by then what it is belongs to HTTP.
inline constexpr std::size_t most_first_bytes = 18 * 1024;

// Plain text: HTTP/2 with prior knowledge (RFC 9113, 3.4) is gRPC.
FirstBytes classify_plain(std::string_view bytes);

// TLS: a ClientHello (RFC 8446, 4.1.2) whose ALPN list (RFC 7301) names h2 and does not name http/1.1 is
// gRPC. Browsers, curl and Go's HTTP client name both, gRPC's libraries h2 alone, and who names nothing
// speaks HTTP/1.1.
FirstBytes classify_tls(std::string_view bytes);

// The first byte of a TLS record with a handshake, which no HTTP begins with.
inline constexpr char tls_handshake = 0x16;

}  // namespace rusternetes::rhino
