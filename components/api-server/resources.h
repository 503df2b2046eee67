#pragma once
// The verbs on objects, without HTTP: what create, get, list, update, patch and delete mean for every kind. The HTTP
// handlers and the in-process client call these after authorization.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api-server/admission.h"
#include "api-server/cache/cacher.h"
#include "api-server/call.h"
#include "api-server/lease_manager.h"
#include "api-server/selection.h"
#include "api-server/strategy.h"

namespace rusternetes::api_server {

// A write's outcome: the object in the request's version (in the call's arena), with its new resourceVersion.
struct Written {
  apimachinery::Value object;
  const apimachinery::Kind* kind = nullptr;  // of `object`
  bool created = false;
  bool deleted = false;  // the object is gone; `object` is its last state
};

struct Listed {
  Snapshot snapshot;
  storage::Revision revision = 0;  // what the list's metadata says
  std::vector<EntryPtr> entries;   // those that match
  std::string continue_token;
  std::optional<std::int64_t> remaining;
};

struct DeleteOptions {
  std::optional<std::int64_t> grace_period_s;
  std::optional<std::string> uid, resource_version;
  std::optional<bool> orphan_dependents;
  std::string propagation_policy;
};

enum class PatchKind { json, merge, strategic };

// managedFields of an object that a request writes; `object` and `before` (null at creation) are of `kind`.
void own_fields(Call& call, const apimachinery::Kind& kind, apimachinery::Value& object, const apimachinery::Value* before);

// How often a write is tried again while others are quicker. Those who claim from one pool collide more.
inline int most_attempts(const Strategy& strategy) { return strategy.has_claims() ? 500 : 20; }

class Resources {
 public:
  struct Options {
    const Clock* clock = &Clock::system();
    bool allow_privileged = true;
    Lifetimes lifetimes;
  };
  Resources(Cacher& cacher, const AdmissionChain& admission, Options options);

  Task<Result<EntryPtr>> get(Call& call);
  Task<Result<Listed>> list(Call& call);

  // `object` is of call.kind's type (or of the subresource's kind), decoded and with defaults.
  Task<Result<Written>> create(Call& call, apimachinery::Value object);
  Task<Result<Written>> update(Call& call, apimachinery::Value object);
  Task<Result<Written>> patch(Call& call, PatchKind kind, std::string body);
  Task<Result<Written>> remove(Call& call, DeleteOptions options);
  // All that match the call's selectors. The answer lists what was there.
  Task<Result<Listed>> remove_collection(Call& call, DeleteOptions options);

  // A write that depends on what is there: `change` gets a copy of the newest object in the storage version's type and
  // may be called again when somebody else was quicker. `expected`: refuse instead of trying again.
  using Change = std::function<Result<void>(const EntryPtr& before, apimachinery::Value& object)>;
  Task<Result<Written>> modify(Call& call, std::string name, Change change, bool allow_create = false);

  // What every update passes between decoding and the store: the system's metadata, managed fields, admission, strategy and
  // validation. `object` is of the storage version's type; for Change functions.
  Result<void> prepare_update(Call& call, apimachinery::Value& object, const EntryPtr& before);

  Cacher& cacher() { return cacher_; }
  std::int64_t now_us() const;

  // The newest state of one object: the cache, once it is as far as the store.
  Task<Result<EntryPtr>> fresh(Call& call, std::string name);

 private:
  Task<Result<Written>> store_object(Call& call, const EntryPtr& before, apimachinery::Value object, std::string name);
  // Removes the object for good; `last` is what the answer shows.
  Task<Result<Written>> erase(Call& call, EntryPtr before, apimachinery::Value last, std::string name);
  Task<Result<Written>> remove_one(Call& call, std::string name, DeleteOptions options);
  // The strategy's claims for a write, put into call.companions.
  Result<void> claim(Call& call, const StrategyContext& context, apimachinery::Value* object, const apimachinery::Value* old);
  bool keeps_when_deleted(const Call& call, const apimachinery::Value& object) const;
  Result<Written> finish(Call& call, apimachinery::Value object, storage::Revision revision, bool created);
  // Waits for the newest state, and reads what the strategy claims from.
  Task<Result<void>> refresh(Call& call);
  Task<Result<Snapshot>> read_past(const Call& call, storage::Revision revision);
  const apimachinery::Kind& storage_kind(const Call& call) const;
  Task<Result<storage::TxnResponse>> commit(storage::TxnRequest request);

  Cacher& cacher_;
  const AdmissionChain& admission_;
  Options options_;
  LeaseManager leases_;
};

}  // namespace rusternetes::api_server
