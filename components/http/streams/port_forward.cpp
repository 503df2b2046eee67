#include "http/streams/port_forward.h"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <charconv>

#include "http/stream.h"
#include "http/streams/upgrade.h"
#include "http/streams/websocket_handshake.h"

namespace rusternetes::http {
namespace {

constexpr std::string_view kTunnelPrefix = "SPDY/3.1+";
constexpr const char* kProtocol = "portforward.k8s.io";
constexpr const char* kChannels = "v4.channel.k8s.io";
constexpr const char* kBase64Channels = "v4.base64.channel.k8s.io";
constexpr std::size_t kMostPairs = 256;  // that wait for their second stream
constexpr std::size_t kMostPorts = 128;  // two channels each, numbered in a byte

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return port;
}

// What goes through a tunnel, as SPDY sees it.
class TunnelStream final : public ByteStream, public Breakable {
 public:
  explicit TunnelStream(std::shared_ptr<MultiplexedStream> stream) : stream_(std::move(stream)) {}
  Task<Result<std::string>> read_some() override { return stream_->read_some(); }
  Task<Result<void>> write(std::string_view bytes) override { return stream_->write(bytes); }
  Task<Result<void>> shutdown_write() override { return stream_->shutdown_write(); }
  Task<> wait_broken() override { return stream_->wait_broken(); }

 private:
  std::shared_ptr<MultiplexedStream> stream_;
};

bool is_tunnel_protocol(const std::string& protocol) {
  return protocol.starts_with(kTunnelPrefix) && protocol.ends_with(".k8s.io");
}

}  // namespace

Result<std::vector<std::uint16_t>> parse_forwarded_ports(const std::vector<std::string>& values) {
  const auto bad = [](std::string why) { return Status{400, "BadRequest", std::move(why)}; };
  std::vector<std::uint16_t> ports;
  if (values.empty()) return bad("query parameter \"port\" is required");
  for (const auto& value : values) {
    if (value.empty()) return bad("query parameter \"port\" cannot be empty");
    for (std::size_t at = 0; at <= value.size();) {
      const auto end = std::min(value.find(',', at), value.size());
      const auto port = port_of(std::string_view(value).substr(at, end - at));
      if (!port) return bad(fmt::format("unable to parse \"{}\" as a port", value));
      if (*port < 1) return bad(fmt::format("port \"{}\" must be > 0", value));
      ports.push_back(*port);
      at = end + 1;
    }
  }
  if (ports.size() > kMostPorts) return bad(fmt::format("at most {} ports", kMostPorts));
  return ports;
}

bool PortForward::is_acceptable(const Headers& headers) {
  const auto type = headers.get("streamtype").value_or("");
  return port_of(headers.get("port").value_or("")).value_or(0) > 0 && (type == "error" || type == "data");
}

void PortForward::use_spdy(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                           StreamTimeouts timeouts) {
  SpdyConnection::Options options;
  options.bounds.idle_timeout = timeouts.idle;
  options.accepts = is_acceptable;
  spdy_ =
      SpdyConnection::create(executor, std::move(stream), SpdyConnection::Role::server, std::move(options));
  connection_ = spdy_;
  connection_->start();
}

Task<Result<std::unique_ptr<PortForward>>> PortForward::accept(std::shared_ptr<Exchange> exchange,
                                                               std::vector<std::string> ports,
                                                               StreamTimeouts timeouts) {
  const auto executor = co_await asio::this_coro::executor;
  std::unique_ptr<PortForward> made(new PortForward);
  made->timeouts_ = timeouts;
  if (!is_websocket_request(exchange->head())) {
    auto upgraded = co_await accept_spdy(exchange, {kProtocol});
    if (!upgraded) co_return std::move(upgraded).error();
    made->use_spdy(executor, std::move(upgraded->stream), timeouts);
    co_return std::move(made);
  }
  const auto offered = websocket_protocols(exchange->head());
  if (std::none_of(offered.begin(), offered.end(), is_tunnel_protocol)) {
    auto with_channels = co_await accept_channels(exchange, std::move(ports), timeouts);
    co_return with_channels;
  }
  const auto protocol = choose_websocket_protocol(offered, {std::string(kTunnelPrefix) + kProtocol});
  if (!protocol) {
    Headers fields;
    fields.add("X-Accepted-Stream-Protocol-Versions", kProtocol);
    const Status fault{
        403, "Forbidden",
        fmt::format("unable to upgrade: unable to negotiate protocol: server accepts [{}]", kProtocol)};
    co_await refuse_upgrade(exchange, fault, std::move(fields));
    co_return fault;
  }
  auto stream = co_await accept_websocket(exchange, *protocol);
  if (!stream) co_return std::move(stream).error();
  WebSocketConnection::Options options;
  options.bounds.idle_timeout = timeouts.idle;
  options.form = WebSocketConnection::Form::tunnel;
  made->tunnel_ = WebSocketConnection::create(executor, *std::move(stream), options);
  auto inside = std::make_unique<TunnelStream>(made->tunnel_->take_channel(0));
  made->tunnel_->start();
  made->use_spdy(executor, std::move(inside), timeouts);
  co_return std::move(made);
}

