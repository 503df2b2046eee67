#pragma once
// The schema part of OpenAPI documents: which component a type is, and what it looks like in version 2
// (definitions) and version 3 (components). Names, formats and extensions are those Kubernetes publishes,
// since clients look them up.

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/openapi/json_writer.h"
#include "apimachinery/registry.h"

namespace rusternetes::api_server::openapi {

enum class Dialect { v2, v3 };
struct Union;

// A named schema: of a structure, or of one of the words that stand for a Go type with its own form (Time,
// Quantity...).
struct Component {
  const apimachinery::Type* type = nullptr;  // null: a word
};

class Schemas {
 public:
  Schemas(const apimachinery::Registry& registry, Dialect dialect) : registry_(registry), dialect_(dialect) {
    index_kinds();
  }

  // Takes the type's component, and what it refers to, into the document. Returns the component's name.
  std::string add(const apimachinery::Type& type);
  // One that is no type of the registry: Patch, version.Info.
  std::string add_word(std::string name);
  // {"$ref": ...}
  void write_reference(JsonWriter& out, std::string_view component) const;
  // The object of all components, by name.
  void write_all(JsonWriter& out) const;
  bool empty() const { return components_.empty(); }
  Dialect dialect() const { return dialect_; }
  const apimachinery::Registry& registry() const { return registry_; }

 private:
  struct GroupVersionKind {
    std::string group, version, kind;
  };
  void index_kinds();
  void collect(const apimachinery::Type& type, std::string_view owner);
  std::string component_name(const apimachinery::Type& type, std::string_view owner) const;
  void write_structure(JsonWriter& out, const apimachinery::Type& type) const;
  void write_members(JsonWriter& out, const apimachinery::Type& type) const;
  void write_field(JsonWriter& out, const apimachinery::Field& field, std::string_view owner) const;
  using Enum = std::span<const std::string_view>;
  void write_type(JsonWriter& out, const apimachinery::Type& type, std::string_view owner,
                  Enum element_enum) const;
  void write_element(JsonWriter& out, const apimachinery::Type& type, std::string_view owner,
                     Enum values) const;
  void write_union(JsonWriter& out, const Union& one_of) const;
  void write_rules(JsonWriter& out, const apimachinery::FieldRules& rules) const;

  const apimachinery::Registry& registry_;
  Dialect dialect_;
  std::map<std::string, Component, std::less<>> components_;
  std::map<const apimachinery::Type*, std::vector<GroupVersionKind>> kinds_of_;
  std::map<const apimachinery::Type*, std::string> runtime_names_;  // of kinds that were made at run time
};

}  // namespace rusternetes::api_server::openapi
