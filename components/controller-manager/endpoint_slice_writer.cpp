#include "controller-manager/endpoint_slice_writer.h"

#include "controller-manager/endpoint_slice_endpoints.h"
#include "controller-manager/namespace_end.h"

namespace rusternetes::controller_manager {

namespace {

constexpr client::Resource endpoint_slices{"discovery.k8s.io", "v1", "endpointslices"};
constexpr const char* service_index = "service";
// What others change in our slices is put right no more often than so; two that do not agree must not race.
constexpr std::chrono::seconds repair_delay{1};

}  // namespace

SliceWriter::SliceWriter(client::ApiClient& client, client::Informer& slices, client::WorkQueue& queue,
                         std::string_view manager, const Clock& clock)
    : client_(client), slices_(slices), queue_(queue), manager_(manager), clock_(clock) {
  slices_.add_index(service_index, [](const Document& slice) -> std::vector<std::string> {
    std::string key = service_key_of(slice);
    if (key.empty()) return {};
    return {std::move(key)};
  });
  slices_.add_handler({[this](const Document& before, const Document& now) { on_slice(before, now); }});
}

std::vector<Document> SliceWriter::slices_of(const std::string& key) const {
  std::vector<Document> found = slices_.by_index(service_index, key);
  std::erase_if(found, [this](const Document& slice) {
    return manager_of(slice) != manager_ || metadata_of(slice).has_deletionTimestamp();
  });
  return found;
}

std::vector<std::string> SliceWriter::keys() const {
  std::set<std::string> keys;
  for (const auto& slice : slices_.list())
    if (manager_of(slice) == manager_) keys.insert(service_key_of(slice));
  keys.erase("");
  return {keys.begin(), keys.end()};
}

std::chrono::nanoseconds SliceWriter::wait_for_mirror(const std::string& key,
                                                      const std::vector<Document>& slices) {
  const auto left = tracker_.stale_for(key, slices, clock_.steady_now());
  if (left.count() > 0)
    waiting_.insert(key);
  else
    waiting_.erase(key);
  return left;
}

void SliceWriter::forget(const std::string& key) {
  tracker_.forget(key);
  waiting_.erase(key);
}

void SliceWriter::on_slice(const Document& before, const Document& now) {
  if (!is_started_) return;
  const std::string then_key = before ? service_key_of(before) : std::string();
  const std::string now_key = now ? service_key_of(now) : std::string();
  if (before && now && then_key != now_key) {
    if (!then_key.empty() && manager_of(before) == manager_) on_key(then_key, before, {});
    if (!now_key.empty() && manager_of(now) == manager_) on_key(now_key, {}, now);
    return;
  }
  const std::string& key = now ? now_key : then_key;
  const bool was_ours = before && manager_of(before) == manager_,
             is_ours = now && manager_of(now) == manager_;
  if (key.empty() || (!was_ours && !is_ours)) return;
  on_key(key, was_ours ? before : Document{}, is_ours ? now : Document{});
}

// A slice of ours has come, changed or gone (or is ours no more).
void SliceWriter::on_key(const std::string& key, const Document& before, const Document& now) {
  if (waiting_.contains(key)) queue_.add(key);
  if (!now) {
    // Endpoints that nobody finds any more come back at once.
    if (!tracker_.settle_removed(key, before)) queue_.add(key);
    return;
  }
  if (const auto it = writing_.find(key); it != writing_.end())
    it->second.push_back(now);  // it may be the very write that is under way
  else if (tracker_.is_foreign(key, now))
    queue_.add_after(key, repair_delay);
}

Task<Result<void>> SliceWriter::write(std::string key, std::vector<Document> create,
                                      std::vector<Document> update, std::vector<Document> remove) {
  if (create.empty() && update.empty() && remove.empty()) co_return Result<void>{};
  struct Writing {
    std::map<std::string, std::vector<Document>>& map;
    const std::string& key;
    ~Writing() { map.erase(key); }
  } writing{writing_, key};
  writing_[key];
  auto written = co_await write_all(key, std::move(create), std::move(update), std::move(remove));
  for (const auto& seen : writing_[key])
    if (tracker_.is_foreign(key, seen)) queue_.add_after(key, repair_delay);
  co_return written;
}

Task<Result<void>> SliceWriter::write_all(std::string key, std::vector<Document> create,
                                          std::vector<Document> update, std::vector<Document> remove) {
  const std::string name_space = split_key(key).first;
  for (const auto& slice : create) {
    auto made = co_await client_.create(endpoint_slices, name_space, "", "", slice, {});
    if (!made && is_namespace_ending(made.error())) co_return Result<void>{};
    if (!made) co_return made.error();
    tracker_.wrote(key, *made, clock_.steady_now());
  }
  for (const auto& slice : update) {
    auto changed = co_await client_.update(endpoint_slices, name_space, std::string(client::name_of(slice)),
                                           "", slice, {});
    if (!changed) co_return changed.error();
    tracker_.wrote(key, *changed, clock_.steady_now());
  }
  for (const auto& slice : remove) {
    tracker_.removed(key, slice, clock_.steady_now());
    client::RemoveOptions options;
    options.uid = client::uid_of(slice);
    auto gone =
        co_await client_.remove(endpoint_slices, name_space, std::string(client::name_of(slice)), options);
    if (gone) continue;
    tracker_.settle_removed(key, slice);
    if (gone.error().is("NotFound") || gone.error().is("Conflict")) continue;  // it has gone already
    co_return gone.error();
  }
  co_return Result<void>{};
}

}  // namespace rusternetes::controller_manager
