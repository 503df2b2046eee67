#pragma once
// Holds the controllers, their shared mirrors and their identities (each acts as a service account of its own, as with
// --use-service-account-credentials).

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/controller.h"
#include "client/informer.h"
#include "controller-manager/node_lifecycle_options.h"
#include "controller-manager/service_cidr_guard.h"
#include "controller-manager/service_load_balancer_plan.h"

namespace rusternetes::controller_manager {

// "deployment-controller" → a client that is system:serviceaccount:kube-system:deployment-controller.
using ClientFactory = std::function<std::unique_ptr<client::ApiClient>(std::string_view service_account)>;

struct ManagerOptions {
  std::string cluster_cidr;          // every node's Pod CIDR is cut out of it; empty: none is given
  int node_cidr_mask_size = 24;
  std::string root_ca_pem;           // for kube-root-ca.crt
  std::vector<std::string> controllers = {"*"};  // which run; see is_enabled()
  NodeLifecycleOptions node_lifecycle;
  int terminated_pod_gc_threshold = 12'500;  // --terminated-pod-gc-threshold; 0: none is ever too many
  // Whether the nodes themselves stand in for a cloud's load balancers (service-lb-controller), and the ports that they need
  // for their own. A port of the host's would be hidden: only for nodes that are namespaces of their own.
  bool has_node_balancer = false;
  std::set<NodePortKey> reserved_node_ports;
  std::shared_ptr<ServiceCidrGuard>
      service_cidr_guard;  // none: a ServiceCIDR is ready as soon as it is watched over
  // The type of the condition by which somebody else says that a ServiceCIDR's addresses may be given out; empty:
  // nobody has to.
  std::string service_cidr_condition;
  const Clock* clock = &Clock::system();
};

// A controller's name in kube-controller-manager, and the short one of older releases.
struct ControllerName {
  std::string_view name, alias;
};
// Of all there are, in the order in which they start.
std::vector<ControllerName> controller_names();
// kube-controller-manager's --controllers: "name" is on, "-name" is off, and "*" puts on whatever is not named.
bool is_enabled(const ControllerName& controller, const std::vector<std::string>& controllers);

// What every controller is built from.
struct Context {
  ClientFactory make_client;
  client::ApiClient& shared;  // system:kube-controller-manager: the mirrors' identity
  ManagerOptions options;
  // The one mirror of a resource, made on first use (before start).
  std::function<client::Informer&(client::Resource)> informer;
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual void start(TaskGroup& tasks) = 0;
};

class Manager {
 public:
  // Controllers live on the executor of `shared`.
  Manager(std::unique_ptr<client::ApiClient> shared, ClientFactory make_client, ManagerOptions options);
  ~Manager();
  // Starts the mirrors, waits for them, starts the controllers.
  void start();
  Task<> stop();

 private:
  Task<> run();
  std::unique_ptr<client::ApiClient> shared_;
  std::map<std::string, std::unique_ptr<client::Informer>> informers_;
  std::unique_ptr<Context> context_;
  std::vector<std::unique_ptr<Controller>> controllers_;
  TaskGroup tasks_;
};

// One maker a controller; the manager's list names them.
std::unique_ptr<Controller> make_deployment_controller(Context& context);
std::unique_ptr<Controller> make_replica_set_controller(Context& context);
std::unique_ptr<Controller> make_endpoints_controller(Context& context);
std::unique_ptr<Controller> make_endpoint_slice_controller(Context& context);
std::unique_ptr<Controller> make_endpoint_slice_mirroring_controller(Context& context);
std::unique_ptr<Controller> make_namespace_controller(Context& context);
std::unique_ptr<Controller> make_service_account_controller(Context& context);
std::unique_ptr<Controller> make_root_ca_publisher(Context& context);
std::unique_ptr<Controller> make_garbage_collector(Context& context);
std::unique_ptr<Controller> make_node_ipam_controller(Context& context);
std::unique_ptr<Controller> make_node_lifecycle_controller(Context& context);
std::unique_ptr<Controller> make_taint_eviction_controller(Context& context);
std::unique_ptr<Controller> make_pod_garbage_collector(Context& context);
std::unique_ptr<Controller> make_service_cidr_controller(Context& context);
std::unique_ptr<Controller> make_service_load_balancer(Context& context);

}  // namespace rusternetes::controller_manager
