#pragma once
// Bytes of a peer into the server's end of a taken-over connection, and out again.

#include <boost/asio/this_coro.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "base/task.h"
#include "http/message.h"

namespace rusternetes::http::fuzzing {

// Gives the input in pieces, then ends; takes everything.
class InputStream final : public ByteStream {
 public:
  explicit InputStream(std::string_view input) : input_(input) {}
  Task<Result<std::string>> read_some() override {
    const std::string_view piece = input_.substr(0, 1 + input_.size() % 61);
    input_.remove_prefix(piece.size());
    co_return std::string(piece);
  }
  Task<Result<void>> write(std::string_view) override { co_return Result<void>{}; }
  Task<Result<void>> shutdown_write() override { co_return Result<void>{}; }

 private:
  std::string_view input_;
};

// Runs `serve` over the input, and insists that it ends.
template <class Serve>
void feed_stream(std::string_view input, Serve serve) {
  asio::io_context context(1);
  TaskGroup group(context.get_executor());
  group.spawn("serve", serve(std::make_unique<InputStream>(input)));
  for (int i = 0; group.size() && i < 100'000; ++i) context.poll();
  RN_ASSERT(group.size() == 0, "a connection outlived its peer");
}

}  // namespace rusternetes::http::fuzzing
