// Any bytes as frames of an HTTP/2 client that has sent its preface.
#include "serve_bytes.h"

using namespace rusternetes;
using namespace rusternetes::http;

namespace {
Task<> run(std::shared_ptr<ServerCore> core, std::shared_ptr<Transport> transport,
           std::shared_ptr<const Peer> peer) {
  auto connection = std::make_shared<Http2ServerConnection>(core, transport, peer);
  // The preface and empty SETTINGS.
  co_await connection->run(std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzzing::serve_bytes(data, size, run);
  return 0;
}
