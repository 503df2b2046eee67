#include "fake_api.h"

#include <fmt/format.h>

#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/authorization_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/time.h"
#include "apimachinery/uid.h"
#include "client/informer.h"
#include "client/object_builder.h"

namespace rusternetes::kubelet::testing {

using namespace apimachinery;
using client::Resource;
using client::WatchEvent;
using M = meta_v1::ObjectMeta;

namespace {

std::string key_of(std::string_view resource, std::string_view name_space, std::string_view name) {
  return fmt::format("{}/{}/{}", resource, name_space, name);
}
M metadata_of(const Document& object) { return M(object.root().get(2)); }

// The selectors that kubelets use: one field.
bool matches(const std::string& selector, const Document& object) {
  if (selector.empty()) return true;
  const auto equals = selector.find('=');
  const auto key = selector.substr(0, equals), value = selector.substr(equals + 1);
  if (key == "metadata.name") return metadata_of(object).name() == value;
  return core_v1::Pod(&object.root()).spec().nodeName() == value;
}

}  // namespace

class FakeApi::Watch final : public client::WatchStream {
 public:
  Watch(FakeApi& api, std::string prefix, std::string selector)
      : api_(api), prefix_(std::move(prefix)), selector_(std::move(selector)), wake_(api.executor_) {
    api_.watches_.insert(this);
  }
  ~Watch() override { api_.watches_.erase(this); }
  Task<Result<std::optional<WatchEvent>>> next() override {
    while (events_.empty()) co_await wake_.wait();
    WatchEvent event = std::move(events_.front());
    events_.pop_front();
    co_return std::optional<WatchEvent>(std::move(event));
  }
  void offer(WatchEvent::Type type, const std::string& key, const Document& object) {
    if (!key.starts_with(prefix_) || !matches(selector_, object)) return;
    events_.push_back({type, object});
    if (!api_.delays_events) wake_.set();
  }

 private:
  FakeApi& api_;
  std::string prefix_, selector_;
  AsyncEvent wake_;
  std::deque<WatchEvent> events_;
};

FakeApi::FakeApi(asio::any_io_executor executor) : executor_(std::move(executor)) {}

void FakeApi::announce(WatchEvent::Type type, const std::string& key, const Document& object) {
  for (auto* watch : watches_) watch->offer(type, key, object);
}

Document FakeApi::store(const std::string& key, const Document& object, const Document* before) {
  client::ObjectBuilder builder(object);
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), 2);
  set_string(arena, metadata, M::f_resourceVersion, std::to_string(++version_));
  if (metadata_of(object).uid().empty()) set_string(arena, metadata, M::f_uid, before ? metadata_of(*before).uid() : new_uid());
  const Document made = builder.freeze();
  objects_[key] = made;
  ++writes;
  announce(before ? WatchEvent::Type::modified : WatchEvent::Type::added, key, made);
  return made;
}

Document FakeApi::put(std::string_view resource, const std::string& json) {
  const auto* kind = registry()->find_resource("", "v1", resource);
  const Document object = client::ObjectBuilder::from_json(*kind->type, json);
  const std::string key = key_of(resource, client::namespace_of(object), client::name_of(object));
  auto it = objects_.find(key);
  const Document before = it == objects_.end() ? Document{} : it->second;
  return store(key, object, before ? &before : nullptr);
}

Document FakeApi::find(std::string_view resource, std::string_view name_space, std::string_view name) const {
  auto it = objects_.find(key_of(resource, name_space, name));
  return it == objects_.end() ? Document{} : it->second;
}

std::vector<Document> FakeApi::all(std::string_view resource) const {
  std::vector<Document> out;
  for (const auto& [key, object] : objects_)
    if (key.starts_with(fmt::format("{}/", resource))) out.push_back(object);
  return out;
}

void FakeApi::erase(std::string_view resource, std::string_view name_space, std::string_view name) {
  const std::string key = key_of(resource, name_space, name);
  auto node = objects_.extract(key);
  if (node) announce(WatchEvent::Type::removed, key, node.mapped());
}

void FakeApi::delete_pod(const std::string& name, std::int64_t grace_s) {
  const std::string key = key_of("pods", "default", name);
  const Document before = objects_.at(key);
  client::ObjectBuilder builder(before);
  Value& metadata = ensure(builder.arena(), builder.root(), 2);
  set_time(builder.arena(), metadata, M::f_deletionTimestamp, to_microseconds(std::chrono::system_clock::now()) + grace_s * 1'000'000);
  set_integer(builder.arena(), metadata, M::f_deletionGracePeriodSeconds, grace_s);
  store(key, builder.freeze(), &before);
  if (grace_s == 0) erase("pods", "default", name);
}

