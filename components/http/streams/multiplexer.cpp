#include "http/streams/multiplexer.h"

#include <algorithm>

#include "http/stream.h"

namespace rusternetes::http {
namespace {

constexpr std::size_t kPiece = 32 * 1024;
constexpr std::size_t kWriteBuffer = 64 * 1024;  // writers wait while so much waits to be sent
constexpr std::size_t kReplies = 64 * 1024;      // reading waits while so many of our replies wait
constexpr std::size_t kKeep = 4 * 1024;          // an empty buffer larger than this is given back
constexpr std::chrono::seconds kLinger{2};
constexpr std::chrono::milliseconds kHurry{100};

Status lost(std::string_view what) {
  return Status{503, "ConnectionLost", "connection lost: " + std::string(what)};
}

Status write_ended() { return Status{500, "StreamReset", "the stream's writing half has ended"}; }

void give_back(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeep) std::string().swap(buffer);
}

}  // namespace

// --- a stream

MultiplexedStream::~MultiplexedStream() { connection_->reset(*state_); }

Task<Result<std::string>> MultiplexedStream::read_some() {
  auto connection = connection_;
  auto state = state_;
  while (state->in.empty()) {
    if (state->is_read_ended) {
      if (state->error) co_return *state->error;
      co_return std::string();
    }
    co_await state->readable.wait();
  }
  std::string bytes = std::move(state->in);
  state->in.clear();
  connection->input_taken(*state, bytes.size());
  co_return bytes;
}

Task<Result<void>> MultiplexedStream::write(std::string_view bytes) {
  return connection_->write(state_, bytes);
}
Task<Result<void>> MultiplexedStream::shutdown_write() { return connection_->shut(state_); }
Task<> MultiplexedStream::wait_broken() { return connection_->wait_broken(); }
void MultiplexedStream::reset() { connection_->reset(*state_); }

void MultiplexedStream::ignore_input() {
  state_->is_ignored = true;
  connection_->drop_input(*state_);
}

// --- the connection

Multiplexer::Multiplexer(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                         MultiplexerOptions options)
    : executor_(executor),
      stream_(std::move(stream)),
      options_(options),
      tasks_(executor),
      writers_(executor),
      writable_(executor),
      unblocked_(executor),
      replies_sent_(executor),
      flushed_(executor),
      closed_(executor),
      broken_(executor),
      lingering_(executor),
      last_activity_(std::chrono::steady_clock::now()) {}

void Multiplexer::start() {
  is_started_ = true;
  tasks_.spawn("stream reader", read_loop());
  tasks_.spawn("stream writer", write_loop());
  tasks_.spawn("stream watch", watch_loop());
  if (options_.idle_timeout.count()) tasks_.spawn("stream idle timeout", idle_loop());
}

Task<> Multiplexer::wait_closed() {
  auto self = shared_from_this();
  while (is_open_) co_await closed_.wait();
}

Task<> Multiplexer::wait_broken() {
  auto self = shared_from_this();
  while (is_open_ || is_orderly_) co_await broken_.wait();
}

bool Multiplexer::is_held_back() const {
  return is_open_ && (full_streams_ > 0 || unread_bytes_ >= options_.connection_buffer);
}

Task<> Multiplexer::read_loop() {
  auto self = shared_from_this();
  while (is_open_) {
    while (is_held_back() && !is_peer_gone_) co_await unblocked_.wait();
    if (is_held_back()) {
      has_peer_ended_ = true;
      break_off(lost("the peer went away"));
      co_return;
    }
    // A peer that asks and does not listen to the answers is not heard until it does.
    while (is_open_ && reply_bytes_ > kReplies) co_await replies_sent_.wait();
    if (!is_open_) co_return;
    Result<std::string> piece = co_await stream_->read_some();
    if (!piece || piece->empty()) {
      has_peer_ended_ = true;
      end(piece ? lost("the peer went away") : piece.error());
      co_return;
    }
    last_activity_ = std::chrono::steady_clock::now();
    if (!is_open_) co_return;
    const std::size_t before = out_.size();
    Result<void> received = receive(*piece);
    if (out_.size() > before) {
      reply_bytes_ += out_.size() - before;
      wake_writer();
    }
    if (!received) end(std::move(received).error());
  }
}

