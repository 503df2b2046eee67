#include "http/streams/spdy_codec.h"

#include <algorithm>

namespace rusternetes::http {
namespace {

constexpr std::uint16_t kSynStream = 1, kSynReply = 2, kRstStream = 3, kPing = 6, kGoAway = 7, kHeaders = 8;
constexpr std::uint8_t kFin = 1;
constexpr std::uint32_t kControlLimit = 64 * 1024;  // kubectl's control frames have a hundred bytes
constexpr std::uint32_t kIdMask = 0x7fffffff;

Status broken(const char* why) { return Status{400, "BadRequest", std::string("SPDY: ") + why}; }

void append_number(std::string& out, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = at; i < at + 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

void control_head(std::string& out, std::uint16_t type, std::uint8_t flags, std::size_t length) {
  append_number(out, 0x80030000u | type);
  append_number(out, static_cast<std::uint32_t>(flags) << 24 | static_cast<std::uint32_t>(length));
}

}  // namespace

Result<void> SpdyCodec::feed(std::string_view bytes, Events& events) {
  while (!bytes.empty()) {
    if (head_.size() < 8) {
      const std::size_t take = std::min(8 - head_.size(), bytes.size());
      head_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (head_.size() < 8) return {};
      RN_CHECK(begin_frame(events));
      if (head_.empty()) continue;  // it had no payload
    }
    const std::string_view piece = bytes.substr(0, left_);
    bytes.remove_prefix(piece.size());
    left_ -= static_cast<std::uint32_t>(piece.size());
    if (is_data_) {
      const bool is_end = left_ == 0 && (flags_ & kFin);
      if (!piece.empty() || is_end) events.on_data(id_, piece, is_end);
    } else if (!is_skipped_) {
      payload_.append(piece);
      if (left_ == 0) RN_CHECK(control_frame(events));
    }
    if (left_ == 0) head_.clear();
  }
  return {};
}

Result<void> SpdyCodec::begin_frame(Events& events) {
  const std::uint32_t first = number_at(head_, 0);
  const std::uint32_t second = number_at(head_, 4);
  flags_ = static_cast<std::uint8_t>(second >> 24);
  left_ = second & 0xffffff;
  is_data_ = !(first >> 31);
  is_skipped_ = false;
  payload_.clear();
  if (is_data_) {
    id_ = first;
    if (id_ == 0) return broken("data for stream 0");
  } else {
    if ((first >> 16 & 0x7fff) != 3) return broken("another version");
    type_ = static_cast<std::uint16_t>(first & 0xffff);
    is_skipped_ = type_ != kSynStream && type_ != kSynReply && type_ != kRstStream && type_ != kPing &&
                  type_ != kGoAway && type_ != kHeaders;
    if (!is_skipped_ && left_ > kControlLimit) return broken("a control frame is too large");
  }
  if (left_ > 0) return {};
  // An empty frame ends here: no byte follows that would end it.
  if (is_data_ && (flags_ & kFin)) events.on_data(id_, {}, true);
  if (!is_data_ && !is_skipped_) return broken("an empty control frame");
  head_.clear();
  return {};
}

Result<void> SpdyCodec::control_frame(Events& events) {
  const std::string_view payload = payload_;
  const std::size_t least = type_ == kSynStream ? 10 : type_ == kRstStream || type_ == kGoAway ? 8 : 4;
  if (payload.size() < least) return broken("a control frame is too short");
  const std::uint32_t id = number_at(payload, 0);
  const bool is_end = flags_ & kFin;
  if (type_ != kGoAway && (id == 0 || (type_ != kPing && id > kIdMask))) return broken("a bad stream id");
  switch (type_) {
    case kSynStream: {
      RN_TRY(auto headers, decoder_.decode(payload.substr(10)));
      events.on_syn_stream(id, std::move(headers), is_end);
      break;
    }
    case kSynReply:
    case kHeaders: {
      RN_TRY([[maybe_unused]] auto headers, decoder_.decode(payload.substr(4)));
      if (type_ == kSynReply)
        events.on_syn_reply(id, is_end);
      else
        events.on_headers(id, is_end);
      break;
    }
    case kRstStream:
      events.on_rst_stream(id);
      break;
    case kPing:
      events.on_ping(id);
      break;
    default:
      events.on_goaway();
      break;
  }
  // Large blocks are rare; the space of one is not kept for a connection's life.
  if (payload_.capacity() > 4096) std::string().swap(payload_);
  return {};
}

void SpdyCodec::syn_stream(std::string& out, std::uint32_t id, const Headers& headers) {
  std::string block;
  encoder_.encode(block, headers);
  control_head(out, kSynStream, 0, 10 + block.size());
  append_number(out, id);
  append_number(out, 0);  // no associated stream
  out.append(2, '\0');    // priority and slot
  out.append(block);
}

void SpdyCodec::syn_reply(std::string& out, std::uint32_t id) {
  std::string block;
  encoder_.encode(block, {});
  control_head(out, kSynReply, 0, 4 + block.size());
  append_number(out, id);
  out.append(block);
}

void SpdyCodec::rst_stream(std::string& out, std::uint32_t id, SpdyReset reason) {
  control_head(out, kRstStream, 0, 8);
  append_number(out, id);
  append_number(out, static_cast<std::uint32_t>(reason));
}

void SpdyCodec::ping(std::string& out, std::uint32_t id) {
  control_head(out, kPing, 0, 4);
  append_number(out, id);
}

void SpdyCodec::goaway(std::string& out, std::uint32_t last_good_id, SpdyGoAway reason) {
  control_head(out, kGoAway, 0, 8);
  append_number(out, last_good_id);
  append_number(out, static_cast<std::uint32_t>(reason));
}

void SpdyCodec::data(std::string& out, std::uint32_t id, std::string_view bytes, bool is_end) {
  append_number(out, id);
  append_number(out, (is_end ? std::uint32_t{kFin} << 24 : 0) | static_cast<std::uint32_t>(bytes.size()));
  out.append(bytes);
}

}  // namespace rusternetes::http
