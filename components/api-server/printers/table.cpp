#include "api-server/printers/table.h"

#include <fmt/format.h>

#include <map>
#include <tuple>

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "api-server/storage_codec.h"
#include "apimachinery/json_text.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {

using namespace apimachinery;

void Cells::separate() {
  if (!first_) out_ += ',';
  first_ = false;
}
void Cells::text(std::string_view value) {
  separate();
  append_json_string(out_, value);
}
void Cells::number(std::int64_t value) {
  separate();
  out_ += std::to_string(value);
}
void Cells::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
}

namespace {

constexpr Column plain_columns[] = {
    {"Name", "string", "name", "The object's name, unique among those of its kind in a namespace.", 0},
    {"Created At", "date", "", "When the object was created.", 0}};
// A Scale is no resource of its own and has no columns in the schema: it is shown for a subresource.
constexpr Column scale_columns[] = {{"Name", "string", "", "The scaled object's name.", 0},
                                    {"Desired", "integer", "", "How many replicas there should be.", 0},
                                    {"Available", "integer", "", "How many replicas there are.", 0},
                                    {"Age", "string", "", "Time since the object was created.", 0}};

bool is_scale(const Kind& kind) { return kind.group_version.group == "autoscaling" && kind.kind == "Scale"; }

std::span<const Column> columns_of(const Kind& kind) {
  if (!kind.columns.empty()) return kind.columns;
  return is_scale(kind) ? std::span<const Column>(scale_columns) : std::span<const Column>(plain_columns);
}

// Kinds without a printer of their own: the name, and for every further column what the metadata can say.
void plain_cells(Cells& cells, const Kind& kind, const Value& object, std::int64_t now_us) {
  const meta_v1::ObjectMeta metadata(object.get(metadata_field(*kind.type)));
  for (const auto& column : columns_of(kind)) {
    if (column.name == "Name")
      cells.text(metadata.name());
    else if (column.name == "Age")
      cells.text(age_of(metadata.creationTimestamp(), now_us));
    else if (column.name == "Created At")
      cells.text(format_time(metadata.creationTimestamp() ? metadata.creationTimestamp() : kZeroTime_us));
    else if (column.type == "integer")
      cells.number(0);
    else if (column.type == "boolean")
      cells.boolean(false);
    else
      cells.text("<none>");
  }
}

using Key = std::tuple<std::string_view, std::string_view, std::string_view>;

std::map<Key, Printer> all_printers() {
  std::map<Key, Printer> out;
  for (const auto table : {pod_printers(), core_printers(), volume_printers(), event_printers(),
                           apps_printers(), batch_printers(), autoscaling_printers(), networking_printers(),
                           storage_printers(), access_printers(), admission_printers(), scheduling_printers(),
                           resource_printers(), system_printers()})
    for (const auto& entry : table) out[{entry.group, entry.version, entry.resource}] = entry.print;
  return out;
}

}  // namespace

Printer printer_for(std::string_view group, std::string_view version, std::string_view resource) {
  static const auto& table = *new std::map<Key, Printer>(all_printers());
  auto found = table.find({group, version, resource});
  if (found == table.end()) found = table.find({group, {}, resource});
  return found == table.end() ? nullptr : found->second;
}

void append_cells(std::string& out, const Kind& kind, const Value& object, std::int64_t now_us) {
  out += '[';
  Cells cells(out);
  const std::string_view resource = is_scale(kind) ? std::string_view("scale") : kind.resource;
  if (const auto print = printer_for(kind.group_version.group, kind.group_version.version, resource))
    print(cells, object, now_us);
  else
    plain_cells(cells, kind, object, now_us);
  out += ']';
}

std::string_view row_conditions(const Kind& kind, const Value& object) {
  if (kind.group_version.group.empty() && kind.resource == "pods") return pod_row_conditions(object);
  return {};
}

std::string column_definitions(const Kind& kind) {
  std::string out = "[";
  for (const auto& column : columns_of(kind)) {
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
