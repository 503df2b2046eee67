#include "api-server/openapi/schemas.h"

#include <algorithm>
#include <array>

#include "api-server/openapi/schema_extras.h"

namespace rusternetes::api_server::openapi {

using namespace apimachinery;

namespace {

struct Word {
  std::string_view name, description, v2, v3;  // the latter as JSON members
};

constexpr std::string_view meta = "io.k8s.apimachinery.pkg.apis.meta.v1.";

// The schemas of types with a JSON form of their own.
constexpr std::array words{
    Word{"io.k8s.apimachinery.pkg.apis.meta.v1.Time", "A moment, as RFC 3339 text with seconds.",
         R"("type":"string","format":"date-time")", R"("type":"string","format":"date-time")"},
    Word{"io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "A moment, as RFC 3339 text with microseconds.",
         R"("type":"string","format":"date-time")", R"("type":"string","format":"date-time")"},
    Word{"io.k8s.apimachinery.pkg.apis.meta.v1.Duration", "A length of time, such as 1h30m or 15s.",
         R"("type":"string")", R"("type":"string")"},
    Word{"io.k8s.apimachinery.pkg.api.resource.Quantity",
         "An amount: a decimal number with an optional suffix, binary (Ki, Mi, Gi, Ti, Pi, Ei), decimal (n, "
         "u, m, k, M, G, T, P, E) or an exponent (1e3). "
         "A half core is 500m, a quarter of a gibibyte 256Mi.",
         R"("type":"string")", R"("oneOf":[{"type":"string"},{"type":"number"}])"},
    Word{"io.k8s.apimachinery.pkg.util.intstr.IntOrString",
         "A whole number, or text such as a percentage or the name of a port.",
         R"("type":"string","format":"int-or-string")",
         R"("format":"int-or-string","oneOf":[{"type":"integer"},{"type":"string"}])"},
    Word{"io.k8s.apimachinery.pkg.runtime.RawExtension", "An object of any kind, kept as it is.",
         R"("type":"object")", R"("type":"object")"},
    Word{"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
         "A set of fields: keys name fields or list items, an empty object ends a path.",
         R"("type":"object")", R"("type":"object")"},
    Word{"io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
         "What a PATCH request carries; its form depends on the content type.", R"("type":"object")",
         R"("type":"object")"},
    Word{"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
         "Any JSON value: object, list, text, number, boolean or null.", "", ""},
    Word{
        "io.k8s.apimachinery.pkg.version.Info", "The server's version.",
        R"("type":"object","required":["major","minor","gitVersion","gitCommit","gitTreeState","buildDate","goVersion","compiler","platform"],)"
        R"("properties":{"buildDate":{"type":"string"},"compiler":{"type":"string"},"emulationMajor":{"type":"string"},"emulationMinor":{"type":"string"},)"
        R"("gitCommit":{"type":"string"},"gitTreeState":{"type":"string"},"gitVersion":{"type":"string"},"goVersion":{"type":"string"},)"
        R"("major":{"type":"string"},"minCompatibilityMajor":{"type":"string"},"minCompatibilityMinor":{"type":"string"},"minor":{"type":"string"},"platform":{"type":"string"}})",
        R"("type":"object","required":["major","minor","gitVersion","gitCommit","gitTreeState","buildDate","goVersion","compiler","platform"],)"
        R"("properties":{"buildDate":{"type":"string","default":""},"compiler":{"type":"string","default":""},"emulationMajor":{"type":"string"},"emulationMinor":{"type":"string"},)"
        R"("gitCommit":{"type":"string","default":""},"gitTreeState":{"type":"string","default":""},"gitVersion":{"type":"string","default":""},"goVersion":{"type":"string","default":""},)"
        R"("major":{"type":"string","default":""},"minCompatibilityMajor":{"type":"string"},"minCompatibilityMinor":{"type":"string"},"minor":{"type":"string","default":""},"platform":{"type":"string","default":""}})"},
};

std::string_view word_component(TypeKind kind, std::string_view owner) {
  switch (kind) {
    case TypeKind::time:
      return words[0].name;
    case TypeKind::micro_time:
      return words[1].name;
    case TypeKind::duration:
      return words[2].name;
    case TypeKind::quantity:
      return words[3].name;
    case TypeKind::int_or_string:
      return words[4].name;
    case TypeKind::raw:
      return owner.starts_with("apiextensions/v1.") ? words[8].name : words[5].name;
    case TypeKind::fields_v1:
      return words[6].name;
    default:
      return {};
  }
}

// The Go package of an API group's types, reversed, as OpenAPI names it.
std::string package_prefix(std::string_view package) {
  if (package == "meta/v1") return std::string(meta);
  std::string dotted(package);
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  if (package.starts_with("apiextensions/")) return "io.k8s.apiextensions-apiserver.pkg.apis." + dotted + ".";
  if (package.starts_with("apiregistration/")) return "io.k8s.kube-aggregator.pkg.apis." + dotted + ".";
  return "io.k8s.api." + dotted + ".";
}

std::string reversed(std::string_view group) {
  std::string out;
  while (!group.empty()) {
    const auto dot = group.rfind('.');
    out += std::string(group.substr(dot == std::string_view::npos ? 0 : dot + 1)) + ".";
    group = dot == std::string_view::npos ? std::string_view{} : group.substr(0, dot);
  }
  return out;
}

// The zero value that a version 3 schema states where the field is always written.
std::string_view zero_default(const Type& type, bool is_omitempty) {
  switch (type.kind) {
    case TypeKind::structure:
      return "{}";
    case TypeKind::string:
      return is_omitempty ? "" : "\"\"";
    case TypeKind::boolean:
      return is_omitempty ? "" : "false";
    case TypeKind::int32:
    case TypeKind::int64:
    case TypeKind::float64:
      return is_omitempty ? "" : "0";
    default:
      return {};
  }
}

constexpr std::string_view type_meta_descriptions[] = {
    "The kind of this object, in CamelCase.",
    "The group and version of this object's kind, such as v1 or apps/v1.",
};

}  // namespace

void Schemas::index_kinds() {
  auto add = [&](const Type* type, const GroupVersion& version, std::string kind) {
    if (type)
      kinds_of_[type].push_back({std::string(version.group), std::string(version.version), std::move(kind)});
  };
  std::vector<GroupVersion> versions;
  for (const Kind* kind : registry_.kinds()) {
    if (kind->group_version.group == "meta.k8s.io") continue;
    add(kind->type, kind->group_version, std::string(kind->kind));
    add(kind->list_type, kind->group_version, std::string(kind->kind) + "List");
    if (registry_.owner(*kind)) {
      const std::string prefix =
          reversed(kind->group_version.group) + std::string(kind->group_version.version) + ".";
      if (kind->type) runtime_names_[kind->type] = prefix + std::string(kind->kind);
      if (kind->list_type) runtime_names_[kind->list_type] = prefix + std::string(kind->kind) + "List";
    }
    if (!kind->resource.empty() &&
        std::find(versions.begin(), versions.end(), kind->group_version) == versions.end())
      versions.push_back(kind->group_version);
  }
  for (const Type* type : builtin_schema().types) {
    if (!type->name.starts_with("meta/v1.")) continue;
    const std::string name(type->name.substr(8));
    const GroupVersion core{"", "v1"};
    if (name == "Status" || name == "APIGroup" || name == "APIGroupList" || name == "APIResourceList" ||
        name == "APIVersions") {
      add(type, core, name);
    } else if (name == "DeleteOptions" || name == "WatchEvent") {
      for (const auto& version : versions) add(type, version, name);
    }
  }
}

std::string Schemas::component_name(const Type& type, std::string_view owner) const {
  if (const auto found = runtime_names_.find(&type); found != runtime_names_.end()) return found->second;
  if (const auto word = word_component(type.kind, owner); !word.empty()) return std::string(word);
  if (type.kind != TypeKind::structure && type.kind != TypeKind::choice) return {};
  const auto dot = type.name.find('.');
  if (dot == std::string_view::npos) return {};  // nested in a run-time kind: written where it is used
  return package_prefix(type.name.substr(0, dot)) + std::string(type.name.substr(dot + 1));
}

void Schemas::collect(const Type& type, std::string_view owner) {
  const std::string name = component_name(type, owner);
  if (!name.empty() &&
      !components_.try_emplace(name, Component{word_component(type.kind, owner).empty() ? &type : nullptr})
           .second)
    return;
  if (type.element) collect(*type.element, owner);
  for (const auto& field : type.fields) collect(*field.type, name.empty() ? owner : type.name);
}

std::string Schemas::add(const Type& type) {
  collect(type, {});
  return component_name(type, {});
}

std::string Schemas::add_word(std::string name) {
  components_.try_emplace(name);
  return name;
}

void Schemas::write_reference(JsonWriter& out, std::string_view component) const {
  out.open('{');
  out.member("$ref", std::string(dialect_ == Dialect::v2 ? "#/definitions/" : "#/components/schemas/") +
                         std::string(component));
  out.close('}');
}

void Schemas::write_rules(JsonWriter& out, const FieldRules& rules) const {
  if (!rules.list_keys.empty()) out.member_list("x-kubernetes-list-map-keys", rules.list_keys);
  if (rules.list_kind != ListKind::unspecified)
    out.member("x-kubernetes-list-type", rules.list_kind == ListKind::atomic ? "atomic"
                                         : rules.list_kind == ListKind::set  ? "set"
                                                                             : "map");
  if (rules.is_atomic_map) out.member("x-kubernetes-map-type", "atomic");
  if (!rules.merge_key.empty()) out.member("x-kubernetes-patch-merge-key", rules.merge_key);
  std::string strategy;
  auto add = [&](bool is_on, std::string_view word) {
    if (is_on) strategy += (strategy.empty() ? "" : ",") + std::string(word);
  };
  add(rules.patch_merge, "merge");
  add(rules.patch_replace, "replace");
  add(rules.patch_retain_keys, "retainKeys");
  if (!strategy.empty()) out.member("x-kubernetes-patch-strategy", strategy);
}

// The members of a schema object that is no reference, without description and default.
void Schemas::write_type(JsonWriter& out, const Type& type, std::string_view owner, Enum element_enum) const {
  switch (type.kind) {
    case TypeKind::structure:
      return write_members(out, type);
    case TypeKind::list:
      out.member("type", "array");
      out.key("items");
      return write_element(out, *type.element, owner, element_enum);
    case TypeKind::map:
      out.member("type", "object");
      out.key("additionalProperties");
      return write_element(out, *type.element, owner, element_enum);
    case TypeKind::string:
      return out.member("type", "string");
    case TypeKind::boolean:
      return out.member("type", "boolean");
    case TypeKind::int32:
    case TypeKind::int64:
      out.member("type", "integer");
      return out.member("format", type.kind == TypeKind::int32 ? "int32" : "int64");
    case TypeKind::float64:
      out.member("type", "number");
      return out.member("format", "double");
    case TypeKind::bytes:
      out.member("type", "string");
      return out.member("format", "byte");
    case TypeKind::any:
      return out.member_raw("x-kubernetes-preserve-unknown-fields", "true");
    default:
      return;
  }
}

void Schemas::write_element(JsonWriter& out, const Type& type, std::string_view owner, Enum values) const {
  const std::string component = component_name(type, owner);
  const std::string_view zero = dialect_ == Dialect::v3 ? zero_default(type, false) : std::string_view{};
  if (!component.empty() && zero.empty()) return write_reference(out, component);
  out.open('{');
  if (component.empty()) write_type(out, type, owner, {});
  if (!zero.empty()) out.member_raw("default", zero);
  if (!values.empty()) out.member_list("enum", values);
  if (!component.empty()) {
    out.key("allOf");
    out.open('[');
    write_reference(out, component);
    out.close(']');
  }
  out.close('}');
}

void Schemas::write_field(JsonWriter& out, const Field& field, std::string_view owner) const {
  const FieldRules& rules = *field.rules;
  const FieldExtra* extra = field_extra(owner, field.name);
  const std::string component = component_name(*field.type, owner);
  std::string_view default_value;
  if (dialect_ == Dialect::v3) {
    default_value = extra && !extra->default_value.empty() ? extra->default_value : rules.default_value;
    if (default_value.empty() && !field.is_pointer)
      default_value = zero_default(*field.type, field.is_omitempty || field.is_omitzero);
  }
  out.open('{');
  if (!rules.description.empty()) out.member("description", rules.description);
  if (component.empty()) write_type(out, *field.type, owner, extra ? extra->element_enum : Enum{});
  if (!default_value.empty()) out.member_raw("default", default_value);
  if (!rules.enum_values.empty()) out.member_list("enum", rules.enum_values);
  if (!component.empty()) {
    if (dialect_ == Dialect::v3) {
      // Version 3 ignores what stands beside a reference.
      out.key("allOf");
      out.open('[');
      write_reference(out, component);
      out.close(']');
    } else {
      out.member("$ref", "#/definitions/" + component);
    }
  }
  write_rules(out, rules);
  if (extra && extra->is_granular) out.member("x-kubernetes-map-type", "granular");
  out.close('}');
}

void Schemas::write_members(JsonWriter& out, const Type& type) const {
  out.member("type", "object");
  std::vector<const Field*> fields;
  std::vector<std::string_view> required;
  for (const auto& field : type.fields) {
    fields.push_back(&field);
    if (field.is_required) required.push_back(field.name);
  }
  std::sort(fields.begin(), fields.end(), [](auto* a, auto* b) { return a->name < b->name; });
  if (!required.empty()) out.member_list("required", required);
  if (!fields.empty()) {
    out.key("properties");
    out.open('{');
    for (const Field* field : fields) {
      out.key(field->name);
      const auto index = field - type.fields.data();
      if (type.has_type_meta && index < 2) {
        out.open('{');
        out.member("description", type_meta_descriptions[index]);
        out.member("type", "string");
        out.close('}');
      } else {
        write_field(out, *field, type.name);
      }
    }
    out.close('}');
  }
  if (type.preserves_unknown) out.member_raw("x-kubernetes-preserve-unknown-fields", "true");
}

void Schemas::write_structure(JsonWriter& out, const Type& type) const {
  out.open('{');
  if (!type.description.empty()) out.member("description", type.description);
  if (type.kind == TypeKind::structure) write_members(out, type);
  if (const auto found = kinds_of_.find(&type); found != kinds_of_.end()) {
    out.key("x-kubernetes-group-version-kind");
    out.open('[');
    for (const auto& kind : found->second) {
      out.open('{');
      out.member("group", kind.group);
      out.member("kind", kind.kind);
      out.member("version", kind.version);
      out.close('}');
    }
    out.close(']');
  }
  if (type.is_atomic) out.member("x-kubernetes-map-type", "atomic");
  if (const Union* one_of = union_of(type.name)) write_union(out, *one_of);
  out.close('}');
}

void Schemas::write_union(JsonWriter& out, const Union& one_of) const {
  out.key("x-kubernetes-unions");
  out.open('[');
  out.open('{');
  out.member("discriminator", one_of.discriminator);
  out.key("fields-to-discriminateBy");
  out.open('{');
  for (const auto& [field, name] : one_of.members) out.member(field, name);
  out.close('}');
  out.close('}');
  out.close(']');
}

void Schemas::write_all(JsonWriter& out) const {
  out.open('{');
  for (const auto& [name, component] : components_) {
    out.key(name);
    if (component.type) {
      write_structure(out, *component.type);
      continue;
    }
    const auto word =
        std::find_if(words.begin(), words.end(), [&](const Word& one) { return one.name == name; });
    out.open('{');
    out.member("description", word->description);
    const std::string_view members = dialect_ == Dialect::v2 ? word->v2 : word->v3;
    if (!members.empty()) out.raw(members);
    out.close('}');
  }
  out.close('}');
}

}  // namespace rusternetes::api_server::openapi
