#include "api-server/proxy/forward.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <variant>

#include "api-server/proxy/forward_headers.h"
#include "api-server/proxy/proxy_path.h"
#include "api-server/proxy/rewrite_html.h"
#include "api-server/proxy/splice.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {
namespace {

constexpr auto kDialTimeout = std::chrono::seconds(30);
constexpr auto kHalfOpenLimit = std::chrono::minutes(5);

Status plain_failure(std::string message) { return Status(500, "", std::move(message)); }
Status unreachable(const Status& why) { return apimachinery::service_unavailable(fmt::format("error trying to reach service: {}", why.message)); }

std::string target_text(const ForwardTarget& target) {
  std::string out = target.path.empty() ? "/" : escape_path(target.path);
  if (!target.query.empty()) out += "?" + target.query;
  return out;
}

BodyFraming framing_of(const http::RequestHead& head) {
  if (head.headers.get("transfer-encoding")) return {BodyFraming::Kind::chunked, {}};
  if (const auto length = head.headers.get("content-length")) return {BodyFraming::Kind::length, std::string(*length)};
  return {};
}

bool has_usual_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

// Passes the request's body on.
Task<Result<void>> send_body(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<Backend> backend, std::string piece) {
  for (;;) {
    auto written = co_await backend->write_body(std::move(piece));
    if (!written) co_return written;
    auto read = co_await exchange->read_some();
    if (!read) co_return read.error();
    if (read->empty()) break;
    piece = *std::move(read);
  }
  auto finished = co_await backend->finish_body();
  co_return finished;
}

// The same while the answer may already come: of a backend that answers early, or leaves, what it says counts.
Task<> send_body_aside(std::shared_ptr<http::Exchange> exchange, std::shared_ptr<Backend> backend, std::string piece) {
  (void)co_await send_body(std::move(exchange), std::move(backend), std::move(piece));
}

// What happens to a response's body on its way.
class BodyFilter {
 public:
  BodyFilter(const http::ResponseHead& head, const LinkRewriter& links) {
    std::string_view type = head.headers.get("content-type").value_or("");
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    while (type.starts_with(' ')) type.remove_prefix(1);
    if (type != "text/html" || head.headers.get("location")) return;
    const auto coding = head.headers.get("content-encoding").value_or("");
    if (coding.empty()) kind_.emplace<HtmlRewriter>(links);
    if (coding == "gzip") kind_.emplace<GzipHtmlRewriter>(links);
  }
  bool changes_length() const { return kind_.index() != 0; }
  // A slice at a time, since what comes out may be many times what goes in: next() while has_more().
  void give(std::string piece) {
    piece_ = std::move(piece);
    at_ = 0;
  }
  bool has_more() const {
    const auto* packed = std::get_if<GzipHtmlRewriter>(&kind_);
    return at_ < piece_.size() || (packed && packed->has_more());
  }
  Result<std::string> next() {
    auto* packed = std::get_if<GzipHtmlRewriter>(&kind_);
    if (packed && packed->has_more()) return packed->feed({});
    const auto slice = std::string_view(piece_).substr(at_, kSlice);
    at_ += slice.size();
    if (packed) return packed->feed(slice);
    return std::get<HtmlRewriter>(kind_).feed(slice);
  }
  Result<std::string> finish() {
    if (auto* page = std::get_if<HtmlRewriter>(&kind_)) return page->finish();
    if (auto* page = std::get_if<GzipHtmlRewriter>(&kind_)) return page->finish();
    return std::string();
  }

 private:
  static constexpr std::size_t kSlice = 16 * 1024;
  std::variant<std::monostate, HtmlRewriter, GzipHtmlRewriter> kind_;
  std::string piece_;
  std::size_t at_ = 0;
};

Task<Result<void>> send_piece(std::shared_ptr<http::Exchange> exchange, std::string piece) {
  if (piece.empty()) co_return Result<void>{};
  std::vector<http::Slice> slices;
  slices.push_back(http::Slice::own(std::move(piece)));
  auto written = co_await exchange->write(std::move(slices));
  co_return written;
}

Task<Result<void>> send_filtered(std::shared_ptr<http::Exchange> exchange, BodyFilter& filter) {
  const auto executor = co_await asio::this_coro::executor;
  while (filter.has_more()) {
    auto made = filter.next();
    if (!made) co_return made.error();
    auto sent = co_await send_piece(exchange, *std::move(made));
    if (!sent) co_return sent;
    // A page that is all links must not keep the thread from its other connections.
    co_await asio::post(executor, asio::use_awaitable);
  }
  co_return Result<void>{};
}

// An error after the beginning: the response is cut off, so that the client does not take it for whole.
Task<Result<void>> relay(std::shared_ptr<http::Exchange> exchange, Backend& backend, http::ResponseHead head, BodyFilter* filter) {
  auto begun = co_await exchange->begin(std::move(head));
  if (!begun) co_return begun;
  for (;;) {
    auto piece = co_await backend.read_body();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    Result<void> sent = Status{};
    if (filter) {
      filter->give(*std::move(piece));
      sent = co_await send_filtered(exchange, *filter);
    } else {
      sent = co_await send_piece(exchange, *std::move(piece));
    }
    if (!sent) co_return sent;
  }
  if (filter && exchange->head().method != "HEAD") {
    Result<std::string> last = filter->finish();
    if (!last) co_return last.error();
    auto sent = co_await send_piece(exchange, *std::move(last));
    if (!sent) co_return sent;
  }
  auto finished = co_await exchange->finish();
  co_return finished;
}

}  // namespace

