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

void append_row(std::string& out, const Call& call, const Accepted& accepted, const Kind& kind,
                const Value& object) {
  out += "{\"cells\":";
  append_cells(out, kind, object, call.now_us);
  if (const auto conditions = row_conditions(kind, object); !conditions.empty()) {
    out += ",\"conditions\":";
    out += conditions;
  }
  out += ",\"object\":";
  const std::string_view include = call.info.query.get("includeObject");
  if (include == "None")
    out += "null";
  else if (include == "Object")
    encode_json(out, &object, *kind.type, {kind.group_version.text(), kind.kind, true});
  else
    append_partial_json(out, object, *kind.type, accepted.meta_version);
  out += '}';
}

void append_row(std::string& out, const Call& call, const Accepted& accepted, const Value& object,
                const Type& type) {
  Arena arena;
  const Value converted =
      &type == call.kind->type ? object : convert_value(arena, object, type, *call.kind->type);
  append_row(out, call, accepted, *call.kind, converted);
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
