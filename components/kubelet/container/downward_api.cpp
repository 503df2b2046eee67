#include "kubelet/container/downward_api.h"

#include <fmt/format.h>

#include "apimachinery/quote.h"

namespace rusternetes::kubelet {

using apimachinery::MapView;
using apimachinery::Quantity;

namespace {

std::string all_of(const MapView<std::string_view>& map) {
  std::string out;
  for (const auto [key, value] : map) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{}={}", key, apimachinery::quote(value));
  }
  return out;
}

// "metadata.labels['a/b']" → {"metadata.labels", "a/b"}.
bool split_subscript(std::string_view path, std::string_view& base, std::string_view& key) {
  const auto open = path.find("['");
  if (open == std::string_view::npos || !path.ends_with("']")) return false;
  base = path.substr(0, open);
  key = path.substr(open + 2, path.size() - open - 4);
  return true;
}

std::string joined(const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, ",")); }
std::string first(const std::vector<std::string>& list) { return list.empty() ? std::string() : list.front(); }

}  // namespace

Result<std::string> field_value(const core_v1::Pod& pod, std::string_view path, const DownwardContext& context) {
  const auto metadata = pod.metadata();
  std::string_view base, key;
  if (split_subscript(path, base, key)) {
    if (base == "metadata.labels") return std::string(metadata.labels().get(key));
    if (base == "metadata.annotations") return std::string(metadata.annotations().get(key));
    return internal_error(fmt::format("invalid field path with subscript: {}", path));
  }
  if (path == "metadata.name") return std::string(metadata.name());
  if (path == "metadata.namespace") return std::string(metadata.namespace_());
  if (path == "metadata.uid") return std::string(metadata.uid());
  if (path == "metadata.labels") return all_of(metadata.labels());
  if (path == "metadata.annotations") return all_of(metadata.annotations());
  if (path == "spec.nodeName") return std::string(pod.spec().nodeName());
  if (path == "spec.serviceAccountName") return std::string(pod.spec().serviceAccountName());
  if (path == "spec.schedulerName") return std::string(pod.spec().schedulerName());
  if (path == "spec.restartPolicy") return std::string(pod.spec().restartPolicy());
  if (path == "status.hostIP") return first(context.host_ips);
  if (path == "status.hostIPs") return joined(context.host_ips);
  if (path == "status.podIP") return first(context.pod_ips);
  if (path == "status.podIPs") return joined(context.pod_ips);
  return internal_error(fmt::format("unsupported fieldPath: {}", path));
}

Result<std::string> resource_value(const core_v1::Pod& pod, const core_v1::ResourceFieldSelector& selector,
                                   std::string_view own_container, const DownwardContext& context) {
  const auto wanted = selector.containerName().empty() ? own_container : selector.containerName();
  core_v1::ResourceRequirements resources;
  bool is_found = false;
  for (const auto& list : {pod.spec().containers(), pod.spec().initContainers()})
    for (const auto container : list)
      if (container.name() == wanted) {
        resources = container.resources();
        is_found = true;
      }
  if (!is_found) return internal_error(fmt::format("container {} not found", wanted));

  const auto path = selector.resource();
  const bool is_limit = path.starts_with("limits.");
  if (!is_limit && !path.starts_with("requests.")) return internal_error(fmt::format("unsupported container resource : {}", path));
  const auto name = path.substr(path.find('.') + 1);
  Quantity amount;
  if (is_limit) {
    amount = quantity_of(resources.limits(), name);
    if (!resources.limits().contains(name)) {
      auto most = context.allocatable.find(std::string(name));
      if (most != context.allocatable.end()) {
        RN_TRY(amount, Quantity::parse(most->second));
      }
    }
  } else {
    amount = quantity_of(resources.requests(), name);
    if (!resources.requests().contains(name)) amount = quantity_of(resources.limits(), name);
  }
  Quantity divisor(1);
  if (!selector.divisor().empty()) {
    RN_TRY(auto stated, Quantity::parse(selector.divisor()));
    if (!stated.is_zero()) divisor = stated;
  }
  const auto divide = [](std::int64_t a, std::int64_t b) { return b <= 0 ? a : (a + b - 1) / b; };
  if (name == "cpu") return std::to_string(divide(amount.milli_value(), divisor.milli_value()));
  return std::to_string(divide(amount.value(), divisor.value()));
}

}  // namespace rusternetes::kubelet
