#pragma once
// Objects at rest, in Kubernetes' own layout and encoding: a kube-apiserver can open our store and we can open its.

#include <memory>
#include <string>

#include "apimachinery/document.h"
#include "apimachinery/registry.h"
#include "base/status.h"

namespace rusternetes::api_server {

inline constexpr std::string_view registry_root = "/registry/";

// "/registry/pods/default/web"; `name_space` empty for cluster-scoped kinds.
std::string storage_key(const apimachinery::Kind& kind, std::string_view name_space, std::string_view name);
// "/registry/pods/", or "/registry/pods/default/".
std::string storage_prefix(const apimachinery::Kind& kind, std::string_view name_space = {});

// The bytes of an object that is of the storage version's type. metadata.resourceVersion is left out.
std::shared_ptr<const std::string> encode_for_storage(const apimachinery::Kind& storage_kind,
                                                      const apimachinery::Value& object);
// Reads either encoding, in any served version, into the storage version's type, with defaults and without TypeMeta.
Result<apimachinery::Value> decode_from_storage(apimachinery::Arena& arena, std::string_view bytes,
                                                const apimachinery::Kind& storage_kind,
                                                const apimachinery::Registry& registry);
// metadata.resourceVersion of an object that is about to be frozen or sent.
void set_resource_version(apimachinery::Arena& arena, const apimachinery::Type& type, apimachinery::Value& object,
                          std::int64_t revision);
// The index of metadata within a top-level type; -1 if it has none.
int metadata_field(const apimachinery::Type& type);

}  // namespace rusternetes::api_server
