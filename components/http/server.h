#pragma once
// The HTTP server: HTTP/2 (nghttp2) and HTTP/1.1 (Beast) behind one small exchange, over TLS 1.2 and 1.3 with
// ALPN, or in plain text on loopback and unix sockets. Connections are spread over the given executors and
// stay on theirs.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "http/message.h"

struct ssl_ctx_st;

namespace rusternetes::http {

// Who is at the other end.
struct Peer {
  std::string address;  // "127.0.0.1:4711", or "unix"
  bool is_tls = false;
  // DER of the client's certificate chain, leaf first, only if it verified against ServerTls::client_ca_pem.
  std::vector<std::string> verified_chain;
  bool is_loopback = false;
};

// One request and its response, whatever the version. Everything is called from the executor that runs the
// handler. The handler's coroutine is cancelled when the client goes away or the stream is reset.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const RequestHead& head() const = 0;
  virtual const Peer& peer() const = 0;
  // "HTTP/1.1" or "HTTP/2.0".
  virtual std::string_view protocol() const = 0;

  // The whole body; 413 RequestEntityTooLarge beyond `limit` bytes.
  virtual Task<Result<std::string>> read_body(std::size_t limit) = 0;
  // The next piece of the body, empty at its end.
  virtual Task<Result<std::string>> read_some() = 0;
  // Reading the body fails with 504 Timeout from then on.
  void set_body_deadline(std::chrono::steady_clock::time_point deadline) { body_deadline_ = deadline; }

  // A whole response. `content-length` is set here; the body of HEAD, 204 and 304 is not sent.
  virtual Task<Result<void>> respond(ResponseHead head, std::vector<Slice> body) = 0;
  // A streamed response: begin, write until back-pressure lets go, finish. Error: the client is gone.
  virtual Task<Result<void>> begin(ResponseHead head) = 0;
  virtual Task<Result<void>> write(std::vector<Slice> body) = 0;
  virtual Task<Result<void>> finish() = 0;

  // Sends `head` (101 in HTTP/1.1) and hands the connection over. HTTP/2: an error.
  virtual Task<Result<std::unique_ptr<ByteStream>>> upgrade(ResponseHead head) = 0;

  bool has_begun() const { return has_begun_; }

 protected:
  bool has_begun_ = false;
  std::chrono::steady_clock::time_point body_deadline_ = std::chrono::steady_clock::time_point::max();
};

using Handler = std::function<Task<>(std::shared_ptr<Exchange>)>;

struct ServerTls {
  std::string certificate_chain_pem;
  std::string private_key_pem;
  // Clients may present a certificate; one that does not verify against this is refused in the handshake.
  // Empty: none is asked for.
  std::string client_ca_pem;
};

// Bounds of design (Kubernetes' own numbers).
struct ServerLimits {
  std::size_t header_bytes = 1 << 20;
  std::uint32_t concurrent_streams = 100;
  std::size_t connections = 10'000;  // who comes then waits in the kernel's queue
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds header_timeout{32'000};
  std::chrono::milliseconds idle_timeout{180'000};
  std::chrono::milliseconds write_timeout{60'000};  // a peer that takes no byte for so long goes, before upgrade()
};

class Server {
 public:
  struct Options {
    std::string name = "http";
    std::vector<asio::any_io_executor> executors;  // one a thread; connections are dealt out in turn
    Handler handler;
    ServerLimits limits;
  };
  // The executors outlive the server; stop() before the end, so that no handler runs on.
  explicit Server(Options options);
  ~Server();

  // Binds and listens. Port 0 takes a free one. Returns the port. May be called for several addresses, before
  // start().
  Result<std::uint16_t> listen_tls(const std::string& address, std::uint16_t port, const ServerTls& tls);
  Result<std::uint16_t> listen_plain(const std::string& address, std::uint16_t port);
  // The socket file gets `mode` (0600) before the first connection; an old socket file is replaced.
  Result<void> listen_unix(const std::string& path, unsigned mode = 0600);
  // Takes an already bound and listening socket (made in another network namespace); owns the descriptor.
  Result<void> adopt_listener(int fd, std::optional<ServerTls> tls);
  // Takes a connection that was accepted elsewhere and of which nothing has been read; owns the descriptor.
  // `tls` is a context of make_server_context() (http/tls.h), none: plain text. Never waits: before start(),
  // while the server stops and beyond ServerLimits::connections it is closed. From any thread.
  void adopt_connection(int fd, std::shared_ptr<ssl_ctx_st> tls);
  // New connections get these certificates from now on; from any thread.
  Result<void> reload_tls(const ServerTls& tls);

  void start();
  // No new connections, GOAWAY / `Connection: close`, then waits until running exchanges end or `grace` is
  // over, and closes what is left. From any executor.
  Task<> stop(std::chrono::milliseconds grace);

  std::size_t open_connections() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace rusternetes::http
