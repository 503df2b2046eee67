#include "http/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <mutex>
#include <unordered_set>

#include "base/log.h"
#include "http/listen.h"
#include "http/server_http1.h"
#include "http/server_http2.h"
#include "http/tls.h"
#include "http/transport.h"

namespace rusternetes::http {
namespace {

constexpr int kAcceptsATurn = 64;
constexpr std::chrono::milliseconds kAcceptRetry{100};  // out of descriptors
// While the server drains, for a connection that has not said yet what it wants.
constexpr std::chrono::seconds kDrainingHandshake{1};
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A connection before its version is known.
class Newcomer final : public ServerConnection {
 public:
  explicit Newcomer(std::shared_ptr<Transport> transport) : transport_(std::move(transport)) {}
  void drain() override { transport_->set_deadline(std::chrono::steady_clock::now() + kDrainingHandshake); }
  void close() override { transport_->close(); }

 private:
  std::shared_ptr<Transport> transport_;
};

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  // The connections of one executor; touched on it alone.
  struct Shard {
    explicit Shard(asio::any_io_executor e) : executor(e), tasks(e) {}
    asio::any_io_executor executor;
    TaskGroup tasks;
    std::unordered_set<std::shared_ptr<ServerConnection>> connections;
  };
  struct Listener {
    Listener(asio::any_io_executor executor, int fd) : socket(executor, fd), retry(executor) {}
    asio::posix::stream_descriptor socket;
    asio::steady_timer retry;
    bool is_tls = false;
    SslContext tls;  // under tls_mutex
    std::string unix_path;
  };
  struct Waiter {
    asio::any_io_executor executor;
    std::shared_ptr<AsyncEvent> event;
  };

  explicit Impl(Options o) : options(std::move(o)), core(std::make_shared<ServerCore>()) {
    core->name = options.name;
    core->handler = options.handler;
    core->limits = options.limits;
    for (const auto& executor : options.executors) shards.push_back(std::make_unique<Shard>(executor));
    RN_ASSERT(!shards.empty(), "a server needs an executor");
  }

  const asio::any_io_executor& acceptor() const { return shards.front()->executor; }

  // Of a server that has started already, too: then the first executor takes it, as it uses the others.
  Result<void> add(Descriptor socket, const std::optional<ServerTls>& tls, std::string unix_path = {}) {
    auto listener = std::make_shared<Listener>(acceptor(), socket.get());
    socket.release();
    listener->unix_path = std::move(unix_path);
    if (tls) {
      RN_TRY(listener->tls, make_server_context(*tls));
      listener->is_tls = true;
    }
    if (!is_started) {
      listeners.push_back(std::move(listener));
      return {};
    }
    asio::post(acceptor(), [self = shared_from_this(), listener] {
      if (self->is_closed) return;
      {
        std::lock_guard lock(self->tls_mutex);  // reload_tls reads them from elsewhere
        self->listeners.push_back(listener);
      }
      self->arm(listener);
    });
    return {};
  }

  // --- on the first executor

