#include "http/stream.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>

namespace rusternetes::http {
namespace {

constexpr std::size_t kHighWater = 256 * 1024;
constexpr std::size_t kPiece = 64 * 1024;

class TransportStream final : public ByteStream, public Breakable, public Transport::Owner {
 public:
  TransportStream(std::shared_ptr<Transport> transport, std::string already_read, std::shared_ptr<void> keep)
      : transport_(std::move(transport)),
        already_read_(std::move(already_read)),
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
      const bool is_sent = co_await transport->wait_pending(kHighWater / 2);
      if (!is_sent) co_return connection_lost("the peer takes nothing");
    }
    co_return Result<void>{};
  }

  Task<> wait_broken() override {
    auto transport = transport_;
    co_await transport->wait_broken();
  }

  Task<Result<void>> shutdown_write() override {
    auto transport = transport_;
    Result<void> ended = co_await transport->shutdown_write();
    co_return ended;
  }

 private:
  void on_timeout() override {}  // there is none; the connection's former owner had one

  std::shared_ptr<Transport> transport_;
  std::string already_read_;
  std::shared_ptr<void> keep_;
};

Task<> wait_for_ever() {
  const auto executor = co_await asio::this_coro::executor;
  AsyncEvent never(executor);
  co_await never.wait();
}

}  // namespace

Task<> wait_broken(ByteStream& stream) {
  auto* own = dynamic_cast<Breakable*>(&stream);
  return own ? own->wait_broken() : wait_for_ever();
}

std::unique_ptr<ByteStream> make_stream(std::shared_ptr<Transport> transport, std::string already_read,
                                        std::shared_ptr<void> keep) {
  return std::make_unique<TransportStream>(std::move(transport), std::move(already_read), std::move(keep));
}

}  // namespace rusternetes::http
