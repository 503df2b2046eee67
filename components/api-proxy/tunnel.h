#pragma once
// Two sockets and the bytes between them, untouched. What one side does the other sees: its end of half a
// connection, its reset, and that it does not read. Belongs to one executor.

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/task.h"

namespace rusternetes::api_proxy {

class Tunnel {
 public:
  using Socket = asio::ip::tcp::socket;
  enum class Way { to_server, to_client };
  // What is read at once and, where the receiver does not take it, kept: of each way.
  static constexpr std::size_t buffer_bytes = 64 << 10;

  explicit Tunnel(Socket client);
  // For the dial.
  Socket& server() { return server_; }
  // Both sockets get their settings; copy() may begin.
  void connected();
  // Copies one way until its sender ends, which is passed on, or the tunnel breaks or is closed; with both
  // ways ended it is closed. The caller keeps the tunnel meanwhile. Once for each way.
  Task<> copy(Way way);
  // Ends both connections. Copying ends at the next turn of the loop.
  void close();
  // The same by a reset, so that nobody takes what came so far for all there was.
  void abort();
  bool is_open() const { return is_open_; }
  // The server's connection broke before it had sent anything, and the client was still there. Says so once.
  bool take_refusal() { return std::exchange(was_refused_, false); }

 private:
  // Sends what the socket did not take at once. False: it never will.
  Task<bool> send_rest(Socket& to, std::string rest);
  void note_broken(bool is_server);

  Socket client_, server_;
  bool is_open_ = true;
  bool has_answered_ = false;  // a byte of the server came
  bool was_refused_ = false;
  int ended_ways_ = 0;
};

// Settings of either connection: what is written leaves at once, and a peer that has vanished is noticed
// after a minute of silence.
void prepare_socket(asio::ip::tcp::socket& socket);

}  // namespace rusternetes::api_proxy
