#include "controller-manager/endpoint_slice_topology.h"

#include <fmt/format.h>

#include <cmath>

#include "apimachinery/edit.h"
#include "apimachinery/quantity.h"
#include "controller-manager/endpoint_slice_endpoints.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using discovery_v1::Endpoint;
using discovery_v1::EndpointHints;
using Fate = WorkingSlice::Fate;

namespace {

// A zone may have so much more than its share before hints are given up.
constexpr double overload_threshold = 0.2;

bool is_ready(const Value& endpoint) { return Endpoint(&endpoint).conditions().ready(); }

void erase_hints(Arena& arena, Value& endpoint) {
  if (!endpoint.get(Endpoint::f_hints)) return;
  endpoint = deep_copy(arena, endpoint);  // what it was may belong to a document
  erase_field(endpoint, Endpoint::f_hints);
}

// `zone` and `node` are not named when empty; with neither, there are no hints.
void set_hints(Arena& arena, Value& endpoint, std::string_view zone, std::string_view node) {
  erase_hints(arena, endpoint);
  if (zone.empty() && node.empty()) return;
  Value& hints = ensure(arena, endpoint, Endpoint::f_hints);
  auto name_one = [&](int list, int field, std::string_view name) {
    if (name.empty()) return;
    Value& one = append_structure(arena, ensure(arena, hints, list, ValueKind::list));
    set_string(arena, one, field, name);
  };
  name_one(EndpointHints::f_forZones, discovery_v1::ForZone::f_name, zone);
  name_one(EndpointHints::f_forNodes, discovery_v1::ForNode::f_name, node);
}

template <class List>
bool names_only(const List& list, std::string_view name) {
  return name.empty() ? list.empty() : list.size() == 1 && list[0].name() == name;
}

bool is_going(const WorkingSlice& slice) { return slice.fate == Fate::remove || slice.fate == Fate::taken; }

int count_ready(const std::vector<WorkingSlice>& slices) {
  int count = 0;
  for (const auto& slice : slices)
    if (!is_going(slice))
      for (const Value& endpoint : slice.endpoints) count += is_ready(endpoint);
  return count;
}

std::string told(std::string_view what, std::string_view address_type) {
  return fmt::format("{}, addressType: {}", what, address_type);
}

SliceEvent disabled(std::string_view why, std::string_view address_type) {
  return {true, "TopologyAwareHintsDisabled", told(why, address_type)};
}

bool is_ready_node(const core_v1::Node& node) {
  for (const auto condition : node.status().conditions())
    if (condition.type() == "Ready") return condition.status() == "True";
  return false;
}

// What a node adds to a zone; no zone and nothing when the node does not count.
struct NodeShare {
  bool counts = false;
  std::string_view zone, cpu;
  bool operator==(const NodeShare&) const = default;
};
NodeShare share_of(const core_v1::Node& node) {
  const auto labels = node.metadata().labels();
  if (labels.contains("node-role.kubernetes.io/control-plane") ||
      labels.contains("node-role.kubernetes.io/master") || !is_ready_node(node))
    return {};
  return {true, labels.get("topology.kubernetes.io/zone"), node.status().allocatable().get("cpu")};
}

// The zone with the most; of equal ones the first by name.
std::map<std::string, double>::iterator most_of(std::map<std::string, double>& zones) {
  auto most = zones.end();
  for (auto it = zones.begin(); it != zones.end(); ++it)
    if (it->second > (most == zones.end() ? 0.0 : most->second)) most = it;
  return most;
}

}  // namespace

void hint_own_zones(Arena& arena, std::vector<WorkingSlice>& slices, bool with_nodes) {
  for (auto& slice : slices) {
    if (is_going(slice)) continue;
    for (Value& value : slice.endpoints) {
      const Endpoint endpoint(&value);
      if (!endpoint.conditions().ready()) continue;
      const auto zone = endpoint.zone(), node = with_nodes ? endpoint.nodeName() : std::string_view{};
      if (names_only(endpoint.hints().forZones(), zone) && names_only(endpoint.hints().forNodes(), node))
        continue;
      set_hints(arena, value, zone, node);
      if (slice.fate == Fate::unchanged) slice.fate = Fate::update;
    }
  }
}

