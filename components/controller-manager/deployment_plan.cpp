#include "controller-manager/deployment_plan.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/hash.h"
#include "apimachinery/json.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;

namespace {

std::int64_t resolve(const Value* value, std::int64_t total, bool up) {
  if (!value) return 0;
  if (value->kind == ValueKind::integer) return value->integer;
  std::string_view text = value->str();
  if (!text.ends_with('%')) return 0;
  const std::int64_t percent = std::atol(std::string(text).c_str());
  return up ? (percent * total + 99) / 100 : percent * total / 100;
}

// Old Pods that are not available are of no use: they go first.
void clean_unhealthy(const RolloutInput& input, std::map<std::string, std::int64_t>& wanted,
                     std::int64_t max) {
  std::int64_t cleaned = 0;
  for (const auto& set : input.old) {
    if (cleaned >= max) break;
    if (set.wanted == 0 || set.wanted == set.available) continue;
    const std::int64_t down = std::min(max - cleaned, set.wanted - set.available);
    if (down <= 0) continue;
    wanted[set.name] = set.wanted - down;
    cleaned += down;
  }
}

void roll(const RolloutInput& input, std::map<std::string, std::int64_t>& wanted) {
  std::int64_t total = input.current.wanted, available = input.current.available;
  for (const auto& set : input.old) total += set.wanted, available += set.available;
  // Up: as far as the surge allows.
  if (input.current.wanted > input.replicas) {
    wanted[input.current.name] = input.replicas;
    return;
  }
  if (input.current.wanted < input.replicas) {
    const std::int64_t room = input.replicas + input.max_surge - total;
    if (room > 0) {
      wanted[input.current.name] = std::min(input.replicas, input.current.wanted + room);
      return;
    }
  }
  // Down: never below replicas - maxUnavailable available Pods.
  const std::int64_t min_available = input.replicas - input.max_unavailable;
  const std::int64_t new_unavailable = input.current.wanted - input.current.available;
  const std::int64_t max_down = total - min_available - new_unavailable;
  if (max_down <= 0) return;
  clean_unhealthy(input, wanted, max_down);
  std::int64_t spare = available - min_available;
  for (const auto& set : input.old) {
    if (spare <= 0) break;
    const std::int64_t has = wanted.contains(set.name) ? wanted[set.name] : set.wanted;
    if (has == 0) continue;
    const std::int64_t down = std::min(has, spare);
    wanted[set.name] = has - down;
    spare -= down;
  }
}

using Sets = std::vector<const ReplicaSetState*>;

Sets active_sets(const RolloutInput& input) {
  Sets active;
  for (const auto& set : input.old)
    if (set.wanted > 0) active.push_back(&set);
  if (input.current.wanted > 0) active.push_back(&input.current);
  return active;
}

// By how much a set grows or shrinks so that it keeps its part of the whole (util.getReplicaSetFraction). A
// set that does not tell what it was scaled for is measured against what the Deployment has.
std::int64_t proportion(const RolloutInput& input, const ReplicaSetState& set) {
  if (input.replicas == 0) return -set.wanted;
  const std::int64_t whole = set.max_replicas.value_or(0) > 0 ? *set.max_replicas : input.reported_replicas;
  if (whole == 0) return 0;
  return std::llround(static_cast<double>(set.wanted * (input.replicas + input.max_surge)) /
                      static_cast<double>(whole)) -
         set.wanted;
}

void sort_by_size(Sets& sets, bool newer_first) {
  std::sort(sets.begin(), sets.end(), [newer_first](const ReplicaSetState* a, const ReplicaSetState* b) {
    if (a->wanted != b->wanted) return a->wanted > b->wanted;
    const auto age = [](const ReplicaSetState* set) { return std::tie(set->created_at_us, set->name); };
    return newer_first ? age(b) < age(a) : age(a) < age(b);
  });
}

// The number of replicas has changed, or the rollout rests (pkg/controller/deployment sync.scale()).
std::map<std::string, std::int64_t> plan_scale(const RolloutInput& input) {
  std::map<std::string, std::int64_t> wanted;
  const std::int64_t limit = input.replicas + input.max_surge;
  const auto set_to = [&](const ReplicaSetState& set, std::int64_t number) {
    if (number != set.wanted || set.desired != input.replicas || set.max_replicas != limit)
      wanted[set.name] = number;
  };
  Sets active = active_sets(input);
  if (active.size() <= 1) {
    // One set has all the Pods: none active, the newest gets them.
    const ReplicaSetState* only = !active.empty()               ? active[0]
                                  : !input.current.name.empty() ? &input.current
                                  : !input.old.empty()          ? &input.old.back()
                                                                : nullptr;
    if (only) set_to(*only, input.replicas);
    return wanted;
  }
  const ReplicaSetState& current = input.current;
  if (current.wanted == input.replicas && current.desired == input.replicas &&
      current.available == input.replicas) {
    for (const auto* set : active)
      if (set != &current) wanted[set->name] = 0;
    return wanted;
  }
  if (input.is_recreate) return wanted;
  std::int64_t to_add = input.replicas > 0 ? limit : 0, added = 0;
  for (const auto* set : active) to_add -= set->wanted;
  sort_by_size(active, to_add > 0);
  std::vector<std::int64_t> parts;
  for (const auto* set : active) {
    const std::int64_t part = proportion(input, *set), left = to_add - added;
    parts.push_back(left == 0 ? 0 : to_add > 0 ? std::min(part, left) : std::max(part, left));
    added += parts.back();
  }
  parts[0] += to_add - added;  // what rounding left over
  for (std::size_t i = 0; i < active.size(); ++i)
    set_to(*active[i], std::max<std::int64_t>(0, active[i]->wanted + parts[i]));
  return wanted;
}

}  // namespace

