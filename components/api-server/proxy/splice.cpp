#include "api-server/proxy/splice.h"

#include <boost/asio/this_coro.hpp>

#include "http/stream.h"

namespace rusternetes::api_server {
namespace {

using Time = std::chrono::steady_clock::time_point;
constexpr auto kLastBytes = std::chrono::seconds(10);  // for what was on its way when a connection broke

class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  Pipe(asio::any_io_executor executor, std::unique_ptr<http::ByteStream> client, std::unique_ptr<http::ByteStream> backend)
      : ends_{std::move(client), std::move(backend)}, changed_(executor) {}

  // A side that broke is not read while the other takes nothing.
  Task<> watch(std::shared_ptr<Pipe> self, int side) {
    if (is_closed_) co_return;
    co_await http::wait_broken(*ends_[side]);
    if (!is_closed_) note_failure();
  }

  // From ends_[from] to the other.
  Task<> carry(std::shared_ptr<Pipe> self, int from, std::string piece) {
    for (;;) {
      if (!piece.empty()) {
        last_progress_ = std::chrono::steady_clock::now();
        auto written = co_await ends_[1 - from]->write(piece);
        if (is_closed_) co_return;
        if (!written) break;
      }
      auto read = co_await ends_[from]->read_some();
      if (is_closed_) co_return;
      if (!read) note_failure();
      if (!read || read->empty()) {
        // What came before a connection broke still gets through.
        auto ended = co_await ends_[1 - from]->shutdown_write();
        if (is_closed_) co_return;
        if (!ended || !read) break;
        ++ended_halves_;
        changed_.set();
        co_return;
      }
      piece = *std::move(read);
    }
    is_over_ = true;
    changed_.set();
  }

  Task<> wait(std::chrono::milliseconds half_open_limit) {
    while (!is_over_ && ended_halves_ < 2) {
      if (ended_halves_ == 0 && failed_at_ == Time::max()) {
        co_await changed_.wait();
        last_progress_ = std::chrono::steady_clock::now();
        continue;
      }
      const Time deadline = failed_at_ != Time::max() ? failed_at_ + kLastBytes : last_progress_ + half_open_limit;
      if (std::chrono::steady_clock::now() >= deadline) co_return;
      (void)co_await changed_.wait_until(deadline);
    }
  }

  // Whoever is suspended in a stream wakes up with an error, or never again.
  void close() {
    is_closed_ = true;
    for (auto& end : ends_) end.reset();
  }

 private:
  void note_failure() {
    if (failed_at_ != Time::max()) return;
    failed_at_ = std::chrono::steady_clock::now();
    changed_.set();
  }

  std::unique_ptr<http::ByteStream> ends_[2];
  AsyncEvent changed_;
  Time last_progress_ = std::chrono::steady_clock::now();
  int ended_halves_ = 0;
  Time failed_at_ = Time::max();  // one side broke
  bool is_over_ = false;
  bool is_closed_ = false;
};

}  // namespace

Task<> splice(std::unique_ptr<http::ByteStream> client, std::unique_ptr<http::ByteStream> backend, std::string already_read,
              std::chrono::milliseconds half_open_limit) {
  const auto executor = co_await asio::this_coro::executor;
  auto pipe = std::make_shared<Pipe>(executor, std::move(client), std::move(backend));
  // Also when this coroutine is cancelled (the server stops): the directions end with their streams.
  std::shared_ptr<void> end(nullptr, [pipe](void*) { pipe->close(); });
  TaskGroup directions(executor);
  for (const int side : {0, 1}) directions.spawn("splice watch", pipe->watch(pipe, side));
  directions.spawn("splice", pipe->carry(pipe, 0, {}));
  directions.spawn("splice", pipe->carry(pipe, 1, std::move(already_read)));
  co_await pipe->wait(half_open_limit);
  end.reset();
  co_await directions.stop();
}

}  // namespace rusternetes::api_server
