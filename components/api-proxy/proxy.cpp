#include "api-proxy/proxy.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace rusternetes::api_proxy {

using asio::ip::tcp;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr auto name_interval = 5s;      // how old a name's addresses get
constexpr auto least_interval = 100ms;  // between probes of a server, however many refusals there are

// How many connections the limit of open files leaves room for, at two descriptors each.
std::size_t room_for_connections() {
  rlimit limit{};
  constexpr rlim_t others = 64;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur > others + 2 ? (limit.rlim_cur - others) / 2 : 1;
}

}  // namespace

// Counts for its server, and for all, as long as anybody holds it.
struct ApiProxy::Connection {
  Connection(ApiProxy& owner, tcp::socket client) : proxy(owner), tunnel(std::move(client)) {
    place = proxy.connections_.insert(proxy.connections_.end(), this);
  }
  ~Connection() {
    if (server) proxy.balancer_.release(*server);
    proxy.connections_.erase(place);
    proxy.has_room_.set();
    proxy.is_empty_.set();
  }
  Connection(const Connection&) = delete;

  ApiProxy& proxy;
  Tunnel tunnel;
  std::optional<std::size_t> server;
  bool is_up = false;
  unsigned dials = 0;  // tells a dial's timer from the next one's
  std::list<Connection*>::iterator place;
};

ApiProxy::ApiProxy(asio::any_io_executor executor, Options options)
    : executor_(executor),
      options_(std::move(options)),
      balancer_(options_.servers.size()),
      acceptor_(executor),
      is_resolved_(executor),
      has_room_(executor),
      is_empty_(executor),
      tasks_(executor) {}

ApiProxy::~ApiProxy() = default;

Result<std::unique_ptr<ApiProxy>> ApiProxy::make(asio::any_io_executor executor, Options options) {
  std::unique_ptr<ApiProxy> made(new ApiProxy(executor, std::move(options)));
  auto& its = made->options_;
  its.connections = std::max<std::size_t>(1, std::min(its.connections, room_for_connections()));
  Backend::TlsSource tls = [tls = its.tls] { return tls; };
  if (its.tls_files) tls = [files = its.tls_files] { return files->current(); };
  for (const auto& server : its.servers) {
    RN_TRY(auto backend, Backend::make(executor, server, tls, its.probe_timeout));
    made->unresolved_ += !backend->is_literal();
    made->servers_.push_back({std::move(backend), AsyncEvent(executor)});
  }
  RN_CHECK(made->listen());
  if (its.health) {
    made->health_.emplace(executor, [proxy = made.get()] { return proxy->balancer_.has_ready(); });
    RN_TRY(made->health_port_, made->health_->listen(*its.health));
  }
  return made;
}

Result<void> ApiProxy::listen() {
  boost::system::error_code error;
  const auto fail = [&] {
    return internal_error(fmt::format("listen on {}: {}", options_.listen.text(), error.message()));
  };
  const auto address = asio::ip::make_address(options_.listen.host, error);
  if (error) return fail();
  const tcp::endpoint endpoint(address, options_.listen.port);
  acceptor_.open(endpoint.protocol(), error);
  if (error) return fail();
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  // The proxy that takes this one's place listens beside it before this one leaves.
  const int on = 1;
  if (::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    error.assign(errno, boost::system::system_category());
    return fail();
  }
  acceptor_.bind(endpoint, error);
  if (error) return fail();
  acceptor_.listen(4096, error);
  if (error) return fail();
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

void ApiProxy::start() {
  if (health_) health_->start();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!servers_[i].backend->is_literal()) tasks_.spawn("api-proxy names", keep_resolved(i));
    tasks_.spawn("api-proxy probe", probe(i));
  }
  tasks_.spawn("api-proxy", accept());
}

// Whom the kernel has given this one's queue would be refused when it is closed.
void ApiProxy::take_waiting() {
  boost::system::error_code error;
  acceptor_.non_blocking(true, error);
  while (!error && connections_.size() < options_.connections) {
    tcp::socket client(executor_);
    acceptor_.accept(client, error);
    if (!error)
      tasks_.spawn("api-proxy connection", serve(std::make_shared<Connection>(*this, std::move(client))));
  }
}

Task<> ApiProxy::leave() {
  if (!acceptor_.is_open()) co_return;
  take_waiting();
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  log::info("api-proxy", "leaving: {} connections go on", connections_.size());
}

Task<> ApiProxy::stop() {
  co_await leave();
  const auto deadline = steady_clock::now() + options_.grace;
  while (!connections_.empty() && steady_clock::now() < deadline)
    (void)co_await is_empty_.wait_until(deadline);
  for (Connection* connection : connections_) connection->tunnel.close();
  co_await tasks_.stop();
  if (health_) co_await health_->stop();
}

Task<> ApiProxy::accept() {
  // Nobody can be led to a name. Whoever comes meanwhile waits in the kernel's queue.
  const auto patience = steady_clock::now() + 1s;
  while (unresolved_ > 0 && steady_clock::now() < patience) (void)co_await is_resolved_.wait_until(patience);
  boost::system::error_code error;
  while (acceptor_.is_open()) {
    while (connections_.size() >= options_.connections) co_await has_room_.wait();
    tcp::socket client(executor_);
    co_await acceptor_.async_accept(client, asio::redirect_error(asio::use_awaitable, error));
    if (!acceptor_.is_open()) co_return;
    if (error) {  // of one connection, or for want of descriptors: then it would come again at once
      log::debug("api-proxy", "accept: {}", error.message());
      co_await sleep_for(50ms);
      continue;
    }
    tasks_.spawn("api-proxy connection", serve(std::make_shared<Connection>(*this, std::move(client))));
  }
}

