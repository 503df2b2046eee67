#include "controller-manager/manager.h"

#include <fmt/format.h>

#include "base/log.h"

namespace rusternetes::controller_manager {

namespace {

constexpr std::string_view node_balancer = "service-lb-controller";

struct Entry {
  ControllerName name;
  std::unique_ptr<Controller> (*make)(Context&);
};
constexpr Entry entries[] = {
    {{"deployment-controller", "deployment"}, make_deployment_controller},
    {{"replicaset-controller", "replicaset"}, make_replica_set_controller},
    {{"endpointslice-controller", "endpointslice"}, make_endpoint_slice_controller},
    {{"endpoints-controller", "endpoint"}, make_endpoints_controller},
    {{"endpointslice-mirroring-controller", "endpointslicemirroring"}, make_endpoint_slice_mirroring_controller},
    {{"namespace-controller", "namespace"}, make_namespace_controller},
    {{"serviceaccount-controller", "serviceaccount"}, make_service_account_controller},
    {{"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"}, make_root_ca_publisher},
    {{"garbage-collector-controller", "garbagecollector"}, make_garbage_collector},
    {{"node-ipam-controller", "nodeipam"}, make_node_ipam_controller},
    {{"node-lifecycle-controller", "nodelifecycle"}, make_node_lifecycle_controller},
    {{"taint-eviction-controller", "taint-eviction-controller"}, make_taint_eviction_controller},
    {{"pod-garbage-collector-controller", "podgc"}, make_pod_garbage_collector},
    {{"service-cidr-controller", "service-cidr-controller"}, make_service_cidr_controller},
    {{node_balancer, "service"}, make_service_load_balancer},
};

}  // namespace

std::vector<ControllerName> controller_names() {
  std::vector<ControllerName> out;
  for (const auto& entry : entries) out.push_back(entry.name);
  return out;
}

bool is_enabled(const ControllerName& controller, const std::vector<std::string>& controllers) {
  bool has_star = false;
  for (const auto& word : controllers) {
    if (word == controller.name || word == controller.alias) return true;
    if (word.starts_with("-") && (word.substr(1) == controller.name || word.substr(1) == controller.alias)) return false;
    has_star |= word == "*";
  }
  return has_star;
}

Manager::Manager(std::unique_ptr<client::ApiClient> shared, ClientFactory make_client, ManagerOptions options)
    : shared_(std::move(shared)), tasks_(shared_->executor()) {
  auto informer = [this](client::Resource resource) -> client::Informer& {
    auto& made = informers_[fmt::format("{}/{}/{}", resource.group, resource.version, resource.resource)];
    if (!made) made = std::make_unique<client::Informer>(*shared_, resource);
    return *made;
  };
  context_ = std::make_unique<Context>(Context{std::move(make_client), *shared_, std::move(options), informer});
  for (const auto& entry : entries)
    if (is_enabled(entry.name, context_->options.controllers) && (entry.name.name != node_balancer || context_->options.has_node_balancer))
      controllers_.push_back(entry.make(*context_));
}

Manager::~Manager() = default;

void Manager::start() { tasks_.spawn("controller-manager", run()); }

Task<> Manager::run() {
  for (auto& [name, informer] : informers_) informer->start(tasks_);
  for (auto& [name, informer] : informers_) co_await informer->wait_for_sync();
  for (auto& controller : controllers_) controller->start(tasks_);
  log::info("controller-manager", "{} controllers run", controllers_.size());
}

Task<> Manager::stop() { co_await tasks_.stop(); }

}  // namespace rusternetes::controller_manager
