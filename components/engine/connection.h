#pragma once
// The one place where a request goes to an engine: deadlines, error answers, the observer's hook. Internal to
// engine/.

#include <boost/json/fwd.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/task.h"
#include "engine/engine.h"
#include "http/client.h"

namespace rusternetes::engine {

struct Answer {
  int status = 0;
  std::string body;
  http::Headers headers;
};

// Runs `work` and waits for it at most so long; false when the deadline passed and `work` was cancelled. Zero
// or less waits for ever. `work` must not refer to what its cancellation would outlive: it has ended on
// return.
Task<bool> run_with_deadline(Task<> work, std::chrono::nanoseconds timeout);

std::string url_escape(std::string_view text);
// The message of an engine's error body, or the body itself.
std::string error_message(std::string_view body);

class Connection {
 public:
  static Result<std::unique_ptr<Connection>> create(asio::any_io_executor executor, std::string socket_path,
                                                    EngineOptions options);
  using ErrorMapper = std::function<Status(int status, std::string message)>;

  // The whole answer, whatever its status. A body beyond 64 MiB is an error.
  Task<Result<Answer>> request(std::string method, std::string target, std::string body = {},
                               std::chrono::nanoseconds timeout = {});
  // The body as JSON (null when empty); a status of 400 and more becomes a Status by the mapper.
  Task<Result<boost::json::value>> call(std::string method, std::string target, std::string body = {},
                                        std::chrono::nanoseconds timeout = {});
  // For requests whose answer's body does not matter (on Podman it may be no JSON).
  Task<Result<void>> command(std::string method, std::string target, std::string body = {},
                             std::chrono::nanoseconds timeout = {});
  // Head only; the caller reads the stream. Status >= 400 is mapped already.
  Task<Result<std::unique_ptr<http::ClientResponse>>> open(http::ClientRequest request);
  // Sends with Upgrade: tcp and takes the connection over.
  Task<Result<std::unique_ptr<http::ByteStream>>> hijack(std::string target, std::string body);

  void set_error_mapper(ErrorMapper mapper) { mapper_ = std::move(mapper); }
  Status map_error(int status, std::string_view body) const;
  const std::string& socket_path() const { return socket_path_; }
  asio::any_io_executor executor() const { return executor_; }

 private:
  Connection(asio::any_io_executor executor, std::string socket_path, EngineOptions options)
      : executor_(std::move(executor)), socket_path_(std::move(socket_path)), options_(std::move(options)) {}
  Task<> fetch(http::ClientRequest request, Result<Answer>* out);
  Task<> fetch_head(http::ClientRequest request, Result<std::unique_ptr<http::ClientResponse>>* out);
  Task<Result<std::unique_ptr<http::ClientResponse>>> send(http::ClientRequest request);

  asio::any_io_executor executor_;
  std::string socket_path_;
  EngineOptions options_;
  std::unique_ptr<http::Client> client_;
  ErrorMapper mapper_;
};

}  // namespace rusternetes::engine
