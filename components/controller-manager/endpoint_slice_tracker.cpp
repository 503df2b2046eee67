#include "controller-manager/endpoint_slice_tracker.h"

#include "apimachinery/time.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;

namespace {

std::string uid_of(const Document& slice) { return std::string(client::uid_of(slice)); }
std::int64_t generation_of(const Document& slice) { return metadata_of(slice).generation(); }

// When the Pod's readiness changed last; 0 when it was never told.
std::int64_t readiness_time_us(const Document& pod) {
  for (const auto condition : core_v1::Pod(&pod.root()).status().conditions())
    if (condition.type() == "Ready") return condition.lastTransitionTime();
  return 0;
}

}  // namespace

void SliceTracker::wrote(const std::string& key, const Document& slice, SteadyTime now) {
  Service& service = services_[key];
  service.generations[uid_of(slice)] = generation_of(slice);
  service.last_write = now;
}

void SliceTracker::removed(const std::string& key, const Document& slice, SteadyTime now) {
  Service& service = services_[key];
  service.generations[uid_of(slice)] = gone;
  service.last_write = now;
}

bool SliceTracker::is_stale(const Service& service, const std::vector<Document>& slices) {
  std::size_t found = 0, expected = 0;
  for (const auto& slice : slices) {
    const auto it = service.generations.find(uid_of(slice));
    if (it == service.generations.end()) continue;
    if (it->second == gone || it->second > generation_of(slice)) return true;
    ++found;
  }
  for (const auto& [uid, generation] : service.generations) expected += generation != gone;
  return found < expected;
}

std::chrono::nanoseconds SliceTracker::stale_for(const std::string& key, const std::vector<Document>& slices,
                                                 SteadyTime now) {
  const auto it = services_.find(key);
  if (it == services_.end() || !is_stale(it->second, slices)) return {};
  if (const auto until = it->second.last_write + patience; now < until) return until - now;
  services_.erase(it);
  return {};
}

bool SliceTracker::is_foreign(const std::string& key, const Document& slice) const {
  const auto service = services_.find(key);
  if (service == services_.end()) return true;
  const auto it = service->second.generations.find(uid_of(slice));
  return it == service->second.generations.end() || generation_of(slice) > it->second;
}

bool SliceTracker::settle_removed(const std::string& key, const Document& slice) {
  const auto service = services_.find(key);
  if (service == services_.end()) return false;
  const auto it = service->second.generations.find(uid_of(slice));
  const bool was_ours = it != service->second.generations.end() && it->second == gone;
  if (it != service->second.generations.end()) service->second.generations.erase(it);
  if (service->second.generations.empty()) services_.erase(service);
  return was_ours;
}

std::string TriggerTimes::of(const std::string& key, const Document& service,
                             const std::vector<Document>& pods) {
  const auto [it, is_new] = services_.try_emplace(key);
  Service& known = it->second;
  std::int64_t earliest = 0;
  auto take = [&](std::int64_t time, std::int64_t seen) {
    if (time > seen && (earliest == 0 || time < earliest)) earliest = time;
  };
  std::unordered_map<std::size_t, std::int64_t> now;
  now.reserve(pods.size());
  for (const auto& pod : pods) {
    const std::int64_t time = readiness_time_us(pod);
    if (time == 0) continue;
    const std::size_t hash = std::hash<std::string_view>{}(client::name_of(pod));
    const auto before = known.pods.find(hash);
    take(time, before == known.pods.end() ? 0 : before->second);
    now[hash] = time;
  }
  const std::int64_t created = metadata_of(service).creationTimestamp();
  take(created, known.created_us);
  known.pods = std::move(now);
  known.created_us = created;
  const std::int64_t told = is_new ? created : earliest;
  return told ? format_time(told) : std::string();
}

}  // namespace rusternetes::controller_manager
