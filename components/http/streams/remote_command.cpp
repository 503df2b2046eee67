#include "http/streams/remote_command.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

#include "http/streams/upgrade.h"
#include "http/streams/websocket_connection.h"
#include "http/streams/websocket_handshake.h"

namespace rusternetes::http {
namespace {

constexpr const char* kV1 = "channel.k8s.io";
constexpr const char* kV2 = "v2.channel.k8s.io";
constexpr const char* kV3 = "v3.channel.k8s.io";
constexpr const char* kV4 = "v4.channel.k8s.io";
constexpr const char* kV5 = "v5.channel.k8s.io";
constexpr const char* kBase64 = "base64.channel.k8s.io";
constexpr const char* kV4Base64 = "v4.base64.channel.k8s.io";

constexpr std::size_t kMostStreams = 8;  // five have a use

enum Channel : std::size_t { kStdin, kStdout, kStderr, kError, kResize, kChannels };

Status unknown_protocol() { return Status{403, "Forbidden", ""}; }

// A client that offers v5 gets it, wherever in its list: the API server answers such a request itself and
// knows no other.
std::optional<std::string> choose(const std::vector<std::string>& offered) {
  if (std::find(offered.begin(), offered.end(), kV5) != offered.end()) return kV5;
  return choose_websocket_protocol(offered, {"", kV1, kBase64, kV4, kV4Base64});
}

}  // namespace

Task<Result<std::unique_ptr<RemoteCommand>>> RemoteCommand::accept(std::shared_ptr<Exchange> exchange,
                                                                   RemoteCommandOptions options,
                                                                   StreamTimeouts timeouts) {
  const auto executor = co_await asio::this_coro::executor;
  if (!is_websocket_request(exchange->head())) {
    auto upgraded = co_await accept_spdy(exchange, {kV4, kV3, kV2, kV1});
    if (!upgraded) co_return std::move(upgraded).error();
    std::unique_ptr<RemoteCommand> command(new RemoteCommand(std::move(upgraded->protocol), options));
    SpdyConnection::Options spdy;
    spdy.bounds.idle_timeout = timeouts.idle;
    spdy.streams = kMostStreams;
    command->creation_timeout_ = timeouts.creation;
    command->spdy_ =
        SpdyConnection::create(executor, std::move(upgraded->stream), SpdyConnection::Role::server, spdy);
    command->connection_ = command->spdy_;
    command->connection_->start();
    co_return std::move(command);
  }
  const auto protocol = choose(websocket_protocols(exchange->head()));
  if (!protocol) {
    co_await refuse_upgrade(exchange, unknown_protocol());
    co_return unknown_protocol();
  }
  auto stream = co_await accept_websocket(exchange, *protocol);
  if (!stream) co_return std::move(stream).error();
  std::unique_ptr<RemoteCommand> command(new RemoteCommand(*protocol, options));
  WebSocketConnection::Options web;
  web.bounds.idle_timeout = timeouts.idle;
  web.channels = kChannels;
  web.has_close_signal = *protocol == kV5;
  if (protocol->ends_with(kBase64)) web.form = WebSocketConnection::Form::base64;
  auto connection = WebSocketConnection::create(executor, *std::move(stream), web);
  command->connection_ = connection;
  command->error_ = connection->take_channel(kError);
  if (options.has_stdin) command->stdin_ = connection->take_channel(kStdin);
  if (options.has_stdout) command->stdout_ = connection->take_channel(kStdout);
  if (options.has_stderr) command->stderr_ = connection->take_channel(kStderr);
  if (options.has_tty) command->resize_ = connection->take_channel(kResize);
  for (std::size_t other = 0; other < kChannels; ++other) connection->ignore_channel(other);
  connection->announce(options.has_stdout ? kStdout : options.has_stderr ? kStderr : kError);
  connection->start();
  co_return std::move(command);
}

std::shared_ptr<MultiplexedStream>* RemoteCommand::slot(std::string_view type) {
  const bool can_resize = protocol_ == kV4 || protocol_ == kV3;
  if (type == "error") return &error_;
  if (type == "stdin") return &stdin_;
  if (type == "stdout") return &stdout_;
  if (type == "stderr") return &stderr_;
  if (type == "resize" && can_resize) return &resize_;
  return nullptr;
}

std::size_t RemoteCommand::wanted_streams() const {
  const bool can_resize = protocol_ == kV4 || protocol_ == kV3;
  return 1u + options_.has_stdin + options_.has_stdout + options_.has_stderr +
         (options_.has_tty && can_resize);
}

Task<Result<void>> RemoteCommand::open() {
  if (spdy_) {
    const auto deadline = std::chrono::steady_clock::now() + creation_timeout_;
    for (std::size_t have = 0; have < wanted_streams();) {
      auto stream = co_await spdy_->accept(deadline);
      if (!stream && !spdy_->is_open()) co_return spdy_->why_closed();
      if (!stream) co_return Status{504, "Timeout", "timed out waiting for client to create streams"};
      if (auto* to = slot(stream->headers().get("streamtype").value_or(""))) {
        *to = std::move(stream);
        ++have;
      }
    }
    // Not asked for in the request: there is nobody to read or write it.
    if (!options_.has_stdin) stdin_.reset();
    if (!options_.has_stdout) stdout_.reset();
    if (!options_.has_stderr) stderr_.reset();
    if (!error_) co_return Status{400, "BadRequest", "the client has opened no error stream"};
    // What v1 does to its clients, which do not expect otherwise.
    if (protocol_ == kV1) {
      error_->reset();
      if (stdin_) (void)co_await stdin_->shutdown_write();
    }
  }
  for (const auto& outgoing : {stdout_, stderr_, error_})
    if (outgoing) outgoing->ignore_input();
  co_return Result<void>{};
}

Task<std::optional<TerminalSize>> RemoteCommand::next_size() {
  while (resize_) {
    Result<std::string> piece = co_await resize_->read_some();
    if (!piece || piece->empty()) break;
    const auto size = sizes_.feed(*piece);
    if (size) co_return size;
  }
  co_return std::nullopt;
}

Task<Result<void>> RemoteCommand::finish(RemoteStatus status) {
  for (auto stream : {stdout_, stderr_, stdin_})
    if (stream) (void)co_await stream->shutdown_write();
  const bool is_json = protocol_ == kV5 || protocol_ == kV4 || protocol_ == kV4Base64;
  const std::string text = is_json ? std::move(status.json) : std::move(status.text);
  if (!text.empty()) {
    Result<void> written = co_await error_->write(text);
    if (!written) co_return written;
  }
  Result<void> ended = co_await error_->shutdown_write();
  co_return ended;
}

}  // namespace rusternetes::http
