#pragma once
// metadata.managedFields: who last set which field. What kube-apiserver does to it when an object is created,
// updated or patched other than by apply (KEP 555). In Kubernetes this stands after decoding and defaulting
// and before mutating admission, so that nobody owns what admission adds.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apimachinery/field_set.h"
#include "apimachinery/schema.h"
#include "apimachinery/value.h"
#include "base/status.h"

namespace rusternetes::apimachinery {

// Gives an object in another version of its kind, null type if there is no such version (its entries are
// dropped then). The value may share memory with the given one, and must live as long as the arena.
struct VersionedObject {
  const Type* type = nullptr;
  Value value;
};
using VersionConverter =
    std::function<VersionedObject(Arena&, const Value& object, std::string_view api_version)>;

struct ManagedFieldsRequest {
  std::string_view manager;      // the request's fieldManager, or manager_from_user_agent(); empty: "unknown"
  std::string_view subresource;  // "status"; then the managedFields that the client sends are not looked at
  std::int64_t now_us = 0;
  // Fields that this endpoint does not change whatever the client sends, with all below them (a strategy's
  // reset fields).
  const FieldSet* reset_fields = nullptr;
  // For entries of other versions. Without it their fields are taken to be the same ones.
  const VersionConverter* convert = nullptr;
};

// Rewrites metadata.managedFields of `new_object`. `old_object` is what is stored (null for a create) and is
// not changed, even where the new one shares its memory; both are of `kind`. Entries are taken from the new
// object if a client sent good ones, else from the old one; an empty list or one empty entry clears them, and
// an object that has none gets none again by an update. An object that cannot be described (a list item
// without its keys) loses its entries, as in Kubernetes: a request never fails for them.
void update_managed_fields(Arena& arena, const Kind& kind, Value& new_object, const Value* old_object,
                           const ManagedFieldsRequest& request);

// False for entries that update_managed_fields would not take: unknown operation or fieldsType, no
// apiVersion, damaged sets. `metadata` is an ObjectMeta.
bool are_managed_fields_valid(const Value& metadata);

// If nothing but times of managedFields differs between the objects, puts the old times back, so that a
// request without effect writes nothing. Both are of `kind`.
void keep_managed_fields_times(Arena& arena, const Kind& kind, Value& new_object, const Value& old_object);

// What stands for a client that names no manager: its User-Agent up to the first slash, at most 128 bytes.
std::string manager_from_user_agent(std::string_view user_agent);

// The entries of an object, decoded; what apply works on, too.
struct ManagerEntry {
  std::string_view manager, api_version, subresource;
  bool is_apply = false;
  std::optional<std::int64_t> time_us;
  FieldSet fields;

  // Appliers are told apart without their version.
  bool is_same_manager(const ManagerEntry& other) const;
};
// `metadata` is an ObjectMeta; the entries share its memory.
Result<std::vector<ManagerEntry>> decode_managed_fields(Arena& arena, const Value& metadata);
// Sorts as Kubernetes does and replaces the field; no entries, no field.
void encode_managed_fields(Arena& arena, Value& metadata, std::vector<ManagerEntry> entries);

}  // namespace rusternetes::apimachinery
