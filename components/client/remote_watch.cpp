#include "client/remote_watch.h"

#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::client {

using namespace apimachinery;

namespace {

constexpr std::size_t frame_limit = 256u << 20;
constexpr std::size_t kept_limit = 1u << 20;  // of what has been read and parsed

class RemoteWatch final : public WatchStream {
 public:
  RemoteWatch(std::unique_ptr<http::ClientResponse> response, ObjectType type)
      : response_(std::move(response)), type_(std::move(type)) {
    const auto content = response_->head().headers.get("content-type");
    is_json_ = content && content->starts_with("application/json");
  }

  Task<Result<std::optional<WatchEvent>>> next() override {
    for (;;) {
      auto frame = take_frame();
      if (!frame) co_return frame.error();
      if (*frame) {
        auto event = parse(**frame);
        if (!event) co_return event.error();
        co_return std::optional<WatchEvent>(std::move(*event));
      }
      auto more = co_await response_->read_some();
      if (!more) co_return more.error();
      if (more->empty()) {
        if (at_ < buffer_.size()) co_return Status{503, "ConnectionLost", "the watch ended within an event"};
        co_return std::optional<WatchEvent>{};
      }
      buffer_.erase(0, at_);
      at_ = 0;
      buffer_ += *more;
    }
  }

 private:
  // Four bytes of length in front in protobuf, a line in JSON. The view is good until the next read.
  Result<std::optional<std::string_view>> take_frame() {
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    if (rest.size() > frame_limit + kept_limit) return internal_error("a watch frame is too large");
    std::size_t skip = 4, size = 0;
    if (is_json_) {
      const auto end = rest.find('\n', searched_);
      searched_ = end == rest.npos ? rest.size() : 0;
      if (end == rest.npos) return std::optional<std::string_view>{};
      at_ += end + 1;
      return std::optional(rest.substr(0, end));
    }
    if (rest.size() < skip) return std::optional<std::string_view>{};
    for (std::size_t i = 0; i < skip; ++i) size = size << 8 | static_cast<unsigned char>(rest[i]);
    if (size > frame_limit) return internal_error("a watch frame is too large");
    if (rest.size() < skip + size) return std::optional<std::string_view>{};
    at_ += skip + size;
    return std::optional(rest.substr(skip, size));
  }

  Result<WatchEvent> parse(std::string_view frame) {
    Arena arena;
    const Type& event_type = meta_v1::WatchEvent::schema_type();
    Result<Value> value =
        is_json_ ? decode_json(arena, frame, event_type) : decode_protobuf(arena, frame, event_type);
    if (!value) return value.error();
    const meta_v1::WatchEvent event(&*value);
    const std::string_view word = event.type(), object = event.object();
    if (word == "ERROR") return decode_status(object, 500);
    RN_TRY(const Value decoded, decode_object(arena, object, *type_.type));
    WatchEvent out;
    out.type = word == "ADDED"      ? WatchEvent::Type::added
               : word == "MODIFIED" ? WatchEvent::Type::modified
               : word == "DELETED"  ? WatchEvent::Type::removed
                                    : WatchEvent::Type::bookmark;
    out.object = Document::freeze(decoded, *type_.type, type_.owner);
    return out;
  }

  std::unique_ptr<http::ClientResponse> response_;
  ObjectType type_;
  std::string buffer_;
  std::size_t at_ = 0;
  std::size_t searched_ = 0;  // bytes from at_ on in which no line ends
  bool is_json_ = false;
};

}  // namespace

Result<Value> decode_object(Arena& arena, std::string_view body, const Type& type) {
  if (has_protobuf_prefix(body)) {
    RN_TRY(const auto envelope, open_protobuf_envelope(body));
    return decode_protobuf(arena, envelope.raw, type);
  }
  RN_TRY(Value value, decode_json(arena, body, type));
  if (type.has_type_meta) {
    erase_field(value, 0);
    erase_field(value, 1);
  }
  return value;
}

Status decode_status(std::string_view body, int http_code) {
  if (!has_protobuf_prefix(body)) return status_from_json(body, http_code);
  Arena arena;
  auto envelope = open_protobuf_envelope(body);
  if (!envelope) return envelope.error();
  auto value = decode_protobuf(arena, envelope->raw, meta_v1::Status::schema_type());
  if (!value) return value.error();
  std::string json;
  encode_json(json, &*value, meta_v1::Status::schema_type(), {"v1", "Status", true});
  return status_from_json(json, http_code);
}

std::unique_ptr<WatchStream> make_remote_watch(std::unique_ptr<http::ClientResponse> response,
                                               ObjectType type) {
  return std::make_unique<RemoteWatch>(std::move(response), std::move(type));
}

}  // namespace rusternetes::client