void remove_hints(Arena& arena, std::vector<WorkingSlice>& slices) {
  for (auto& slice : slices) {
    if (is_going(slice)) continue;
    for (Value& endpoint : slice.endpoints) {
      if (!endpoint.get(Endpoint::f_hints)) continue;
      erase_hints(arena, endpoint);
      if (slice.fate == Fate::unchanged) slice.fate = Fate::update;
    }
  }
}

bool is_same_for_topology(const Document& before, const Document& now) {
  return share_of(core_v1::Node(&before.root())) == share_of(core_v1::Node(&now.root()));
}

void Topology::set_nodes(const std::vector<Document>& nodes) {
  cpu_ratios_.clear();
  std::map<std::string, double, std::less<>> cpu_by_zone;
  double total = 0;
  for (const auto& document : nodes) {
    const NodeShare share = share_of(core_v1::Node(&document.root()));
    if (!share.counts) continue;
    const auto cpu = Quantity::parse(share.cpu);
    if (share.zone.empty() || !cpu || cpu->is_zero()) return;
    cpu_by_zone[std::string(share.zone)] += static_cast<double>(cpu->milli_value());
    total += static_cast<double>(cpu->milli_value());
  }
  if (cpu_by_zone.size() < 2 || total <= 0) return;
  for (const auto& [zone, cpu] : cpu_by_zone) cpu_ratios_[zone] = cpu / total;
}

Topology::Shares Topology::shares_of(int endpoints, std::vector<SliceEvent>& events,
                                     std::string_view address_type) const {
  auto refuse = [&](std::string_view why) {
    events.push_back(disabled(why, address_type));
    return Shares{};
  };
  const auto counts = fmt::format("({} endpoints, {} zones)", endpoints, cpu_ratios_.size());
  if (cpu_ratios_.empty())
    return refuse(
        "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes");
  if (static_cast<int>(cpu_ratios_.size()) > endpoints)
    return refuse("Insufficient number of endpoints " + counts);
  Shares shares;
  int least_total = 0;
  for (const auto& [zone, ratio] : cpu_ratios_) {
    const double desired = ratio * endpoints;
    const int least = static_cast<int>(std::ceil(desired * (1 / (1 + overload_threshold))));
    shares[zone] = {least, 0, std::max(desired, static_cast<double>(least))};
    least_total += least;
  }
  if (least_total > endpoints)
    return refuse(
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold " +
        counts);
  for (auto& [zone, share] : shares) share.most = share.least + endpoints - least_total;
  return shares;
}

// Adds what the slice's hints give each zone; false when they can not stay as they are.
bool Topology::count_hints(const WorkingSlice& slice, const Shares& shares, Counts& counts) {
  Counts own;
  for (const Value& value : slice.endpoints) {
    if (!is_ready(value)) continue;
    const auto zones = Endpoint(&value).hints().forZones();
    if (zones.empty()) return false;
    for (const auto zone : zones) ++own[std::string(zone.name())];
  }
  for (const auto& [zone, count] : own) {
    const auto share = shares.find(zone);
    const auto already = counts.find(zone);
    if (share == shares.end() || count + (already == counts.end() ? 0 : already->second) > share->second.most)
      return false;
  }
  for (const auto& [zone, count] : own) counts[zone] += count;
  return true;
}

// Endpoints of zones that have too many are given to those that have too few.
void Topology::redistribute(Arena& arena, std::vector<WorkingSlice*>& slices, const Shares& shares,
                            Counts& counts) {
  std::map<std::string, double> surplus, lack;
  for (const auto& [zone, share] : shares) {
    const auto count = static_cast<double>(counts.contains(zone) ? counts.find(zone)->second : 0);
    if (count > share.desired) surplus[zone] = count - share.desired;
    if (count < share.desired) lack[zone] = share.desired - count;
  }
  std::map<std::string, int, std::less<>> giving;
  std::map<std::string, int> receiving;
  for (;;) {
    const auto giver = most_of(surplus), taker = most_of(lack);
    if (giver == surplus.end() || taker == lack.end()) break;
    const double give = giver->second, take = taker->second;
    if ((give < 1 && take < 1) || give < 0.5 || take < 0.5) break;
    ++giving[giver->first], ++receiving[taker->first];
    giver->second -= 1, taker->second -= 1;
  }
  for (WorkingSlice* slice : slices)
    for (Value& value : slice->endpoints) {
      if (receiving.empty()) return;
      const auto giver = is_ready(value) ? giving.find(Endpoint(&value).zone()) : giving.end();
      if (giver == giving.end()) continue;
      const auto taker = receiving.begin();
      set_hints(arena, value, taker->first, {});
      ++counts[taker->first], --counts[giver->first];
      if (--taker->second == 0) receiving.erase(taker);
      if (--giver->second == 0) giving.erase(giver);
    }
}

