#pragma once
// The server's end of exec and attach, whatever was negotiated: SPDY with the stream protocols v4 to v1, or
// WebSocket with the channel protocols v5, v4 and those before (raw and base64). Belongs to one executor.

#include <memory>
#include <optional>
#include <string>

#include "http/server.h"
#include "http/streams/remote_status.h"
#include "http/streams/spdy_connection.h"

namespace rusternetes::http {

struct RemoteCommandOptions {
  bool has_stdin = false, has_stdout = false, has_stderr = false, has_tty = false;
};

struct StreamTimeouts {
  std::chrono::milliseconds idle{std::chrono::hours(4)};  // no byte either way
  std::chrono::milliseconds creation{30'000};             // until the client has opened the streams it needs
};

class RemoteCommand {
 public:
  // Answers the request, with 101 or with what is wrong with it (which is returned too). close() follows in
  // the end, always.
  static Task<Result<std::unique_ptr<RemoteCommand>>> accept(std::shared_ptr<Exchange> exchange,
                                                             RemoteCommandOptions options,
                                                             StreamTimeouts timeouts = {});

  // Waits until the client has opened its streams; nothing else may be used before.
  Task<Result<void>> open();

  const std::string& protocol() const { return protocol_; }
  // None that was not asked for. Reading stdin ends with the client's half, and with an error when the client
  // is gone.
  ByteStream* stdin_stream() { return stdin_.get(); }
  ByteStream* stdout_stream() { return stdout_.get(); }
  ByteStream* stderr_stream() { return stderr_.get(); }
  // The terminal's next size; nothing when there will be no more.
  Task<std::optional<TerminalSize>> next_size();

  bool is_gone() const { return !connection_->is_open(); }
  // Until the client has gone, or was idle for too long. For one coroutine.
  Task<> wait_gone() { return connection_->wait_closed(); }
  const Status& why_gone() const { return connection_->why_closed(); }

  // Ends the outgoing streams and tells how it ended.
  Task<Result<void>> finish(RemoteStatus status);
  Task<> close(std::chrono::milliseconds grace = std::chrono::seconds(10)) {
    return connection_->close(grace);
  }
  void hurry() { connection_->hurry(); }

 private:
  RemoteCommand(std::string protocol, RemoteCommandOptions options)
      : protocol_(std::move(protocol)), options_(options) {}
  std::shared_ptr<MultiplexedStream>* slot(std::string_view type);
  std::size_t wanted_streams() const;

  std::string protocol_;
  RemoteCommandOptions options_;
  std::chrono::milliseconds creation_timeout_{};
  std::shared_ptr<Multiplexer> connection_;
  std::shared_ptr<SpdyConnection> spdy_;  // none for WebSocket
  std::shared_ptr<MultiplexedStream> stdin_, stdout_, stderr_, error_, resize_;
  ResizeDecoder sizes_;
};

}  // namespace rusternetes::http
