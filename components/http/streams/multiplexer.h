#pragma once
// Several streams over one ByteStream: what SPDY connections and WebSocket channels have in common. The
// protocols know no flow control, so a peer is held back by not reading its connection: while a stream holds
// `stream_buffer` unread bytes, or all of them `connection_buffer`, nothing is read. One read beyond the
// bound (64 KiB from a socket) is the most that memory exceeds it by. A slow stream therefore stops its
// neighbours, as it does with the library that kubectl uses. Writers of all streams take turns, a piece of 32
// KiB each.
//
// Belongs to one executor. Whoever makes one calls close() in the end, also when cancelled.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http/message.h"
#include "http/streams/waiters.h"

namespace rusternetes::http {

struct MultiplexerOptions {
  std::chrono::milliseconds idle_timeout{
      std::chrono::hours(4)};  // no byte in or out for so long ends it; 0: never
  std::size_t stream_buffer = 256 * 1024;
  std::size_t connection_buffer = 1 << 20;
};

class Multiplexer;

// One stream of a connection. Letting go of it resets it unless both halves have ended.
class MultiplexedStream final : public ByteStream {
 public:
  struct State {
    State(asio::any_io_executor executor, std::uint32_t id, Headers headers)
        : id(id), headers(std::move(headers)), readable(std::move(executor)) {}
    const std::uint32_t id;
    const Headers headers;  // that opened it
    std::string in;
    AsyncEvent readable;
    bool is_full = false;
    bool is_read_ended = false;
    bool is_write_ended = false;
    bool is_ignored = false;      // what comes in is dropped
    std::optional<Status> error;  // of reads, once `in` is empty
  };

  MultiplexedStream(std::shared_ptr<Multiplexer> connection, std::shared_ptr<State> state)
      : connection_(std::move(connection)), state_(std::move(state)) {}
  ~MultiplexedStream() override;

  std::uint32_t id() const { return state_->id; }
  const Headers& headers() const { return state_->headers; }

  // "StreamReset" when the peer reset the stream, "ConnectionLost" when the connection ended before the
  // stream did.
  Task<Result<std::string>> read_some() override;
  Task<Result<void>> write(std::string_view bytes) override;
  Task<Result<void>> shutdown_write() override;
  // Until the connection has ended without the peer's orderly goodbye. For one coroutine of the connection.
  Task<> wait_broken();
  // Ends both halves at once; what is unread is dropped.
  void reset();
  // What the peer sends on it is dropped from now on: for streams that only go out.
  void ignore_input();

 private:
  std::shared_ptr<Multiplexer> connection_;
  std::shared_ptr<State> state_;
};

class Multiplexer : public std::enable_shared_from_this<Multiplexer> {
 public:
  virtual ~Multiplexer() = default;
  Multiplexer(const Multiplexer&) = delete;
  Multiplexer& operator=(const Multiplexer&) = delete;

  // Begins to read and write.
  void start();
  bool is_open() const { return is_open_; }
  // Why it has ended, once it has: "ConnectionLost" when the peer left, "Timeout" when it was idle.
  const Status& why_closed() const { return why_closed_; }
  // For one coroutine at a time.
  Task<> wait_closed();
  // An orderly end: what is queued goes to the kernel, however slowly the peer takes it, the peer is told, and for 2 s its
  // last bytes are swallowed. At most `grace` in all. Not to be cancelled: hurry().
  Task<> close(std::chrono::milliseconds grace = std::chrono::seconds(10));
  // A close(), under way or to come, has 100 ms left.
  void hurry();

  // Bytes of all streams that nobody has read yet, and bytes that wait to be sent.
  std::size_t unread_bytes() const { return unread_bytes_; }
  std::size_t unsent_bytes() const { return out_.size() + sending_.size(); }

 protected:
  using State = MultiplexedStream::State;
  Multiplexer(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream, MultiplexerOptions options);

  // The protocol. Encoders append to out_; an error of receive() ends the connection.
  virtual Result<void> receive(std::string_view bytes) = 0;
  virtual void encode_data(const State& stream, std::string_view bytes) = 0;
  virtual void encode_end(const State& stream) = 0;
  virtual void encode_reset(const State& stream) = 0;
  virtual void encode_goodbye() = 0;
  // The connection is no longer open; streams know already.
  virtual void on_closed() {}

  std::shared_ptr<MultiplexedStream> add_stream(std::uint32_t id, Headers headers);
  std::shared_ptr<State> find_stream(std::uint32_t id) const;
  std::size_t stream_count() const { return streams_.size(); }
  // From receive(): what came for a stream.
  void deliver(State& stream, std::string_view bytes);
  void deliver_end(State& stream);
  void deliver_reset(State& stream);
  // The connection is over for all streams: the peer said so, or it broke. What is queued may still leave.
  // With is_orderly a stream that is open reads its end instead of an error.
  void end(Status why, bool is_orderly = false);
  // Something was appended to out_.
  void wake_writer() { writable_.set(); }

  asio::any_io_executor executor_;
  std::string out_;

 private:
  friend class MultiplexedStream;

  Task<> read_loop();
  Task<> write_loop();
  Task<> idle_loop();
  Task<> watch_loop();
  Task<> linger();
  Task<> wait_broken();
  std::chrono::steady_clock::time_point close_deadline() const { return std::min(close_by_, hurried_by_); }
  Task<Result<void>> write(std::shared_ptr<State> stream, std::string_view bytes);
  Task<Result<void>> shut(std::shared_ptr<State> stream);
  void reset(State& stream);
  void drop_input(State& stream);
  void input_taken(State& stream, std::size_t size);
  void forget_if_done(State& stream);
  bool is_held_back() const;
  void break_off(Status why);

  std::unique_ptr<ByteStream> stream_;
  MultiplexerOptions options_;
  TaskGroup tasks_;
  std::unordered_map<std::uint32_t, std::shared_ptr<State>> streams_;
  Waiters writers_;
  AsyncEvent writable_, unblocked_, replies_sent_, flushed_, closed_, broken_, lingering_;
  std::string sending_;
  std::size_t unread_bytes_ = 0;
  std::size_t full_streams_ = 0;
  std::size_t reply_bytes_ = 0;  // of out_, that the peer made us say
  std::chrono::steady_clock::time_point last_activity_;
  std::chrono::steady_clock::time_point close_by_ = std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point hurried_by_ = std::chrono::steady_clock::time_point::max();
  Status why_closed_;
  bool is_open_ = true;
  bool is_started_ = false;
  bool is_finishing_ = false;
  bool is_flushed_ = false;
  bool is_orderly_ = false;
  bool has_lingered_ = false;
  bool is_broken_ = false;       // nothing can be sent any more
  bool has_peer_ended_ = false;  // nothing comes any more
  bool is_peer_gone_ = false;    // found without reading
};

}  // namespace rusternetes::http
