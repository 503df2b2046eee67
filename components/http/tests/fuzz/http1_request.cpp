// Any bytes as an HTTP/1.1 client's.
#include "serve_bytes.h"

using namespace rusternetes;
using namespace rusternetes::http;

namespace {
Task<> run(std::shared_ptr<ServerCore> core, std::shared_ptr<Transport> transport,
           std::shared_ptr<const Peer> peer) {
  auto connection = std::make_shared<Http1ServerConnection>(core, transport, peer, "");
  co_await connection->run();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::serve_bytes(data, size, run);
  return 0;
}