Task<Result<std::unique_ptr<PortForward>>> PortForward::accept_channels(std::shared_ptr<Exchange> exchange,
                                                                        std::vector<std::string> ports,
                                                                        StreamTimeouts timeouts) {
  auto parsed = parse_forwarded_ports(ports);
  const auto protocol =
      choose_websocket_protocol(websocket_protocols(exchange->head()), {"", kChannels, kBase64Channels});
  if (!parsed || !protocol) {
    const Status fault = parsed ? Status{403, "Forbidden", ""} : parsed.error();
    co_await refuse_upgrade(exchange, fault);
    co_return fault;
  }
  auto stream = co_await accept_websocket(exchange, *protocol);
  if (!stream) co_return std::move(stream).error();
  std::unique_ptr<PortForward> made(new PortForward);
  WebSocketConnection::Options options;
  options.bounds.idle_timeout = timeouts.idle;
  options.channels = parsed->size() * 2;
  if (*protocol == kBase64Channels) options.form = WebSocketConnection::Form::base64;
  const auto executor = co_await asio::this_coro::executor;
  made->channels_ = WebSocketConnection::create(executor, *std::move(stream), options);
  made->connection_ = made->channels_;
  made->ports_ = *std::move(parsed);
  made->connection_->start();
  co_return std::move(made);
}

Task<std::optional<ForwardedConnection>> PortForward::next() {
  if (channels_) {
    if (told_ == ports_.size()) co_return std::nullopt;
    ForwardedConnection out;
    out.port = ports_[told_];
    out.request_id = std::to_string(told_);
    out.data = channels_->take_channel(told_ * 2);
    out.error = channels_->take_channel(told_ * 2 + 1);
    out.error->ignore_input();
    ++told_;
    // Each channel begins with its port, least byte first.
    const char number[] = {static_cast<char>(out.port & 0xff), static_cast<char>(out.port >> 8)};
    for (auto stream : {out.data, out.error}) {
      Result<void> written = co_await stream->write({number, sizeof number});
      if (!written) co_return std::nullopt;
    }
    co_return out;
  }
  for (;;) {
    auto deadline = std::chrono::steady_clock::time_point::max();
    for (const auto& [id, pair] : pairs_) deadline = std::min(deadline, pair.deadline);
    auto stream = co_await spdy_->accept(deadline);
    if (!stream && !spdy_->is_open()) {
      pairs_.clear();
      co_return std::nullopt;
    }
    co_await drop_late_pairs();
    if (!stream) continue;
    auto complete = co_await add(std::move(stream));
    if (complete) co_return complete;
  }
}

Task<std::optional<ForwardedConnection>> PortForward::add(std::shared_ptr<MultiplexedStream> stream) {
  const bool is_data = stream->headers().get("streamtype") == "data";
  std::string id(stream->headers().get("requestid").value_or(""));
  // Clients of old number nothing: their error stream comes first, their data stream next.
  if (id.empty()) id = std::to_string(is_data ? stream->id() - 2 : stream->id());
  if (pairs_.size() >= kMostPairs && !pairs_.contains(id)) co_return std::nullopt;  // which resets it
  auto [at, is_new] = pairs_.try_emplace(id);
  ForwardedConnection& pair = at->second.streams;
  if (is_new) {
    pair.request_id = id;
    at->second.deadline = std::chrono::steady_clock::now() + timeouts_.creation;
  }
  auto& slot = is_data ? pair.data : pair.error;
  if (slot) {
    const auto told = pair.error;
    if (told)
      (void)co_await told->write(
          fmt::format("error processing stream for request {}: {} stream already assigned", id,
                      is_data ? "data" : "error"));
    co_return std::nullopt;
  }
  if (is_data) pair.port = *port_of(*stream->headers().get("port"));
  slot = std::move(stream);
  if (!pair.data || !pair.error) co_return std::nullopt;
  pair.error->ignore_input();
  ForwardedConnection out = std::move(pair);
  pairs_.erase(at);
  co_return out;
}

Task<> PortForward::drop_late_pairs() {
  for (auto at = pairs_.begin(); at != pairs_.end();) {
    if (std::chrono::steady_clock::now() < at->second.deadline) {
      ++at;
      continue;
    }
    ForwardedConnection late = std::move(at->second.streams);
    at = pairs_.erase(at);
    if (!late.error) continue;
    (void)co_await late.error->write(
        fmt::format("(request={}) timed out waiting for streams", late.request_id));
    (void)co_await late.error->shutdown_write();
  }
}

Task<> PortForward::close(std::chrono::milliseconds grace) {
  pairs_.clear();
  co_await connection_->close(grace);
  if (tunnel_) co_await tunnel_->close(grace);
}

void PortForward::hurry() {
  connection_->hurry();
  if (tunnel_) tunnel_->hurry();
}

}  // namespace rusternetes::http
