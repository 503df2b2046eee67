// Pods and what makes them, as kubectl's users know them (pkg/printers/internalversion).

#include <fmt/format.h>

#include <map>

#include "api-server/printers/cells.h"
#include "apimachinery/api/apps_v1.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

std::string_view or_none(std::string_view text) { return text.empty() ? std::string_view("<none>") : text; }

template <class Containers>
std::pair<std::string, std::string> names_and_images(const Containers& containers) {
  std::string names, images;
  for (const auto container : containers) {
    if (!names.empty()) names += ',', images += ',';
    names += container.name();
    images += container.image();
  }
  return {names, images};
}

std::string selector_text(const meta_v1::LabelSelector& selector) {
  std::string out;
  for (const auto& [key, value] : selector.matchLabels()) out += fmt::format("{}{}={}", out.empty() ? "" : ",", key, value);
  for (const auto e : selector.matchExpressions()) {
    std::string values;
    for (const auto v : e.values()) values += fmt::format("{}{}", values.empty() ? "" : ",", v);
    if (!out.empty()) out += ',';
    if (e.operator_() == "In") out += fmt::format("{} in ({})", e.key(), values);
    else if (e.operator_() == "NotIn") out += fmt::format("{} notin ({})", e.key(), values);
    else if (e.operator_() == "Exists") out += e.key();
    else out += fmt::format("!{}", e.key());
  }
  return out.empty() ? "<none>" : out;
}

bool is_condition_true(const core_v1::PodStatus& status, std::string_view type) {
  for (const auto condition : status.conditions())
    if (condition.type() == type) return condition.status() == "True";
  return false;
}

// The STATUS of a Pod: its phase, unless an init container or a container says something nearer.
void print_pod(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Pod pod(&object);
  const auto spec = pod.spec();
  const auto status = pod.status();
  std::int64_t restarts = 0, restartable_init_restarts = 0, ready = 0, last_restart_us = 0;
  std::size_t total = spec.containers().size();
  std::string reason(status.reason().empty() ? status.phase() : status.reason());
  for (const auto condition : status.conditions())
    if (condition.type() == "PodScheduled" && condition.reason() == "SchedulingGated") reason = "SchedulingGated";

  std::map<std::string_view, bool> is_sidecar;
  for (const auto container : spec.initContainers())
    if (container.restartPolicy() == "Always") is_sidecar[container.name()] = true, ++total;
  bool is_initializing = false;
  std::size_t index = 0;
  for (const auto container : status.initContainerStatuses()) {
    restarts += container.restartCount();
    const auto state = container.state();
    const bool sidecar = is_sidecar.contains(container.name());
    last_restart_us = std::max(last_restart_us, container.lastState().terminated().finishedAt());
    if (sidecar) {
      restartable_init_restarts += container.restartCount();
      if (container.started() && container.ready()) ++ready;
    }
    const auto i = index++;
    if (is_initializing) continue;
    if (state.terminated() && state.terminated().exitCode() == 0) continue;
    if (sidecar && container.started()) continue;
    if (state.terminated()) {
      if (!state.terminated().reason().empty()) reason = fmt::format("Init:{}", state.terminated().reason());
      else if (state.terminated().signal()) reason = fmt::format("Init:Signal:{}", state.terminated().signal());
      else reason = fmt::format("Init:ExitCode:{}", state.terminated().exitCode());
    } else if (state.waiting() && !state.waiting().reason().empty() && state.waiting().reason() != "PodInitializing") {
      reason = fmt::format("Init:{}", state.waiting().reason());
    } else {
      reason = fmt::format("Init:{}/{}", i, spec.initContainers().size());
    }
    is_initializing = true;
  }
  if (!is_initializing || is_condition_true(status, "Initialized")) {
    restarts = restartable_init_restarts;
    bool has_running = false;
    const auto statuses = status.containerStatuses();
    for (std::size_t n = statuses.size(); n-- > 0;) {
      const auto container = statuses[n];
      restarts += container.restartCount();
      last_restart_us = std::max(last_restart_us, container.lastState().terminated().finishedAt());
      const auto state = container.state();
      if (state.waiting() && !state.waiting().reason().empty()) {
        reason = state.waiting().reason();
      } else if (state.terminated() && !state.terminated().reason().empty()) {
        reason = state.terminated().reason();
      } else if (state.terminated()) {
        reason = state.terminated().signal() ? fmt::format("Signal:{}", state.terminated().signal())
                                             : fmt::format("ExitCode:{}", state.terminated().exitCode());
      } else if (container.ready() && state.running()) {
        has_running = true;
        ++ready;
      }
    }
    if (reason == "Completed" && has_running) reason = is_condition_true(status, "Ready") ? "Running" : "NotReady";
  }
  if (pod.metadata().has_deletionTimestamp()) {
    if (status.reason() == "NodeLost") reason = "Unknown";
    else if (status.phase() != "Failed" && status.phase() != "Succeeded") reason = "Terminating";
  }
  std::string restart_text = std::to_string(restarts);
  if (restarts && last_restart_us) restart_text += fmt::format(" ({} ago)", age_of(last_restart_us, now_us));

  cells.text(pod.metadata().name());
  cells.text(fmt::format("{}/{}", ready, total));
  cells.text(reason);
  cells.text(restart_text);
  cells.text(age_of(pod.metadata().creationTimestamp(), now_us));
  cells.text(or_none(status.podIP()));
  cells.text(or_none(spec.nodeName()));
  cells.text(or_none(status.nominatedNodeName()));
  std::string gates = "<none>";
  if (!spec.readinessGates().empty()) {
    std::size_t met = 0;
    for (const auto gate : spec.readinessGates()) met += is_condition_true(status, gate.conditionType());
    gates = fmt::format("{}/{}", met, spec.readinessGates().size());
  }
  cells.text(gates);
}

