#include "controller-manager/node_lifecycle_zones.h"

#include <algorithm>

namespace rusternetes::controller_manager {

using apimachinery::meta_v1::ObjectMeta;

std::string zone_of(const ObjectMeta& node) {
  const auto labels = node.labels();
  // The names of before 1.17 win where both are there.
  const auto either = [&](std::string_view old_name, std::string_view name) {
    return std::string(labels.find(old_name) ? labels.get(old_name) : labels.get(name));
  };
  const std::string zone = either("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone");
  const std::string region =
      either("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region");
  // No label's value has a slash.
  return zone.empty() && region.empty() ? std::string() : region + "/" + zone;
}

ZoneState zone_state(const ZoneCount& count, double threshold) {
  if (count.ready == 0 && count.not_ready > 0) return ZoneState::full_disruption;
  const double share = static_cast<double>(count.not_ready) / std::max(1, count.not_ready + count.ready);
  if (count.not_ready > 2 && share >= threshold) return ZoneState::partial_disruption;
  return ZoneState::normal;
}

std::chrono::nanoseconds Allowance::pause() const {
  constexpr double longest_s = 1e8;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(1 / per_second_, longest_s) * 1e9));
}

bool Allowance::take(SteadyTime now) {
  if (per_second_ <= 0 || now < free_at_) return false;
  free_at_ = now + pause();
  return true;
}

void Allowance::set_rate(double per_second, SteadyTime now) {
  if (per_second == per_second_) return;
  const bool is_waiting = per_second_ <= 0 || now < free_at_;
  per_second_ = per_second;
  free_at_ = is_waiting && per_second > 0 ? now + pause() : SteadyTime::min();
}

std::optional<SteadyTime> Allowance::next() const {
  if (per_second_ <= 0) return std::nullopt;
  return free_at_;
}

Zones::Zone& Zones::zone(const std::string& name) {
  return zones_.try_emplace(name, Zone{ZoneState::initial, Allowance(is_stopped_ ? 0 : options_.eviction_rate), {}})
      .first->second;
}

ZoneState Zones::state(const std::string& zone) const {
  const auto it = zones_.find(zone);
  return it == zones_.end() ? ZoneState::initial : it->second.state;
}

double Zones::rate(const ZoneCount& count, ZoneState state) const {
  if (state != ZoneState::partial_disruption) return options_.eviction_rate;
  return count.ready + count.not_ready > options_.large_zone_threshold ? options_.secondary_eviction_rate : 0;
}

Zones::Change Zones::update(const std::map<std::string, ZoneCount>& counts, SteadyTime now) {
  if (counts.empty()) return Change::none;
  bool is_all_lost = true, was_all_lost = true;
  for (const auto& [name, count] : counts) {
    is_all_lost &= zone_state(count, options_.unhealthy_zone_threshold) == ZoneState::full_disruption;
    was_all_lost &= zone(name).state == ZoneState::full_disruption;
  }
  // A zone of nodes that are not counted is kept for its pause: they would go all at once.
  std::erase_if(zones_, [&](const auto& each) {
    return !counts.contains(each.first) && each.second.waiting.empty() && !each.second.allowance.is_in_pause(now);
  });
  if (is_all_lost && was_all_lost) return Change::none;
  is_stopped_ = is_all_lost;
  for (auto& [name, each] : zones_) {
    const auto it = counts.find(name);
    const ZoneCount count = it == counts.end() ? ZoneCount{} : it->second;
    const ZoneState state = zone_state(count, options_.unhealthy_zone_threshold);
    each.allowance.set_rate(is_all_lost ? 0 : rate(count, state), now);
    each.state = state;
  }
  if (is_all_lost) return Change::stopped;
  return was_all_lost ? Change::resumed : Change::none;
}

bool Zones::want(const std::string& name, const std::string& node) {
  const auto it = zone_of_waiting_.find(node);
  if (it != zone_of_waiting_.end() && it->second == name) return false;
  if (it != zone_of_waiting_.end()) unwant(node);
  zone(name).waiting.push_back(node);
  zone_of_waiting_[node] = name;
  return true;
}

void Zones::unwant(const std::string& node) {
  const auto it = zone_of_waiting_.find(node);
  if (it == zone_of_waiting_.end()) return;
  std::erase(zone(it->second).waiting, node);
  zone_of_waiting_.erase(it);
}

std::vector<std::string> Zones::take(SteadyTime now) {
  std::vector<std::string> out;
  for (auto& [name, each] : zones_)
    while (!each.waiting.empty() && each.allowance.take(now)) {
      zone_of_waiting_.erase(each.waiting.front());
      out.push_back(std::move(each.waiting.front()));
      each.waiting.pop_front();
    }
  return out;
}

std::optional<SteadyTime> Zones::next() const {
  std::optional<SteadyTime> first;
  for (const auto& [name, each] : zones_)
    if (const auto at = each.allowance.next(); at && !each.waiting.empty())
      first = first ? std::min(*first, *at) : *at;
  return first;
}

}  // namespace rusternetes::controller_manager
