#pragma once
// Reaching an endpoint: its URL, name resolution, connect(), the TLS handshake. Internal to this folder.

#include <sys/socket.h>

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

// Connects the transport's non-blocking socket: 0, or what errno says of it, ETIMEDOUT at `deadline`, which is the
// transport's own from then on and closes it.
Task<int> connect_transport(std::shared_ptr<Transport> transport, const sockaddr* to, socklen_t length,
                            Transport::Time deadline);

// Tries each address the name has until one connects, within `timeout` for all. `alpn` is "h2,http/1.1" in
// wire form; empty: not offered. `open_socket` may be empty (http/client.h).
Task<Result<std::shared_ptr<Transport>>> connect(asio::any_io_executor executor, Address address,
                                                 std::shared_ptr<ClientTlsState> tls, std::string alpn,
                                                 std::chrono::milliseconds timeout, OpenSocket open_socket = {});

}  // namespace rusternetes::http
