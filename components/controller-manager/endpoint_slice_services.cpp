#include "controller-manager/endpoint_slice_services.h"

#include <algorithm>

#include "apimachinery/cidr.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Pod;
using core_v1::Service;

namespace {

constexpr const char *selector_index = "selector", *label_index = "label";

std::string index_key(std::string_view name_space, std::string_view label, std::string_view value) {
  std::string key(name_space);
  return ((key += '/') += label) += '=', key += value;
}

bool matches(const MapView<std::string_view>& selector, const MapView<std::string_view>& labels) {
  for (const auto& [key, value] : selector) {
    const Value* label = labels.find(key);
    if (!label || label->str() != value) return false;
  }
  return true;
}

void add_services_of(const client::Informer& services, const Pod& pod, std::vector<std::string>& keys) {
  const auto labels = pod.metadata().labels();
  for (const auto& [key, value] : labels)
    for (const auto& service :
         services.by_index(selector_index, index_key(pod.metadata().namespace_(), key, value)))
      if (matches(Service(&service.root()).spec().selector(), labels))
        keys.push_back(client::object_key(service));
}

bool has_ended(const Pod& pod) {
  return pod.status().phase() == "Failed" || pod.status().phase() == "Succeeded";
}

bool has_same_addresses(const Pod& a, const Pod& b) {
  const auto x = a.status().podIPs(), y = b.status().podIPs();
  if (x.size() != y.size() || a.status().podIP().empty() != b.status().podIP().empty()) return false;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (x[i].ip() != y[i].ip()) return false;
  return true;
}

bool has_same_labels(const Pod& a, const Pod& b) {
  const auto x = a.metadata().labels(), y = b.metadata().labels();
  return x.size() == y.size() && matches(x, y);
}

// Neither labels nor anything that endpoints show.
bool is_same_endpoint(const Pod& a, const Pod& b) {
  return has_same_labels(a, b) && a.spec().hostname() == b.spec().hostname() &&
         a.spec().subdomain() == b.spec().subdomain() &&
         a.metadata().has_deletionTimestamp() == b.metadata().has_deletionTimestamp() &&
         is_pod_ready(a) == is_pod_ready(b) && a.spec().nodeName() == b.spec().nodeName() &&
         a.metadata().uid() == b.metadata().uid() && has_ended(a) == has_ended(b) && has_same_addresses(a, b);
}

}  // namespace

void index_selectors(client::Informer& services) {
  // One label of the selector is enough to find it; the others are looked at then.
  services.add_index(selector_index, [](const Document& service) -> std::vector<std::string> {
    const Service view(&service.root());
    for (const auto& [key, value] : view.spec().selector())
      return {index_key(view.metadata().namespace_(), key, value)};
    return {};
  });
}

void index_labels(client::Informer& pods) {
  pods.add_index(label_index, [](const Document& pod) {
    const auto metadata = metadata_of(pod);
    std::vector<std::string> keys;
    for (const auto& [key, value] : metadata.labels()) keys.push_back(index_key(metadata.namespace_(), key, value));
    return keys;
  });
}

std::vector<std::string> services_to_update(const client::Informer& services, const Document& before,
                                            const Document& now) {
  const Pod then(before ? &before.root() : nullptr), pod(now ? &now.root() : nullptr);
  const bool was_in = then && belongs_in_endpoints(then, true),
             is_in = pod && belongs_in_endpoints(pod, true);
  std::vector<std::string> keys;
  if (!was_in && !is_in) return keys;
  if (was_in && is_in && is_same_endpoint(then, pod)) return keys;
  if (was_in) add_services_of(services, then, keys);
  if (is_in) add_services_of(services, pod, keys);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

bool has_pods(const Service& service) {
  return service.spec().type() != "ExternalName" && !service.spec().selector().empty();
}

std::vector<Document> pods_of(const client::Informer& pods, const Document& service) {
  const Service view(&service.root());
  const auto selector = view.spec().selector();
  std::vector<Document> found;
  for (const auto& [key, value] : selector) {  // as above: one of them finds, the others are looked at
    found = pods.by_index(label_index, index_key(view.metadata().namespace_(), key, value));
    break;
  }
  std::erase_if(found, [&](const Document& pod) { return !matches(selector, metadata_of(pod).labels()); });
  std::ranges::sort(found, {}, [](const Document& pod) { return client::name_of(pod); });
  return found;
}

bool belongs_in_endpoints(const Pod& pod, bool with_terminating) {
  if (has_ended(pod)) return false;
  if (pod.status().podIP().empty() && pod.status().podIPs().empty()) return false;
  return with_terminating || !pod.metadata().has_deletionTimestamp();
}

bool has_hostname_in(const Pod& pod, const Service& service) {
  return !pod.spec().hostname().empty() && pod.spec().subdomain() == service.metadata().name() &&
         pod.metadata().namespace_() == service.metadata().namespace_();
}

bool has_cluster_ip(const Service& service) {
  const auto address = service.spec().clusterIP();
  return !address.empty() && address != "None";
}

std::optional<std::int64_t> target_port(const Pod& pod, const core_v1::ServicePort& port) {
  const Value* wanted = port.targetPort().value();
  if (!wanted) return std::nullopt;
  if (wanted->kind == ValueKind::integer) return wanted->integer;
  auto find_in = [&](const auto& container) -> std::optional<std::int64_t> {
    for (const auto one : container.ports())
      if (one.name() == wanted->str() && one.protocol() == port.protocol()) return one.containerPort();
    return std::nullopt;
  };
  for (const auto container : pod.spec().containers())
    if (auto found = find_in(container)) return found;
  for (const auto container : pod.spec().initContainers())
    if (container.restartPolicy() == "Always")
      if (auto found = find_in(container)) return found;
  return std::nullopt;
}

std::vector<std::string_view> addresses_of(Arena& arena, const Pod& pod, bool is_v6) {
  std::vector<std::string_view> out;
  for (const auto one : pod.status().podIPs()) {
    const auto parsed = IpAddress::parse_sloppy(one.ip());
    if (!parsed) continue;
    const IpAddress address = parsed->unmap();
    if (address.is_v6() != is_v6) continue;
    const std::string text = address.to_string();
    out.push_back(text == one.ip() ? one.ip() : arena.copy(text));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace rusternetes::controller_manager
