#pragma once
// One HTTP/1.1 connection of the server. Internal to this folder.

#include <memory>
#include <string>

#include "http/http1_codec.h"
#include "http/server_exchange.h"
#include "http/transport.h"

namespace rusternetes::http {

class Http1Exchange;

class Http1ServerConnection final : public ServerConnection,
                                    public Transport::Owner,
                                    public std::enable_shared_from_this<Http1ServerConnection> {
 public:
  // `already_read` are the first bytes, from telling the versions apart.
  Http1ServerConnection(std::shared_ptr<ServerCore> core, std::shared_ptr<Transport> transport,
                        std::shared_ptr<const Peer> peer, std::string already_read);
  ~Http1ServerConnection();

  // Serves until the connection ends, also as the stream it may become.
  Task<> run();
  void drain() override;
  void close() override;

 private:
  friend class Http1Exchange;
  using Time = Transport::Time;

  // False: the connection is to be ended.
  Task<bool> read_request();
  Task<bool> serve();
  Task<bool> swallow_body();
  void refuse(int status, std::string_view text);
  Transport::Io pull();

  // For the exchange.
  Task<Result<std::string>> read_body_piece(Time deadline = Time::max());
  Task<Result<void>> push(std::vector<Slice> slices);
  void watch_peer();
  void watch_writing();
  void set_read_deadline(Time deadline);

  void on_readable() override;
  void on_timeout() override;
  void update_deadline();

  std::shared_ptr<ServerCore> core_;
  std::shared_ptr<Transport> transport_;
  std::shared_ptr<const Peer> peer_;
  std::string in_;
  std::unique_ptr<Http1Decoder> decoder_;
  std::shared_ptr<Http1Exchange> exchange_;
  AsyncEvent changed_;  // a handler ended, a stream was let go
  Time read_deadline_ = Time::max();
  Time write_since_{};  // bytes wait at least since then
  bool has_served_ = false;
  bool is_between_requests_ = true;
  bool is_watching_peer_ = false;
  bool must_linger_ = false;
  bool is_upgraded_ = false;
  bool is_stream_alive_ = false;
};

}  // namespace rusternetes::http
