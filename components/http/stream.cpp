#include "http/stream.h"

#include <algorithm>

namespace rusternetes::http {
namespace {

constexpr std::size_t kHighWater = 256 * 1024;
constexpr std::size_t kPiece = 64 * 1024;

class TransportStream final : public ByteStream, public Transport::Owner {
 public:
  TransportStream(std::shared_ptr<Transport> transport, std::string already_read,
                  std::chrono::milliseconds write_timeout, std::shared_ptr<void> keep)
      : transport_(std::move(transport)),
        already_read_(std::move(already_read)),
        write_timeout_(write_timeout),
        keep_(std::move(keep)) {
    transport_->set_owner(this);
    transport_->set_deadline(Transport::Time::max());
  }
  ~TransportStream() {
    transport_->set_owner(nullptr);
    transport_->flush();
    transport_->close();
  }

  Task<Result<std::string>> read_some() override {
    if (!already_read_.empty()) {
      std::string first = std::move(already_read_);
      already_read_.clear();
      co_return first;
    }
    auto transport = transport_;
    for (;;) {
      std::size_t length = 0;
      const auto buffer = Transport::scratch();
      switch (transport->read(buffer, length)) {
        case Transport::Io::ok:
          co_return std::string(buffer.data(), length);
        case Transport::Io::end:
          co_return std::string();
        case Transport::Io::failed:
          co_return connection_lost("the peer went away");
        case Transport::Io::would_block:
          break;
      }
      const bool is_up = co_await transport->wait_readable();
      if (!is_up) co_return connection_lost("closed");
    }
  }

  Task<Result<void>> write(std::string_view bytes) override {
    auto transport = transport_;
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kPiece);
      bytes.remove_prefix(piece.size());
      transport->queue(piece);
      if (transport->flush() == Transport::Io::failed) co_return connection_lost("the peer went away");
      if (transport->pending() <= kHighWater) continue;
      watch_writing();
      const bool is_sent = co_await transport->wait_pending(kHighWater / 2);
      if (!is_sent) co_return connection_lost("the peer takes nothing");
    }
    watch_writing();
    co_return Result<void>{};
  }

  Task<Result<void>> shutdown_write() override {
    auto transport = transport_;
    watch_writing();
    Result<void> ended = co_await transport->shutdown_write();
    co_return ended;
  }

 private:
  void watch_writing() {
    if (transport_->pending() && write_timeout_.count())
      transport_->set_deadline(transport_->last_progress() + write_timeout_);
  }
  void on_timeout() override {
    if (!transport_->pending()) return;
    if (std::chrono::steady_clock::now() - transport_->last_progress() >= write_timeout_)
      transport_->close();
    else
      watch_writing();
  }

  std::shared_ptr<Transport> transport_;
  std::string already_read_;
  std::chrono::milliseconds write_timeout_;
  std::shared_ptr<void> keep_;
};

}  // namespace

std::unique_ptr<ByteStream> make_stream(std::shared_ptr<Transport> transport, std::string already_read,
                                        std::chrono::milliseconds write_timeout, std::shared_ptr<void> keep) {
  return std::make_unique<TransportStream>(std::move(transport), std::move(already_read), write_timeout,
                                           std::move(keep));
}

}  // namespace rusternetes::http
