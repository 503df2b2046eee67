#include "kubelet/node/node_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "base/release.h"
#include "client/object_builder.h"

namespace rusternetes::kubelet {

using namespace apimachinery;
using core_v1::Node;
using core_v1::NodeStatus;

namespace {

constexpr std::size_t kMostImages = 50;
constexpr std::size_t kMostImageNames = 5;
// Below these a node is under pressure.
constexpr std::int64_t kLeastMemory_bytes = 100 << 20;
constexpr std::int64_t kLeastDisk_percent = 5;
constexpr std::int64_t kLeastPids_percent = 5;

std::map<std::string, std::string> node_labels(const KubeletOptions& options, const Machine& machine) {
  auto out = options.labels;
  out["kubernetes.io/hostname"] = options.node_name;
  out["kubernetes.io/os"] = out["beta.kubernetes.io/os"] = "linux";
  out["kubernetes.io/arch"] = out["beta.kubernetes.io/arch"] = machine.architecture;
  return out;
}

constexpr std::pair<const char*, const char*> kAnnotations[] = {
    {"volumes.kubernetes.io/controller-managed-attach-detach", "true"}};

void write_resources(Arena& arena, Value& status, int field, const std::map<std::string, std::string>& resources) {
  Value& map = ensure(arena, status, field, ValueKind::map);
  for (const auto& [name, amount] : resources) {
    const auto canonical = canonical_quantity(amount);
    set_map_string(arena, map, name, canonical ? *canonical : amount);
  }
}

struct Condition {
  std::string type, status, reason, message;
};

Condition not_ready(const std::string& why) { return {"Ready", "False", "KubeletNotReady", why}; }

std::vector<Condition> conditions_of(const NodeInput& input) {
  const auto& load = input.load;
  const bool lacks_memory = load.memory_available_bytes > 0 && load.memory_available_bytes < kLeastMemory_bytes;
  const bool lacks_disk = (load.disk_capacity_bytes > 0 && load.disk_available_bytes < load.disk_capacity_bytes / 100 * kLeastDisk_percent) ||
                          (load.inodes > 0 && load.inodes_available < load.inodes / 100 * kLeastDisk_percent);
  const bool lacks_pids = load.pids_most > 0 && load.pids_most - load.pids < load.pids_most / 100 * kLeastPids_percent;
  std::vector<Condition> out;
  out.push_back(lacks_memory ? Condition{"MemoryPressure", "True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"}
                             : Condition{"MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"});
  out.push_back(lacks_disk ? Condition{"DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure"}
                           : Condition{"DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"});
  out.push_back(lacks_pids ? Condition{"PIDPressure", "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"}
                           : Condition{"PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"});
  out.push_back(input.not_ready.empty() ? Condition{"Ready", "True", "KubeletReady", "kubelet is posting ready status"}
                                        : not_ready(input.not_ready));
  return out;
}

void write_condition(Arena& arena, Value& list, const core_v1::Node& old, const Condition& one, std::int64_t now_us) {
  using C = core_v1::NodeCondition;
  const std::int64_t now = now_us / 1'000'000 * 1'000'000;
  std::int64_t since = now;
  for (const auto condition : old.status().conditions())
    if (condition.type() == one.type && condition.status() == one.status) since = condition.lastTransitionTime(now);
  Value& value = append_structure(arena, list);
  set_string(arena, value, C::f_type, one.type);
  set_string(arena, value, C::f_status, one.status);
  set_time(arena, value, C::f_lastHeartbeatTime, now);
  set_time(arena, value, C::f_lastTransitionTime, since);
  set_string(arena, value, C::f_reason, one.reason);
  set_string(arena, value, C::f_message, one.message);
}

// Replaces those of `wanted`'s types; those of others stay, before them.
void write_conditions(Arena& arena, Value& status, const core_v1::Node& old, const std::vector<Condition>& wanted, std::int64_t now_us) {
  erase_field(status, NodeStatus::f_conditions);
  Value& list = ensure(arena, status, NodeStatus::f_conditions, ValueKind::list);
  for (const auto condition : old.status().conditions())
    if (std::none_of(wanted.begin(), wanted.end(), [&](const auto& one) { return one.type == condition.type(); }))
      append(arena, list, deep_copy(arena, *condition.value()));
  for (const auto& one : wanted) write_condition(arena, list, old, one, now_us);
}

void write_addresses(Arena& arena, Value& status, const KubeletOptions& options) {
  using A = core_v1::NodeAddress;
  Value& list = ensure(arena, status, NodeStatus::f_addresses, ValueKind::list);
  const std::pair<const char*, const std::string*> all[] = {{"InternalIP", &options.node_ip}, {"Hostname", &options.node_name}};
  for (const auto& [type, address] : all) {
    if (address->empty()) continue;
    Value& one = append_structure(arena, list);
    set_string(arena, one, A::f_type, type);
    set_string(arena, one, A::f_address, *address);
  }
}

void write_info(Arena& arena, Value& status, const NodeInput& input) {
  using I = core_v1::NodeSystemInfo;
  const auto& machine = input.machine;
  Value& info = ensure(arena, status, NodeStatus::f_nodeInfo);
  const std::pair<int, std::string> all[] = {
      {I::f_machineID, machine.machine_id},       {I::f_systemUUID, machine.system_uuid},
      {I::f_bootID, machine.boot_id},             {I::f_kernelVersion, machine.kernel_version},
      {I::f_osImage, machine.os_image},           {I::f_containerRuntimeVersion, input.runtime_version},
      {I::f_kubeletVersion, std::string(kubernetes_release)},            {I::f_operatingSystem, "linux"},
      {I::f_architecture, machine.architecture}};
  for (const auto& [field, text] : all)
    if (!text.empty()) set_string(arena, info, field, text);
}

void write_images(Arena& arena, Value& status, std::vector<engine::ImageSummary> images) {
  using I = core_v1::ContainerImage;
  std::sort(images.begin(), images.end(), [](const auto& a, const auto& b) {
    return a.size_bytes != b.size_bytes ? a.size_bytes > b.size_bytes : a.id < b.id;
  });
  if (images.size() > kMostImages) images.resize(kMostImages);
  if (images.empty()) return;
  Value& list = ensure(arena, status, NodeStatus::f_images, ValueKind::list);
  for (const auto& image : images) {
    auto names = image.repo_digests;
    names.insert(names.end(), image.repo_tags.begin(), image.repo_tags.end());
    if (names.empty()) continue;
    if (names.size() > kMostImageNames) names.resize(kMostImageNames);
    Value& one = append_structure(arena, list);
    Value& texts = ensure(arena, one, I::f_names, ValueKind::list);
    for (const auto& name : names) append_string(arena, texts, name);
    set_integer(arena, one, I::f_sizeBytes, image.size_bytes);
  }
}

// Replaces what the kubelet says; what others say of the node's status stays.
void write_status(Arena& arena, Value& root, const core_v1::Node& old, const KubeletOptions& options, const NodeInput& input) {
  Value& status = ensure(arena, root, Node::f_status);
  for (const int field : {NodeStatus::f_capacity, NodeStatus::f_allocatable, NodeStatus::f_addresses, NodeStatus::f_nodeInfo,
                          NodeStatus::f_images, NodeStatus::f_daemonEndpoints})
    erase_field(status, field);
  write_resources(arena, status, NodeStatus::f_capacity, node_capacity(options, input));
  write_resources(arena, status, NodeStatus::f_allocatable, node_allocatable(options, input));
  write_conditions(arena, status, old, conditions_of(input), input.now_us);
  write_addresses(arena, status, options);
  if (input.kubelet_port != 0) {
    Value& endpoints = ensure(arena, status, NodeStatus::f_daemonEndpoints);
    Value& kubelet = ensure(arena, endpoints, core_v1::NodeDaemonEndpoints::f_kubeletEndpoint);
    set_integer(arena, kubelet, core_v1::DaemonEndpoint::f_Port, input.kubelet_port);
  }
  write_info(arena, status, input);
  write_images(arena, status, input.images);
}

std::string kibibytes(std::int64_t bytes) { return fmt::format("{}Ki", bytes / 1024); }

}  // namespace

std::map<std::string, std::string> node_capacity(const KubeletOptions& options, const NodeInput& input) {
  std::map<std::string, std::string> out;
  out["cpu"] = std::to_string(input.machine.cpus);
  out["memory"] = kibibytes(input.machine.memory_bytes);
  out["ephemeral-storage"] = kibibytes(input.load.disk_capacity_bytes);
  out["pods"] = std::to_string(options.max_pods);
  for (const auto& [name, bytes] : input.machine.huge_pages) out[name] = bytes == 0 ? "0" : kibibytes(bytes);
  return out;
}

std::map<std::string, std::string> node_allocatable(const KubeletOptions& options, const NodeInput& input) {
  auto out = node_capacity(options, input);
  for (const auto& [name, text] : options.reserved) {
    auto it = out.find(name);
    auto kept = Quantity::parse(text);
    if (it == out.end() || !kept) continue;
    auto amount = Quantity::parse(it->second);
    if (!amount) continue;
    amount->sub(*kept);
    it->second = amount->sign() < 0 ? "0" : amount->to_string();
  }
  return out;
}

Document new_node(const KubeletOptions& options, const NodeInput& input) {
  using M = meta_v1::ObjectMeta;
  client::ObjectBuilder builder(Node::schema_type());
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), Node::f_metadata);
  set_string(arena, metadata, M::f_name, options.node_name);
  Value& labels = ensure(arena, metadata, M::f_labels, ValueKind::map);
  for (const auto& [key, value] : node_labels(options, input.machine)) set_map_string(arena, labels, key, value);
  Value& annotations = ensure(arena, metadata, M::f_annotations, ValueKind::map);
  for (const auto& [key, value] : kAnnotations) set_map_string(arena, annotations, key, value);
  write_status(arena, builder.root(), Node(), options, input);
  return builder.freeze();
}

