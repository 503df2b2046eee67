#include "api-server/proxy/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "http/connect.h"
#include "http/header_text.h"
#include "http/http1_codec.h"
#include "http/stream.h"

namespace rusternetes::api_server {
namespace {

constexpr std::size_t kHeadLimit = 1 << 20;
constexpr std::size_t kPiece = 256 * 1024;
constexpr std::string_view kAlpn{"\x08http/1.1", 9};

// "connect 10.0.0.1:80: Connection refused" as Go says it.
Status dial_failure(const Status& failure, const std::string& authority) {
  std::string_view text = failure.message;
  const std::string start = fmt::format("connect {}: ", authority);
  if (text.starts_with(start)) text.remove_prefix(start.size());
  if (text == "timed out") return Status(503, "", fmt::format("dial tcp {}: i/o timeout", authority));
  constexpr std::string_view handshake = "TLS handshake: ";
  if (text.starts_with(handshake)) {
    text.remove_prefix(handshake.size());
    return Status(503, "", fmt::format("tls: {}", text == "wrong version number" ? "first record does not look like a TLS handshake" : text));
  }
  const std::string why = http::uncapitalized(text);
  if (failure.is("ConnectionRefused") || failure.is("ConnectionFailed")) return Status(503, "", fmt::format("dial tcp {}: connect: {}", authority, why));
  return Status(503, "", why);
}

Status end_of_file() { return Status(503, "", "EOF"); }

}  // namespace

Result<std::shared_ptr<const BackendTls>> BackendTls::make(const http::ClientTls& tls) {
  auto out = std::shared_ptr<BackendTls>(new BackendTls);
  RN_TRY(http::SslContext context, http::make_client_context(tls));
  out->context_ = std::move(context);
  out->server_name_ = tls.server_name;
  out->is_verified_ = !tls.insecure_skip_verify;
  return std::shared_ptr<const BackendTls>(std::move(out));
}

std::shared_ptr<http::ClientTlsState> BackendTls::state(const std::string& host) const {
  auto out = std::make_shared<http::ClientTlsState>();
  out->context = std::static_pointer_cast<SSL_CTX>(context_);
  out->server_name = server_name_.empty() ? host : server_name_;
  out->is_verified = is_verified_;
  return out;
}

Backend::Backend(std::unique_ptr<http::ByteStream> stream) : stream_(std::move(stream)) {}
Backend::~Backend() = default;

Task<Result<std::unique_ptr<Backend>>> Backend::connect(asio::any_io_executor executor, Location location,
                                                        std::shared_ptr<const BackendTls> tls, std::chrono::milliseconds timeout) {
  http::Address address;
  address.host = location.host;
  address.authority = location.authority();
  address.is_tls = location.is_tls;
  const char* end = location.port.data() + location.port.size();
  const auto [last, error] = std::from_chars(location.port.data(), end, address.port);
  if (error != std::errc{} || last != end || address.port == 0)
    co_return Status(503, "", fmt::format("dial tcp: lookup tcp/{}: unknown port", location.port));
  std::shared_ptr<http::ClientTlsState> state;
  if (location.is_tls) state = tls->state(location.host);
  auto connected = co_await http::connect(executor, address, state, location.is_tls ? std::string(kAlpn) : std::string(), timeout);
  if (!connected) co_return dial_failure(connected.error(), address.host.find(':') == std::string::npos ? address.authority : fmt::format("{}:{}", address.host, address.port));
  auto stream = http::make_stream(*std::move(connected), {}, nullptr);
  co_return std::unique_ptr<Backend>(new Backend(std::move(stream)));
}

Task<Result<void>> Backend::send_head(std::string method, std::string target, http::Headers headers, BodyFraming framing) {
  is_chunked_ = framing.kind == BodyFraming::Kind::chunked;
  is_head_request_ = method == "HEAD";
  decoder_ = http::Http1Decoder::for_response(kHeadLimit, is_head_request_);
  std::string text = fmt::format("{} ", method);
  // HTTP/2 lets more into a path than a request line bears.
  for (const char c : target)
    if (const auto byte = static_cast<unsigned char>(c); byte <= 0x20 || byte >= 0x7f)
      fmt::format_to(std::back_inserter(text), "%{:02X}", byte);
    else
      text += c;
  text += " HTTP/1.1\r\n";
  http::append_fields(text, headers);
  if (framing.kind == BodyFraming::Kind::chunked) http::append_field(text, "transfer-encoding", "chunked");
  if (framing.kind == BodyFraming::Kind::length) http::append_field(text, "content-length", framing.length);
  text += "\r\n";
  auto sent = co_await stream_->write(text);
  co_return sent;
}

Task<Result<void>> Backend::write_body(std::string piece) {
  if (piece.empty()) co_return Result<void>{};
  if (!stream_) co_return end_of_file();
  if (is_chunked_) {
    piece.insert(0, fmt::format("{:x}\r\n", piece.size()));
    piece += "\r\n";
  }
  auto sent = co_await stream_->write(piece);
  co_return sent;
}

Task<Result<void>> Backend::finish_body() {
  if (!is_chunked_) co_return Result<void>{};
  if (!stream_) co_return end_of_file();
  auto sent = co_await stream_->write("0\r\n\r\n");
  co_return sent;
}

Task<Result<http::ResponseHead>> Backend::read_head() {
  for (;;) {
    if (!in_.empty()) {
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_head(in_));
      in_.erase(0, consumed);
      if (decoder_->is_head_done()) {
        http::ResponseHead head = decoder_->take_response();
        if (head.status >= 200 || head.status == 101) co_return head;
        decoder_ = http::Http1Decoder::for_response(kHeadLimit, is_head_request_);  // the real one follows
        continue;
      }
    }
    auto piece = co_await stream_->read_some();
    if (!piece || piece->empty()) co_return end_of_file();
    in_ += *piece;
  }
}

Task<Result<std::string>> Backend::read_body() {
  std::string out;
  while (!decoder_->is_done()) {
    if (!in_.empty()) {
      RN_CO_TRY(const std::size_t consumed, decoder_->feed_body(in_, out, kPiece));
      in_.erase(0, consumed);
      if (!out.empty() || decoder_->is_done()) break;
    }
    auto piece = co_await stream_->read_some();
    if (!piece) co_return piece.error();
    if (piece->empty()) {
      if (!decoder_->feed_end()) co_return Status(503, "", "unexpected EOF");
      break;
    }
    in_ += *piece;
  }
  co_return out;
}

}  // namespace rusternetes::api_server
