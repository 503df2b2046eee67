// The frames of a watch.

#include <fmt/format.h>

#include "api-server/encode.h"
#include "api-server/encode_table.h"
#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using http::Slice;

namespace {

std::string_view event_word(OutEvent::Type type) {
  switch (type) {
    case OutEvent::Type::added:
      return "ADDED";
    case OutEvent::Type::modified:
      return "MODIFIED";
    case OutEvent::Type::removed:
      return "DELETED";
    case OutEvent::Type::bookmark:
      return "BOOKMARK";
  }
  return "";
}

// WatchEvent {type = 1, object = 2 {raw = 1}} behind its length in four bytes.
std::vector<Slice> protobuf_frame(std::string_view word, std::vector<Slice> object) {
  std::size_t size = 0;
  for (const auto& slice : object) size += slice.bytes.size();
  std::string raw("\x0a", 1);
  append_varint(raw, size);
  std::string message("\x0a", 1);
  append_varint(message, word.size());
  message += word;
  message += '\x12';
  append_varint(message, raw.size() + size);
  message += raw;
  const auto total = static_cast<std::uint32_t>(message.size() + size);
  std::string head{static_cast<char>(total >> 24), static_cast<char>(total >> 16),
                   static_cast<char>(total >> 8), static_cast<char>(total)};
  std::vector<Slice> out;
  out.push_back(Slice::own(head + message));
  out.insert(out.end(), std::make_move_iterator(object.begin()), std::make_move_iterator(object.end()));
  return out;
}

// An empty object of the kind that carries only a revision.
Value bookmark_value(Arena& arena, const Type& type, const OutEvent& event) {
  Value object = Value::empty(ValueKind::structure);
  set_resource_version(arena, type, object, event.revision);
  if (event.ends_initial_events)
    set_map_string(
        arena,
        ensure(arena, *object.get(metadata_field(type)), meta_v1::ObjectMeta::f_annotations, ValueKind::map),
        "k8s.io/initial-events-end", "true");
  return object;
}

}  // namespace

std::vector<Slice> encode_event(const Call& call, const Accepted& accepted, const OutEvent& event,
                                bool is_first) {
  const std::string_view word = event_word(event.type);
  Accepted plain = accepted;
  plain.pretty = false;
  std::vector<Slice> object;
  if (event.type != OutEvent::Type::bookmark && accepted.transform == Transform::none) {
    object = encode_entry(call, plain, event.entry).body;
  } else {
    Arena arena;
    const Kind& kind = event.entry ? *call.registry->storage_kind(*call.kind) : *call.kind;
    const Value value = event.entry ? event.entry->document.root() : bookmark_value(arena, *kind.type, event);
    if (accepted.transform == Transform::table) {
      std::string text =
          table_head(accepted, *call.kind, object_metadata_json(value, *kind.type), is_first);
      append_row(text, call, accepted, kind, value);
      object.push_back(Slice::own(text + "]}"));
    } else {
      object = encode_value(call, plain, kind, value).body;
    }
  }
  if (accepted.type == MediaType::protobuf) return protobuf_frame(word, std::move(object));
  std::vector<Slice> out;
  out.push_back(Slice::own(fmt::format("{{\"type\":\"{}\",\"object\":", word)));
  out.insert(out.end(), std::make_move_iterator(object.begin()), std::make_move_iterator(object.end()));
  // The object's own line end goes.
  if (!out.back().bytes.empty() && out.back().bytes.back() == '\n') out.back().bytes.remove_suffix(1);
  out.push_back(Slice::literal("}\n"));
  return out;
}

std::string encode_error_event(const Accepted& accepted, const Status& status) {
  Accepted plain = accepted;
  plain.pretty = false;
  plain.transform = Transform::none;
  Encoded object = encode_status(plain, status);
  std::string out;
  if (accepted.type == MediaType::protobuf) {
    for (const auto& slice : protobuf_frame("ERROR", std::move(object.body))) out += slice.bytes;
    return out;
  }
  out = "{\"type\":\"ERROR\",\"object\":";
  for (const auto& slice : object.body) out += slice.bytes;
  if (out.back() == '\n') out.pop_back();
  return out + "}\n";
}

}  // namespace rusternetes::api_server
