#pragma once
// All kinds that are served, as one immutable object (invariant 2): at start the compiled ones; a run-time schema makes a
// new registry and swaps the pointer. Routes, discovery, OpenAPI and caches are rebuilt from it.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "apimachinery/schema.h"

namespace rusternetes::apimachinery {

class Registry {
 public:
  static std::shared_ptr<const Registry> builtin();
  // This registry's kinds and those of another set, which is kept alive with it.
  std::shared_ptr<const Registry> with(std::shared_ptr<const SchemaSet> added) const;
  std::shared_ptr<const Registry> without(const SchemaSet& removed) const;

  // By ("apps", "v1", "deployments"); null when nothing is served there.
  const Kind* find_resource(std::string_view group, std::string_view version, std::string_view resource) const;
  // By ("apps", "v1", "Deployment"), with or without a resource.
  const Kind* find_kind(std::string_view group, std::string_view version, std::string_view kind) const;
  // By ("apps/v1", "Deployment").
  const Kind* find_kind(std::string_view api_version, std::string_view kind) const;
  // The kind whose version is the storage version of `kind`; itself if that is not served apart.
  const Kind* storage_kind(const Kind& kind) const;
  // The set that owns a run-time kind; null for compiled ones.
  std::shared_ptr<const SchemaSet> owner(const Kind& kind) const;

  // Kinds with a resource, in discovery's order.
  const std::vector<const Kind*>& resources() const { return resources_; }
  const std::vector<const Kind*>& kinds() const { return kinds_; }

 private:
  using Key = std::tuple<std::string_view, std::string_view, std::string_view>;
  static std::shared_ptr<const Registry> build(std::vector<std::shared_ptr<const SchemaSet>> sets);
  std::vector<std::shared_ptr<const SchemaSet>> sets_;  // run-time ones
  std::vector<const Kind*> kinds_, resources_;
  std::map<Key, const Kind*> by_resource_, by_kind_;
  std::map<const Kind*, std::shared_ptr<const SchemaSet>> owners_;
};

// "apps/v1" → {"apps", "v1"}; "v1" → {"", "v1"}.
GroupVersion parse_group_version(std::string_view api_version);

}  // namespace rusternetes::apimachinery
