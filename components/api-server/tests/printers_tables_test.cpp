// Rows as kube-apiserver prints them: printers/tables.jsonl holds objects and, from the same answer, their
// columns and cells.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "api-server/printers/cells.h"
#include "api-server/printers/table.h"
#include "apimachinery/json.h"
#include "apimachinery/registry.h"
#include "apimachinery/time.h"

namespace rusternetes::api_server {
namespace {

namespace json = boost::json;
using namespace apimachinery;

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

// "/apis/apps/v1/namespaces/n/deployments/web/scale" → its kind.
const Kind* kind_of(const std::string& path) {
  std::istringstream in(path);
  std::vector<std::string> parts;
  for (std::string part; std::getline(in, part, '/');)
    if (!part.empty()) parts.push_back(part);
  const bool is_core = parts[0] == "api";
  const std::string group = is_core ? "" : parts[1], version = parts[is_core ? 1 : 2];
  std::size_t at = is_core ? 2 : 3;
  if (parts[at] == "namespaces" && parts.size() > at + 2) at += 2;
  if (parts.size() > at + 2) return Registry::builtin()->find_kind("autoscaling", "v1", "Scale");
  return Registry::builtin()->find_resource(group, version, parts[at]);
}

std::string cells_of(const Kind& kind, const Value& object, std::int64_t now_us) {
  std::string out;
  append_cells(out, kind, object, now_us);
  return json::serialize(json::parse(out));
}

}  // namespace

TEST_CASE("rows are printed as kube-apiserver prints them") {
  std::ifstream in(RUSTERNETES_SOURCE_DIR "/components/api-server/tests/printers/tables.jsonl");
  REQUIRE(in);
  std::string line;
  std::set<std::string> kinds;
  while (std::getline(in, line)) {
    const json::value recorded = json::parse(line);
    const auto& row = recorded.as_object();
    const std::string path = text_of(row.at("path"));
    CAPTURE(path);
    const Kind* kind = kind_of(path);
    REQUIRE(kind);
    kinds.insert(kind->group_version.text() + "/" + std::string(kind->kind));

    json::array columns;
    const json::value ours = json::parse(column_definitions(*kind));
    for (const auto& column : ours.as_array())
      columns.push_back(
          json::array{column.at("name"), column.at("type"), column.at("format"), column.at("priority")});
    CHECK(json::serialize(columns) == json::serialize(row.at("columns")));

    Arena arena;
    const auto object = decode_json(arena, json::serialize(row.at("object")), *kind->type);
    REQUIRE(object);
    // The answer's Date is of the second in which it was sent, not quite when the row was printed.
    const std::int64_t now_us = *parse_time(text_of(row.at("now")));
    const std::string wanted = json::serialize(row.at("cells"));
    const std::string before = cells_of(*kind, *object, now_us - 1'000'000);
    if (before != wanted) CHECK(cells_of(*kind, *object, now_us) == wanted);

    const auto conditions = row_conditions(*kind, *object);
    CHECK(conditions.empty() == !row.contains("conditions"));
    if (row.contains("conditions")) {
      const json::value printed = json::parse(std::string(conditions));
      CHECK(printed == row.at("conditions"));
    }
  }
  // Every kind that is stored has a row here, except what nobody creates.
  for (const Kind* kind : Registry::builtin()->resources()) {
    if (!kind->is_stored()) continue;
    CAPTURE(kind->group_version.text(), kind->kind);
    CHECK(kinds.contains(kind->group_version.text() + "/" + std::string(kind->kind)));
  }
}

TEST_CASE("every stored kind has a printer or is shown by name and time of creation") {
  for (const Kind* kind : Registry::builtin()->resources()) {
    if (!kind->is_stored()) continue;
    const bool is_plain =
        kind->columns.empty() || (kind->columns.size() == 2 && kind->columns[1].name == "Created At");
    CAPTURE(kind->resource);
    CHECK((printer_for(kind->group_version.group, kind->group_version.version, kind->resource) != nullptr) ==
          !is_plain);
  }
}

TEST_CASE("an object without anything prints a cell for each column") {
  for (const Kind* kind : Registry::builtin()->resources()) {
    if (!kind->is_stored()) continue;
    Arena arena;
    const auto object = decode_json(arena, "{}", *kind->type);
    REQUIRE(object);
    const json::value cells = json::parse(cells_of(*kind, *object, 0));
    CAPTURE(kind->resource);
    // IPAddress has an age without a column, in kube-apiserver too.
    CHECK(cells.as_array().size() ==
          std::max<std::size_t>(kind->columns.size(), 2) + (kind->resource == "ipaddresses"));
  }
}

}  // namespace rusternetes::api_server
