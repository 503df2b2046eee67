#pragma once
// The HTTP client: a pool of connections to one endpoint, over TLS (HTTP/2 where ALPN gives it, else
// HTTP/1.1), plain TCP or a unix socket (HTTP/1.1). Belongs to one executor.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "http/message.h"

namespace rusternetes::http {

struct ClientTls {
  std::string ca_pem;                 // empty: the host's authorities
  std::string certificate_chain_pem;  // empty: no client certificate
  std::string private_key_pem;
  std::string server_name;  // checked against the certificate; empty: the endpoint's host
  bool insecure_skip_verify = false;
};

struct Endpoint {
  // "https://10.0.0.1:6443", "http://127.0.0.1:8080" or "unix:///run/docker.sock".
  std::string url;
  ClientTls tls;
};

// A non-blocking TCP socket of that address family, AF_INET or AF_INET6, for a client of another network namespace than
// this thread's.
using OpenSocket = std::function<Result<int>(int family)>;

struct ClientOptions {
  std::chrono::milliseconds connect_timeout{5'000};  // with the TLS handshake
  std::chrono::milliseconds header_timeout{0};       // until the response's head; 0: none
  std::chrono::milliseconds idle_timeout{90'000};    // a pooled connection's rest
  std::size_t max_idle_connections = 8;
  bool allow_http2 = true;
  // Over plain TCP: HTTP/2 from the first byte on, without asking (RFC 9113, 3.3).
  bool has_prior_knowledge = false;
  OpenSocket open_socket;  // empty: in this thread's namespace
  // HTTP/2: PING after so long without a frame, and the connection ends when none answers for as long again.
  std::chrono::milliseconds ping_interval{30'000};
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;
  std::string body;
};

// The response's head has arrived; the body is read as it comes. Destroying it abandons the rest (RST_STREAM,
// or the connection is closed).
class ClientResponse {
 public:
  virtual ~ClientResponse() = default;
  virtual const ResponseHead& head() const = 0;
  // At least one byte, or empty at the end.
  virtual Task<Result<std::string>> read_some() = 0;
  // HTTP/2, after the end of the body: the trailer fields. Empty otherwise.
  virtual const Headers& trailers() const;
  // The rest; an error beyond `limit` bytes.
  Task<Result<std::string>> read_all(std::size_t limit);
  // After 101 (HTTP/1.1): the connection itself, with what was read too far already in front.
  virtual Result<std::unique_ptr<ByteStream>> take_stream() = 0;
};

class Client {
 public:
  // Reads the endpoint's certificates now: a bad key or URL is an error here. Connects on first use.
  static Result<std::unique_ptr<Client>> create(asio::any_io_executor executor, Endpoint endpoint,
                                                ClientOptions options = {});
  // Closes, on the executor, which must outlive it.
  virtual ~Client() = default;
  // A connection found dead before a byte of the response came is replaced, for a request that is safe to
  // repeat (a pooled connection that the server had closed), and so is one whose server says that it did
  // nothing (GOAWAY, REFUSED_STREAM), for any; three tries in all. A failure to connect has reason
  // "ConnectionRefused" when the endpoint refused, "ConnectionFailed" otherwise; a connection that breaks
  // later "ConnectionLost"; header_timeout "Timeout". A request with an `upgrade` field always goes over
  // HTTP/1.1.
  virtual Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request) = 0;
  // Closes every connection; requests under way fail.
  virtual void close() = 0;
};

}  // namespace rusternetes::http