Document with_labels(const Document& node, const KubeletOptions& options, const Machine& machine) {
  using M = meta_v1::ObjectMeta;
  const core_v1::Node view(&node.root());
  bool is_complete = true;
  const auto labels = node_labels(options, machine);
  for (const auto& [key, value] : labels) is_complete = is_complete && view.metadata().labels().get(key) == value;
  for (const auto& [key, value] : kAnnotations) is_complete = is_complete && view.metadata().annotations().get(key) == value;
  if (is_complete) return node;
  client::ObjectBuilder builder(node);
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), Node::f_metadata);
  Value& label_map = ensure(arena, metadata, M::f_labels, ValueKind::map);
  for (const auto& [key, value] : labels) set_map_string(arena, label_map, key, value);
  Value& annotation_map = ensure(arena, metadata, M::f_annotations, ValueKind::map);
  for (const auto& [key, value] : kAnnotations) set_map_string(arena, annotation_map, key, value);
  return builder.freeze();
}

Document with_status(const Document& node, const KubeletOptions& options, const NodeInput& input) {
  client::ObjectBuilder builder(node);
  write_status(builder.arena(), builder.root(), core_v1::Node(&node.root()), options, input);
  return builder.freeze();
}

Document with_not_ready(const Document& node, const std::string& why, std::int64_t now_us) {
  client::ObjectBuilder builder(node);
  Value& status = ensure(builder.arena(), builder.root(), Node::f_status);
  write_conditions(builder.arena(), status, core_v1::Node(&node.root()), {not_ready(why)}, now_us);
  return builder.freeze();
}

std::int64_t ready_heartbeat_us(const Document& node) {
  for (const auto condition : core_v1::Node(&node.root()).status().conditions())
    if (condition.type() == "Ready") return condition.lastHeartbeatTime(0);
  return 0;
}

bool is_same_but_heartbeats(const Document& before, const Document& after) {
  const auto without_heartbeats = [](const Document& node) {
    client::ObjectBuilder builder(node);
    Value* status = builder.root().get(Node::f_status);
    Value* conditions = status ? status->get(NodeStatus::f_conditions) : nullptr;
    if (conditions)
      for (auto& condition : conditions->children()) erase_field(condition, core_v1::NodeCondition::f_lastHeartbeatTime);
    return builder.freeze();
  };
  return equal(without_heartbeats(before).root(), without_heartbeats(after).root());
}

}  // namespace rusternetes::kubelet
