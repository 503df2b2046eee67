#include "kubelet/probe/grpc_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cctype>
#include <charconv>
#include <memory>
#include <optional>

#include "apimachinery/time.h"

namespace rusternetes::kubelet {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t kFrameHead = 5;
constexpr std::size_t kAnswerLimit = 4096;
constexpr int kDeadlineExceeded = 4, kUnimplemented = 12, kUnavailable = 14;
constexpr auto kAgain = milliseconds(1000);  // the first back-off of a gRPC client that cannot connect

void append_varint(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
  out += static_cast<char>(number);
}

std::optional<std::uint64_t> take_varint(std::string_view& from) {
  std::uint64_t out = 0;
  for (int shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return out;
  }
  return std::nullopt;
}

// Passes over a field of a type that is not known here.
bool skip_field(std::string_view& from, unsigned wire_type) {
  std::size_t length = 0;
  switch (wire_type) {
    case 0: return take_varint(from).has_value();
    case 1: length = 8; break;
    case 2: {
      const auto size = take_varint(from);
      if (!size || *size > from.size()) return false;
      length = static_cast<std::size_t>(*size);
      break;
    }
    case 5: length = 4; break;
    default: return false;
  }
  if (length > from.size()) return false;
  from.remove_prefix(length);
  return true;
}

}  // namespace

std::string frame_health_request(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';  // field 1, a string
    append_varint(message, service.size());
    message += service;
  }
  std::string out(1, '\0');  // not compressed
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(message.size() >> shift);
  return out + message;
}

Result<int> read_health_response(std::string_view frame) {
  if (frame.size() < kFrameHead) return internal_error("the response is too short");
  if (frame[0] != 0) return internal_error("the response is compressed");
  std::size_t length = 0;
  for (std::size_t i = 1; i < kFrameHead; ++i) length = length << 8 | static_cast<unsigned char>(frame[i]);
  std::string_view message = frame.substr(kFrameHead);
  if (message.size() != length) return internal_error("the response's length is wrong");
  int status = 0;
  while (!message.empty()) {
    const auto tag = take_varint(message);
    if (!tag) return internal_error("the response is no protobuf message");
    if (*tag == 0x08) {  // field 1, a number
      const auto value = take_varint(message);
      if (!value) return internal_error("the response is no protobuf message");
      status = static_cast<int>(*value);
    } else if (!skip_field(message, static_cast<unsigned>(*tag & 7))) {
      return internal_error("the response is no protobuf message");
    }
  }
  return status;
}

std::string health_status_name(int status) {
  switch (status) {
    case 0: return "UNKNOWN";
    case 1: return "SERVING";
    case 2: return "NOT_SERVING";
    case 3: return "SERVICE_UNKNOWN";
    default: return std::to_string(status);
  }
}

std::string grpc_code_name(int code) {
  static constexpr const char* kNames[] = {"OK",       "Canceled",          "Unknown",           "InvalidArgument",    "DeadlineExceeded",
                                           "NotFound", "AlreadyExists",     "PermissionDenied",  "ResourceExhausted",  "FailedPrecondition",
                                           "Aborted",  "OutOfRange",        "Unimplemented",     "Internal",           "Unavailable",
                                           "DataLoss", "Unauthenticated"};
  if (code >= 0 && static_cast<std::size_t>(code) < std::size(kNames)) return kNames[code];
  return fmt::format("Code({})", code);
}

