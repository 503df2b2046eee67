#include "controller-manager/deployment_plan.h"

#include <algorithm>

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
std::int64_t clean_unhealthy(const RolloutInput& input, std::map<std::string, std::int64_t>& wanted, std::int64_t max) {
  std::int64_t cleaned = 0;
  for (const auto& set : input.old) {
    if (cleaned >= max) break;
    if (set.wanted == 0 || set.wanted == set.available) continue;
    const std::int64_t down = std::min(max - cleaned, set.wanted - set.available);
    if (down <= 0) continue;
    wanted[set.name] = set.wanted - down;
    cleaned += down;
  }
  return cleaned;
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
  const std::int64_t cleaned = clean_unhealthy(input, wanted, max_down);
  std::int64_t spare = available - min_available;
  for (const auto& set : input.old) {
    if (spare <= 0) break;
    const std::int64_t has = wanted.contains(set.name) ? wanted[set.name] : set.wanted;
    if (has == 0) continue;
    const std::int64_t down = std::min(has, spare);
    wanted[set.name] = has - down;
    spare -= down;
  }
  (void)cleaned;
}

}  // namespace

Fenceposts resolve_fenceposts(const Value* max_surge, const Value* max_unavailable, std::int64_t replicas) {
  Fenceposts out{resolve(max_surge, replicas, true), resolve(max_unavailable, replicas, false)};
  if (out.surge == 0 && out.unavailable == 0) out.unavailable = 1;
  return out;
}

std::map<std::string, std::int64_t> plan_rollout(const RolloutInput& input) {
  std::map<std::string, std::int64_t> wanted;
  std::int64_t old_total = 0;
  for (const auto& set : input.old) old_total += set.wanted;
  if (input.is_paused || old_total == 0) {
    // Nothing to roll: the active set simply has the number that is asked for.
    if (input.is_paused && old_total > 0) return wanted;
    if (!input.current.name.empty() && input.current.wanted != input.replicas) wanted[input.current.name] = input.replicas;
    if (input.is_recreate && input.old_pods > 0) wanted.erase(input.current.name);
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
