#include "api-server/encode.h"

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/printers/table.h"
#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using http::Slice;

namespace {

constexpr std::string_view meta_version = "meta.k8s.io/v1";

std::string type_meta_json(std::string_view api_version, std::string_view kind) {
  return fmt::format("{{\"kind\":\"{}\",\"apiVersion\":\"{}\"", kind, api_version);
}

// `{"kind":...,"apiVersion":...` + the body behind its brace.
void push_object_json(std::vector<Slice>& out, const Kind& kind, std::string_view body, std::shared_ptr<const void> owner) {
  std::string head = type_meta_json(kind.group_version.text(), kind.kind);
  if (body.size() > 2) head += ',';
  out.push_back(Slice::own(std::move(head)));
  out.emplace_back(body.substr(1), std::move(owner));
}

void push_object_protobuf(std::vector<Slice>& out, std::string_view api_version, std::string_view kind,
                          std::string_view body, std::shared_ptr<const void> owner) {
  out.push_back(Slice::own(protobuf_envelope_head(api_version, kind, body.size())));
  out.emplace_back(body, std::move(owner));
  out.push_back(Slice::literal(protobuf_envelope_tail()));
}

const Type& partial_type() { return meta_v1::PartialObjectMetadata::schema_type(); }

// An object's metadata alone, as PartialObjectMetadata.
Value partial_of(Arena& arena, const Value& object, const Type& type) {
  Value out = Value::empty(ValueKind::structure);
  if (const Value* metadata = object.get(metadata_field(type))) {
    Value copy = *metadata;
    copy.growable = 0;
    assign(set_field(arena, out, meta_v1::PartialObjectMetadata::f_metadata), copy);
  }
  return out;
}

void append_partial_json(std::string& out, const Value& object, const Type& type, bool with_type_meta) {
  Arena arena;
  const Value partial = partial_of(arena, object, type);
  encode_json(out, &partial, partial_type(),
              {with_type_meta ? meta_version : std::string_view{}, with_type_meta ? "PartialObjectMetadata" : std::string_view{}, true});
}

std::string list_metadata_json(const Listed& listed) {
  std::string out = fmt::format("{{\"resourceVersion\":\"{}\"", listed.revision);
  if (!listed.continue_token.empty()) out += fmt::format(",\"continue\":\"{}\"", listed.continue_token);
  if (listed.remaining) out += fmt::format(",\"remainingItemCount\":{}", *listed.remaining);
  return out + "}";
}

std::string list_metadata_protobuf(const Listed& listed) {
  Arena arena;
  Value metadata = Value::empty(ValueKind::structure);
  set_string(arena, metadata, meta_v1::ListMeta::f_resourceVersion, fmt::format_int(listed.revision).c_str());
  if (!listed.continue_token.empty()) set_string(arena, metadata, meta_v1::ListMeta::f_continue_, listed.continue_token);
  if (listed.remaining) set_integer(arena, metadata, meta_v1::ListMeta::f_remainingItemCount, *listed.remaining);
  std::string body, out("\x0a", 1);
  encode_protobuf(body, &metadata, meta_v1::ListMeta::schema_type());
  append_varint(out, body.size());
  return out + body;
}

// What a table row carries of its object: ?includeObject=None|Metadata|Object.
void append_row(std::string& out, const Call& call, const Value& object, const Type& type) {
  Arena arena;
  Value converted = object;
  if (&type != call.kind->type) converted = convert_value(arena, object, type, *call.kind->type);
  out += "{\"cells\":";
  append_cells(out, *call.kind, converted, call.now_us);
  const std::string_view include = call.info.query.get("includeObject");
  if (include == "None") {
    out += ",\"object\":null}";
  } else if (include == "Object") {
    out += ",\"object\":";
    encode_json(out, &converted, *call.kind->type, {call.kind->group_version.text(), call.kind->kind, true});
    out += '}';
  } else {
    out += ",\"object\":";
    append_partial_json(out, converted, *call.kind->type, true);
    out += '}';
  }
}

std::string table_head(const Call& call, std::string_view metadata, bool with_columns) {
  std::string out = type_meta_json(meta_version, "Table");
  out += ",\"metadata\":";
  out += metadata;
  out += ",\"columnDefinitions\":";
  out += with_columns ? column_definitions(*call.kind) : "null";
  return out + ",\"rows\":[";
}

Encoded finish_json(std::string text, const Accepted& accepted) {
  if (accepted.pretty) text = pretty_json(text);
  text += '\n';
  Encoded out{"application/json", {}};
  out.body.push_back(Slice::own(std::move(text)));
  return out;
}

std::string object_metadata_json(const Value& object, const Type& type) {
  const auto version = meta_v1::ObjectMeta(object.get(metadata_field(type))).resourceVersion();
  return fmt::format("{{\"resourceVersion\":\"{}\"}}", version);
}

}  // namespace

