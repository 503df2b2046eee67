#include "api-server/openapi/parameters.h"

#include <algorithm>
#include <array>

namespace rusternetes::api_server::openapi {

using namespace apimachinery;

namespace {

struct Entry {
  std::string_view name, place, type, description;
};

constexpr std::array entries{
    Entry{"allowWatchBookmarks", "query", "boolean",
          "Whether a watch may send events of type BOOKMARK, which only tell a newer resourceVersion."},
    Entry{"continue", "query", "string", "The token of the page before, for the next page of a list."},
    Entry{"dryRun", "query", "string", "With All, every step is taken except storing."},
    Entry{"fieldManager", "query", "string",
          "Who makes this change: a name of at most 128 printable characters. Applying requires it."},
    Entry{"fieldSelector", "query", "string", "Only objects whose fields match."},
    Entry{"fieldValidation", "query", "string",
          "What happens to unknown and repeated fields: Ignore, Warn (the default) or Strict."},
    Entry{"force", "query", "boolean", "Applying takes fields over from the managers that conflict."},
    Entry{"gracePeriodSeconds", "query", "integer",
          "Seconds the object has to end; 0 deletes at once, absent leaves it to the kind."},
    Entry{"ignoreStoreReadErrorWithClusterBreakingPotential", "query", "boolean",
          "Deletes an object that cannot be read any more, without finalizers and preconditions."},
    Entry{"labelSelector", "query", "string", "Only objects whose labels match."},
    Entry{"limit", "query", "integer",
          "At most so many objects in one response; the rest is had with continue."},
    Entry{"name", "path", "string", ""},
    Entry{"namespace", "path", "string", "The object's namespace."},
    Entry{"orphanDependents", "query", "boolean", "Deprecated: propagationPolicy says the same and more."},
    Entry{"path", "path", "string", "The path of the proxied request."},
    Entry{"pretty", "query", "string", "With true, the response is indented."},
    Entry{"propagationPolicy", "query", "string",
          "What becomes of dependents: Orphan, Background or Foreground."},
    Entry{"resourceVersion", "query", "string", "The version a read or watch starts from."},
    Entry{"resourceVersionMatch", "query", "string",
          "How resourceVersion is meant in a list: Exact or NotOlderThan."},
    Entry{"sendInitialEvents", "query", "boolean",
          "A watch first sends what exists, then a bookmark, then changes."},
    Entry{"timeoutSeconds", "query", "integer", "The call ends after so many seconds."},
    Entry{"watch", "query", "boolean", "A stream of changes instead of a list."},
};

}  // namespace

Parameter common_parameter(std::string_view name) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
  return {std::string(name), found->place, found->type, std::string(found->description)};
}

std::vector<Parameter> common_parameters(std::initializer_list<std::string_view> names) {
  std::vector<Parameter> out;
  for (const auto name : names) out.push_back(common_parameter(name));
  return out;
}

const std::vector<Parameter>& list_parameters() {
  static const auto& list = *new std::vector<Parameter>(common_parameters(
      {"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
       "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"}));
  return list;
}

const std::vector<Parameter>& delete_parameters() {
  static const auto& list = *new std::vector<Parameter>(
      common_parameters({"dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential",
                         "orphanDependents", "propagationPolicy"}));
  return list;
}

const std::vector<Parameter>& delete_collection_parameters() {
  static const auto& list = *new std::vector<Parameter>(
      common_parameters({"continue", "dryRun", "fieldSelector", "gracePeriodSeconds",
                         "ignoreStoreReadErrorWithClusterBreakingPotential", "labelSelector", "limit",
                         "orphanDependents", "propagationPolicy", "resourceVersion", "resourceVersionMatch",
                         "sendInitialEvents", "timeoutSeconds"}));
  return list;
}

std::vector<Parameter> option_parameters(const Type& options) {
  std::vector<Parameter> out;
  for (std::size_t i = options.has_type_meta ? 2 : 0; i < options.fields.size(); ++i) {
    const Field& field = options.fields[i];
    const Type& type = field.type->kind == TypeKind::list ? *field.type->element : *field.type;
    if (type.kind == TypeKind::time) continue;  // kube-apiserver does not document it either
    const bool is_number = type.kind == TypeKind::int32 || type.kind == TypeKind::int64;
    out.push_back({std::string(field.name), "query",
                   type.kind == TypeKind::boolean ? "boolean"
                   : is_number                    ? "integer"
                                                  : "string",
                   std::string(field.rules->description)});
  }
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.name < b.name; });
  return out;
}

void write_parameter(JsonWriter& out, Dialect dialect, const Parameter& parameter) {
  out.open('{');
  if (dialect == Dialect::v2) {
    out.member_raw("uniqueItems", "true");
    out.member("type", parameter.type);
  } else {
    out.member("name", parameter.name);
    out.member("in", parameter.place);
  }
  if (!parameter.description.empty()) out.member("description", parameter.description);
  if (dialect == Dialect::v2) {
    out.member("name", parameter.name);
    out.member("in", parameter.place);
  }
  if (parameter.place == "path") out.member_raw("required", "true");
  if (dialect == Dialect::v3) {
    out.key("schema");
    out.open('{');
    out.member("type", parameter.type);
    out.member_raw("uniqueItems", "true");
    out.close('}');
  }
  out.close('}');
}

}  // namespace rusternetes::api_server::openapi
