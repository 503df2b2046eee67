#include "api-server/encode.h"

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/encode_table.h"
#include "api-server/encode_yaml.h"
#include "api-server/storage_codec.h"
#include "apimachinery/quote.h"
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

std::string type_meta_json(std::string_view api_version, std::string_view kind) {
  return fmt::format("{{\"kind\":\"{}\",\"apiVersion\":\"{}\"", kind, api_version);
}

// `{"kind":...,"apiVersion":...` + the body behind its brace.
void push_object_json(std::vector<Slice>& out, const Kind& kind, std::string_view body,
                      std::shared_ptr<const void> owner) {
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
  if (!listed.continue_token.empty())
    set_string(arena, metadata, meta_v1::ListMeta::f_continue_, listed.continue_token);
  if (listed.remaining)
    set_integer(arena, metadata, meta_v1::ListMeta::f_remainingItemCount, *listed.remaining);
  std::string body, out("\x0a", 1);
  encode_protobuf(body, &metadata, meta_v1::ListMeta::schema_type());
  append_varint(out, body.size());
  return out + body;
}

Encoded finish_json(std::string text, const Accepted& accepted) {
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  // Go ends compact JSON with a line end and indented JSON without one.
  if (accepted.type == MediaType::yaml)
    text = yaml_of_json(text);
  else if (accepted.pretty)
    text = pretty_json(text);
  else
    text += '\n';
  out.body.push_back(Slice::own(std::move(text)));
  return out;
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
      if (c == '\\' && i + 1 < compact.size())
        out += compact[++i];
      else if (c == '"')
        in_string = false;
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        out += c;
        break;
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
      case ':':
        out += ": ";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Encoded encode_value(const Call& call, const Accepted& accepted, const Kind& kind, const Value& value) {
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  if (accepted.transform == Transform::table) {
    std::string text = table_head(accepted, transformed_kind(call, kind), object_metadata_json(value, *kind.type), true);
    append_row(text, call, accepted, kind, value);
    return finish_json(text + "]}", accepted);
  }
  Arena arena;
  Value root = value;
  const Type* type = kind.type;
  std::string api_version = kind.group_version.text();
  std::string_view name = kind.kind;
  if (accepted.transform != Transform::none) {
    const Type& seen = *transformed_kind(call, kind).type;
    root = partial_of(arena, convert_value(arena, value, *kind.type, seen), seen);
    type = &meta_v1::PartialObjectMetadata::schema_type();
    api_version = accepted.meta_version;
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
  if (accepted.transform != Transform::none)
    return encode_value(call, accepted, *call.registry->storage_kind(*call.kind), entry->document.root());
  if (accepted.pretty || accepted.type == MediaType::yaml) {
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

Result<void> check_form(const Call& call, const Accepted& accepted, bool is_list) {
  if (accepted.transform == Transform::table) {
    const std::string_view include = call.info.query.get("includeObject");
    if (!include.empty() && include != "None" && include != "Metadata" && include != "Object")
      return bad_request(fmt::format("Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty", quote(include)));
  }
  if (accepted.transform == Transform::partial_object && is_list)
    return Status(406, "NotAcceptable", fmt::format("you requested PartialObjectMetadata, but the requested object is a list ({}List)", call.kind->kind));
  if (accepted.transform == Transform::partial_object_list && !is_list)
    return Status(406, "NotAcceptable", fmt::format("you requested PartialObjectMetadataList, but the requested object is not a list ({})", call.kind->kind));
  return {};
}

Encoded encode_list(const Call& call, const Accepted& accepted, const Listed& listed) {
  if (accepted.transform == Transform::table) {
    std::string text = table_head(accepted, *call.kind, list_metadata_json(listed), true);
    bool is_first = true;
    for (const auto& entry : listed.entries) {
      if (!is_first) text += ',';
      is_first = false;
      append_row(text, call, accepted, *call.registry->storage_kind(*call.kind), entry->document.root());
    }
    return finish_json(text + "]}", accepted);
  }
  Encoded out{std::string(content_type_name(accepted.type)), {}};
  const bool is_partial = accepted.transform != Transform::none;
  const std::string api_version =
      is_partial ? std::string(accepted.meta_version) : call.kind->group_version.text();
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
        encode_protobuf(text, &partial, meta_v1::PartialObjectMetadata::schema_type());
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
    out.body.insert(out.body.end(), std::make_move_iterator(items.begin()),
                    std::make_move_iterator(items.end()));
    out.body.push_back(Slice::literal(protobuf_envelope_tail()));
    return out;
  }
  std::string head =
      type_meta_json(api_version, kind) + ",\"metadata\":" + list_metadata_json(listed) + ",\"items\":[";
  if (accepted.pretty || is_partial || accepted.type == MediaType::yaml) {
    bool is_first = true;
    for (const auto& entry : listed.entries) {
      if (!is_first) head += ',';
      is_first = false;
      if (is_partial)
        append_partial_json(head, entry->document.root(), entry->document.type(), accepted.meta_version);
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

Encoded encode_document(const Accepted& accepted, std::string_view json, std::shared_ptr<const void> owner) {
  if (accepted.type == MediaType::json && !accepted.pretty) {
    Encoded out{std::string(content_type_name(MediaType::json)), {}};
    out.body.emplace_back(json, std::move(owner));
    return out;
  }
  std::string text(json);
  while (text.ends_with('\n')) text.pop_back();
  if (accepted.type != MediaType::protobuf) return finish_json(std::move(text), accepted);
  Arena arena;
  Encoded out{std::string(content_type_name(MediaType::protobuf)), {}};
  for (const Type* type : builtin_schema().types) {
    if (!type->name.starts_with("meta/v1.") ||
        !text.starts_with(fmt::format("{{\"kind\":\"{}\"", type->name.substr(8))))
      continue;
    const auto value = decode_json(arena, text, *type);
    if (!value) break;
    std::string body;
    encode_protobuf(body, &*value, *type);
    Slice slice = Slice::own(std::move(body));
    const bool has_version = text.find("\"apiVersion\":") < text.find_first_of("[");
    push_object_protobuf(out.body, has_version ? "v1" : "", type->name.substr(8), slice.bytes, slice.owner);
    break;
  }
  return out;
}

Encoded encode_success(const Call& call, const Accepted& accepted, std::string_view name,
                       std::string_view uid) {
  Arena arena;
  Value status = Value::empty(ValueKind::structure);
  using S = meta_v1::Status;
  set_string(arena, status, S::f_status, "Success");
  Value& details = ensure(arena, status, S::f_details);
  if (!name.empty()) set_string(arena, details, meta_v1::StatusDetails::f_name, name);
  if (!call.kind->group_version.group.empty())
    set_string(arena, details, meta_v1::StatusDetails::f_group, call.kind->group_version.group);
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

}  // namespace rusternetes::api_server
