#pragma once
// What the server's connections share, whatever the version: the settings they live under and the life of one
// request's handler. Internal to this folder.

#include <atomic>
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <functional>
#include <memory>

#include "http/server.h"

namespace rusternetes::http {

// One for a server; outlives every connection.
struct ServerCore {
  std::string name;
  Handler handler;
  ServerLimits limits;
  std::atomic<bool> is_draining{false};
};

// A connection as the server's stop() sees it. Called on the connection's own executor.
class ServerConnection {
 public:
  virtual ~ServerConnection() = default;
  // Finishes what runs and takes nothing new.
  virtual void drain() = 0;
  virtual void close() = 0;
};

class ServerExchange : public Exchange, public std::enable_shared_from_this<ServerExchange> {
 public:
  ServerExchange(std::shared_ptr<ServerCore> core, asio::any_io_executor executor,
                 std::shared_ptr<const Peer> peer, RequestHead head);

  const RequestHead& head() const override { return head_; }
  const Peer& peer() const override { return *peer_; }
  Task<Result<std::string>> read_body(std::size_t limit) override;

  // Runs the handler; on_handler_ended() follows, always.
  void start();
  bool is_running() const { return is_running_; }
  // Ends the handler at its next suspension; from anywhere on the executor.
  void cancel();

 protected:
  // Nothing was sent: an answer in the handler's stead.
  virtual void send_error(int status, std::string_view text) = 0;
  // Something was sent, but not all.
  virtual void abort_response() = 0;
  virtual void on_handler_ended() = 0;
  // The declared length of the body.
  virtual std::optional<std::uint64_t> content_length() const = 0;

  bool is_head_request() const { return head_.method == "HEAD"; }
  void add_date(ResponseHead& head) const;

  std::shared_ptr<ServerCore> core_;
  asio::any_io_executor executor_;
  std::shared_ptr<const Peer> peer_;
  RequestHead head_;
  bool is_finished_ = false;  // the whole response is on its way
  bool is_cancelled_ = false;

 private:
  void ended(std::exception_ptr error);

  asio::cancellation_signal cancel_;
  bool is_running_ = false;
};

// Empty: the handler may see it. Otherwise why it is a bad request.
std::string_view fault_of(const RequestHead& head);

// The request took longer than it may (Kubernetes' --request-timeout).
Status body_too_slow();
Status client_gone();
Status already_begun();

}  // namespace rusternetes::http
