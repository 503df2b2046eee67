#include "kubelet/server/port_forward.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/this_coro.hpp>

#include "base/log.h"
#include "http/streams/connect_loopback.h"
#include "kubelet/network_socket.h"
#include "kubelet/server/session_end.h"

namespace rusternetes::kubelet {

namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kConnect{30};
constexpr int kMostConnections = 1024;  // of one client at once
// How long a client may be silent once the port has ended its half. kubectl before 1.32 tells its own client
// of that end only after ours, and that client may wait for it: both would wait for ever.
constexpr std::chrono::seconds kSilence{1};

// One connection of the client and the one to the port.
struct Link {
  Link(asio::any_io_executor executor, http::ForwardedConnection client)
      : client(std::move(client)), changed(executor) {}
  http::ForwardedConnection client;
  std::unique_ptr<http::ByteStream> port;
  AsyncEvent changed;
  bool is_up_done = false, is_down_done = false;
  bool is_broken = false;
  bool is_giving = false;  // what the port has not taken yet
  Time last_input{};       // from the client, or the end of the port's half

  // When the connection is over although the client has not said so.
  Time deadline() const { return is_down_done && !is_giving ? last_input + kSilence : Time::max(); }
};

class PortForwardSession {
 public:
  PortForwardSession(asio::any_io_executor executor, WorkerThread& sockets,
                     std::unique_ptr<http::PortForward> client, ForwardTarget target)
      : executor_(executor),
        sockets_(sockets),
        client_(std::move(client)),
        target_(std::move(target)),
        tasks_(executor),
        changed_(executor) {}

  Task<> run() {
    for (;;) {
      // Of a client that resets its streams as soon as they are open, the connection's own bound sees none.
      while (open_ >= kMostConnections) co_await changed_.wait();
      auto next = co_await client_->next();
      if (!next) break;
      ++open_;
      tasks_.spawn("forwarded connection", serve(std::make_shared<Link>(executor_, *std::move(next))));
    }
    tasks_.spawn("port-forward client", watch_client());
    while (open_ && !client_->is_gone()) co_await changed_.wait();
  }

  void hurry() { client_->hurry(); }

  Task<> end(std::chrono::milliseconds grace) {
    co_await tasks_.stop();
    co_await client_->close(grace);
  }

 private:
  Task<> watch_client() {
    co_await client_->wait_gone();
    changed_.set();
  }

  Task<> serve(std::shared_ptr<Link> link) {
    const std::shared_ptr<void> end(nullptr, [this](void*) {
      --open_;
      changed_.set();
    });
    auto connected = co_await connect(link->client.port);
    if (!connected) {
      const std::string text = fmt::format("error forwarding port {} to pod {}, uid : {}", link->client.port,
                                           target_.sandbox_id, connected.error().message);
      log::debug("kubelet", "{}", text);
      (void)co_await link->client.error->write(text);
      (void)co_await link->client.error->shutdown_write();
      link->client.data->reset();
      co_return;
    }
    link->port = *std::move(connected);
    TaskGroup copies(executor_);
    copies.spawn("to the port", copy_up(link));
    copies.spawn("from the port", copy_down(link));
    std::exception_ptr cancelled;
    try {
      while (!link->is_broken && !(link->is_up_done && link->is_down_done)) {
        if (std::chrono::steady_clock::now() >= link->deadline()) break;
        (void)co_await link->changed.wait_until(link->deadline());
      }
    } catch (...) {
      cancelled = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state();
    co_await copies.stop();
    if (cancelled) std::rethrow_exception(cancelled);
    if (link->is_broken) link->client.data->reset();
    (void)co_await link->client.error->shutdown_write();
  }

  static Task<> copy_up(std::shared_ptr<Link> link) {
    bool takes_nothing =
        false;  // what the client still sends goes nowhere, but must not stop its other connections
    for (;;) {
      auto piece = co_await link->client.data->read_some();
      if (!piece) {
        link->is_broken = true;
        break;
      }
      if (piece->empty()) {
        if (!takes_nothing) (void)co_await link->port->shutdown_write();
        break;
      }
      link->last_input = std::chrono::steady_clock::now();
      if (takes_nothing) continue;
      link->is_giving = true;
      auto written = co_await link->port->write(*piece);
      link->is_giving = false;
      link->last_input = std::chrono::steady_clock::now();
      link->changed.set();
      takes_nothing = !written;
    }
    link->is_up_done = true;
    link->changed.set();
  }

  static Task<> copy_down(std::shared_ptr<Link> link) {
    for (;;) {
      auto piece = co_await link->port->read_some();
      if (!piece) {
        link->is_broken = true;
        break;
      }
      if (piece->empty()) {
        (void)co_await link->client.data->shutdown_write();
        break;
      }
      auto written = co_await link->client.data->write(*piece);
      if (!written) {
        link->is_broken = true;
        break;
      }
    }
    link->is_down_done = true;
    link->last_input = std::chrono::steady_clock::now();
    link->changed.set();
  }

  Task<Result<std::unique_ptr<http::ByteStream>>> connect_over(int family, std::uint16_t port) {
    const auto network = target_.network;
    // One that owns itself: a session that is cancelled while it waits for the worker leaves it to nobody.
    const auto make = [network, family] { return tcp_socket_in(network, family); };
    auto socket = co_await sockets_.run(make);
    if (!socket) co_return std::move(socket).error();
    auto connected = co_await http::connect_loopback(*std::move(socket), family, port, kConnect);
    co_return connected;
  }

  // "localhost", IPv4 first.
  Task<Result<std::unique_ptr<http::ByteStream>>> connect(std::uint16_t port) {
    auto v4 = co_await connect_over(AF_INET, port);
    if (v4) co_return v4;
    auto v6 = co_await connect_over(AF_INET6, port);
    if (v6) co_return v6;
    co_return Status{
        503, "ConnectionFailed",
        fmt::format(
            "failed to execute portforward in network namespace \"{}\": failed to connect to localhost:{} "
            "inside namespace \"{}\", IPv4: {} IPv6 {} ",
            target_.network.name(), port, target_.sandbox_id, v4.error().message, v6.error().message)};
  }

  asio::any_io_executor executor_;
  WorkerThread& sockets_;
  std::unique_ptr<http::PortForward> client_;
  ForwardTarget target_;
  TaskGroup tasks_;
  AsyncEvent changed_;
  int open_ = 0;
};

}  // namespace

Task<> run_port_forward_session(WorkerThread& sockets, std::unique_ptr<http::PortForward> client,
                                ForwardTarget target) {
  const auto executor = co_await asio::this_coro::executor;
  PortForwardSession session(executor, sockets, std::move(client), std::move(target));
  co_await run_session(session);
}

}  // namespace rusternetes::kubelet