Task<Result<Document>> FakeApi::get(Resource resource, std::string name_space, std::string name) {
  const Document found = find(resource.resource, name_space, name);
  if (!found) co_return not_found({resource.group, resource.resource}, name);
  co_return found;
}

Task<Result<client::ObjectList>> FakeApi::list(Resource resource, std::string name_space, client::ListOptions options) {
  client::ObjectList out;
  out.resource_version = std::to_string(version_);
  const std::string prefix = name_space.empty() ? fmt::format("{}/", resource.resource) : fmt::format("{}/{}/", resource.resource, name_space);
  for (const auto& [key, object] : objects_)
    if (key.starts_with(prefix) && matches(options.field_selector, object)) out.items.push_back(object);
  co_return out;
}

Task<Result<std::unique_ptr<client::WatchStream>>> FakeApi::watch(Resource resource, std::string, client::WatchOptions options) {
  co_return std::unique_ptr<client::WatchStream>(
      std::make_unique<Watch>(*this, fmt::format("{}/", resource.resource), options.field_selector));
}

Document FakeApi::review(std::string_view resource, const Document& object) const {
  client::ObjectBuilder builder(object);
  Arena& arena = builder.arena();
  if (resource == "subjectaccessreviews") {
    using R = authorization_v1::SubjectAccessReview;
    const auto asked = R(&object.root()).spec().resourceAttributes().subresource();
    Value& status = ensure(arena, builder.root(), R::f_status);
    if (allowed_subresources.contains(std::string(asked)))
      set_boolean(arena, status, authorization_v1::SubjectAccessReviewStatus::f_allowed, true);
  } else {
    using R = authentication_v1::TokenReview;
    auto known = tokens.find(std::string(R(&object.root()).spec().token()));
    Value& status = ensure(arena, builder.root(), R::f_status);
    if (known != tokens.end()) {
      set_boolean(arena, status, authentication_v1::TokenReviewStatus::f_authenticated, true);
      Value& user = ensure(arena, status, authentication_v1::TokenReviewStatus::f_user);
      set_string(arena, user, authentication_v1::UserInfo::f_username, known->second);
    }
  }
  return builder.freeze();
}

Task<Result<Document>> FakeApi::create(Resource resource, std::string name_space, std::string name, std::string subresource,
                                       Document object, client::WriteOptions) {
  if (resource.resource.ends_with("reviews")) co_return review(resource.resource, object);
  if (subresource == "token") {
    using R = authentication_v1::TokenRequest;
    client::ObjectBuilder builder(object);
    Value& status = ensure(builder.arena(), builder.root(), R::f_status);
    set_string(builder.arena(), status, authentication_v1::TokenRequestStatus::f_token, fmt::format("token {} of {}", ++writes, name));
    const auto seconds = R(&object.root()).spec().expirationSeconds();
    set_time(builder.arena(), status, authentication_v1::TokenRequestStatus::f_expirationTimestamp,
             to_microseconds(std::chrono::system_clock::now()) + seconds * 1'000'000);
    co_return builder.freeze();
  }
  const std::string key = key_of(resource.resource, name_space, client::name_of(object));
  if (objects_.contains(key)) co_return already_exists({resource.group, resource.resource}, client::name_of(object));
  co_return store(key, object, nullptr);
}

Task<Result<Document>> FakeApi::update(Resource resource, std::string name_space, std::string name, std::string subresource,
                                       Document object, client::WriteOptions) {
  const std::string key = key_of(resource.resource, name_space, name);
  auto it = objects_.find(key);
  if (it == objects_.end()) co_return not_found({resource.group, resource.resource}, name);
  const Document before = it->second;
  const auto wanted = metadata_of(object).resourceVersion();
  if (!wanted.empty() && wanted != metadata_of(before).resourceVersion()) co_return stale_update({resource.group, resource.resource}, name);
  if (subresource != "status") co_return store(key, object, &before);
  const int status_field = before.type().find("status");
  client::ObjectBuilder builder(before);
  const Value* status = object.root().get(status_field);
  if (status) assign(set_field(builder.arena(), builder.root(), status_field), deep_copy(builder.arena(), *status));
  co_return store(key, builder.freeze(), &before);
}

Task<Result<void>> FakeApi::remove(Resource resource, std::string name_space, std::string name, client::RemoveOptions options) {
  removed.push_back(fmt::format("{}/{} grace {} uid {}", resource.resource, name, options.grace_period_s.value_or(-1), options.uid));
  const Document found = find(resource.resource, name_space, name);
  if (!found) co_return not_found({resource.group, resource.resource}, name);
  if (!options.uid.empty() && client::uid_of(found) != options.uid) co_return conflict({resource.group, resource.resource}, name, "uid");
  erase(resource.resource, name_space, name);
  co_return Result<void>{};
}

}  // namespace rusternetes::kubelet::testing
