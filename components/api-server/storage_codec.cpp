#include "api-server/storage_codec.h"

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/strategy.h"
#include "api-server/strategy/definition_conversion.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

std::string storage_prefix(const Kind& kind, std::string_view name_space) {
  std::string out(registry_root);
  out += kind.storage_prefix;
  out += '/';
  if (!name_space.empty()) {
    out += name_space;
    out += '/';
  }
  return out;
}

std::string storage_key(const Kind& kind, std::string_view name_space, std::string_view name) {
  std::string out = storage_prefix(kind, name_space);
  out += name;
  return out;
}

int metadata_field(const Type& type) {
  // Every top-level type has it right behind kind and apiVersion.
  return type.fields.size() > 2 && type.fields[2].name == "metadata" ? 2 : type.find("metadata");
}

void set_resource_version(Arena& arena, const Type& type, Value& object, std::int64_t revision) {
  const int at = metadata_field(type);
  if (at < 0) return;
  Value& metadata = ensure(arena, object, at);
  if (revision)
    set_string(arena, metadata, ObjectMeta::f_resourceVersion, fmt::format_int(revision).c_str());
  else
    erase_field(metadata, ObjectMeta::f_resourceVersion);
}

std::shared_ptr<const std::string> encode_for_storage(const Kind& kind, const Value& object) {
  Arena arena;
  Value copy = object;
  const int at = metadata_field(*kind.type);
  const Value* metadata = at >= 0 ? object.get(at) : nullptr;
  if (metadata && metadata->get(ObjectMeta::f_resourceVersion)) {
    // A shallow copy of two levels; the rest is shared while it is encoded.
    copy = Value::empty(ValueKind::structure);
    for (const auto& child : object.children()) set_field(arena, copy, child.field) = child;
    Value stripped = Value::empty(ValueKind::structure);
    for (const auto& child : metadata->children())
      if (child.field != ObjectMeta::f_resourceVersion) set_field(arena, stripped, child.field) = child;
    assign(*copy.get(at), stripped);
  }
  auto out = std::make_shared<std::string>();
  // What is stored without being served (ranges) has but one version.
  std::string api_version = (kind.storage_version.version.empty() ? kind.group_version : kind.storage_version).text();
  if (api_version == old_definitions_version) api_version = kind.group_version.text();
  if (kind.storage_encoding == Encoding::json) {
    encode_json(*out, &copy, *kind.type, {api_version, kind.kind, true});
    *out += '\n';
  } else {
    std::string body;
    encode_protobuf(body, &copy, *kind.type);
    *out = protobuf_envelope_head(api_version, kind.kind, body.size());
    *out += body;
    *out += protobuf_envelope_tail();
  }
  return out;
}

Result<Value> decode_from_storage(Arena& arena, std::string_view bytes, const Kind& storage_kind,
                                  const Registry& registry) {
  const Kind* written_as = nullptr;
  const Type* written_type = nullptr;
  Value value;
  if (has_protobuf_prefix(bytes)) {
    RN_TRY(const auto envelope, open_protobuf_envelope(bytes));
    written_as = registry.find_kind(envelope.api_version, envelope.kind);
    if (!written_as) written_as = &storage_kind;
    RN_TRY(value, decode_protobuf(arena, envelope.raw, *written_as->type));
  } else {
    RN_TRY(value, decode_json(arena, bytes, *storage_kind.type));
    const Value *api_version = value.get(1), *kind = value.get(0);
    if (api_version && kind && storage_kind.type->has_type_meta) {
      written_as = registry.find_kind(api_version->str(), kind->str());
      if (written_as)
        written_type = written_as->type;
      else if (api_version->str() == old_definitions_version)
        written_type = &old_definition_type();
      if (written_type && written_type != storage_kind.type) {
        RN_TRY(value, decode_json(arena, bytes, *written_type));
      }
    }
    if (!written_as) written_as = &storage_kind;
  }
  if (!written_type) written_type = written_as->type;
  if (written_type->has_type_meta) {
    erase_field(value, 0);
    erase_field(value, 1);
  }
  if (written_type != storage_kind.type) value = convert_value(arena, value, *written_type, *storage_kind.type);
  strategy_for(storage_kind.storage_version.group, storage_kind.resource).set_defaults(storage_kind, arena, value);
  return value;
}

}  // namespace rusternetes::api_server
