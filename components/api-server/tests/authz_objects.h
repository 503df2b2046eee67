#pragma once
// An ObjectSource that tests fill by hand.

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "api-server/authorizer.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/registry.h"
#include "apimachinery/yaml.h"

namespace rusternetes::api_server {

class TestObjects final : public ObjectSource {
 public:
  // An object of a builtin kind, as YAML or JSON; replaces one of the same name.
  void put(std::string_view yaml) {
    using namespace apimachinery;
    Arena arena;
    const auto any = decode_yaml(arena, yaml, any_type());
    REQUIRE(any);
    const Kind* kind =
        Registry::builtin()->find_kind(any->lookup("apiVersion")->str(), any->lookup("kind")->str());
    REQUIRE(kind);
    const auto typed = convert_any(arena, *any, *kind->type);
    REQUIRE(typed);
    put(*kind, Document::freeze(*typed, *kind->type));
  }
  void put(const apimachinery::Kind& kind, apimachinery::Document document) {
    const auto metadata = apimachinery::core_v1::Pod(&document.root()).metadata();
    std::lock_guard lock(mutex_);
    Resource& resource = resources_[{std::string(kind.group_version.group), std::string(kind.resource)}];
    resource.objects[{std::string(metadata.namespace_()), std::string(metadata.name())}] =
        std::move(document);
    ++resource.generation;
  }
  void remove(std::string_view group, std::string_view resource, std::string_view name_space,
              std::string_view name) {
    std::lock_guard lock(mutex_);
    Resource& found = resources_[{std::string(group), std::string(resource)}];
    found.objects.erase({std::string(name_space), std::string(name)});
    ++found.generation;
  }

  apimachinery::Document get(std::string_view group, std::string_view resource, std::string_view name_space,
                             std::string_view name) const override {
    std::lock_guard lock(mutex_);
    const auto found = resources_.find({std::string(group), std::string(resource)});
    if (found == resources_.end()) return {};
    const auto object = found->second.objects.find({std::string(name_space), std::string(name)});
    return object == found->second.objects.end() ? apimachinery::Document{} : object->second;
  }
  std::vector<apimachinery::Document> list(std::string_view group, std::string_view resource,
                                           std::string_view name_space) const override {
    std::lock_guard lock(mutex_);
    std::vector<apimachinery::Document> out;
    const auto found = resources_.find({std::string(group), std::string(resource)});
    if (found == resources_.end()) return out;
    for (const auto& [key, document] : found->second.objects)
      if (name_space.empty() || key.first == name_space) out.push_back(document);
    return out;
  }
  std::uint64_t generation(std::string_view group, std::string_view resource) const override {
    std::lock_guard lock(mutex_);
    const auto found = resources_.find({std::string(group), std::string(resource)});
    return found == resources_.end() ? 0 : found->second.generation;
  }

 private:
  using Key = std::pair<std::string, std::string>;
  struct Resource {
    std::map<Key, apimachinery::Document> objects;
    std::uint64_t generation = 0;
  };
  mutable std::mutex mutex_;
  std::map<Key, Resource> resources_;
};

inline Attributes resource_request(User user, std::string verb, std::string resource,
                                   std::string name_space = {}, std::string name = {}) {
  Attributes attributes;
  attributes.user = std::move(user);
  attributes.verb = std::move(verb);
  attributes.is_resource = true;
  attributes.resource = std::move(resource);
  attributes.name_space = std::move(name_space);
  attributes.name = std::move(name);
  return attributes;
}

// A value of a builtin type from JSON or YAML.
inline apimachinery::Value typed_value(apimachinery::Arena& arena, const apimachinery::Type& type,
                                       std::string_view yaml) {
  const auto value = apimachinery::decode_yaml(arena, yaml, type);
  REQUIRE(value);
  return *value;
}

inline std::string json_of(const apimachinery::Value* value, const apimachinery::Type& type) {
  std::string out;
  if (value) apimachinery::encode_json(out, *value, type);
  return out;
}

}  // namespace rusternetes::api_server
