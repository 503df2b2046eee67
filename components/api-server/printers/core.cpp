// Kinds of the core group that are neither Pods, volumes, events nor about the network.

#include <set>

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void print_namespace(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Namespace name_space(&object);
  cells.text(name_space.metadata().name());
  cells.text(name_space.status().phase());
  cells.text(age_of(name_space.metadata().creationTimestamp(), now_us));
}

std::string node_status(const core_v1::Node& node) {
  std::string out;
  for (const auto condition : node.status().conditions())
    if (condition.type() == "Ready") out = condition.status() == "True" ? "Ready" : "NotReady";
  if (out.empty()) out = "Unknown";
  if (node.spec().unschedulable()) out += ",SchedulingDisabled";
  return out;
}

std::string node_roles(const core_v1::Node& node) {
  constexpr std::string_view prefix = "node-role.kubernetes.io/";
  std::set<std::string_view> roles;
  for (const auto& [key, value] : node.metadata().labels()) {
    if (key.starts_with(prefix) && key.size() > prefix.size())
      roles.insert(key.substr(prefix.size()));
    else if (key == "kubernetes.io/role" && !value.empty())
      roles.insert(value);
  }
  return roles.empty() ? "<none>" : joined(roles);
}

std::string_view node_address(const core_v1::Node& node, std::string_view type) {
  for (const auto address : node.status().addresses())
    if (address.type() == type) return address.address();
  return "<none>";
}

void print_node(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Node node(&object);
  const auto info = node.status().nodeInfo();
  auto or_unknown = [](std::string_view text) { return text.empty() ? std::string_view("<unknown>") : text; };
  cells.text(node.metadata().name());
  cells.text(node_status(node));
  cells.text(node_roles(node));
  cells.text(age_of(node.metadata().creationTimestamp(), now_us));
  cells.text(info.kubeletVersion());
  cells.text(node_address(node, "InternalIP"));
  cells.text(node_address(node, "ExternalIP"));
  cells.text(or_unknown(info.osImage()));
  cells.text(or_unknown(info.kernelVersion()));
  cells.text(or_unknown(info.containerRuntimeVersion()));
}

void print_config_map(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ConfigMap map(&object);
  cells.text(map.metadata().name());
  cells.number(static_cast<std::int64_t>(map.data().size() + map.binaryData().size()));
  cells.text(age_of(map.metadata().creationTimestamp(), now_us));
}

void print_secret(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Secret secret(&object);
  cells.text(secret.metadata().name());
  cells.text(secret.type());
  cells.number(static_cast<std::int64_t>(secret.data().size()));
  cells.text(age_of(secret.metadata().creationTimestamp(), now_us));
}

void print_service_account(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ServiceAccount account(&object);
  cells.text(account.metadata().name());
  cells.text(age_of(account.metadata().creationTimestamp(), now_us));
}

// Used of hard, the limits apart from everything else.
void print_resource_quota(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ResourceQuota quota(&object);
  std::string requests, limits;
  for (const auto& [resource, hard] : quota.status().hard()) {
    std::string& out = resource.starts_with("limits.") ? limits : requests;
    const auto used = quota.status().used().get(resource);
    out += fmt::format("{}{}: {}/{}", out.empty() ? "" : ", ", resource, used.empty() ? "0" : used, hard);
  }
  cells.text(quota.metadata().name());
  cells.text(requests);
  cells.text(limits);
  cells.text(age_of(quota.metadata().creationTimestamp(), now_us));
}

void print_component_status(Cells& cells, const Value& object, std::int64_t) {
  const core_v1::ComponentStatus component(&object);
  std::string_view status = "Unknown", message, error;
  for (const auto condition : component.conditions()) {
    if (condition.type() != "Healthy") continue;
    status = condition.status() == "True" ? "Healthy" : "Unhealthy";
    message = condition.message();
    error = condition.error();
    break;
  }
  cells.text(component.metadata().name());
  cells.text(status);
  cells.text(message);
  cells.text(error);
}

constexpr PrinterEntry printers[] = {
    {"", "", "namespaces", print_namespace},
    {"", "", "nodes", print_node},
    {"", "", "configmaps", print_config_map},
    {"", "", "secrets", print_secret},
    {"", "", "serviceaccounts", print_service_account},
    {"", "", "resourcequotas", print_resource_quota},
    {"", "", "componentstatuses", print_component_status},
};

}  // namespace

std::span<const PrinterEntry> core_printers() { return printers; }

}  // namespace rusternetes::api_server
