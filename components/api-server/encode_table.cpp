#include "api-server/encode_table.h"

#include <fmt/format.h>

#include "api-server/conversion.h"
#include "api-server/printers/table.h"
#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;

Value partial_of(Arena& arena, const Value& object, const Type& type) {
  Value out = Value::empty(ValueKind::structure);
  if (const Value* metadata = object.get(metadata_field(type))) {
    Value copy = *metadata;
    copy.growable = 0;
    assign(set_field(arena, out, meta_v1::PartialObjectMetadata::f_metadata), copy);
  }
  return out;
}

void append_partial_json(std::string& out, const Value& object, const Type& type,
                         std::string_view api_version) {
  Arena arena;
  const Value partial = partial_of(arena, object, type);
  encode_json(out, &partial, meta_v1::PartialObjectMetadata::schema_type(),
              {api_version, api_version.empty() ? std::string_view{} : "PartialObjectMetadata", true});
}

namespace {

// Not so for a subresource with a kind of its own.
bool is_version_of_call(const Call& call, const Kind& kind) {
  return call.registry->storage_kind(kind) == call.registry->storage_kind(*call.kind);
}

}  // namespace

const Kind& transformed_kind(const Call& call, const Kind& kind) {
  if (!is_version_of_call(call, kind)) return kind;
  return call.registry->owner(*call.kind) ? *call.kind : *call.registry->storage_kind(kind);
}

void append_row(std::string& out, const Call& call, const Accepted& accepted, const Kind& kind,
                const Value& object) {
  Arena arena;
  const Kind& printed = transformed_kind(call, kind);
  const Value seen = convert_value(arena, object, *kind.type, *printed.type);
  out += "{\"cells\":";
  append_cells(out, printed, seen, call.now_us);
  if (const auto conditions = row_conditions(printed, seen); !conditions.empty()) {
    out += ",\"conditions\":";
    out += conditions;
  }
  out += ",\"object\":";
  const std::string_view include = call.info.query.get("includeObject");
  if (include == "None") {
    out += "null";
  } else if (include == "Object") {
    const Kind& sent = is_version_of_call(call, kind) ? *call.kind : kind;
    const Value whole = convert_value(arena, object, *kind.type, *sent.type);
    encode_json(out, &whole, *sent.type, {sent.group_version.text(), sent.kind, true});
  } else {
    append_partial_json(out, seen, *printed.type, accepted.meta_version);
  }
  out += '}';
}

std::string table_head(const Accepted& accepted, const Kind& kind, std::string_view metadata,
                       bool with_columns) {
  std::string out = fmt::format("{{\"kind\":\"Table\",\"apiVersion\":\"{}\"", accepted.meta_version);
  out += ",\"metadata\":";
  out += metadata;
  out += ",\"columnDefinitions\":";
  out += with_columns ? column_definitions(kind) : "null";
  return out + ",\"rows\":[";
}

std::string object_metadata_json(const Value& object, const Type& type) {
  const auto version = meta_v1::ObjectMeta(object.get(metadata_field(type))).resourceVersion();
  return fmt::format("{{\"resourceVersion\":\"{}\"}}", version);
}

}  // namespace rusternetes::api_server