void print_deployment(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::Deployment deployment(&object);
  const auto [names, images] = names_and_images(deployment.spec().template_().spec().containers());
  cells.text(deployment.metadata().name());
  cells.text(fmt::format("{}/{}", deployment.status().readyReplicas(), deployment.spec().replicas()));
  cells.number(deployment.status().updatedReplicas());
  cells.number(deployment.status().availableReplicas());
  cells.text(age_of(deployment.metadata().creationTimestamp(), now_us));
  cells.text(names);
  cells.text(images);
  cells.text(selector_text(deployment.spec().selector()));
}

void print_replica_set(Cells& cells, const Value& object, std::int64_t now_us) {
  const apps_v1::ReplicaSet set(&object);
  const auto [names, images] = names_and_images(set.spec().template_().spec().containers());
  cells.text(set.metadata().name());
  cells.number(set.spec().replicas());
  cells.number(set.status().replicas());
  cells.number(set.status().readyReplicas());
  cells.text(age_of(set.metadata().creationTimestamp(), now_us));
  cells.text(names);
  cells.text(images);
  cells.text(selector_text(set.spec().selector()));
}

void print_namespace(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Namespace name_space(&object);
  cells.text(name_space.metadata().name());
  cells.text(name_space.status().phase());
  cells.text(age_of(name_space.metadata().creationTimestamp(), now_us));
}

void print_node(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Node node(&object);
  std::string status = "Unknown", roles, internal = "<none>", external = "<none>";
  for (const auto condition : node.status().conditions())
    if (condition.type() == "Ready") status = condition.status() == "True" ? "Ready" : condition.status() == "False" ? "NotReady" : "Unknown";
  if (node.spec().unschedulable()) status += ",SchedulingDisabled";
  constexpr std::string_view prefix = "node-role.kubernetes.io/";
  for (const auto& [key, value] : node.metadata().labels()) {
    std::string_view role;
    if (key.starts_with(prefix)) role = key.substr(prefix.size());
    else if (key == "kubernetes.io/role") role = value;
    if (!role.empty()) roles += fmt::format("{}{}", roles.empty() ? "" : ",", role);
  }
  for (const auto address : node.status().addresses()) {
    if (address.type() == "InternalIP" && internal == "<none>") internal = address.address();
    if (address.type() == "ExternalIP" && external == "<none>") external = address.address();
  }
  const auto info = node.status().nodeInfo();
  auto or_unknown = [](std::string_view text) { return text.empty() ? std::string_view("<unknown>") : text; };
  cells.text(node.metadata().name());
  cells.text(status);
  cells.text(roles.empty() ? "<none>" : roles);
  cells.text(age_of(node.metadata().creationTimestamp(), now_us));
  cells.text(info.kubeletVersion());
  cells.text(internal);
  cells.text(external);
  cells.text(or_unknown(info.osImage()));
  cells.text(or_unknown(info.kernelVersion()));
  cells.text(or_unknown(info.containerRuntimeVersion()));
}

