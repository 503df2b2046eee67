#include "http/streams/websocket_connection.h"

#include <openssl/evp.h>

#include <algorithm>

namespace rusternetes::http {
namespace {

constexpr unsigned char kCloseSignal = 255;
constexpr std::uint16_t kNormal = 1000;

}  // namespace

std::shared_ptr<WebSocketConnection> WebSocketConnection::create(asio::any_io_executor executor,
                                                                 std::unique_ptr<ByteStream> stream,
                                                                 Options options) {
  std::shared_ptr<WebSocketConnection> made(
      new WebSocketConnection(std::move(executor), std::move(stream), std::move(options)));
  made->open_channels();
  return made;
}

WebSocketConnection::WebSocketConnection(asio::any_io_executor executor, std::unique_ptr<ByteStream> stream,
                                         Options options)
    : Multiplexer(executor, std::move(stream), options.bounds),
      options_(std::move(options)),
      codec_(options_.role, out_) {}

void WebSocketConnection::open_channels() {
  for (std::size_t i = 0; i < options_.channels; ++i)
    channels_.push_back(add_stream(static_cast<std::uint32_t>(i), {}));
}

std::shared_ptr<MultiplexedStream> WebSocketConnection::take_channel(std::size_t number) {
  RN_ASSERT(number < options_.channels, "a channel of this connection");
  if (number < channels_.size() && channels_[number]) return std::move(channels_[number]);
  return add_stream(static_cast<std::uint32_t>(number), {});  // it has closed meanwhile
}

void WebSocketConnection::ignore_channel(std::size_t number) {
  if (number < channels_.size() && channels_[number]) channels_[number]->ignore_input();
}

void WebSocketConnection::announce(std::size_t number) {
  if (!is_open()) return;
  if (const auto stream = find_stream(static_cast<std::uint32_t>(number))) encode_data(*stream, {});
  wake_writer();
}

// --- what goes out

void WebSocketConnection::encode_data(const State& stream, std::string_view bytes) {
  if (options_.form == Form::tunnel) return codec_.message(false, {}, bytes);
  if (options_.form == Form::binary) {
    const char number = static_cast<char>(stream.id);
    return codec_.message(false, {&number, 1}, bytes);
  }
  std::string text(bytes.size() / 3 * 4 + 5, '\0');
  const int length =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  const char number = static_cast<char>('0' + stream.id);
  codec_.message(true, {&number, 1}, text);
}

void WebSocketConnection::encode_end(const State& stream) {
  if (options_.form == Form::tunnel) return codec_.close(kNormal);
  // kube-apiserver's side never sends the signal: its clients take it for data of an unknown channel.
  if (!options_.has_close_signal || options_.role != WebSocketCodec::Role::client) return;
  const char signal[] = {static_cast<char>(kCloseSignal), static_cast<char>(stream.id)};
  codec_.message(false, {}, {signal, sizeof signal});
}

void WebSocketConnection::encode_reset(const State& stream) { encode_end(stream); }
void WebSocketConnection::encode_goodbye() { codec_.close(kNormal); }

// --- what comes in

Result<void> WebSocketConnection::receive(std::string_view bytes) {
  RN_CHECK(codec_.feed(bytes, *this));
  if (!is_bad_) return {};
  codec_.close(WSLAY_CODE_PROTOCOL_ERROR);
  return Status{400, "BadRequest", "WebSocket: a close signal must be followed by one channel"};
}

void WebSocketConnection::on_message_begin(bool) {
  has_channel_ = is_close_signal_ = false;
  target_ = nullptr;
  quantum_.clear();
  if (options_.form == Form::tunnel) {
    has_channel_ = true;
    target_ = find_stream(0);
  }
}

void WebSocketConnection::on_message_bytes(std::string_view bytes) {
  if (!has_channel_) {
    unsigned char number = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    has_channel_ = true;
    if (options_.has_close_signal && number == kCloseSignal)
      is_close_signal_ = true;
    else
      target_ =
          find_stream(options_.form == Form::base64 ? static_cast<unsigned char>(number - '0') : number);
  }
  channel_bytes(bytes);
}

void WebSocketConnection::channel_bytes(std::string_view bytes) {
  if (is_close_signal_) {
    if (quantum_.size() + bytes.size() > 1)
      is_bad_ = true;
    else
      quantum_.append(bytes);
  } else if (target_) {
    if (options_.form == Form::base64)
      deliver_base64(*target_, bytes);
    else
      deliver(*target_, bytes);
  }
}

void WebSocketConnection::on_message_end() {
  if (is_close_signal_) {
    if (quantum_.size() != 1)
      is_bad_ = true;
    else if (const auto stream = find_stream(static_cast<unsigned char>(quantum_[0])))
      deliver_end(*stream);
    else if (static_cast<unsigned char>(quantum_[0]) >= options_.channels)
      is_bad_ = true;
  }
  target_ = nullptr;
}

// Four characters at a time, since a message may be cut anywhere. What is no base64 is dropped, with the rest
// of its message.
void WebSocketConnection::deliver_base64(State& stream, std::string_view text) {
  std::string quanta = std::move(quantum_);
  quanta.append(text);
  const std::size_t whole = quanta.size() / 4 * 4;
  quantum_ = quanta.substr(whole);
  quanta.resize(whole);
  if (quanta.empty()) return;
  std::string bytes(whole / 4 * 3, '\0');
  const int length = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                       reinterpret_cast<const unsigned char*>(quanta.data()),
                                       static_cast<int>(quanta.size()));
  if (length < 0) {
    target_ = nullptr;
    return;
  }
  std::size_t size = static_cast<std::size_t>(length);
  for (std::size_t padding = 0; padding < 2 && size > 0 && quanta[whole - 1 - padding] == '='; ++padding)
    --size;
  deliver(stream, std::string_view(bytes).substr(0, size));
}

void WebSocketConnection::on_close(std::uint16_t code) {
  end(Status{503, "ConnectionLost", "connection lost: the peer has closed the WebSocket"},
      code == kNormal && options_.form == Form::tunnel);
}

}  // namespace rusternetes::http