  void arm(std::shared_ptr<Listener> listener) {
    listener->socket.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this(), listener](const boost::system::error_code& error) {
          if (!error && !self->is_closed) self->accept_some(listener, kAcceptsATurn);
        });
  }

  void accept_some(std::shared_ptr<Listener> listener, int most) {
    for (int i = 0; i < most; ++i) {
      if (open >= options.limits.connections && !core->is_draining) {
        // Who comes now waits in the kernel's queue; the next connection that ends wakes us.
        is_paused = true;
        if (open < options.limits.connections) resume();
        return;
      }
      const int fd =
          ::accept4(listener->socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        deal(Descriptor(fd), tls_of(*listener));
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log::warn(core->name, "accept: {}", errno_error("out of resources", errno).message);
        listener->retry.expires_after(kAcceptRetry);
        listener->retry.async_wait(
            [self = shared_from_this(), listener](const boost::system::error_code& error) {
              if (!error && !self->is_closed) self->arm(listener);
            });
        return;
      }
      break;  // EAGAIN
    }
    if (!is_closed) arm(listener);
  }

  void resume() {
    if (!is_paused.exchange(false) || is_closed) return;
    for (const auto& listener : listeners) arm(listener);
  }

  SslContext tls_of(Listener& listener) {
    if (!listener.is_tls) return {};
    std::lock_guard lock(tls_mutex);
    return listener.tls;
  }

  void adopt(std::shared_ptr<Descriptor> socket, SslContext tls) {
    if (!is_started || is_closed || open >= options.limits.connections) return;
    deal(std::move(*socket), std::move(tls));
  }

  void deal(Descriptor socket, SslContext tls) {
    ++open;
    Shard& shard = *shards[next_shard++ % shards.size()];
    auto shared = std::make_shared<Descriptor>(std::move(socket));
    asio::dispatch(shard.executor, [self = shared_from_this(), &shard, shared, tls] {
      auto transport = std::make_shared<Transport>(shard.executor, shared->get());
      shared->release();
      shard.tasks.spawn(self->core->name, self->serve(self, &shard, std::move(transport), tls));
    });
  }

  // --- on a shard's executor

  // Listed among the connections as long as it lives.
  struct Listed {
    Listed(Shard& s, std::shared_ptr<ServerConnection> c) : shard(s), connection(std::move(c)) {
      shard.connections.insert(connection);
    }
    ~Listed() { shard.connections.erase(connection); }
    Shard& shard;
    std::shared_ptr<ServerConnection> connection;
  };

  Task<> serve(std::shared_ptr<Impl> self, Shard* shard, std::shared_ptr<Transport> transport,
               SslContext tls) {
    // Whichever way this ends, the last thing is to be counted out.
    std::shared_ptr<void> counted(nullptr, [self](void*) { self->on_connection_ended(); });
    prepare_tcp(transport->fd());
    auto peer = std::make_shared<Peer>(describe_peer(transport->fd()));
    bool is_http2 = false;
    std::string first;
    {
      Listed listed(*shard, std::make_shared<Newcomer>(transport));
      transport->set_deadline(std::chrono::steady_clock::now() +
                              (tls ? options.limits.handshake_timeout : options.limits.header_timeout));
      bool is_up = true;
      if (tls)
        is_up = co_await shake_hands(transport, tls, peer);
      else
        is_up = co_await read_first(transport, first);
      if (!is_up) {
        transport->close();
        co_return;
      }
      is_http2 =
          tls ? transport->alpn() == "h2" : first.size() >= kPreface.size() && first.starts_with(kPreface);
      transport->set_deadline(Transport::Time::max());
    }
    if (is_http2) {
      auto connection = std::make_shared<Http2ServerConnection>(core, transport, peer);
      Listed listed(*shard, connection);
      co_await connection->run(std::move(first));
    } else {
      auto connection = std::make_shared<Http1ServerConnection>(core, transport, peer, std::move(first));
      Listed listed(*shard, connection);
      co_await connection->run();
    }
  }

  Task<bool> shake_hands(std::shared_ptr<Transport> transport, SslContext tls, std::shared_ptr<Peer> peer) {
    SSL* ssl = ::SSL_new(tls.get());
    if (!ssl) co_return false;
    transport->use_tls(ssl);
    ::SSL_set_accept_state(ssl);
    Result<void> done = co_await transport->handshake();
    if (!done) {
      log::debug(core->name, "{}: {}", peer->address, done.error().message);
      co_return false;
    }
    peer->is_tls = true;
    peer->verified_chain = verified_chain(ssl);
    co_return true;
  }

  // Bytes enough to tell HTTP/2 with prior knowledge (RFC 9113, 3.3) from HTTP/1.1.
  Task<bool> read_first(std::shared_ptr<Transport> transport, std::string& first) {
    if (core->is_draining) transport->set_deadline(std::chrono::steady_clock::now() + kDrainingHandshake);
    for (;;) {
      std::size_t length = 0;
      const auto buffer = Transport::scratch();
      const auto got = transport->read(buffer, length);
      first.append(buffer.data(), length);
      if (!first.empty() && (first.size() >= kPreface.size() || !kPreface.starts_with(first))) co_return true;
      if (got == Transport::Io::ok) continue;
      if (got != Transport::Io::would_block) co_return false;
      const bool is_up = co_await transport->wait_readable();
      if (!is_up) co_return false;
    }
  }

  // --- from anywhere

  void on_connection_ended() {
    --open;
    if (is_paused) asio::post(acceptor(), [self = shared_from_this()] { self->resume(); });
    notify();
  }

  void notify() {
    if (!core->is_draining) return;
    std::lock_guard lock(waiters_mutex);
    for (const auto& waiter : waiters) asio::post(waiter.executor, [event = waiter.event] { event->set(); });
  }

  void for_each_connection(void (ServerConnection::*act)()) {
    for (const auto& shard : shards)
      asio::post(shard->executor, [self = shared_from_this(), shard = shard.get(), act] {
        const std::vector<std::shared_ptr<ServerConnection>> all(shard->connections.begin(),
                                                                 shard->connections.end());
        for (const auto& connection : all) (connection.get()->*act)();
      });
  }

  // What waits in the kernel's queue still gets in; then the sockets close and everybody hears of the end.
  void close_listeners() {
    if (is_closed) return;
    is_closed = true;
    for (const auto& listener : listeners) {
      if (is_started) accept_some(listener, 1 << 20);
      boost::system::error_code ignored;
      listener->socket.close(ignored);
      listener->retry.cancel();
      if (!listener->unix_path.empty()) ::unlink(listener->unix_path.c_str());
    }
    {
      std::lock_guard lock(tls_mutex);
      listeners.clear();
    }
    is_swept = true;
    for_each_connection(&ServerConnection::drain);
    notify();
  }

  // A turn of every shard's loop: what was posted there before has run and let go of us, so that who destroys
  // the server and then the executors meets nobody.
  Task<> settle(asio::any_io_executor executor) {
    struct Turns {
      explicit Turns(asio::any_io_executor e) : executor(e), event(e) {}
      asio::any_io_executor executor;
      AsyncEvent event;
      std::size_t left = 0;
    };
    auto turns = std::make_shared<Turns>(executor);
    turns->left = shards.size();
    for (const auto& shard : shards)
      asio::post(shard->executor, [turns]() mutable {
        const asio::any_io_executor back = turns->executor;
        asio::post(back, [turns = std::move(turns)] {
          --turns->left;
          turns->event.set();
        });
      });
    while (turns->left) co_await turns->event.wait();
  }

  bool is_over() const { return is_swept && open == 0; }

  Task<> stop(std::shared_ptr<Impl> self, std::chrono::milliseconds grace) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    auto event = std::make_shared<AsyncEvent>(executor);
    {
      std::lock_guard lock(waiters_mutex);
      waiters.push_back({executor, event});
    }
    core->is_draining = true;
    asio::post(acceptor(), [self] { self->close_listeners(); });
    bool is_in_time = true;
    while (!is_over() && is_in_time) is_in_time = co_await event->wait_until(deadline);
    if (!is_over()) for_each_connection(&ServerConnection::close);
    while (!is_over()) co_await event->wait();
    co_await settle(executor);
    std::lock_guard lock(waiters_mutex);
    std::erase_if(waiters, [&](const Waiter& waiter) { return waiter.event == event; });
  }

  Options options;
  std::shared_ptr<ServerCore> core;
  std::vector<std::unique_ptr<Shard>> shards;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::mutex tls_mutex;
  std::mutex waiters_mutex;
  std::vector<Waiter> waiters;
  std::atomic<std::size_t> open{0};
  std::atomic<bool> is_paused{false};
  std::atomic<bool> is_closed{false};  // nothing is accepted any more
  std::atomic<bool> is_swept{false};   // what had been waiting is in
  bool is_started = false;
  std::size_t next_shard = 0;
};