Task<> Multiplexer::write_loop() {
  auto self = shared_from_this();
  while (!is_broken_) {
    if (out_.empty()) {
      give_back(out_);
      give_back(sending_);
      if (is_finishing_) break;
      co_await writable_.wait();
      continue;
    }
    sending_.swap(out_);
    Result<void> sent = co_await stream_->write(sending_);
    sending_.clear();
    reply_bytes_ = 0;
    replies_sent_.set();
    if (!sent) {
      break_off(std::move(sent).error());
      break;
    }
    last_activity_ = std::chrono::steady_clock::now();
    writers_.wake_one();
  }
  is_flushed_ = !is_broken_;
  flushed_.set();
}

// While the peer is held back nobody reads that it has gone.
Task<> Multiplexer::watch_loop() {
  auto self = shared_from_this();
  co_await http::wait_broken(*stream_);
  is_peer_gone_ = true;
  unblocked_.set();
}

Task<> Multiplexer::idle_loop() {
  auto self = shared_from_this();
  while (is_open_) {
    const auto rest = last_activity_ + options_.idle_timeout - std::chrono::steady_clock::now();
    if (rest.count() <= 0) {
      end(Status{504, "Timeout", "the connection was idle for too long"});
      co_return;
    }
    co_await sleep_for(rest);
  }
}

void Multiplexer::break_off(Status why) {
  is_broken_ = true;
  give_back(out_);
  end(std::move(why));
}

void Multiplexer::end(Status why, bool is_orderly) {
  if (!is_open_) return;
  is_open_ = false;
  is_orderly_ = is_orderly;
  broken_.set();
  why_closed_ = std::move(why);
  auto streams = std::move(streams_);
  streams_.clear();
  for (auto& [id, stream] : streams) {
    if (!stream->is_read_ended && !is_orderly) stream->error = why_closed_;
    stream->is_read_ended = stream->is_write_ended = true;
    stream->readable.set();
  }
  unblocked_.set();
  replies_sent_.set();
  writers_.wake_all();
  closed_.set();
  on_closed();
}

void Multiplexer::hurry() {
  hurried_by_ = std::chrono::steady_clock::now() + kHurry;
  flushed_.set();
  lingering_.set();
}

Task<> Multiplexer::close(std::chrono::milliseconds grace) {
  auto self = shared_from_this();
  if (!stream_) co_return;
  close_by_ = std::chrono::steady_clock::now() + grace;
  if (is_open_) {
    encode_goodbye();
    end(lost("closed"));
  }
  is_finishing_ = true;
  wake_writer();
  while (is_started_ && !is_flushed_ && !is_broken_ && std::chrono::steady_clock::now() < close_deadline())
    (void)co_await flushed_.wait_until(close_deadline());
  co_await tasks_.stop();
  if (is_flushed_) {
    // Closing with unread bytes in the socket would reset the connection and overtake our last words.
    TaskGroup last(executor_);
    last.spawn("stream linger", linger());
    auto until = close_deadline();
    while (!has_lingered_ && std::chrono::steady_clock::now() < until) {
      (void)co_await lingering_.wait_until(until);
      until = close_deadline();
    }
    co_await last.stop();
  }
  stream_.reset();
}

Task<> Multiplexer::linger() {
  auto self = shared_from_this();
  Result<void> shut = co_await stream_->shutdown_write();
  // From here on it is only so that no reset overtakes what was sent.
  close_by_ = std::min(close_by_, std::chrono::steady_clock::now() + kLinger);
  lingering_.set();
  while (shut && !has_peer_ended_) {
    Result<std::string> piece = co_await stream_->read_some();
    has_peer_ended_ = !piece || piece->empty();
  }
  has_lingered_ = true;
  lingering_.set();
}

