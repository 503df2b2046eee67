#include "api-server/bootstrap/policy.h"

#include <optional>

#include "api-server/authz/aggregation.h"
#include "api-server/bootstrap/data.h"
#include "api-server/bootstrap/rule_values.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/registry.h"
#include "apimachinery/yaml.h"

namespace rusternetes::api_server::bootstrap {

namespace rbac = apimachinery::rbac_v1;
using apimachinery::Arena;
using apimachinery::Document;
using apimachinery::Value;
using apimachinery::ValueKind;

namespace {

std::string_view text_at(const Value& map, std::string_view key) {
  const Value* found = map.lookup(key);
  return found ? found->str() : std::string_view{};
}

// Adds the labels and annotations that all objects of a section share; the object's own win.
void add_common_metadata(Arena& arena, Value& object, const Value& common) {
  Value& metadata = apimachinery::set_key(arena, object, "metadata");
  if (metadata.kind != ValueKind::map) metadata = Value::empty(ValueKind::map);
  for (std::uint32_t i = 0; i < common.size; ++i) {
    Value& part = apimachinery::set_key(arena, metadata, common.items[2 * i].str());
    if (part.kind != ValueKind::map) part = Value::empty(ValueKind::map);
    const Value& shared = common.items[2 * i + 1];
    for (std::uint32_t j = 0; j < shared.size; ++j) {
      const std::string_view key = shared.items[2 * j].str();
      if (!part.lookup(key)) apimachinery::set_key(arena, part, key) = shared.items[2 * j + 1];
    }
  }
}

Result<> parse_section(Arena& arena, const Value& section, std::vector<Object>& out) {
  const std::string api_version(text_at(section, "apiVersion")), kind_name(text_at(section, "kind"));
  const apimachinery::Kind* kind = apimachinery::Registry::builtin()->find_kind(api_version, kind_name);
  if (!kind) return apimachinery::bad_request("no kind " + api_version + " " + kind_name);
  const Value* list = section.lookup("objects");
  const Value* common = section.lookup("common");
  if (!list || list->kind != ValueKind::list) return apimachinery::bad_request(kind_name + " has no objects");
  for (const Value& item : list->children()) {
    Value object = apimachinery::deep_copy(arena, item);
    if (object.kind != ValueKind::map)
      return apimachinery::bad_request("an object of " + kind_name + " is no map");
    apimachinery::set_key(arena, object, "apiVersion") = Value::of_text(arena.copy(api_version));
    apimachinery::set_key(arena, object, "kind") = Value::of_text(arena.copy(kind_name));
    if (common && common->kind == ValueKind::map) add_common_metadata(arena, object, *common);
    apimachinery::DecodeIssues issues;
    RN_TRY(const Value typed, apimachinery::convert_any(arena, object, *kind->type, &issues));
    if (!issues.messages.empty())
      return apimachinery::bad_request(kind_name + ": " + issues.messages.front());
    out.push_back({kind, Document::freeze(typed, *kind->type)});
  }
  return {};
}

// Gives aggregated ClusterRoles their rules. They may select each other, so this goes on until nothing
// changes.
Result<> fill_aggregated_roles(std::vector<Object>& objects) {
  bool has_changed = true;
  while (has_changed) {
    has_changed = false;
    std::vector<Document> roles;
    for (const Object& object : objects)
      if (object.kind->kind == "ClusterRole") roles.push_back(object.document);
    for (Object& object : objects) {
      if (object.kind->kind != "ClusterRole") continue;
      const rbac::ClusterRole role(&object.document.root());
      if (!role.has_aggregationRule()) continue;
      RN_TRY(const std::vector<PolicyRule> rules, aggregate_cluster_roles(role, roles));
      if (rules == policy_rules(role.rules())) continue;
      Arena arena;
      Value changed = apimachinery::deep_copy(arena, object.document.root());
      set_rules(arena, changed, rbac::ClusterRole::f_rules, rules);
      object.document = Document::freeze(changed, *object.kind->type);
      has_changed = true;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Object>> parse_objects(std::string_view yaml) {
  Arena arena;
  RN_TRY(const Value root, apimachinery::decode_yaml(arena, yaml, apimachinery::any_type()));
  if (root.kind != ValueKind::list) return apimachinery::bad_request("the text is no list of sections");
  std::vector<Object> objects;
  for (const Value& section : root.children()) {
    if (section.kind != ValueKind::map) return apimachinery::bad_request("a section is no map");
    RN_CHECK(parse_section(arena, section, objects));
  }
  RN_CHECK(fill_aggregated_roles(objects));
  return objects;
}

const std::vector<Object>& objects() {
  static const std::vector<Object> parsed = [] {
    auto result = parse_objects(data());
    RN_ASSERT(result.has_value(), result ? "" : result.error().message.c_str());
    return *std::move(result);
  }();
  return parsed;
}

std::vector<Object> objects_with_service_cidrs(std::span<const std::string> cidrs) {
  using apimachinery::networking_v1::ServiceCIDR;
  using apimachinery::networking_v1::ServiceCIDRSpec;
  std::vector<Object> out = objects();
  for (Object& object : out) {
    if (object.kind->kind != "ServiceCIDR") continue;
    Arena arena;
    Value changed = apimachinery::deep_copy(arena, object.document.root());
    Value& spec = apimachinery::ensure(arena, changed, ServiceCIDR::f_spec);
    Value& list = apimachinery::set_field(arena, spec, ServiceCIDRSpec::f_cidrs);
    apimachinery::assign(list, Value::empty(ValueKind::list));
    for (const std::string& cidr : cidrs) apimachinery::append_string(arena, list, cidr);
    object.document = Document::freeze(changed, *object.kind->type);
  }
  return out;
}

std::vector<PolicyRule> node_rules() {
  for (const Object& object : objects())
    if (object.kind->kind == "ClusterRole") {
      const rbac::ClusterRole role(&object.document.root());
      if (role.metadata().name() == "system:node") return policy_rules(role.rules());
    }
  return {};
}

}  // namespace rusternetes::api_server::bootstrap
