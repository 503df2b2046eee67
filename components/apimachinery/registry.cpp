#include "apimachinery/registry.h"

#include <algorithm>

namespace rusternetes::apimachinery {

GroupVersion parse_group_version(std::string_view api_version) {
  const auto slash = api_version.find('/');
  if (slash == std::string_view::npos) return {{}, api_version};
  return {api_version.substr(0, slash), api_version.substr(slash + 1)};
}

std::shared_ptr<const Registry> Registry::build(std::vector<std::shared_ptr<const SchemaSet>> sets) {
  auto made = std::make_shared<Registry>();
  auto add = [&](const SchemaSet& set, const std::shared_ptr<const SchemaSet>& owner) {
    for (const auto& kind : set.kinds) {
      made->kinds_.push_back(&kind);
      made->by_kind_.emplace(Key{kind.group_version.group, kind.group_version.version, kind.kind}, &kind);
      if (owner) made->owners_.emplace(&kind, owner);
      if (kind.resource.empty()) continue;
      made->by_resource_.emplace(Key{kind.group_version.group, kind.group_version.version, kind.resource}, &kind);
      made->resources_.push_back(&kind);
    }
  };
  add(builtin_schema(), nullptr);
  for (const auto& set : sets) add(*set, set);
  std::stable_sort(made->resources_.begin(), made->resources_.end(), [](const Kind* a, const Kind* b) {
    return std::tuple(a->group_priority, a->group_version.group, a->version_priority, a->group_version.version,
                      a->resource) <
           std::tuple(b->group_priority, b->group_version.group, b->version_priority, b->group_version.version,
                      b->resource);
  });
  made->sets_ = std::move(sets);
  return made;
}

std::shared_ptr<const Registry> Registry::builtin() {
  static const std::shared_ptr<const Registry> registry = build({});
  return registry;
}

std::shared_ptr<const Registry> Registry::with(std::shared_ptr<const SchemaSet> added) const {
  auto sets = sets_;
  sets.push_back(std::move(added));
  return build(std::move(sets));
}

std::shared_ptr<const Registry> Registry::without(const SchemaSet& removed) const {
  auto sets = sets_;
  std::erase_if(sets, [&](const auto& set) { return set.get() == &removed; });
  return build(std::move(sets));
}

const Kind* Registry::find_resource(std::string_view group, std::string_view version, std::string_view resource) const {
  auto found = by_resource_.find(Key{group, version, resource});
  return found == by_resource_.end() ? nullptr : found->second;
}

const Kind* Registry::find_kind(std::string_view group, std::string_view version, std::string_view kind) const {
  auto found = by_kind_.find(Key{group, version, kind});
  return found == by_kind_.end() ? nullptr : found->second;
}

const Kind* Registry::find_kind(std::string_view api_version, std::string_view kind) const {
  const GroupVersion gv = parse_group_version(api_version);
  return find_kind(gv.group, gv.version, kind);
}

const Kind* Registry::storage_kind(const Kind& kind) const {
  const Kind* found = find_kind(kind.storage_version.group, kind.storage_version.version, kind.kind);
  return found ? found : &kind;
}

std::shared_ptr<const SchemaSet> Registry::owner(const Kind& kind) const {
  auto found = owners_.find(&kind);
  return found == owners_.end() ? nullptr : found->second;
}

}  // namespace rusternetes::apimachinery
