#pragma once
// One HTTP/1.1 request to a backend on a connection of its own: its head goes out as it is given, its body piece by piece while
// the response may already come, and after 101 the connection is a stream. (http::Client sends whole bodies.)

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api-server/proxy/location.h"
#include "base/task.h"
#include "http/client.h"
#include "http/message.h"

namespace rusternetes::http {
class Http1Decoder;
struct ClientTlsState;
}  // namespace rusternetes::http

namespace rusternetes::api_server {

// How connections are secured, made once and used from every thread.
class BackendTls {
 public:
  static Result<std::shared_ptr<const BackendTls>> make(const http::ClientTls& tls);
  // For one connection to `host`.
  std::shared_ptr<http::ClientTlsState> state(const std::string& host) const;

 private:
  BackendTls() = default;
  std::shared_ptr<void> context_;
  std::string server_name_;
  bool is_verified_ = true;
};

// The framing of a request's body.
struct BodyFraming {
  enum class Kind { none, length, chunked };
  Kind kind = Kind::none;
  std::string length;  // as the client said it
};

class Backend {
 public:
  // An error's message is in the words of Go's net package, which clients show: "dial tcp 10.0.0.1:80: connect: connection
  // refused". `tls` is looked at when the location says so.
  static Task<Result<std::unique_ptr<Backend>>> connect(asio::any_io_executor executor, Location location,
                                                        std::shared_ptr<const BackendTls> tls, std::chrono::milliseconds timeout);
  ~Backend();

  Task<Result<void>> send_head(std::string method, std::string target, http::Headers headers, BodyFraming framing);
  // A piece of the body, and its end. Pieces may go out while the response is read.
  Task<Result<void>> write_body(std::string piece);
  Task<Result<void>> finish_body();

  // 101 or the final response's head.
  Task<Result<http::ResponseHead>> read_head();
  // At least one byte, or empty at the end.
  Task<Result<std::string>> read_body();
  // After 101: the connection, and what was read too far.
  std::unique_ptr<http::ByteStream> take_stream() { return std::move(stream_); }
  std::string take_read_ahead() { return std::move(in_); }
  // Ends the connection; what is under way fails.
  void close() { stream_.reset(); }

 private:
  explicit Backend(std::unique_ptr<http::ByteStream> stream);
  std::unique_ptr<http::ByteStream> stream_;
  std::unique_ptr<http::Http1Decoder> decoder_;
  std::string in_;
  bool is_chunked_ = false;
  bool is_head_request_ = false;
};

}  // namespace rusternetes::api_server
