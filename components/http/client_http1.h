#pragma once
// One HTTP/1.1 connection of a client: one request at a time. Internal to this folder.

#include <functional>
#include <memory>
#include <string>

#include "http/client.h"
#include "http/http1_codec.h"
#include "http/transport.h"

namespace rusternetes::http {

class Http1ClientConnection final : public std::enable_shared_from_this<Http1ClientConnection>,
                                    public Transport::Owner {
 public:
  // Gives a connection back that may serve again.
  using Recycle = std::function<void(std::shared_ptr<Http1ClientConnection>)>;

  Http1ClientConnection(std::shared_ptr<Transport> transport, std::string authority, Recycle recycle);
  ~Http1ClientConnection();

  // Why a request failed, for the decision to repeat it.
  struct Failure {
    Status status;
    bool is_before_response = false;  // no byte of a response came
  };
  // The response's head, or how it failed in `failure`.
  Task<std::unique_ptr<ClientResponse>> send(ClientRequest request, std::chrono::milliseconds header_timeout,
                                             std::shared_ptr<Failure> failure);

  // Rests in the pool until `deadline`; closes itself when the server speaks or leaves.
  void rest_until(Transport::Time deadline);
  // Still good after its rest.
  bool wake_up();
  bool is_open() const { return transport_ && transport_->is_open(); }
  void close() {
    if (transport_) transport_->close();
  }

 private:
  friend class Http1Response;

  void queue_head(const ClientRequest& request);
  void pump_body();
  Task<Result<ResponseHead>> read_head(bool is_head);
  // What the socket has, into in_.
  Transport::Io pull();
  Task<Result<std::string>> read_body();
  void finish_response();

  void on_readable() override;
  void on_writable() override { pump_body(); }
  void on_timeout() override { transport_->close(); }

  std::shared_ptr<Transport> transport_;
  std::string authority_;
  Recycle recycle_;
  std::unique_ptr<Http1Decoder> decoder_;
  std::string in_;
  std::string body_;  // of the request, until it has left
  std::size_t body_sent_ = 0;
  bool has_response_bytes_ = false;
  bool is_at_end_ = false;
  bool is_resting_ = false;
};

}  // namespace rusternetes::http
