#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using meta_v1::ObjectMeta;

ObjectMeta metadata_of(const Document& object) { return ObjectMeta(object.root().get(2)); }

meta_v1::OwnerReference controller_of(const ObjectMeta& metadata) {
  for (const auto owner : metadata.ownerReferences())
    if (owner.controller()) return owner;
  return {};
}

void append_controller_reference(Arena& arena, Value& metadata, const Document& owner, std::string_view api_version, std::string_view kind) {
  Value& list = ensure(arena, metadata, ObjectMeta::f_ownerReferences, ValueKind::list);
  Value& reference = append_structure(arena, list);
  using R = meta_v1::OwnerReference;
  set_string(arena, reference, R::f_apiVersion, api_version);
  set_string(arena, reference, R::f_kind, kind);
  set_string(arena, reference, R::f_name, metadata_of(owner).name());
  set_string(arena, reference, R::f_uid, metadata_of(owner).uid());
  set_boolean(arena, reference, R::f_controller, true);
  set_boolean(arena, reference, R::f_blockOwnerDeletion, true);
}

LabelSelector selector_of(const meta_v1::LabelSelector& selector) {
  if (!selector) return LabelSelector::nothing();
  LabelSelectorParts parts;
  for (const auto& [key, value] : selector.matchLabels()) parts.match_labels.emplace_back(key, value);
  for (const auto e : selector.matchExpressions()) {
    LabelExpression one{std::string(e.key()), std::string(e.operator_()), {}};
    for (const auto v : e.values()) one.values.emplace_back(v);
    parts.match_expressions.push_back(std::move(one));
  }
  auto built = LabelSelector::from_parts(&parts);
  return built ? *built : LabelSelector::nothing();
}

bool selects(const LabelSelector& selector, const ObjectMeta& metadata) {
  const auto labels = metadata.labels();
  return selector.matches([&](std::string_view key) -> std::optional<std::string_view> {
    const Value* value = labels.find(key);
    return value ? std::optional(value->str()) : std::nullopt;
  });
}

std::string key_of(std::string_view name_space, std::string_view name) {
  std::string out(name_space);
  if (!out.empty()) out += '/';
  return out += name;
}

std::pair<std::string, std::string> split_key(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return {"", std::string(key)};
  return {std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

bool is_pod_ready(const core_v1::Pod& pod) {
  for (const auto condition : pod.status().conditions())
    if (condition.type() == "Ready") return condition.status() == "True";
  return false;
}

bool is_pod_active(const core_v1::Pod& pod) {
  const auto phase = pod.status().phase();
  return phase != "Succeeded" && phase != "Failed" && !pod.metadata().has_deletionTimestamp();
}

}  // namespace rusternetes::controller_manager