// --- its streams

std::shared_ptr<MultiplexedStream> Multiplexer::add_stream(std::uint32_t id, Headers headers) {
  auto state = std::make_shared<State>(executor_, id, std::move(headers));
  if (is_open_)
    streams_[id] = state;
  else
    state->error = why_closed_, state->is_read_ended = state->is_write_ended = true;
  return std::make_shared<MultiplexedStream>(shared_from_this(), std::move(state));
}

std::shared_ptr<MultiplexedStream::State> Multiplexer::find_stream(std::uint32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

void Multiplexer::deliver(State& stream, std::string_view bytes) {
  if (stream.is_read_ended || stream.is_ignored || bytes.empty()) return;
  stream.in.append(bytes);
  unread_bytes_ += bytes.size();
  if (!stream.is_full && stream.in.size() >= options_.stream_buffer) {
    stream.is_full = true;
    ++full_streams_;
  }
  stream.readable.set();
}

void Multiplexer::deliver_end(State& stream) {
  stream.is_read_ended = true;
  stream.readable.set();
  forget_if_done(stream);
}

void Multiplexer::deliver_reset(State& stream) {
  // What came before an orderly end stays readable.
  if (!stream.is_read_ended) {
    drop_input(stream);
    stream.error = Status{500, "StreamReset", "the peer reset the stream"};
  }
  stream.is_read_ended = stream.is_write_ended = true;
  stream.readable.set();
  forget_if_done(stream);
}

void Multiplexer::input_taken(State& stream, std::size_t size) {
  const bool was_held_back = is_held_back();
  unread_bytes_ -= size;
  if (stream.is_full) {
    stream.is_full = false;
    --full_streams_;
  }
  if (was_held_back && !is_held_back()) unblocked_.set();
}

void Multiplexer::drop_input(State& stream) {
  const std::size_t size = stream.in.size();
  std::string().swap(stream.in);
  if (size) input_taken(stream, size);
}

void Multiplexer::forget_if_done(State& stream) {
  if (stream.is_read_ended && stream.is_write_ended) streams_.erase(stream.id);
}

Task<Result<void>> Multiplexer::write(std::shared_ptr<State> stream, std::string_view bytes) {
  auto self = shared_from_this();
  while (!bytes.empty()) {
    if (is_open_ && !stream->is_write_ended && (out_.size() >= kWriteBuffer || !writers_.empty()))
      co_await writers_.wait();
    if (!is_open_) co_return why_closed_;
    if (!stream->is_write_ended) {
      const std::string_view piece = bytes.substr(0, kPiece);
      bytes.remove_prefix(piece.size());
      encode_data(*stream, piece);
      wake_writer();
    }
    // The turn goes on to the next, whether this one had a use for it or not.
    if (out_.size() < kWriteBuffer) writers_.wake_one();
    if (stream->is_write_ended) co_return write_ended();
  }
  co_return Result<void>{};
}

Task<Result<void>> Multiplexer::shut(std::shared_ptr<State> stream) {
  auto self = shared_from_this();
  if (!is_open_) co_return why_closed_;
  if (stream->is_write_ended) co_return Result<void>{};
  stream->is_write_ended = true;
  encode_end(*stream);
  wake_writer();
  forget_if_done(*stream);
  co_return Result<void>{};
}

void Multiplexer::reset(State& stream) {
  drop_input(stream);
  if (is_open_ && !(stream.is_read_ended && stream.is_write_ended)) {
    encode_reset(stream);
    wake_writer();
  }
  const std::uint32_t id = stream.id;
  stream.is_read_ended = stream.is_write_ended = true;
  stream.readable.set();
  if (is_open_) streams_.erase(id);
}

}  // namespace rusternetes::http
