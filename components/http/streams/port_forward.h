#pragma once
// The server's end of port-forward, whatever was negotiated: SPDY ("portforward.k8s.io"), the same SPDY in a
// WebSocket tunnel, or the WebSocket channels of old, two for each port that the request names. Belongs to
// one executor.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/streams/remote_command.h"
#include "http/streams/websocket_connection.h"

namespace rusternetes::http {

// One connection that the client wants to a port.
struct ForwardedConnection {
  std::uint16_t port = 0;
  std::string request_id;
  std::shared_ptr<MultiplexedStream> data;   // both ways
  std::shared_ptr<MultiplexedStream> error;  // text for the client, before its end
};

class PortForward {
 public:
  // `ports` are the request's "port" parameters, which only WebSocket channels use. Answers the request, with
  // 101 or with what is wrong with it (which is returned too). close() follows in the end, always.
  static Task<Result<std::unique_ptr<PortForward>>> accept(std::shared_ptr<Exchange> exchange,
                                                           std::vector<std::string> ports,
                                                           StreamTimeouts timeouts = {});

  // The next connection; nothing when no more can come, since the client is gone or since all of its ports
  // were told.
  Task<std::optional<ForwardedConnection>> next();
  bool is_gone() const { return !connection_->is_open(); }
  // For one coroutine, and not beside next().
  Task<> wait_gone() { return connection_->wait_closed(); }
  Task<> close(std::chrono::milliseconds grace = std::chrono::seconds(10));
  void hurry();  // Multiplexer::hurry()

 private:
  struct Pair {
    ForwardedConnection streams;
    std::chrono::steady_clock::time_point deadline;
  };

  static bool is_acceptable(const Headers& headers);
  static Task<Result<std::unique_ptr<PortForward>>> accept_channels(std::shared_ptr<Exchange> exchange,
                                                                    std::vector<std::string> ports,
                                                                    StreamTimeouts timeouts);
  void use_spdy(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream, StreamTimeouts timeouts);
  Task<std::optional<ForwardedConnection>> add(std::shared_ptr<MultiplexedStream> stream);
  Task<> drop_late_pairs();

  StreamTimeouts timeouts_;
  std::shared_ptr<Multiplexer> connection_;
  std::shared_ptr<SpdyConnection> spdy_;         // none with channels
  std::shared_ptr<WebSocketConnection> tunnel_;  // below spdy_
  std::shared_ptr<WebSocketConnection> channels_;
  std::map<std::string, Pair> pairs_;  // by request id, until both streams are there
  std::vector<std::uint16_t> ports_;   // of channels
  std::size_t told_ = 0;
};

// The request's "port" parameters, each a list: BadRequest in the kubelet's words.
Result<std::vector<std::uint16_t>> parse_forwarded_ports(const std::vector<std::string>& values);

}  // namespace rusternetes::http
