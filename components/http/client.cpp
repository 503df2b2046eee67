#include "http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/client_http1.h"
#include "http/client_http2.h"
#include "http/connect.h"

namespace rusternetes::http {
namespace {

constexpr std::string_view kAlpnBoth{"\x02h2\x08http/1.1", 12};
constexpr std::string_view kAlpnHttp1{"\x08http/1.1", 9};

constexpr std::size_t kLargestKept = 4 << 20;  // a larger body is not kept to be sent again

constexpr int kTries = 3;

bool is_safe_to_repeat(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

// The connections to one endpoint. Requests hold it while they run.
class Pool final : public std::enable_shared_from_this<Pool> {
 public:
  Pool(asio::any_io_executor executor, Address address, std::shared_ptr<ClientTlsState> tls,
       ClientOptions options)
      : executor_(std::move(executor)),
        address_(std::move(address)),
        tls_(std::move(tls)),
        options_(options) {}

  Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request);
  void close();

 private:
  struct Connection {
    std::shared_ptr<Http1ClientConnection> http1;
    std::shared_ptr<Http2ClientConnection> http2;
    bool is_reused = false;
  };
  struct Attempt {
    std::unique_ptr<ClientResponse> response;
    Status status;
    bool may_repeat = false;
  };
  // A dial under way whose connection others wait to share.
  struct Dial {
    explicit Dial(asio::any_io_executor executor) : ended(executor, asio::steady_timer::time_point::max()) {}
    asio::steady_timer ended;
    bool is_done = false;
    std::optional<Status> error;
  };

  Task<Result<Connection>> acquire(bool needs_http1);
  Task<Result<Connection>> dial(bool needs_http1);
  Task<Attempt> attempt(ClientRequest request, bool needs_http1);
  std::optional<Connection> pick(bool needs_http1);
  void recycle(std::shared_ptr<Http1ClientConnection> connection);
  bool may_be_http2() const { return address_.is_tls && options_.allow_http2 && !is_http1_server_; }

  asio::any_io_executor executor_;
  Address address_;
  std::shared_ptr<ClientTlsState> tls_;
  ClientOptions options_;
  std::vector<std::shared_ptr<Http1ClientConnection>> idle_;
  std::vector<std::weak_ptr<Http1ClientConnection>> http1_;
  std::vector<std::shared_ptr<Http2ClientConnection>> http2_;
  std::shared_ptr<Dial> dial_;
  bool is_http1_server_ = false;
  bool is_closed_ = false;
};

std::optional<Pool::Connection> Pool::pick(bool needs_http1) {
  std::erase_if(http2_, [](const auto& connection) { return !connection->is_usable(); });
  if (!needs_http1)
    for (const auto& connection : http2_)
      if (connection->has_room()) return Connection{nullptr, connection, true};
  while (!idle_.empty()) {
    auto connection = std::move(idle_.back());  // the one used last is the least likely to have been closed
    idle_.pop_back();
    if (connection->wake_up()) return Connection{std::move(connection), nullptr, true};
  }
  return std::nullopt;
}

void Pool::recycle(std::shared_ptr<Http1ClientConnection> connection) {
  std::erase_if(idle_, [](const auto& each) { return !each->is_open(); });
  if (is_closed_ || idle_.size() >= options_.max_idle_connections) return connection->close();
  connection->rest_until(std::chrono::steady_clock::now() + options_.idle_timeout);
  idle_.push_back(std::move(connection));
}

Task<Result<Pool::Connection>> Pool::dial(bool needs_http1) {
  std::string alpn;
  if (address_.is_tls) alpn = needs_http1 || !options_.allow_http2 ? kAlpnHttp1 : kAlpnBoth;
  auto connected =
      co_await connect(executor_, address_, tls_, alpn, options_.connect_timeout, options_.open_socket);
  if (!connected) co_return connected.error();
  auto transport = *std::move(connected);
  if (is_closed_) {
    transport->close();
    co_return connection_lost("the client was closed");
  }
  const bool is_plain_http2 = !address_.is_tls && options_.has_prior_knowledge && !needs_http1;
  if (transport->alpn() == "h2" || is_plain_http2) {
    auto connection = std::make_shared<Http2ClientConnection>(transport, is_plain_http2 ? "http" : "https",
                                                              address_.authority, options_);
    connection->start();
    // Requests beyond the server's limit of streams would only be refused. (It is also here that a server
    // which does not take our certificate says so, under TLS 1.3.)
    const bool is_ready = co_await connection->wait_ready(options_.connect_timeout);
    if (!is_ready || is_closed_) {
      connection->lose();
      co_return Status{
          503, "ConnectionFailed",
          fmt::format("connect {}: the server ended the connection at once", address_.authority)};
    }
    http2_.push_back(connection);
    co_return Connection{nullptr, std::move(connection), false};
  }
  if (!needs_http1) is_http1_server_ = true;
  auto connection = std::make_shared<Http1ClientConnection>(
      transport, address_.authority,
      [weak = weak_from_this()](std::shared_ptr<Http1ClientConnection> rested) {
        if (auto pool = weak.lock())
          pool->recycle(std::move(rested));
        else
          rested->close();
      });
  std::erase_if(http1_, [](const auto& each) { return each.expired(); });
  http1_.push_back(connection);
  co_return Connection{std::move(connection), nullptr, false};
}

Task<Result<Pool::Connection>> Pool::acquire(bool needs_http1) {
  for (;;) {
    if (is_closed_) co_return connection_lost("the client was closed");
    if (auto ready = pick(needs_http1)) co_return *std::move(ready);
    const bool is_shared = !needs_http1 && may_be_http2();
    if (is_shared && dial_) {
      auto waited = dial_;
      boost::system::error_code ignored;
      while (!waited->is_done)
        co_await waited->ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (waited->error) co_return *waited->error;
      continue;
    }
    if (!is_shared) {
      auto own = co_await dial(needs_http1);
      co_return own;
    }
    auto mine = std::make_shared<Dial>(executor_);
    dial_ = mine;
    // Also when this coroutine is cancelled: whoever waits then dials anew.
    std::shared_ptr<void> end(nullptr, [this, mine, self = shared_from_this()](void*) {
      mine->is_done = true;
      mine->ended.cancel();
      if (dial_ == mine) dial_.reset();
    });
    auto made = co_await dial(false);
    if (!made) mine->error = made.error();
    co_return made;
  }
}

Task<Pool::Attempt> Pool::attempt(ClientRequest request, bool needs_http1) {
  Attempt result;
  const bool is_repeatable = is_safe_to_repeat(request.method);
  auto acquired = co_await acquire(needs_http1);
  if (!acquired) {
    result.status = acquired.error();
    co_return result;
  }
  if (acquired->http2) {
    auto failure = std::make_shared<Http2ClientConnection::Failure>();
    auto connection = acquired->http2;
    result.response = co_await connection->send(std::move(request), failure);
    result.status = failure->status;
    result.may_repeat =
        failure->is_unprocessed || (acquired->is_reused && is_repeatable && connection->is_lost());
  } else {
    auto failure = std::make_shared<Http1ClientConnection::Failure>();
    auto connection = acquired->http1;
    result.response = co_await connection->send(std::move(request), options_.header_timeout, failure);
    result.status = failure->status;
    result.may_repeat = failure->is_before_response && acquired->is_reused && is_repeatable;
  }
  co_return result;
}

Task<Result<std::unique_ptr<ClientResponse>>> Pool::send(ClientRequest request) {
  auto self = shared_from_this();
  const bool needs_http1 = request.headers.get("upgrade").has_value();
  if (request.body.size() > kLargestKept) {
    Attempt only = co_await attempt(std::move(request), needs_http1);
    if (only.response) co_return std::move(only.response);
    co_return only.status;
  }
  for (int tries = 1;; ++tries) {
    Attempt tried = co_await attempt(request, needs_http1);
    if (tried.response) co_return std::move(tried.response);
    if (!tried.may_repeat || tries == kTries || is_closed_) co_return tried.status;
  }
}

void Pool::close() {
  is_closed_ = true;
  for (auto& weak : std::exchange(http1_, {}))
    if (auto connection = weak.lock()) connection->close();
  idle_.clear();
  for (auto& connection : std::exchange(http2_, {})) connection->lose();
}

class PooledClient final : public Client {
 public:
  PooledClient(asio::any_io_executor executor, std::shared_ptr<Pool> pool)
      : executor_(std::move(executor)), pool_(std::move(pool)) {}
  ~PooledClient() override {
    asio::dispatch(executor_, [pool = std::move(pool_)] { pool->close(); });
  }
  Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request) override {
    return pool_->send(std::move(request));
  }
  void close() override { pool_->close(); }

