#include "api-server/strategy/pod_resources.h"

#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Container;
using core_v1::PodSpec;
using core_v1::ResourceRequirements;

namespace {

// Requests or limits that count for the quality of service: cpu and memory above zero.
struct ComputeAmounts {
  Quantity cpu, memory;
  bool has_cpu = false, has_memory = false;

  // True if both were added.
  bool add(const MapView<std::string_view>& list) {
    const bool cpu_added = add_one(list.get("cpu"), cpu, has_cpu);
    return add_one(list.get("memory"), memory, has_memory) && cpu_added;
  }
  bool empty() const { return !has_cpu && !has_memory; }
  bool covers(const ComputeAmounts& requests) const {
    return has_cpu == requests.has_cpu && has_memory == requests.has_memory && (!has_cpu || cpu == requests.cpu) &&
           (!has_memory || memory == requests.memory);
  }

 private:
  static bool add_one(std::string_view text, Quantity& sum, bool& has) {
    if (text.empty() || text == "0") return false;
    const auto amount = Quantity::parse(text);
    if (!amount || amount->sign() <= 0) return false;
    sum.add(*amount);
    return has = true;
  }
};

void add_amounts(ResourceAmounts& to, const ResourceAmounts& from) {
  for (const auto& [name, amount] : from) {
    auto [place, is_new] = to.try_emplace(name, amount);
    if (!is_new) place->second.add(amount);
  }
}

void raise_amounts(ResourceAmounts& to, const ResourceAmounts& from) {
  for (const auto& [name, amount] : from) {
    auto [place, is_new] = to.try_emplace(name, amount);
    if (!is_new && place->second < amount) place->second = amount;
  }
}

ResourceAmounts amounts_of(const Container& container, int list_field) {
  ResourceAmounts out;
  const Value* resources = container.resources().value();
  for (const auto& [name, text] : MapView<std::string_view>(resources ? resources->get(list_field) : nullptr))
    if (const auto amount = Quantity::parse(text)) out.emplace(name, *amount);
  return out;
}

void set_amount(Arena& arena, Value& list, std::string_view name, const Quantity& amount) {
  set_map_string(arena, list, name, amount.to_string());
}

}  // namespace

std::string_view quality_of_service(const Value& pod_spec) {
  const PodSpec spec(&pod_spec);
  ComputeAmounts requests, limits;
  bool is_guaranteed = true;
  if (const auto resources = spec.resources()) {
    requests.add(resources.requests());
    if (!resources.limits().empty()) is_guaranteed = limits.add(resources.limits());
  } else {
    for (const auto list : {spec.containers(), spec.initContainers()})
      for (const auto container : list) {
        requests.add(container.resources().requests());
        is_guaranteed &= limits.add(container.resources().limits());
      }
  }
  if (requests.empty() && limits.empty()) return "BestEffort";
  return is_guaranteed && limits.covers(requests) ? "Guaranteed" : "Burstable";
}

bool is_huge_page_resource(std::string_view name) { return name.starts_with("hugepages-"); }

bool is_pod_level_resource(std::string_view name) {
  return name == "cpu" || name == "memory" || is_huge_page_resource(name);
}

ResourceAmounts aggregate_container_resources(const Value& pod_spec, int list_field) {
  const PodSpec spec(&pod_spec);
  ResourceAmounts sum, sidecars, peak;
  for (const auto container : spec.containers()) add_amounts(sum, amounts_of(container, list_field));
  for (const auto container : spec.initContainers()) {
    ResourceAmounts own = amounts_of(container, list_field);
    if (container.restartPolicy() == "Always") {
      add_amounts(sum, own);
      add_amounts(sidecars, own);
      raise_amounts(peak, sidecars);
    } else {
      add_amounts(own, sidecars);
      raise_amounts(peak, own);
    }
  }
  raise_amounts(sum, peak);
  return sum;
}

void set_pod_level_resource_defaults(Arena& arena, Value& pod_spec) {
  Value* resources = pod_spec.get(PodSpec::f_resources);
  if (!resources) return;
  const ResourceRequirements view(resources);
  if (view.limits().empty() && view.requests().empty()) return;
  // Huge pages cannot be overcommitted: the Pod's limit is its containers'.
  for (const auto& [name, amount] : aggregate_container_resources(pod_spec, ResourceRequirements::f_limits)) {
    if (!is_huge_page_resource(name) || view.requests().contains(name) || view.limits().contains(name)) continue;
    set_amount(arena, ensure(arena, *resources, ResourceRequirements::f_limits, ValueKind::map), name, amount);
  }
  if (view.limits().empty()) return;
  for (const auto& [name, amount] : aggregate_container_resources(pod_spec, ResourceRequirements::f_requests)) {
    if (!is_pod_level_resource(name) || is_huge_page_resource(name) || view.requests().contains(name)) continue;
    set_amount(arena, ensure(arena, *resources, ResourceRequirements::f_requests, ValueKind::map), name, amount);
  }
  const Value limits = *resources->get(ResourceRequirements::f_limits);  // `ensure` below moves its owner's fields
  for (const auto& [name, text] : MapView<std::string_view>(&limits)) {
    if (!is_pod_level_resource(name) || view.requests().contains(name)) continue;
    set_map_string(arena, ensure(arena, *resources, ResourceRequirements::f_requests, ValueKind::map), name, text);
  }
}

}  // namespace rusternetes::api_server