std::vector<SliceEvent> Topology::add_hints(Arena& arena, std::string_view service,
                                            std::string_view address_type,
                                            std::vector<WorkingSlice>& slices) {
  std::vector<SliceEvent> events;
  const Shares shares = shares_of(count_ready(slices), events, address_type);
  auto give_up = [&] {
    forget_hints(service, address_type);
    remove_hints(arena, slices);
    return std::move(events);
  };
  if (shares.empty()) return give_up();
  Counts counts;
  for (auto& slice : slices)
    if (slice.fate == Fate::unchanged && !count_hints(slice, shares, counts)) slice.fate = Fate::update;
  std::vector<WorkingSlice*> open;
  for (auto& slice : slices)
    if (slice.fate == Fate::create) open.push_back(&slice);
  for (auto& slice : slices)
    if (slice.fate == Fate::update) open.push_back(&slice);
  for (WorkingSlice* slice : open)
    for (Value& value : slice->endpoints) {
      if (!is_ready(value)) continue;
      const auto zone = Endpoint(&value).zone();
      if (zone.empty()) {
        events.push_back(disabled("One or more endpoints do not have a zone specified", address_type));
        return give_up();
      }
      ++counts[std::string(zone)];
      set_hints(arena, value, zone, {});
    }
  redistribute(arena, open, shares, counts);
  if (counts.empty()) {
    events.push_back(disabled("No hints allocated for zones", address_type));
    return give_up();
  }
  hinted_[std::string(service)][std::string(address_type)] = std::move(counts);
  if (has_hints_.insert(std::string(service)).second)
    events.push_back(
        {false, "TopologyAwareHintsEnabled", told("Topology Aware Hints has been enabled", address_type)});
  return events;
}

std::vector<SliceEvent> Topology::drop(std::string_view service, std::string_view address_type) {
  std::vector<SliceEvent> events;
  if (has_hints_.contains(service))
    events.push_back(disabled("Topology Aware Hints has been disabled", address_type));
  forget_hints(service, address_type);
  return events;
}

void Topology::forget_hints(std::string_view service, std::string_view address_type) {
  if (const auto it = hinted_.find(service); it != hinted_.end()) {
    if (const auto of_type = it->second.find(address_type); of_type != it->second.end())
      it->second.erase(of_type);
    if (it->second.empty()) hinted_.erase(it);
  }
  if (const auto it = has_hints_.find(service); it != has_hints_.end()) has_hints_.erase(it);
}

void Topology::forget(std::string_view service) {
  if (const auto it = hinted_.find(service); it != hinted_.end()) hinted_.erase(it);
  if (const auto it = has_hints_.find(service); it != has_hints_.end()) has_hints_.erase(it);
}

std::vector<std::string> Topology::overloaded() const {
  auto is_overloaded = [this](const Counts& counts) {
    if (counts.empty()) return false;
    if (cpu_ratios_.empty()) return true;
    int total = 0;
    for (const auto& [zone, count] : counts) total += count;
    for (const auto& [zone, ratio] : cpu_ratios_) {
      const auto count = counts.find(zone);
      if (count == counts.end() ||
          count->second < static_cast<int>(std::ceil(total * ratio * (1 / (1 + overload_threshold)))))
        return true;
    }
    return false;
  };
  std::vector<std::string> services;
  for (const auto& [service, by_type] : hinted_)
    for (const auto& [type, counts] : by_type)
      if (is_overloaded(counts)) {
        services.push_back(service);
        break;
      }
  return services;
}

}  // namespace rusternetes::controller_manager
