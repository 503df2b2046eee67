#include "api-server/watch_source.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "api-server/continue_token.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {
constexpr auto bookmark_interval = std::chrono::seconds(60);
constexpr std::size_t slice = 500;
}  // namespace

// Shared with the cache thread, which only posts; many changes wake once.
struct WatchSource::Wake {
  explicit Wake(asio::any_io_executor e) : executor(e), event(e) {}
  asio::any_io_executor executor;
  AsyncEvent event;
  std::atomic<bool> is_posted{false}, is_ended{false};
  static void post(std::shared_ptr<Wake> wake) {
    if (wake->is_posted.exchange(true)) return;
    const asio::any_io_executor executor = wake->executor;
    asio::post(executor, [wake = std::move(wake)] {
      wake->is_posted = false;
      wake->event.set();
    });
  }
};

WatchSource::WatchSource(Resources& resources, std::shared_ptr<ResourceCache> cache, asio::any_io_executor executor,
                         Selection selection)
    : resources_(resources), cache_(std::move(cache)), selection_(std::move(selection)),
      next_bookmark_(std::chrono::steady_clock::now() + bookmark_interval), wake_(std::make_shared<Wake>(executor)) {
  subscription_ = std::make_unique<ResourceCache::Subscription>(*cache_, [wake = wake_] { Wake::post(wake); });
}

void WatchSource::end() {
  wake_->is_ended = true;
  Wake::post(wake_);
}

bool WatchSource::is_ended() const { return wake_->is_ended; }

Task<Result<std::unique_ptr<WatchSource>>> WatchSource::open(Resources& resources, Call& call) {
  const Query& query = call.info.query;
  auto cache = resources.cacher().find(*call.kind);
  if (!cache) co_return method_not_supported({call.kind->group_version.group, call.kind->resource}, "watch");
  auto selection = Selection::from(call);
  if (!selection) co_return selection.error();
  const std::string_view version = query.get("resourceVersion"), match = query.get("resourceVersionMatch");
  const bool wants_initial = query.has("sendInitialEvents") && query.boolean("sendInitialEvents");
  auto refuse = [](std::string_view field, std::string_view text) {
    return invalid("meta.k8s.io", "ListOptions", "", {{"FieldValueForbidden", fmt::format("Forbidden: {}", text), std::string(field)}},
                   fmt::format("{}: Forbidden: {}", field, text));
  };
  if (query.has("sendInitialEvents")) {
    if (match != "NotOlderThan")
      co_return refuse("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  } else if (!match.empty()) {
    co_return refuse("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  }
  storage::Revision revision = 0;
  if (!version.empty()) {
    auto parsed = parse_resource_version(version);
    if (!parsed) co_return parsed.error();
    revision = *parsed;
  }
  auto executor = co_await asio::this_coro::executor;
  std::unique_ptr<WatchSource> source(new WatchSource(resources, cache, executor, std::move(*selection)));
  source->bookmarks_ = query.boolean("allowWatchBookmarks");
  if (call.kind->is_namespaced && !call.info.name_space.empty()) source->prefix_ = call.info.name_space + "/";
  // /watch/.../NAME, the old form, or a selector of that name.
  if (!call.info.name.empty() && (!call.kind->is_namespaced || !source->prefix_.empty())) source->only_key_ = source->prefix_ + call.info.name;
  const bool is_from_now = revision == 0 || wants_initial;
  if (is_from_now) {
    const bool wants_fresh = version.empty() || wants_initial;
    storage::Revision at_least = revision;
    if (wants_fresh) {
      RN_CO_TRY(const auto newest, co_await resources.cacher().newest());
      at_least = std::max(at_least, newest);
    }
    auto reached = co_await resources.cacher().wait_for(at_least);
    if (!reached) co_return reached.error();
    auto [snapshot, place] = cache->snapshot_and_place();
    source->place_ = place;
    if (!query.has("sendInitialEvents") || wants_initial) source->take_initial(call, snapshot);
    source->owes_initial_end_ = wants_initial && source->bookmarks_;
    source->initial_revision_ = std::max(at_least, snapshot.revision);
  } else {
    if (revision > resources.cacher().revision()) {
      RN_CO_TRY(const auto newest, co_await resources.cacher().newest());
      RN_CO_CHECK(co_await resources.cacher().wait_for(std::min(revision, newest)));
    }
    auto place = cache->place_of(revision);
    if (!place) co_return place.error();
    source->place_ = *place;
  }
  co_return source;
}

void WatchSource::take_initial(Call& call, const Snapshot& snapshot) {
  auto cursor = snapshot.map.from(prefix_);
  while (const EntryPtr* entry = cursor.next()) {
    if (!(*entry)->key.starts_with(prefix_)) break;
    if (is_wanted((*entry)->key) && selection_.matches((*entry)->document)) initial_.push_back(*entry);
  }
  (void)call;
}

// What a change is to somebody who sees only what the selectors match.
void WatchSource::push(const CacheEvent& event, std::vector<OutEvent>& out) const {
  if (!event.now->key.starts_with(prefix_) || !is_wanted(event.now->key)) return;
  const bool is_gone = event.type == CacheEvent::Type::removed;
  const bool before = event.before && selection_.matches(event.before->document);
  const bool now = !is_gone && selection_.matches(event.now->document);
  if (now)
    out.push_back({before ? OutEvent::Type::modified : OutEvent::Type::added, event.now, 0, false});
  else if (before)
    out.push_back({OutEvent::Type::removed, is_gone ? event.now : cache_->last_state(*event.before, event.revision), 0, false});
}

Task<Result<std::vector<OutEvent>>> WatchSource::next(std::chrono::steady_clock::time_point deadline) {
  std::vector<OutEvent> out;
  for (;;) {
    if (initial_at_ < initial_.size()) {
      for (std::size_t i = 0; i < slice && initial_at_ < initial_.size(); ++i)
        out.push_back({OutEvent::Type::added, std::move(initial_[initial_at_++]), 0, false});
      co_return out;
    }
    initial_.clear();
    initial_at_ = 0;
    if (owes_initial_end_) {
      owes_initial_end_ = false;
      out.push_back({OutEvent::Type::bookmark, nullptr, initial_revision_, true});
      co_return out;
    }
    // Read before the events: a bookmark must not be ahead of what has been given.
    const storage::Revision reached = resources_.cacher().revision();
    std::vector<CacheEvent> events;
    auto more = cache_->events_after(place_, slice, events);
    if (!more) co_return more.error();
    for (const auto& event : events) push(event, out);
    if (!out.empty()) co_return out;
    if (!events.empty()) continue;
    if (cache_->is_retired()) co_return expired(fmt::format("{} are served no more", cache_->kind().resource));
    const auto now = std::chrono::steady_clock::now();
    if (bookmarks_ && now >= next_bookmark_ && reached > bookmarked_) {
      next_bookmark_ = now + bookmark_interval;
      bookmarked_ = reached;
      out.push_back({OutEvent::Type::bookmark, nullptr, reached, false});
      co_return out;
    }
    if (now >= deadline || wake_->is_ended) co_return out;
    if (now >= next_bookmark_) next_bookmark_ = now + bookmark_interval;
    co_await wake_->event.wait_until(bookmarks_ ? std::min(deadline, next_bookmark_) : deadline);
  }
}

}  // namespace rusternetes::api_server