Task<> ApiProxy::serve(std::shared_ptr<Connection> connection) {
  const bool is_up = co_await connect(connection);
  if (!is_up) {
    connection->tunnel.abort();
    co_return;
  }
  tasks_.spawn("api-proxy connection", copy(connection, Tunnel::Way::to_client));
  co_await copy(connection, Tunnel::Way::to_server);
}

Task<> ApiProxy::copy(std::shared_ptr<Connection> connection, Tunnel::Way way) {
  co_await connection->tunnel.copy(way);
  if (connection->tunnel.take_refusal())
    note_refused(*connection->server, "it reset a connection before its first byte");
}

// No byte of the client is read before a server has taken the connection, so none is lost on the way.
Task<bool> ApiProxy::connect(std::shared_ptr<Connection> connection) {
  std::vector<bool> tried(servers_.size());
  for (std::size_t left = servers_.size(); left > 0; --left) {
    const auto server = balancer_.take(tried);
    RN_ASSERT(server, "not all servers were tried");
    tried[*server] = true;
    connection->server = server;
    const std::string problem = co_await dial(
        connection, *server, left > 1 ? options_.connect_timeout : options_.last_connect_timeout);
    if (problem.empty()) {
      connection->tunnel.connected();
      connection->is_up = true;
      co_return true;
    }
    connection->server.reset();
    balancer_.release(*server);
    if (!connection->tunnel.is_open()) co_return false;  // we stop
    note_refused(*server, problem);
  }
  co_return false;
}

// What went wrong; empty: it is connected.
Task<std::string> ApiProxy::dial(std::shared_ptr<Connection> connection, std::size_t server,
                                 std::chrono::milliseconds timeout) {
  tcp::socket& socket = connection->tunnel.server();
  const unsigned dial = ++connection->dials;
  std::shared_ptr<void> end(nullptr, [connection](void*) { ++connection->dials; });
  asio::steady_timer limit(executor_, timeout);
  bool is_late = false;
  limit.async_wait([&is_late, dial, weak = std::weak_ptr(connection)](const auto& error) {
    const auto still_there = weak.lock();
    if (error || !still_there || still_there->dials != dial) return;
    is_late = true;
    boost::system::error_code ignored;
    still_there->tunnel.server().close(ignored);
  });
  std::string problem = "its name has no address";
  const auto endpoints = servers_[server].backend->endpoints();
  for (const auto& endpoint : endpoints) {
    boost::system::error_code error;
    socket.close(error);
    co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (!connection->tunnel.is_open()) co_return "the proxy ends";
    if (is_late) co_return fmt::format("no connection in {} ms", timeout.count());
    if (!error) co_return "";
    problem = fmt::format("connect: {}", error.message());
  }
  boost::system::error_code ignored;
  socket.close(ignored);
  co_return problem;
}

Task<> ApiProxy::probe(std::size_t server) {
  Watched& it = servers_[server];
  if (!it.backend->is_literal()) (void)co_await it.probe_now.wait_until(steady_clock::now() + 1s);
  for (;;) {
    const auto began = steady_clock::now();
    const ProbeResult result = co_await it.backend->probe();
    if (balancer_.note_probe(server, result.probe, began)) {
      if (result.probe == Balancer::Probe::ready)
        log::info("api-proxy", "{} is ready", it.backend->where().text());
      else
        log::warn("api-proxy", "{} gets no connections while others are ready: {}",
                  it.backend->where().text(), result.message);
    }
    leave_the_dead();
    const bool is_urgent = co_await it.probe_now.wait_until(began + options_.probe_interval);
    if (!is_urgent) continue;
    const auto rest = began + least_interval - steady_clock::now();
    if (rest > 0ns) co_await sleep_for(rest);
    it.backend->forget_connection();  // its own says nothing of new ones
  }
}

Task<> ApiProxy::keep_resolved(std::size_t server) {
  Watched& it = servers_[server];
  for (bool is_first = true;; is_first = false) {
    const bool was_known = !it.backend->endpoints().empty();
    const bool is_resolved = co_await it.backend->resolve();
    if (is_first) --unresolved_;
    is_resolved_.set();
    if (!was_known && is_resolved) it.probe_now.set();
    if (it.backend->endpoints().empty())
      co_await sleep_for(1s);
    else
      co_await sleep_for(name_interval);
  }
}

void ApiProxy::note_refused(std::size_t server, const std::string& why) {
  if (balancer_.note_refused(server, steady_clock::now()))
    log::warn("api-proxy", "{} gets no connections while others are ready: {}",
              servers_[server].backend->where().text(), why);
  servers_[server].probe_now.set();
}

void ApiProxy::leave_the_dead() {
  for (const std::size_t server : balancer_.to_leave()) {
    std::size_t count = 0;
    for (Connection* connection : connections_) {
      if (connection->server != server || !connection->is_up || !connection->tunnel.is_open()) continue;
      connection->tunnel.abort();
      ++count;
    }
    if (count > 0)
      log::warn("api-proxy", "{} does not answer: {} connections to it end, so that clients turn to another",
                servers_[server].backend->where().text(), count);
  }
}

}  // namespace rusternetes::api_proxy
