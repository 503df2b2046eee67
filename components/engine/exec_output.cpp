#include "engine/exec_output.h"

#include "engine/std_stream.h"

namespace rusternetes::engine {
namespace {

constexpr std::size_t kOutputLimit = 16u << 20;

}  // namespace

Task<> collect_output(ExecSession* session, Result<ExecOutput>* out) {
  StdStreamDecoder decoder;
  std::size_t left = kOutputLimit;
  auto keep = [out, &left](StdStream which, std::string_view bytes) {
    bytes = bytes.substr(0, left);
    left -= bytes.size();
    (which == StdStream::err ? (*out)->stderr_bytes : (*out)->stdout_bytes).append(bytes);
  };
  for (;;) {
    auto piece = co_await session->stream().read_some();
    if (!piece) {
      *out = std::move(piece).error();
      co_return;
    }
    if (piece->empty()) break;
    if (auto decoded = decoder.feed(*piece, keep); !decoded) {
      *out = std::move(decoded).error();
      co_return;
    }
  }
  auto code = co_await session->exit_code();
  if (code)
    (*out)->exit_code = *code;
  else
    *out = std::move(code).error();
}

}  // namespace rusternetes::engine
