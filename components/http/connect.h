#pragma once
// Reaching an endpoint: its URL, name resolution, connect(), the TLS handshake. Internal to this folder.

#include <chrono>
#include <memory>
#include <string>

#include "http/client.h"
#include "http/tls.h"
#include "http/transport.h"

namespace rusternetes::http {

struct Address {
  bool is_tls = false;
  bool is_unix = false;
  std::string host;  // without brackets; the path of a unix socket
  std::uint16_t port = 0;
  std::string authority;  // what Host says
};

Result<Address> parse_url(const std::string& url);

// The client's side of TLS, made once for all of its connections.
struct ClientTlsState {
  SslContext context;
  std::string server_name;
  bool is_verified = true;
  std::shared_ptr<SSL_SESSION> session;  // the latest ticket
};

// Tries each address the name has until one connects, within `timeout` for all. `alpn` is "h2,http/1.1" in
// wire form; empty: not offered.
Task<Result<std::shared_ptr<Transport>>> connect(asio::any_io_executor executor, Address address,
                                                 std::shared_ptr<ClientTlsState> tls, std::string alpn,
                                                 std::chrono::milliseconds timeout);

}  // namespace rusternetes::http
