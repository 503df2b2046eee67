#include "controller-manager/manager.h"

#include <fmt/format.h>

#include "base/log.h"

namespace rusternetes::controller_manager {

Manager::Manager(std::unique_ptr<client::ApiClient> shared, ClientFactory make_client, ManagerOptions options)
    : shared_(std::move(shared)), tasks_(shared_->executor()) {
  auto informer = [this](client::Resource resource) -> client::Informer& {
    auto& made = informers_[fmt::format("{}/{}/{}", resource.group, resource.version, resource.resource)];
    if (!made) made = std::make_unique<client::Informer>(*shared_, resource);
    return *made;
  };
  context_ = std::make_unique<Context>(Context{std::move(make_client), *shared_, std::move(options), informer});
  for (const auto make : {make_deployment_controller, make_replica_set_controller, make_namespace_controller,
                          make_service_account_controller, make_root_ca_publisher, make_garbage_collector,
                          make_node_ipam_controller, make_node_taint_controller})
    controllers_.push_back(make(*context_));
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