Task<Result<void>> forward_upgrade(HandlerContext context, ForwardTarget target) {
  auto exchange = context.exchange;
  const auto executor = co_await asio::this_coro::executor;
  auto connected = co_await Backend::connect(executor, target.location, target.tls, kDialTimeout);
  if (!connected) co_return plain_failure(fmt::format("error dialing backend: {}", connected.error().message));
  const std::shared_ptr<Backend> connection = *std::move(connected);
  Backend& backend = *connection;
  http::Headers headers = request_headers(exchange->head(), exchange->peer());
  BodyFraming framing = framing_of(exchange->head());
  const bool has_body = framing.kind != BodyFraming::Kind::none;
  if (!has_body && has_usual_body(exchange->head().method)) framing = {BodyFraming::Kind::length, "0"};
  auto sent = co_await backend.send_head(exchange->head().method, target_text(target), std::move(headers), framing);
  if (sent && has_body) sent = co_await send_body(exchange, connection, {});
  if (!sent) co_return plain_failure(fmt::format("error sending request: {}", sent.error().message));
  auto head = co_await backend.read_head();
  if (!head) co_return plain_failure(head.error().message);
  if (head->status < 400 && head->status != 101) co_return plain_failure(fmt::format("invalid upgrade response: status code {}", head->status));
  *context.code = 0;  // how Kubernetes counts a connection that was given away
  if (head->status != 101) {
    remove_hop_by_hop(head->headers);
    head->headers.set("connection", "close");
    auto relayed = co_await relay(exchange, backend, *std::move(head), nullptr);
    co_return relayed;
  }
  auto upgraded = co_await exchange->upgrade(*std::move(head));
  if (!upgraded) co_return upgraded.error();
  auto stream = backend.take_stream();
  std::string already = backend.take_read_ahead();
  co_await splice(*std::move(upgraded), std::move(stream), std::move(already), kHalfOpenLimit);
  co_return Result<void>{};
}

namespace {

// The head for the client. What the api-server says of every response comes first.
http::ResponseHead response_head(const Call& call, http::ResponseHead from, const LinkRewriter& links) {
  remove_hop_by_hop(from.headers);
  remove_cors(from.headers);
  if (const auto location = from.headers.get("location")) from.headers.set("location", links.rewrite(*location));
  http::ResponseHead out;
  out.status = from.status;
  out.headers.add("audit-id", call.audit_id);
  out.headers.add("cache-control", "no-cache, private");
  for (const auto& [name, value] : from.headers.fields()) out.headers.add(name, value);
  return out;
}

http::Headers plain_headers(const HandlerContext& context, const ForwardTarget& target, std::string_view prefix) {
  const http::RequestHead& head = context.exchange->head();
  bool takes_trailers = false;
  for (const auto value : head.headers.all("te")) takes_trailers |= value.find("trailers") != std::string_view::npos;
  http::Headers out = request_headers(head, context.exchange->peer(), true);
  if (takes_trailers) out.set("te", "trailers");
  out.set("x-forwarded-uri", forwarded_path(prefix, target.path));
  return out;
}

}  // namespace

Task<Result<void>> forward_plain(HandlerContext context, ForwardTarget target, std::string prefix) {
  auto exchange = context.exchange;
  const auto executor = co_await asio::this_coro::executor;
  const http::RequestHead& request = exchange->head();
  auto connected = co_await Backend::connect(executor, target.location, target.tls, kDialTimeout);
  if (!connected) co_return unreachable(connected.error());
  const std::shared_ptr<Backend> connection = *std::move(connected);
  Backend& backend = *connection;
  // Also when this coroutine is cancelled: an upload that is under way ends with the connection.
  std::shared_ptr<void> end(nullptr, [connection](void*) { connection->close(); });
  BodyFraming framing = framing_of(request);
  std::string first;
  if (framing.kind == BodyFraming::Kind::none && exchange->protocol() == "HTTP/2.0") {
    // Whether there is a body, and how long, only its end tells.
    if (!has_usual_body(request.method)) {
      auto piece = co_await exchange->read_some();
      if (!piece) co_return piece.error();
      first = *std::move(piece);
    }
    if (has_usual_body(request.method) || !first.empty()) framing.kind = BodyFraming::Kind::chunked;
  } else if (framing.kind == BodyFraming::Kind::none && has_usual_body(request.method)) {
    framing = {BodyFraming::Kind::length, "0"};
  }
  http::Headers headers = plain_headers(context, target, prefix);
  auto sent = co_await backend.send_head(request.method, target_text(target), std::move(headers), framing);
  if (!sent) co_return unreachable(sent.error());
  TaskGroup uploads(executor);
  if (framing.kind != BodyFraming::Kind::none) uploads.spawn("proxy upload", send_body_aside(exchange, connection, std::move(first)));
  auto head = co_await backend.read_head();
  Result<void> relayed = Status{};
  if (!head) {
    relayed = unreachable(head.error());
  } else if (head->status == 101) {
    relayed = Status(502, "", "the backend changed the protocol without being asked");
  } else {
    *context.code = head->status;
    const LinkRewriter links(std::move(prefix), target.location.link_host, request.authority);
    BodyFilter filter(*head, links);
    http::ResponseHead answer = response_head(context.call, *std::move(head), links);
    if (filter.changes_length()) answer.headers.remove("content-length");
    relayed = co_await relay(exchange, backend, std::move(answer), filter.changes_length() ? &filter : nullptr);
  }
  co_await uploads.stop();
  co_return relayed;
}

}  // namespace rusternetes::api_server
