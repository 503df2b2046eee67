#include "api-server/printers/table.h"

#include <fmt/format.h>

#include "api-server/printers/cells.h"
#include "api-server/storage_codec.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/json_text.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;

std::string age_of(std::int64_t since_us, std::int64_t now_us) {
  if (since_us == 0) return "<unknown>";
  return human_duration((now_us - since_us) * 1000);
}

void Cells::text(std::string_view value) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json_string(out_, value);
}
void Cells::number(std::int64_t value) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += std::to_string(value);
}
void Cells::boolean(bool value) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += value ? "true" : "false";
}

namespace {

// Kinds without a printer of their own: the name, and for every further column what the metadata can say.
void plain_cells(Cells& cells, const Kind& kind, const Value& object, std::int64_t now_us) {
  const meta_v1::ObjectMeta metadata(object.get(metadata_field(*kind.type)));
  for (const auto& column : kind.columns) {
    if (column.name == "Name") cells.text(metadata.name());
    else if (column.name == "Age") cells.text(age_of(metadata.creationTimestamp(), now_us));
    else if (column.name == "Created At") cells.text(format_time(metadata.creationTimestamp()));
    else if (column.type == "integer") cells.number(0);
    else if (column.type == "boolean") cells.boolean(false);
    else cells.text("<none>");
  }
  if (kind.columns.empty()) {
    cells.text(metadata.name());
    cells.text(format_time(metadata.creationTimestamp()));
  }
}

}  // namespace

void append_cells(std::string& out, const Kind& kind, const Value& object, std::int64_t now_us) {
  out += '[';
  Cells cells(out);
  if (const auto print = printer_for(kind.group_version.group, kind.resource))
    print(cells, object, now_us);
  else
    plain_cells(cells, kind, object, now_us);
  out += ']';
}

std::string column_definitions(const Kind& kind) {
  static const Column fallback[] = {{"Name", "string", "name", "", 0}, {"Created At", "date", "", "", 0}};
  std::string out = "[";
  for (const auto& column : kind.columns.empty() ? std::span<const Column>(fallback) : kind.columns) {
    if (out.size() > 1) out += ',';
    out += "{\"name\":";
    append_json_string(out, column.name);
    out += ",\"type\":";
    append_json_string(out, column.type);
    out += ",\"format\":";
    append_json_string(out, column.format);
    out += ",\"description\":";
    append_json_string(out, column.description);
    out += fmt::format(",\"priority\":{}}}", column.priority);
  }
  return out + "]";
}

}  // namespace rusternetes::api_server
