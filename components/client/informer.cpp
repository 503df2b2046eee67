#include "client/informer.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "apimachinery/api/meta_v1.h"
#include "base/log.h"
#include "client/guarded.h"

namespace rusternetes::client {

using apimachinery::meta_v1::ObjectMeta;

namespace {
ObjectMeta metadata_of(const Document& object) {
  const auto& type = object.type();
  const int at = type.fields.size() > 2 && type.fields[2].name == "metadata" ? 2 : type.find("metadata");
  return ObjectMeta(at < 0 ? nullptr : object.root().get(at));
}
// A watch that ends sooner, without an event, counts as failed.
constexpr auto shortest_watch = std::chrono::seconds(1);
// One that lasted so long starts the back-off anew.
constexpr auto steady_watch = std::chrono::seconds(10);

// Whether a watch from where we are may work later. Else what is in the mirror is of no use to go on from.
bool is_passing(const Status& error) {
  return error.code == 429 || error.code == 500 || error.code == 503 || error.code == 401 ||
         error.code == 403;
}
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
    : client_(client), resource_(resource), options_(std::move(options)) {}
Informer::~Informer() = default;

void Informer::add_handler(Handler handler) { handlers_.push_back(std::move(handler)); }

void Informer::add_index(std::string name, std::function<std::vector<std::string>(const Document&)> keys) {
  indexes_[std::move(name)].keys = std::move(keys);
}

void Informer::start(TaskGroup& tasks) {
  tasks.spawn(fmt::format("informer {}", resource_.resource), run(tasks));
}

Task<> Informer::wait_for_sync() {
  while (!synced_) {
    auto event = std::make_shared<AsyncEvent>(client_.executor());  // one each: it has one deadline
    sync_waiters_.push_back(event);
    co_await event->wait();
  }
}

Document Informer::get(std::string_view key) const {
  const auto slash = key.find('/');
  const ByKey::Key wanted =
      slash == key.npos ? ByKey::Key{{}, key} : ByKey::Key{key.substr(0, slash), key.substr(slash + 1)};
  auto it = objects_.find(wanted);
  return it == objects_.end() ? Document{} : *it;
}

Document Informer::find(const Document& like) const {
  auto it = objects_.find(like);
  return it == objects_.end() ? Document{} : *it;
}

std::vector<Document> Informer::list(std::string_view name_space) const {
  std::vector<Document> out;
  if (name_space.empty()) {
    out.assign(objects_.begin(), objects_.end());
    return out;
  }
  for (auto it = objects_.lower_bound(ByKey::Key{name_space, {}});
       it != objects_.end() && namespace_of(*it) == name_space; ++it)
    out.push_back(*it);
  return out;
}

std::vector<Document> Informer::by_index(std::string_view index, std::string_view key) const {
  std::vector<Document> out;
  auto it = indexes_.find(index);
  if (it == indexes_.end()) return out;
  auto entries = it->second.entries.find(key);
  if (entries == it->second.entries.end()) return out;
  out.assign(entries->second.begin(), entries->second.end());
  return out;
}

// The others, and the watch, go on: what the handler missed it gets with the object's next change.
void Informer::tell(const Handler& handler, const Document& before, const Document& now) const {
  try {
    handler.on_change(before, now);
  } catch (...) {
    log::error("informer", "a handler of {} failed at {}: {}", resource_.resource,
               object_key(now ? now : before), text_of(std::current_exception()));
  }
}

void Informer::apply(const Document& before, const Document& now) {
  for (auto& [name, index] : indexes_) {
    if (before)
      for (const auto& value : index.keys(before)) {
        auto it = index.entries.find(value);
        if (it == index.entries.end()) continue;
        it->second.erase(before);
        if (it->second.empty()) index.entries.erase(it);
      }
    if (now)
      for (const auto& value : index.keys(now)) index.entries[value].insert(now);
  }
  if (before) objects_.erase(before);
  if (now) objects_.insert(now);
  for (const auto& handler : handlers_) tell(handler, before, now);
}

// A new list is compared with the mirror, so that handlers hear of what changed while nobody was watching.
void Informer::replace(std::vector<Document> items) {
  const Objects fresh(std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  std::vector<Document> gone;
  for (const auto& object : objects_)
    if (!fresh.contains(object)) gone.push_back(object);
  for (const auto& object : gone) apply(object, {});
  for (const auto& object : fresh) {
    const Document before = find(object);
    const bool is_other = before && metadata_of(before).uid() != metadata_of(object).uid();
    if (is_other) {  // removed and made again under its name
      apply(before, {});
      apply({}, object);
    } else if (!before || metadata_of(before).resourceVersion() != metadata_of(object).resourceVersion()) {
      apply(before, object);
    }
  }
}

Task<Result<void>> Informer::fetch() {
  ListOptions options;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  auto list = co_await client_.list(resource_, options_.name_space, options);
  if (!list) co_return list.error();
  replace(std::move(list->items));
  resource_version_ = list->resource_version;
  synced_ = true;
  for (const auto& waiter : std::exchange(sync_waiters_, {})) waiter->set();
  co_return Result<void>{};
}

void Informer::take(WatchEvent event) {
  const Document& object = event.object;
  ++taken_;
  resource_version_ = metadata_of(object).resourceVersion();
  if (event.type == WatchEvent::Type::bookmark) return;
  const Document before = find(object);
  if (event.type != WatchEvent::Type::removed) return apply(before, object);
  if (before) apply(before, {});
}

Task<Result<void>> Informer::watch() {
  WatchOptions options;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  options.resource_version = resource_version_;
  taken_ = 0;
  auto stream = co_await client_.watch(resource_, options_.name_space, options);
  if (!stream) co_return stream.error();
  for (;;) {
    auto event = co_await (*stream)->next();
    if (!event) co_return event.error();
    if (!*event) co_return Result<void>{};
    take(std::move(**event));
  }
}

Task<Result<void>> Informer::list_or_watch() {
  if (!resource_version_.empty()) co_return co_await watch();
  taken_ = 0;
  co_return co_await fetch();
}

// After an exception nobody knows how much of a change is in the mirror: it is compared with a new list.
Task<Result<void>> Informer::attempt(const TaskGroup& tasks) {
  std::exception_ptr thrown;
  try {
    co_return co_await list_or_watch();
  } catch (...) {
    thrown = std::current_exception();
  }
  Status error = caught(thrown, tasks);
  log::error("informer", "{}: {}", resource_.resource, error.message);
  resource_version_.clear();
  co_return error;
}

Task<> Informer::run(const TaskGroup& tasks) {
  auto backoff = options_.least_backoff;
  std::minstd_rand random(std::random_device{}());
  for (;;) {
    const bool is_list = resource_version_.empty();
    const auto started = std::chrono::steady_clock::now();
    auto ended = co_await attempt(tasks);
    if (is_list && ended) continue;
    const auto lasted = std::chrono::steady_clock::now() - started;
    if (lasted > steady_watch || taken_ > 0) backoff = options_.least_backoff;
    if (ended && (taken_ > 0 || lasted > shortest_watch)) continue;  // in order: on from here
    bool may_go_on = false;
    if (!ended && !is_list && !is_passing(ended.error())) {  // too far behind, mostly
      resource_version_.clear();
      may_go_on = backoff == options_.least_backoff;  // the first time
    }
    if (!ended) {
      if (!synced_ && backoff > std::chrono::seconds(3))
        log::warn("informer", "{} cannot be listed: {}", resource_.resource, ended.error().message);
      else
        log::debug("informer", "{}: {}", resource_.resource, ended.error().message);
    }
    if (!may_go_on)
      co_await sleep_for(std::chrono::milliseconds(backoff.count() + random() % (backoff.count() / 2 + 1)));
    backoff = std::min(backoff * 2, options_.most_backoff);
  }
}

}  // namespace rusternetes::client
