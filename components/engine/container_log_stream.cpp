#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/container_log.h"

namespace rusternetes::engine {

struct ContainerLogStream::Waiter {
  // A duplicate: the reader closes its own.
  Waiter(asio::any_io_executor executor, int fd) : descriptor(std::move(executor), ::dup(fd)) {}
  asio::posix::stream_descriptor descriptor;
};

ContainerLogStream::ContainerLogStream(std::unique_ptr<ContainerLogReader> reader, WorkerThread& worker)
    : reader_(std::move(reader)), worker_(worker) {}
ContainerLogStream::~ContainerLogStream() = default;

void ContainerLogStream::finish() { reader_->finish(); }

Task<Result<std::string>> ContainerLogStream::next() {
  using Piece = ContainerLogReader::Piece;
  for (;;) {
    // The reader is shared with the job: a stream destroyed meanwhile leaves it what it needs.
    std::function<Result<Piece>()> job = [reader = reader_] {
      reader->drain_changes();
      return reader->read();
    };
    auto piece = co_await worker_.run(std::move(job));
    if (!piece) co_return std::move(piece).error();
    if (!piece->bytes.empty()) co_return std::move(piece->bytes);
    if (piece->more == ContainerLogReader::More::never) co_return std::string();
    if (piece->more == ContainerLogReader::More::now) continue;
    if (!waiter_)
      waiter_ = std::make_unique<Waiter>(co_await asio::this_coro::executor, reader_->change_fd());
    co_await waiter_->descriptor.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
  }
}

}  // namespace rusternetes::engine
