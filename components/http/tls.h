#pragma once
// OpenSSL contexts of servers and clients: TLS 1.2 and 1.3, AEAD ciphers that HTTP/2 allows, ALPN, session
// tickets. Internal to this folder, but for make_server_context(): who hands connections to
// Server::adopt_connection() brings the context.

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "http/client.h"
#include "http/server.h"

namespace rusternetes::http {

using SslContext = std::shared_ptr<SSL_CTX>;

// Tickets of sessions with a client certificate are not taken back: such a client is verified in each
// handshake.
Result<SslContext> make_server_context(const ServerTls& tls);
Result<SslContext> make_client_context(const ClientTls& tls);

// Makes a client's handshake check the server's certificate against `server_name` (a name or an address).
Result<void> expect_server_name(SSL* ssl, const std::string& server_name);

// DER of the verified chain, leaf first; empty without a client certificate.
std::vector<std::string> verified_chain(SSL* ssl);

// What OpenSSL's error queue says, in one line; clears it.
std::string openssl_errors();

}  // namespace rusternetes::http
