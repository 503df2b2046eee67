#include "api-server/companions.h"

#include "api-server/storage_codec.h"

namespace rusternetes::api_server {

Snapshot Companions::snapshot(std::string_view group, std::string_view resource) const {
  const auto cache = cacher_.find(group, resource);
  return cache ? cache->snapshot() : Snapshot{};
}

std::optional<storage::KeyValue> Companions::read(std::string_view key) const {
  const auto it = claimed_.find(key);
  return it == claimed_.end() ? std::nullopt : it->second;
}

void Companions::create(const apimachinery::Kind& kind, std::string_view name, const apimachinery::Value& object) {
  replace(storage_key(kind, "", name), encode_for_storage(kind, object), 0);
}

void Companions::remove(const apimachinery::Kind& kind, std::string_view name) {
  storage::DeleteRequest request;
  request.key = storage_key(kind, "", name);
  transaction_.success.emplace_back(std::move(request));
}

void Companions::replace(std::string key, std::shared_ptr<const std::string> value, storage::Revision revision) {
  storage::Compare compare;
  compare.key = key;
  compare.number = revision;
  transaction_.compares.push_back(std::move(compare));
  storage::PutRequest put;
  put.key = std::move(key);
  put.value = std::move(value);
  transaction_.success.emplace_back(std::move(put));
}

}  // namespace rusternetes::api_server