Server::Server(Options options) : impl_(std::make_shared<Impl>(std::move(options))) {}

Server::~Server() {
  if (impl_->is_closed) return;
  impl_->core->is_draining = true;
  asio::post(impl_->acceptor(), [impl = impl_] {
    impl->close_listeners();
    impl->for_each_connection(&ServerConnection::close);
  });
}

Result<std::uint16_t> Server::listen_tls(const std::string& address, std::uint16_t port,
                                         const ServerTls& tls) {
  RN_TRY(auto socket, listen_tcp(address, port));
  RN_TRY(const std::uint16_t bound, local_port(socket.get()));
  RN_CHECK(impl_->add(std::move(socket), tls));
  return bound;
}

Result<std::uint16_t> Server::listen_plain(const std::string& address, std::uint16_t port) {
  RN_TRY(auto socket, listen_tcp(address, port));
  RN_TRY(const std::uint16_t bound, local_port(socket.get()));
  RN_CHECK(impl_->add(std::move(socket), std::nullopt));
  return bound;
}

Result<void> Server::listen_unix(const std::string& path, unsigned mode) {
  RN_TRY(auto socket, listen_unix_path(path, mode));
  return impl_->add(std::move(socket), std::nullopt, path);
}

Result<void> Server::adopt_listener(int fd, std::optional<ServerTls> tls) {
  Descriptor socket(fd);
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return errno_error("adopt a listening socket", errno);
  return impl_->add(std::move(socket), tls);
}

void Server::adopt_connection(int fd, std::shared_ptr<ssl_ctx_st> tls) {
  auto socket = std::make_shared<Descriptor>(fd);
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return;
  asio::post(impl_->acceptor(), [impl = impl_, socket = std::move(socket), tls = std::move(tls)]() mutable {
    impl->adopt(std::move(socket), std::move(tls));
  });
}

Result<void> Server::reload_tls(const ServerTls& tls) {
  RN_TRY(auto context, make_server_context(tls));
  std::lock_guard lock(impl_->tls_mutex);
  for (const auto& listener : impl_->listeners)
    if (listener->is_tls) listener->tls = context;
  return {};
}

void Server::start() {
  impl_->is_started = true;
  asio::post(impl_->acceptor(), [impl = impl_] {
    if (impl->is_closed) return;
    for (const auto& listener : impl->listeners) impl->arm(listener);
  });
}

Task<> Server::stop(std::chrono::milliseconds grace) { return impl_->stop(impl_, grace); }

std::size_t Server::open_connections() const { return impl_->open; }

}  // namespace rusternetes::http
