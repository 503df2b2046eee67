#include "api-server/initial_objects.h"

#include <algorithm>

#include "api-server/bootstrap/reconcile.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "client/ensure.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

using std::chrono::milliseconds;
// An api-server that writes the same objects at the same time has done so by then.
constexpr milliseconds kPatience{3'000}, kLeastPause{20}, kMostPause{500};
constexpr int kMetadataAt = 2;  // of every top-level type; kind and apiVersion come before

// The object and its key, without the TypeMeta that it may hold.
struct Wanted {
  client::Resource resource;
  std::string name_space, name;
  Document object;
};

Wanted wanted_of(client::Resource resource, const Document& document) {
  const meta_v1::ObjectMeta metadata(document.root().get(kMetadataAt));
  Arena arena;
  Value object = deep_copy(arena, document.root());
  erase_field(object, 0);
  erase_field(object, 1);
  return {resource, std::string(metadata.namespace_()), std::string(metadata.name()),
          Document::freeze(object, document.type())};
}

Task<Result<void>> create(client::ApiClient& client, const Wanted& wanted, Document object) {
  auto created = co_await client.create(wanted.resource, wanted.name_space, "", "", std::move(object), {});
  if (!created) co_return created.error();
  co_return Result<void>{};
}

Task<Result<void>> try_bootstrap_object(client::ApiClient& client, const Kind& kind, Wanted wanted) {
  auto present = co_await client.get(wanted.resource, wanted.name_space, wanted.name);
  if (!present && !present.error().is("NotFound")) co_return present.error();
  if (!present) co_return co_await create(client, wanted, wanted.object);
  Arena arena;
  const auto reconciled = bootstrap::reconcile(arena, kind, present->root(), wanted.object.root());
  if (reconciled.change == bootstrap::Change::none) co_return Result<void>{};
  const Document changed = Document::freeze(reconciled.object, *kind.type);
  if (reconciled.change == bootstrap::Change::update) {
    auto updated = co_await client.update(wanted.resource, wanted.name_space, wanted.name, "", changed, {});
    if (!updated) co_return updated.error();
    co_return Result<void>{};
  }
  client::RemoveOptions options;
  options.uid = meta_v1::ObjectMeta(present->root().get(kMetadataAt)).uid();
  auto removed = co_await client.remove(wanted.resource, wanted.name_space, wanted.name, options);
  if (!removed) co_return removed.error();
  co_return co_await create(client, wanted, changed);
}

Task<Result<void>> try_addon(client::ApiClient& client, InstanceOptions::Addon addon) {
  if (!addon.is_left_alone)
    co_return co_await client::ensure_object(client, addon.resource, addon.object, true);
  const Wanted wanted = wanted_of(addon.resource, addon.object);
  auto present = co_await client.get(wanted.resource, wanted.name_space, wanted.name);
  if (present) co_return Result<void>{};
  if (!present.error().is("NotFound")) co_return present.error();
  co_return co_await create(client, wanted, wanted.object);
}

bool is_over(const Result<void>& tried, std::chrono::steady_clock::time_point end) {
  return tried || !may_be_race(tried.error()) || std::chrono::steady_clock::now() >= end;
}

}  // namespace

bool may_be_race(const Status& error) {
  return error.is("Conflict") || error.is("AlreadyExists") || error.is("NotFound") || error.is("Invalid");
}

Task<Result<void>> write_bootstrap_object(client::ApiClient& client, const Kind& kind, Document wanted) {
  const client::Resource resource{kind.group_version.group, kind.group_version.version, kind.resource};
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (milliseconds pause = kLeastPause;; pause = std::min(2 * pause, kMostPause)) {
    auto tried = co_await try_bootstrap_object(client, kind, wanted_of(resource, wanted));
    if (is_over(tried, end)) co_return tried;
    co_await sleep_for(pause);
  }
}

Task<Result<void>> write_addon(client::ApiClient& client, InstanceOptions::Addon addon) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (milliseconds pause = kLeastPause;; pause = std::min(2 * pause, kMostPause)) {
    auto tried = co_await try_addon(client, addon);
    if (is_over(tried, end)) co_return tried;
    co_await sleep_for(pause);
  }
}

}  // namespace rusternetes::api_server
