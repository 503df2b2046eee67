#include "scheduler/cache.h"

#include <algorithm>

#include "apimachinery/quantity.h"

namespace rusternetes::scheduler {

using namespace apimachinery;
using core_v1::Pod;

std::int64_t amount_of(std::string_view resource, std::string_view quantity) {
  auto parsed = Quantity::parse(quantity);
  if (!parsed) return 0;
  return resource == "cpu" ? parsed->milli_value() : parsed->value();
}

namespace {

void add(Amounts& to, const Amounts& from) {
  for (const auto& [name, amount] : from) to[name] += amount;
}
void raise(Amounts& to, const Amounts& from) {
  for (const auto& [name, amount] : from) to[name] = std::max(to[name], amount);
}
Amounts amounts(const MapView<std::string_view>& list) {
  Amounts out;
  for (const auto& [name, quantity] : list) out[std::string(name)] = amount_of(name, quantity);
  return out;
}

}  // namespace

Amounts pod_requests(const Pod& pod) {
  Amounts total, sidecars, largest_init;
  for (const auto container : pod.spec().containers()) add(total, amounts(container.resources().requests()));
  for (const auto container : pod.spec().initContainers()) {
    const Amounts own = amounts(container.resources().requests());
    if (container.restartPolicy() == "Always") {
      add(sidecars, own);
      add(total, own);
      raise(largest_init, sidecars);
    } else {
      Amounts while_it_runs = own;
      add(while_it_runs, sidecars);
      raise(largest_init, while_it_runs);
    }
  }
  raise(total, largest_init);
  for (const auto& [name, amount] : amounts(pod.spec().resources().requests())) total[name] = amount;  // pod-level resources
  add(total, amounts(pod.spec().overhead()));
  return total;
}

std::vector<HostPort> host_ports(const Pod& pod) {
  std::vector<HostPort> out;
  auto take = [&](const core_v1::Container& container) {
    for (const auto port : container.ports()) {
      if (port.hostPort() <= 0) continue;
      out.push_back({std::string(port.protocol().empty() ? "TCP" : port.protocol()), port.hostPort(),
                     std::string(port.hostIP().empty() ? "0.0.0.0" : port.hostIP())});
    }
  };
  for (const auto container : pod.spec().initContainers())
    if (container.restartPolicy() == "Always") take(container);
  for (const auto container : pod.spec().containers()) take(container);
  return out;
}

void Cache::set_namespace(const Document& name_space) {
  namespaces_[std::string(core_v1::Namespace(&name_space.root()).metadata().name())] = name_space;
}

void Cache::remove_namespace(std::string_view name) {
  if (const auto it = namespaces_.find(name); it != namespaces_.end()) namespaces_.erase(it);
}

Labels Cache::namespace_labels(std::string_view name) const {
  const auto it = namespaces_.find(name);
  return it == namespaces_.end() ? Labels{} : core_v1::Namespace(&it->second.root()).metadata().labels();
}

void Cache::set_node(const Document& node) {
  const core_v1::Node view(&node.root());
  NodeInfo& info = nodes_[std::string(view.metadata().name())];
  info.node = node;
  info.allocatable = amounts(view.status().allocatable());
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (Pod(&it->second.root()).spec().nodeName() == view.metadata().name()) {
      const Document pod = it->second;
      it = waiting_.erase(it);
      place(pod, std::string(view.metadata().name()));
    } else {
      ++it;
    }
  }
}

void Cache::remove_node(std::string_view name) {
  const auto it = nodes_.find(name);
  if (it == nodes_.end()) return;
  for (const auto& [uid, pod] : it->second.pods) {
    placed_.erase(uid);
    anti_affine_.erase(uid);
    waiting_[uid] = pod;
  }
  nodes_.erase(it);
}

void Cache::place(const Document& pod, const std::string& node) {
  const std::string uid(Pod(&pod.root()).metadata().uid());
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) {
    waiting_[uid] = pod;
    return;
  }
  it->second.pods[uid] = pod;
  placed_[uid] = node;
  const Pod view(&pod.root());
  add(it->second.requested, pod_requests(view));
  for (auto& port : host_ports(view)) it->second.used_ports.insert(std::move(port));
  if (auto terms = required_anti_affinity(view); !terms.empty()) anti_affine_[uid] = {node, std::move(terms)};
}

void Cache::take_away(const std::string& uid) {
  waiting_.erase(uid);
  const auto placed = placed_.find(uid);
  if (placed == placed_.end()) return;
  if (const auto it = nodes_.find(placed->second); it != nodes_.end()) {
    if (const auto pod = it->second.pods.find(uid); pod != it->second.pods.end()) {
      const Pod view(&pod->second.root());
      for (const auto& [name, amount] : pod_requests(view)) it->second.requested[name] -= amount;
      auto& used = it->second.used_ports;
      for (const auto& port : host_ports(view))
        if (const auto found = used.find(port); found != used.end()) used.erase(found);  // one of perhaps several
      it->second.pods.erase(pod);
    }
  }
  anti_affine_.erase(uid);
  placed_.erase(placed);
}

void Cache::set_pod(const Document& pod) {
  const Pod view(&pod.root());
  const std::string uid(view.metadata().uid());
  assumed_.erase(uid);
  take_away(uid);
  place(pod, std::string(view.spec().nodeName()));
}

void Cache::remove_pod(const Document& pod) {
  const std::string uid(Pod(&pod.root()).metadata().uid());
  assumed_.erase(uid);
  take_away(uid);
}

void Cache::assume(const Document& pod, const std::string& node) {
  const std::string uid(Pod(&pod.root()).metadata().uid());
  place(pod, node);
  assumed_[uid] = node;
}

void Cache::forget(const Document& pod) {
  const std::string uid(Pod(&pod.root()).metadata().uid());
  if (assumed_.erase(uid)) take_away(uid);
}

}  // namespace rusternetes::scheduler
