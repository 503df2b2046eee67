#pragma once
// Writes that go with an object's own, in one transaction: what it claims of a pool that all share, and what it gives back
// (invariant 6: such decisions are compares in the store). A strategy fills them in claim(); the pipeline commits them.

#include <map>
#include <optional>
#include <string>

#include "api-server/cache/cacher.h"
#include "storage/store.h"

namespace rusternetes::api_server {

class Companions {
 public:
  // `transaction` gets the compares and the operations of success. `claimed`: the keys that the strategy named, as they were
  // read before.
  using Claimed = std::map<std::string, std::optional<storage::KeyValue>, std::less<>>;
  Companions(Cacher& cacher, const apimachinery::Registry& registry, bool is_dry_run, const Claimed& claimed,
             storage::TxnRequest& transaction)
      : is_dry_run_(is_dry_run), cacher_(cacher), registry_(registry), claimed_(claimed), transaction_(transaction) {}

  bool is_dry_run() const { return is_dry_run_; }
  // What the cache holds; as new as the request's own view of its object.
  Snapshot snapshot(std::string_view group, std::string_view resource) const;
  // A key of Strategy::claimed_keys(), as it was read with the request's view of its object.
  std::optional<storage::KeyValue> read(std::string_view key) const;
  const apimachinery::Registry& registry() const { return registry_; }

  // A cluster-scoped object that must not be there yet. `object` is of the storage version's type.
  void create(const apimachinery::Kind& kind, std::string_view name, const apimachinery::Value& object);
  // A cluster-scoped object goes, if it is there.
  void remove(const apimachinery::Kind& kind, std::string_view name);
  // Bytes in place of those that were read at `revision` (0: nothing was there).
  void replace(std::string key, std::shared_ptr<const std::string> value, storage::Revision revision);

 private:
  bool is_dry_run_;
  Cacher& cacher_;
  const apimachinery::Registry& registry_;
  const Claimed& claimed_;
  storage::TxnRequest& transaction_;
};

}  // namespace rusternetes::api_server