void print_config_map(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ConfigMap map(&object);
  cells.text(map.metadata().name());
  cells.text(std::to_string(map.data().size() + map.binaryData().size()));
  cells.text(age_of(map.metadata().creationTimestamp(), now_us));
}

void print_secret(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Secret secret(&object);
  cells.text(secret.metadata().name());
  cells.text(secret.type());
  cells.text(std::to_string(secret.data().size()));
  cells.text(age_of(secret.metadata().creationTimestamp(), now_us));
}

void print_service_account(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::ServiceAccount account(&object);
  cells.text(account.metadata().name());
  cells.text(age_of(account.metadata().creationTimestamp(), now_us));
}

void print_service(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Service service(&object);
  const auto spec = service.spec();
  std::string external, ports, selector;
  for (const auto ip : spec.externalIPs()) external += fmt::format("{}{}", external.empty() ? "" : ",", ip);
  if (spec.type() == "ExternalName") external = spec.externalName();
  if (spec.type() == "LoadBalancer") {
    std::string ingress;
    for (const auto one : service.status().loadBalancer().ingress())
      ingress += fmt::format("{}{}", ingress.empty() ? "" : ",", one.ip().empty() ? one.hostname() : one.ip());
    if (external.empty()) external = ingress.empty() ? "<pending>" : ingress;
    else if (!ingress.empty()) external = ingress + "," + external;
  }
  for (const auto port : spec.ports()) {
    if (!ports.empty()) ports += ',';
    ports += port.nodePort() ? fmt::format("{}:{}/{}", port.port(), port.nodePort(), port.protocol())
                             : fmt::format("{}/{}", port.port(), port.protocol());
  }
  for (const auto& [key, value] : spec.selector()) selector += fmt::format("{}{}={}", selector.empty() ? "" : ",", key, value);
  cells.text(service.metadata().name());
  cells.text(spec.type());
  cells.text(or_none(spec.clusterIP()));
  cells.text(or_none(external));
  cells.text(or_none(ports));
  cells.text(age_of(service.metadata().creationTimestamp(), now_us));
  cells.text(or_none(selector));
}

void print_event(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::Event event(&object);
  const auto target = event.involvedObject();
  std::int64_t first = event.firstTimestamp() ? event.firstTimestamp() : event.eventTime();
  std::int64_t last = event.lastTimestamp() ? event.lastTimestamp() : first;
  std::int64_t count = event.count() ? event.count() : 1;
  if (event.series()) last = event.series().lastObservedTime(), count = event.series().count();
  std::string kind(target.kind());
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string source(event.source().component().empty() ? event.reportingComponent() : event.source().component());
  if (!event.source().host().empty()) source += fmt::format(", {}", event.source().host());
  cells.text(age_of(last, now_us));
  cells.text(event.type());
  cells.text(event.reason());
  cells.text(target.name().empty() ? kind : fmt::format("{}/{}", kind, target.name()));
  cells.text(target.fieldPath());
  cells.text(source);
  std::string message(event.message());
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  cells.text(message);
  cells.text(age_of(first, now_us));
  cells.text(std::to_string(count));
  cells.text(event.metadata().name());
}

}  // namespace

Printer printer_for(std::string_view group, std::string_view resource) {
  static const auto& table = *new std::map<std::pair<std::string_view, std::string_view>, Printer>{
      {{"", "pods"}, print_pod},
      {{"", "namespaces"}, print_namespace},
      {{"", "nodes"}, print_node},
      {{"", "configmaps"}, print_config_map},
      {{"", "secrets"}, print_secret},
      {{"", "serviceaccounts"}, print_service_account},
      {{"", "services"}, print_service},
      {{"", "events"}, print_event},
      {{"apps", "deployments"}, print_deployment},
      {{"apps", "replicasets"}, print_replica_set},
  };
  auto found = table.find({group, resource});
  return found == table.end() ? nullptr : found->second;
}

}  // namespace rusternetes::api_server
