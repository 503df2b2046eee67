#include "engine/connection.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/value.hpp>

#include "engine/json_read.h"

namespace rusternetes::engine {

constexpr std::size_t kBodyLimit = 64u << 20;

Task<bool> run_with_deadline(Task<> work, std::chrono::nanoseconds timeout) {
  if (timeout <= std::chrono::nanoseconds::zero()) {
    co_await std::move(work);
    co_return true;
  }
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout));
  auto group = asio::experimental::make_parallel_group(
      asio::co_spawn(executor, std::move(work), asio::deferred), timer.async_wait(asio::deferred));
  auto [order, error, ignored] =
      co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (order[0] == 1) co_return false;
  if (error) std::rethrow_exception(error);
  co_return true;
}

std::string url_escape(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
        c == '_' || c == '~')
      out += static_cast<char>(c);
    else
      out += fmt::format("%{:02X}", c);
  }
  return out;
}

std::string error_message(std::string_view body) {
  if (auto json = parse_json(body)) {
    // Podman's `cause` is the innermost error only; `message` has the whole chain on both.
    if (auto message = json_string(*json, "message"); !message.empty()) return message;
    if (auto cause = json_string(*json, "cause"); !cause.empty()) return cause;
  }
  std::string text(body);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

Result<std::unique_ptr<Connection>> Connection::create(asio::any_io_executor executor,
                                                       std::string socket_path, EngineOptions options) {
  std::unique_ptr<Connection> connection(new Connection(executor, socket_path, std::move(options)));
  http::Endpoint endpoint;
  endpoint.url = "unix://" + socket_path;
  http::ClientOptions client_options;
  // The engines close idle connections of their own accord; a short rest keeps us ahead of them.
  client_options.idle_timeout = std::chrono::seconds(20);
  RN_TRY(connection->client_, http::Client::create(executor, std::move(endpoint), client_options));
  return connection;
}

Status Connection::map_error(int status, std::string_view body) const {
  auto message = error_message(body);
  if (mapper_) return mapper_(status, std::move(message));
  return Status{status, "InternalError", std::move(message), nullptr};
}

Task<Result<std::unique_ptr<http::ClientResponse>>> Connection::send(http::ClientRequest request) {
  request.headers.set("host", "engine");
  if (!request.body.empty() && !request.headers.get("content-type"))
    request.headers.set("content-type", "application/json");
  if (options_.on_request) options_.on_request(request.method, request.target, false);
  std::string method = request.method, target = request.target;
  auto response = co_await client_->send(std::move(request));
  if (options_.on_request) options_.on_request(method, target, true);
  if (!response) {
    auto status = std::move(response).error();
    if (status.is("ConnectionRefused") || status.is("ConnectionFailed"))
      co_return Status{503, reason::kUnreachable,
                       fmt::format("no engine answers on {}: {}", socket_path_, status.message), nullptr};
    co_return status;
  }
  co_return std::move(response);
}

Task<> Connection::fetch(http::ClientRequest request, Result<Answer>* out) {
  auto response = co_await send(std::move(request));
  if (!response) {
    *out = std::move(response).error();
    co_return;
  }
  auto body = co_await (*response)->read_all(kBodyLimit);
  if (!body)
    *out = std::move(body).error();
  else
    *out = Answer{(*response)->head().status, *std::move(body), (*response)->head().headers};
}

Task<Result<Answer>> Connection::request(std::string method, std::string target, std::string body,
                                         std::chrono::nanoseconds timeout) {
  if (timeout == std::chrono::nanoseconds::zero()) timeout = options_.request_timeout;
  http::ClientRequest request;
  request.method = method;
  request.target = target;
  request.body = std::move(body);
  Result<Answer> answer = internal_error("no answer");
  bool in_time = co_await run_with_deadline(fetch(std::move(request), &answer), timeout);
  if (!in_time)
    co_return Status{
        504, "Timeout",
        fmt::format("the engine on {} did not answer {} {} within {} ms", socket_path_, method, target,
                    std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()),
        nullptr};
  co_return std::move(answer);
}

Task<Result<boost::json::value>> Connection::call(std::string method, std::string target, std::string body,
                                                  std::chrono::nanoseconds timeout) {
  auto answer = co_await request(std::move(method), std::move(target), std::move(body), timeout);
  if (!answer) co_return std::move(answer).error();
  if (answer->status >= 400) co_return map_error(answer->status, answer->body);
  if (answer->body.empty() || answer->status == 204 || answer->status == 304) co_return boost::json::value();
  co_return parse_json(answer->body);
}

Task<Result<void>> Connection::command(std::string method, std::string target, std::string body,
                                       std::chrono::nanoseconds timeout) {
  auto answer = co_await request(std::move(method), std::move(target), std::move(body), timeout);
  if (!answer) co_return std::move(answer).error();
  if (answer->status >= 400) co_return map_error(answer->status, answer->body);
  co_return Result<void>();
}

Task<> Connection::fetch_head(http::ClientRequest request,
                              Result<std::unique_ptr<http::ClientResponse>>* out) {
  *out = co_await send(std::move(request));
}

Task<Result<std::unique_ptr<http::ClientResponse>>> Connection::open(http::ClientRequest request) {
  auto response = co_await send(std::move(request));
  if (!response) co_return std::move(response).error();
  int status = (*response)->head().status;
  if (status >= 400) {
    auto body = co_await (*response)->read_all(kBodyLimit);
    co_return map_error(status, body ? *body : body.error().message);
  }
  co_return std::move(response);
}

Task<Result<std::unique_ptr<http::ByteStream>>> Connection::hijack(std::string target, std::string body) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = target;
  request.body = std::move(body);
  request.headers.set("connection", "Upgrade");
  request.headers.set("upgrade", "tcp");
  Result<std::unique_ptr<http::ClientResponse>> response = internal_error("no answer");
  bool in_time =
      co_await run_with_deadline(fetch_head(std::move(request), &response), options_.request_timeout);
  if (!in_time)
    co_return Status{504, "Timeout", "the engine did not take over the connection of " + target, nullptr};
  if (!response) co_return std::move(response).error();
  int status = (*response)->head().status;
  if (status == 101) co_return (*response)->take_stream();
  auto answer = co_await (*response)->read_all(kBodyLimit);
  if (!answer) co_return std::move(answer).error();
  if (status >= 400) co_return map_error(status, *answer);
  co_return internal_error(fmt::format("the engine answered {} with {} instead of 101", target, status));
}

}  // namespace rusternetes::engine