std::string pretty_json(std::string_view compact) {
  std::string out;
  int depth = 0;
  bool in_string = false;
  auto newline = [&] {
    out += '\n';
    out.append(static_cast<std::size_t>(depth) * 2, ' ');
  };
  for (std::size_t i = 0; i < compact.size(); ++i) {
    const char c = compact[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < compact.size()) out += compact[++i];
      else if (c == '"') in_string = false;
      continue;
    }
    switch (c) {
      case '"': in_string = true; out += c; break;
      case '{':
      case '[':
        out += c;
        if (i + 1 < compact.size() && (compact[i + 1] == '}' || compact[i + 1] == ']')) {
          out += compact[++i];
        } else {
          ++depth;
          newline();
        }
        break;
      case '}':
      case ']':
        --depth;
        newline();
        out += c;
        break;
      case ',':
        out += c;
        newline();
        break;
      case ':': out += ": "; break;
      default: out += c;
    }
  }
  return out;
}

Encoded encode_value(const Call& call, const Accepted& accepted, const Kind& kind, const Value& value) {
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  if (accepted.transform == Transform::table) {
    std::string text = table_head(call, object_metadata_json(value, *kind.type), true);
    append_row(text, call, value, *kind.type);
    return finish_json(text + "]}", accepted);
  }
  Arena arena;
  Value root = value;
  const Type* type = kind.type;
  std::string api_version = kind.group_version.text();
  std::string_view name = kind.kind;
  if (accepted.transform != Transform::none) {
    root = partial_of(arena, value, *kind.type);
    type = &partial_type();
    api_version = meta_version;
    name = "PartialObjectMetadata";
  }
  std::string text;
  if (accepted.type == MediaType::protobuf) {
    encode_protobuf(text, &root, *type);
    Slice body = Slice::own(std::move(text));
    push_object_protobuf(out.body, api_version, name, body.bytes, body.owner);
    return out;
  }
  encode_json(text, &root, *type, {api_version, name, true});
  return finish_json(std::move(text), accepted);
}

Encoded encode_entry(const Call& call, const Accepted& accepted, const EntryPtr& entry) {
  if (accepted.transform != Transform::none || accepted.pretty) {
    Arena arena;
    Value value = entry->document.root();
    if (&entry->document.type() != call.kind->type)
      value = convert_value(arena, value, entry->document.type(), *call.kind->type);
    return encode_value(call, accepted, *call.kind, value);
  }
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  const bool is_protobuf = accepted.type == MediaType::protobuf;
  const std::string_view body = entry->body(*call.kind, is_protobuf ? Encoding::protobuf : Encoding::json);
  if (is_protobuf) {
    push_object_protobuf(out.body, call.kind->group_version.text(), call.kind->kind, body, keep_alive(entry));
  } else {
    push_object_json(out.body, *call.kind, body, keep_alive(entry));
    out.body.push_back(Slice::literal("\n"));
  }
  return out;
}

