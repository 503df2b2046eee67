#pragma once
// Bytes from a client into a connection of the server, over a socket pair, and out again.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/task.h"
#include "http/server_exchange.h"
#include "http/server_http1.h"
#include "http/server_http2.h"
#include "http/transport.h"

namespace rusternetes::http::fuzzing {

inline Task<> answer(std::shared_ptr<Exchange> exchange) {
  auto body = co_await exchange->read_body(64 * 1024);
  std::vector<Slice> slices;
  if (body) slices.push_back(Slice::own(*std::move(body)));
  ResponseHead head{body ? 200 : body.error().code, {}};
  auto sent = co_await exchange->respond(std::move(head), std::move(slices));
  if (!sent) co_return;
}

// Feeds `size` bytes, reads what comes back, and insists that nothing is left when the client has gone.
template <class Run>
void serve_bytes(const std::uint8_t* data, std::size_t size, Run run) {
  int ends[2];
  RN_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "socketpair");
  asio::io_context context(1);
  {
    auto core = std::make_shared<ServerCore>();
    core->name = "fuzz";
    core->handler = answer;
    core->limits.header_bytes = 16 * 1024;
    TaskGroup group(context.get_executor());
    auto transport = std::make_shared<Transport>(context.get_executor(), ends[0]);
    group.spawn("connection", run(core, transport, std::make_shared<Peer>()));
    char sink[64 * 1024];
    while (size) {
      const ssize_t sent = ::send(ends[1], data, size, MSG_NOSIGNAL);
      if (sent > 0) {
        data += sent;
        size -= static_cast<std::size_t>(sent);
      }
      context.poll();
      while (::recv(ends[1], sink, sizeof sink, 0) > 0) {
      }
      if (sent < 0 && errno != EAGAIN) break;
    }
    context.poll();
    ::close(ends[1]);
    context.poll();
    RN_ASSERT(group.size() == 0, "a connection outlived its client");
  }
}

}  // namespace rusternetes::http::fuzzing
