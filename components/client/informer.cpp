#include "client/informer.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/meta_v1.h"
#include "base/log.h"

namespace rusternetes::client {

using apimachinery::meta_v1::ObjectMeta;

namespace {
ObjectMeta metadata_of(const Document& object) {
  const auto& type = object.type();
  const int at = type.fields.size() > 2 && type.fields[2].name == "metadata" ? 2 : type.find("metadata");
  return ObjectMeta(at < 0 ? nullptr : object.root().get(at));
}
constexpr auto least_backoff = std::chrono::milliseconds(200);
constexpr auto most_backoff = std::chrono::seconds(30);
}  // namespace

std::string_view name_of(const Document& object) { return metadata_of(object).name(); }
std::string_view namespace_of(const Document& object) { return metadata_of(object).namespace_(); }
std::string_view uid_of(const Document& object) { return metadata_of(object).uid(); }
std::string object_key(const Document& object) {
  const ObjectMeta metadata = metadata_of(object);
  std::string key(metadata.namespace_());
  if (!key.empty()) key += '/';
  return key += metadata.name();
}

Informer::Informer(ApiClient& client, Resource resource, Options options)
    : client_(client), resource_(resource), options_(std::move(options)), synced_event_(client.executor()) {}
Informer::~Informer() = default;

void Informer::add_handler(Handler handler) { handlers_.push_back(std::move(handler)); }

void Informer::add_index(std::string name, std::function<std::vector<std::string>(const Document&)> keys) {
  indexes_[std::move(name)].keys = std::move(keys);
}

void Informer::start(TaskGroup& tasks) { tasks.spawn(fmt::format("informer {}", resource_.resource), run()); }

Task<> Informer::wait_for_sync() {
  while (!synced_) {
    co_await synced_event_.wait();
    synced_event_.set();  // for whoever else waits
  }
}

Document Informer::get(std::string_view key) const {
  auto it = objects_.find(key);
  return it == objects_.end() ? Document{} : it->second;
}

std::vector<Document> Informer::list(std::string_view name_space) const {
  std::vector<Document> out;
  std::string prefix(name_space);
  if (!prefix.empty()) prefix += '/';
  for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it)
    out.push_back(it->second);
  return out;
}

std::vector<Document> Informer::by_index(std::string_view index, std::string_view key) const {
  std::vector<Document> out;
  auto it = indexes_.find(index);
  if (it == indexes_.end()) return out;
  auto entries = it->second.entries.find(key);
  if (entries == it->second.entries.end()) return out;
  for (const auto& [name, object] : entries->second) out.push_back(object);
  return out;
}

void Informer::apply(const Document& before, const Document& now) {
  const std::string key = object_key(now ? now : before);
  for (auto& [name, index] : indexes_) {
    if (before)
      for (const auto& value : index.keys(before)) {
        auto it = index.entries.find(value);
        if (it == index.entries.end()) continue;
        it->second.erase(key);
        if (it->second.empty()) index.entries.erase(it);
      }
    if (now)
      for (const auto& value : index.keys(now)) index.entries[value][key] = now;
  }
  if (now)
    objects_[key] = now;
  else
    objects_.erase(key);
  for (const auto& handler : handlers_) handler.on_change(before, now);
}

// A new list is compared with the mirror, so that handlers hear of what changed while nobody was watching.
void Informer::replace(std::vector<Document> items) {
  std::map<std::string, Document, std::less<>> fresh;
  for (auto& item : items) {
    std::string key = object_key(item);  // before the item is moved from
    fresh[std::move(key)] = std::move(item);
  }
  std::vector<Document> gone;
  for (const auto& [key, object] : objects_)
    if (!fresh.contains(key)) gone.push_back(object);
  for (const auto& object : gone) apply(object, {});
  for (const auto& [key, object] : fresh) {
    const Document before = get(key);
    if (before && metadata_of(before).resourceVersion() == metadata_of(object).resourceVersion()) continue;
    apply(before, object);
  }
}

Task<Result<void>> Informer::list_and_watch() {
  if (resource_version_.empty()) {
    ListOptions options;
    options.label_selector = options_.label_selector;
    options.field_selector = options_.field_selector;
    auto list = co_await client_.list(resource_, options_.name_space, options);
    if (!list) co_return list.error();
    replace(std::move(list->items));
    resource_version_ = list->resource_version;
    synced_ = true;
    synced_event_.set();
  }
  WatchOptions options;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  options.resource_version = resource_version_;
  auto stream = co_await client_.watch(resource_, options_.name_space, options);
  if (!stream) co_return stream.error();
  for (;;) {
    auto event = co_await (*stream)->next();
    if (!event) co_return event.error();
    if (!*event) co_return Result<void>{};  // ended in order: watch on from here
    const Document& object = (**event).object;
    if ((**event).type != WatchEvent::Type::bookmark) {
      const Document before = get(object_key(object));
      if ((**event).type == WatchEvent::Type::removed) {
        if (before) apply(object, {});
      } else {
        apply(before, object);
      }
    }
    resource_version_ = metadata_of(object).resourceVersion();
  }
}

Task<> Informer::run() {
  auto backoff = std::chrono::duration_cast<std::chrono::milliseconds>(least_backoff);
  for (;;) {
    const auto started = std::chrono::steady_clock::now();
    auto ended = co_await list_and_watch();
    if (std::chrono::steady_clock::now() - started > std::chrono::seconds(10)) backoff = least_backoff;
    if (ended) continue;
    if (ended.error().code == 410) {  // too far behind: list again
      resource_version_.clear();
      continue;
    }
    log::debug("informer", "{}: {}", resource_.resource, ended.error().message);
    if (!synced_ && backoff > std::chrono::seconds(3)) log::warn("informer", "{} cannot be listed: {}", resource_.resource, ended.error().message);
    co_await sleep_for(backoff);
    backoff = std::min<std::chrono::milliseconds>(backoff * 2, most_backoff);
  }
}

}  // namespace rusternetes::client