Fenceposts resolve_fenceposts(const Value* max_surge, const Value* max_unavailable, std::int64_t replicas) {
  Fenceposts out{resolve(max_surge, replicas, true), resolve(max_unavailable, replicas, false)};
  if (out.surge == 0 && out.unavailable == 0) out.unavailable = 1;
  return out;
}

bool is_scaling(const RolloutInput& input) {
  const Sets active = active_sets(input);
  // Recreate shares nothing out between sets: it takes the old ones away.
  if (input.is_recreate && active.size() > 1) return false;
  return std::any_of(active.begin(), active.end(), [&](const ReplicaSetState* set) {
    return set->desired && *set->desired != input.replicas;
  });
}

std::map<std::string, std::int64_t> plan_rollout(const RolloutInput& input) {
  if (input.is_paused || is_scaling(input)) return plan_scale(input);
  std::map<std::string, std::int64_t> wanted;
  std::int64_t old_total = 0;
  for (const auto& set : input.old) old_total += set.wanted;
  if (old_total == 0) {
    // Nothing to roll: the new set simply has the number that is asked for.
    const bool must_wait = input.is_recreate && input.old_pods > 0;
    if (!must_wait && !input.current.name.empty() && input.current.wanted != input.replicas)
      wanted[input.current.name] = input.replicas;
    return wanted;
  }
  if (input.is_recreate) {
    for (const auto& set : input.old)
      if (set.wanted) wanted[set.name] = 0;
    return wanted;
  }
  roll(input, wanted);
  return wanted;
}

std::string template_text(const Value& pod_template) {
  Arena arena;
  Value copy = deep_copy(arena, pod_template);
  using T = core_v1::PodTemplateSpec;
  if (Value* metadata = copy.get(T::f_metadata))
    if (Value* labels = metadata->get(meta_v1::ObjectMeta::f_labels)) erase_key(*labels, "pod-template-hash");
  std::string text;
  encode_json(text, &copy, T::schema_type(), {});
  return text;
}

std::string template_hash(const std::string& text, std::int64_t collisions, bool has_collisions) {
  const std::string salted = has_collisions ? text + std::to_string(collisions) : text;
  return safe_encode(std::to_string(fnv1a_32(salted)));
}

}  // namespace rusternetes::controller_manager