std::string decode_grpc_message(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
      if (error == std::errc{} && end == text.data() + i + 3) {
        out += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

namespace {

struct Call {
  http::OpenSocket open_socket;
  std::string address;  // "10.0.0.5:8080"
  std::string service;
  milliseconds timeout;
  Steady::time_point deadline;
  std::shared_ptr<http::Client> client;
  bool is_over = false;

  milliseconds left() const { return std::max(std::chrono::ceil<milliseconds>(deadline - Steady::now()), milliseconds(1)); }
  std::string timeout_text() const { return apimachinery::format_duration(std::chrono::nanoseconds(timeout).count()); }
};

http::ClientRequest make_request(const Call& call) {
  http::ClientRequest out;
  out.method = "POST";
  out.target = "/grpc.health.v1.Health/Check";
  out.headers.add("content-type", "application/grpc");
  out.headers.add("user-agent", "kube-probe/1.35");
  out.headers.add("te", "trailers");
  out.headers.add("grpc-timeout", fmt::format("{}m", call.left().count()));
  out.body = frame_health_request(call.service);
  return out;
}

std::string failed_call(const Call& call, int code, std::string_view message) {
  if (code == kUnimplemented)
    return fmt::format("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}", message);
  if (code == kDeadlineExceeded) return fmt::format("timeout: health rpc did not complete within {}", call.timeout_text());
  return fmt::format("error: health rpc probe failed: rpc error: code = {} desc = {}", grpc_code_name(code), message);
}

// The outcome of a call whose response has been read. A server that has only trailers to send sends them as its headers.
std::string judge(const Call& call, const http::ResponseHead& head, const http::Headers& trailers, std::string_view body) {
  auto code_text = trailers.get("grpc-status");
  auto message = trailers.get("grpc-message");
  if (!code_text) {
    code_text = head.headers.get("grpc-status");
    message = head.headers.get("grpc-message");
  }
  if (head.status != 200 && !code_text)
    return failed_call(call, head.status == 404 ? kUnimplemented : kUnavailable,
                       fmt::format("unexpected HTTP status code received from server: {}", head.status));
  int code = 2;
  if (code_text) std::from_chars(code_text->data(), code_text->data() + code_text->size(), code);
  if (!code_text) return failed_call(call, 2, "server closed the stream without sending trailers");
  if (code != 0) return failed_call(call, code, decode_grpc_message(message.value_or("")));
  const auto status = read_health_response(body);
  if (!status) return failed_call(call, 13, status.error().message);
  if (*status == 1) return {};
  return fmt::format("service unhealthy (responded with \"{}\")", health_status_name(*status));
}

Task<std::string> read_answer(std::shared_ptr<Call> call, std::unique_ptr<http::ClientResponse> response) {
  std::string body;
  for (;;) {
    auto piece = co_await response->read_some();
    if (!piece) co_return failed_call(*call, call->is_over ? kDeadlineExceeded : kUnavailable, piece.error().message);
    if (piece->empty()) break;
    body += *piece;
    if (body.size() > kAnswerLimit) co_return failed_call(*call, 8, "grpc: received message larger than max");
  }
  co_return judge(*call, response->head(), response->trailers(), body);
}

}  // namespace

Task<std::string> check_grpc_health(http::OpenSocket open_socket, std::string host, std::uint16_t port, std::string service,
                                    milliseconds timeout) {
  auto call = std::make_shared<Call>();
  call->open_socket = std::move(open_socket);
  call->address = host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
  call->service = std::move(service);
  call->timeout = timeout;
  call->deadline = Steady::now() + timeout;
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, call->deadline);
  timer.async_wait([call](const boost::system::error_code& error) {
    if (error) return;
    call->is_over = true;
    if (call->client) call->client->close();
  });
  for (;;) {
    http::ClientOptions options;
    options.connect_timeout = call->left();
    options.header_timeout = call->left();
    options.max_idle_connections = 0;
    options.has_prior_knowledge = true;
    options.open_socket = call->open_socket;
    auto client = http::Client::create(executor, {"http://" + call->address, {}}, std::move(options));
    if (!client) co_return fmt::format("error: failed to connect service at \"{}\": {}", call->address, client.error().message);
    call->client = *std::move(client);
    auto keep = call->client;
    auto request = make_request(*call);
    auto response = co_await keep->send(std::move(request));
    if (response) co_return co_await read_answer(call, *std::move(response));
    const bool is_connect = response.error().is("ConnectionRefused") || response.error().is("ConnectionFailed");
    const bool is_over = call->is_over || Steady::now() >= call->deadline;
    if (!is_connect) co_return failed_call(*call, is_over || response.error().is("Timeout") ? kDeadlineExceeded : kUnavailable, response.error().message);
    // A server that is not there yet may come within the time.
    if (is_over || Steady::now() + kAgain >= call->deadline) {
      if (!is_over) co_await sleep_for(call->deadline - Steady::now());
      co_return fmt::format("timeout: failed to connect service \"{}\" within {}: context deadline exceeded", call->address, call->timeout_text());
    }
    co_await sleep_for(kAgain);
  }
}

}  // namespace rusternetes::kubelet
