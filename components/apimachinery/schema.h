#pragma once
// What a kind is: its fields, its protobuf numbers, its rules for lists and maps, and how its resource is served and
// stored. Everything else (routes, discovery, OpenAPI, codecs, merge keys, storage keys) is derived from these tables
// (invariant 2). Compiled kinds and run-time kinds are the same structures; all of them are immutable once published.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rusternetes::apimachinery {

enum class TypeKind : std::uint8_t {
  structure,  // fields
  list,       // element
  map,        // string keys, element
  string,
  boolean,
  int32,
  int64,
  float64,
  bytes,          // base64 in JSON
  time,           // metav1.Time: seconds in JSON and protobuf
  micro_time,     // metav1.MicroTime
  duration,       // metav1.Duration: "1h0m0s" in JSON, nanoseconds in protobuf
  quantity,       // resource.Quantity, kept in canonical form
  int_or_string,  // intstr.IntOrString
  raw,            // runtime.RawExtension, apiextensions JSON: any JSON; a message with bytes in protobuf
  fields_v1,      // metav1.FieldsV1: as raw, protobuf field `Raw`
  any,            // schemaless JSON (run-time kinds, Table cells); no protobuf
  choice,         // one of `choices`, told apart by its JSON shape (JSONSchemaPropsOr...)
};

enum class ListKind : std::uint8_t { unspecified, atomic, set, map };

struct Type;

// The attributes that few fields have.
struct FieldRules {
  ListKind list_kind = ListKind::unspecified;
  bool is_atomic_map = false;         // x-kubernetes-map-type: atomic
  bool patch_merge = false;           // strategic merge patch: patchStrategy=merge
  bool patch_replace = false;         // patchStrategy=replace
  bool patch_retain_keys = false;     // patchStrategy=retainKeys
  std::string_view merge_key;         // strategic merge patch
  std::string_view default_value;     // a JSON text, for the defaults that the API document states
  std::string_view description;       // for explain and OpenAPI
  std::span<const std::string_view> list_keys;    // of a map list
  std::span<const std::string_view> enum_values;  // as the API document says; validation is apart
};

struct Field {
  std::string_view name;  // in JSON
  const Type* type = nullptr;
  const FieldRules* rules = nullptr;  // never null
  std::uint32_t number = 0;           // in protobuf, within its message; 0: not there
  bool is_pointer = false;            // absent differs from zero
  bool is_omitempty = false;
  bool is_omitzero = false;
  bool is_required = false;  // in the API document
};

// How the fields of a structure lie in its protobuf message, ascending by number. An inline structure's fields are the
// owner's own in JSON and in documents, and a nested message here.
struct ProtoEntry {
  std::uint32_t number = 0;
  std::int16_t field = -1;        // index into Type::fields, or -1: a nested message of
  std::uint16_t first_child = 0;  //   Type::proto[first_child, first_child + child_count)
  std::uint16_t child_count = 0;
};

struct Choice {
  TypeKind json_shape;  // structure, list or boolean
  const Type* type;
  std::uint32_t number;
};

struct Type {
  TypeKind kind = TypeKind::any;
  bool is_atomic = false;         // structType=atomic: managed fields do not look inside
  bool is_wrapped_list = false;   // a list that protobuf wraps in a message {items = 1}
  bool has_type_meta = false;     // fields 0 and 1 are kind and apiVersion
  bool preserves_unknown = false; // a run-time structure that keeps fields it does not name
  std::string_view name;          // "apps/v1.DeploymentSpec"; empty for lists, maps and words
  std::string_view description;
  const Type* element = nullptr;  // of a list or map
  std::span<const Field> fields;  // in the order of the Go structure, inline structures flattened
  std::span<const ProtoEntry> proto;
  std::uint16_t proto_roots = 0;  // the first so many entries of `proto` are the message's own
  std::span<const std::uint16_t> name_slots;  // open-addressing hash of field names: index + 1, or 0
  std::span<const Choice> choices;

  // The field's index, or -1.
  int find(std::string_view field_name) const;
};

// FNV-1a, used for the name tables of both compiled and run-time types.
constexpr std::uint32_t field_name_hash(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

enum Verb : std::uint16_t {
  verb_create = 1, verb_delete = 2, verb_deletecollection = 4, verb_get = 8, verb_list = 16, verb_patch = 32,
  verb_update = 64, verb_watch = 128,
};

struct Column {
  std::string_view name, type, format, description;
  int priority = 0;  // 0: always shown; 1: with -o wide
};

struct Subresource {
  std::string_view name;
  std::string_view kind_group, kind_version, kind;  // of what is sent and returned
  std::uint16_t verbs = 0;
};

enum class Encoding : std::uint8_t { none, json, protobuf };

struct GroupVersion {
  std::string_view group;  // "" for the core group
  std::string_view version;
  // "v1", "apps/v1".
  std::string text() const;
  friend bool operator==(const GroupVersion&, const GroupVersion&) = default;
};

// One kind of one version, and how it is served if it has a resource.
struct Kind {
  GroupVersion group_version;
  std::string_view kind;
  const Type* type = nullptr;
  const Type* list_type = nullptr;  // of "<kind>List", if there is one

  // The rest only where `resource` is not empty.
  std::string_view resource;  // plural
  std::string_view singular;
  bool is_namespaced = false;
  std::uint16_t verbs = 0;
  int group_priority = 0, version_priority = 0;  // discovery's order, ascending
  std::span<const std::string_view> short_names;
  std::span<const std::string_view> categories;
  std::span<const Subresource> subresources;
  std::span<const Column> columns;

  // At rest: "/registry/<storage_prefix>/[namespace/]name".
  GroupVersion storage_version;
  Encoding storage_encoding = Encoding::none;
  std::string_view storage_prefix;

  bool is_stored() const { return storage_encoding != Encoding::none; }
  const Subresource* find_subresource(std::string_view name) const;
};

// "create,get" or "all"; 0 for a word that is no verb.
std::uint16_t parse_verbs(std::string_view words);
std::vector<std::string_view> verb_names(std::uint16_t verbs);

// A set of types and kinds that live and die together: what the compiled tables are, and what one run-time schema is.
struct SchemaSet {
  std::span<const Kind> kinds;
  std::span<const Type* const> types;  // the named ones
  virtual ~SchemaSet() = default;
};

// The kinds of Kubernetes v1.35, from schema/v1.35/*.schema.
const SchemaSet& builtin_schema();

}  // namespace rusternetes::apimachinery