Encoded encode_list(const Call& call, const Accepted& accepted, const Listed& listed) {
  if (accepted.transform == Transform::table) {
    std::string text = table_head(call, list_metadata_json(listed), true);
    bool is_first = true;
    for (const auto& entry : listed.entries) {
      if (!is_first) text += ',';
      is_first = false;
      append_row(text, call, entry->document.root(), entry->document.type());
    }
    return finish_json(text + "]}", accepted);
  }
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  const bool is_partial = accepted.transform != Transform::none;
  const std::string api_version = is_partial ? std::string(meta_version) : call.kind->group_version.text();
  const std::string kind = is_partial ? "PartialObjectMetadataList" : std::string(call.kind->kind) + "List";
  if (accepted.type == MediaType::protobuf) {
    // Sizes first: the envelope says how long the list is.
    std::string metadata = list_metadata_protobuf(listed);
    std::size_t size = metadata.size();
    std::vector<Slice> items;
    items.reserve(listed.entries.size() * 2);
    for (const auto& entry : listed.entries) {
      Slice body;
      if (is_partial) {
        Arena arena;
        const Value partial = partial_of(arena, entry->document.root(), entry->document.type());
        std::string text;
        encode_protobuf(text, &partial, partial_type());
        body = Slice::own(std::move(text));
      } else {
        body = Slice(entry->body(*call.kind, Encoding::protobuf), keep_alive(entry));
      }
      std::string tag("\x12", 1);
      append_varint(tag, body.bytes.size());
      size += tag.size() + body.bytes.size();
      items.push_back(Slice::own(std::move(tag)));
      items.push_back(std::move(body));
    }
    out.body.push_back(Slice::own(protobuf_envelope_head(api_version, kind, size) + metadata));
    out.body.insert(out.body.end(), std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
    out.body.push_back(Slice::literal(protobuf_envelope_tail()));
    return out;
  }
  std::string head = type_meta_json(api_version, kind) + ",\"metadata\":" + list_metadata_json(listed) + ",\"items\":[";
  if (accepted.pretty || is_partial) {
    bool is_first = true;
    for (const auto& entry : listed.entries) {
      if (!is_first) head += ',';
      is_first = false;
      if (is_partial)
        append_partial_json(head, entry->document.root(), entry->document.type(), false);
      else
        head += entry->body(*call.kind, Encoding::json);
    }
    return finish_json(head + "]}", accepted);
  }
  out.body.push_back(Slice::own(std::move(head)));
  for (std::size_t i = 0; i < listed.entries.size(); ++i) {
    const auto& entry = listed.entries[i];
    if (i) out.body.push_back(Slice::literal(","));
    out.body.emplace_back(entry->body(*call.kind, Encoding::json), keep_alive(entry));
  }
  out.body.push_back(Slice::literal("]}\n"));
  return out;
}

Encoded encode_status(const Accepted& accepted, const Status& status) {
  std::string json = status_json(status);
  if (accepted.type != MediaType::protobuf) {
    while (!json.empty() && json.back() == '\n') json.pop_back();
    return finish_json(std::move(json), accepted);
  }
  Arena arena;
  Encoded out{std::string(content_type_name(MediaType::protobuf)), {}};
  auto value = decode_json(arena, json, meta_v1::Status::schema_type());
  std::string body;
  if (value) encode_protobuf(body, &*value, meta_v1::Status::schema_type());
  Slice slice = Slice::own(std::move(body));
  push_object_protobuf(out.body, "v1", "Status", slice.bytes, slice.owner);
  return out;
}

Encoded encode_success(const Call& call, const Accepted& accepted, std::string_view name, std::string_view uid) {
  Arena arena;
  Value status = Value::empty(ValueKind::structure);
  using S = meta_v1::Status;
  set_string(arena, status, S::f_status, "Success");
  Value& details = ensure(arena, status, S::f_details);
  if (!name.empty()) set_string(arena, details, meta_v1::StatusDetails::f_name, name);
  if (!call.kind->group_version.group.empty()) set_string(arena, details, meta_v1::StatusDetails::f_group, call.kind->group_version.group);
  set_string(arena, details, meta_v1::StatusDetails::f_kind, call.kind->resource);
  if (!uid.empty()) set_string(arena, details, meta_v1::StatusDetails::f_uid, uid);
  std::string text;
  if (accepted.type == MediaType::protobuf) {
    encode_protobuf(text, &status, S::schema_type());
    Encoded out{std::string(content_type_name(MediaType::protobuf)), {}};
    Slice slice = Slice::own(std::move(text));
    push_object_protobuf(out.body, "v1", "Status", slice.bytes, slice.owner);
    return out;
  }
  encode_json(text, &status, S::schema_type(), {"v1", "Status", true});
  return finish_json(std::move(text), accepted);
}

namespace {

std::string_view event_word(OutEvent::Type type) {
  switch (type) {
    case OutEvent::Type::added: return "ADDED";
    case OutEvent::Type::modified: return "MODIFIED";
    case OutEvent::Type::removed: return "DELETED";
    case OutEvent::Type::bookmark: return "BOOKMARK";
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
  std::string head{static_cast<char>(total >> 24), static_cast<char>(total >> 16), static_cast<char>(total >> 8),
                   static_cast<char>(total)};
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
    set_map_string(arena, ensure(arena, *object.get(metadata_field(type)), meta_v1::ObjectMeta::f_annotations, ValueKind::map),
                   "k8s.io/initial-events-end", "true");
  return object;
}

}  // namespace

std::vector<Slice> encode_event(const Call& call, const Accepted& accepted, const OutEvent& event, bool is_first) {
  const std::string_view word = event_word(event.type);
  std::vector<Slice> object;
  if (event.type != OutEvent::Type::bookmark && accepted.transform == Transform::none) {
    Accepted plain = accepted;
    plain.pretty = false;
    object = encode_entry(call, plain, event.entry).body;
  } else {
    Arena arena;
    Value value = event.entry ? event.entry->document.root() : bookmark_value(arena, *call.kind->type, event);
    if (event.entry && &event.entry->document.type() != call.kind->type)
      value = convert_value(arena, value, event.entry->document.type(), *call.kind->type);
    Accepted plain = accepted;
    plain.pretty = false;
    if (accepted.transform == Transform::table) {
      std::string text = table_head(call, object_metadata_json(value, *call.kind->type), is_first);
      append_row(text, call, value, *call.kind->type);
      object.push_back(Slice::own(text + "]}"));
    } else {
      object = encode_value(call, plain, *call.kind, value).body;
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