 private:
  asio::any_io_executor executor_;
  std::shared_ptr<Pool> pool_;
};

}  // namespace

const Headers& ClientResponse::trailers() const {
  static const Headers none;
  return none;
}

Task<Result<std::string>> ClientResponse::read_all(std::size_t limit) {
  std::string all;
  for (;;) {
    Result<std::string> piece = co_await read_some();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > limit)
      co_return Status{413, "RequestEntityTooLarge",
                       fmt::format("the response is larger than {} bytes", limit)};
    if (all.empty())
      all = *std::move(piece);
    else
      all += *piece;
  }
}

Result<std::unique_ptr<Client>> Client::create(asio::any_io_executor executor, Endpoint endpoint,
                                               ClientOptions options) {
  RN_TRY(auto address, parse_url(endpoint.url));
  std::shared_ptr<ClientTlsState> tls;
  if (address.is_tls) {
    tls = std::make_shared<ClientTlsState>();
    RN_TRY(tls->context, make_client_context(endpoint.tls));
    tls->server_name = endpoint.tls.server_name.empty() ? address.host : endpoint.tls.server_name;
    tls->is_verified = !endpoint.tls.insecure_skip_verify;
  }
  auto pool = std::make_shared<Pool>(executor, std::move(address), std::move(tls), options);
  return std::unique_ptr<Client>(std::make_unique<PooledClient>(executor, std::move(pool)));
}

}  // namespace rusternetes::http
