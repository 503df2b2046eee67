// Services of type LoadBalancer get the nodes' own addresses, at the ports that they ask for: kube-proxy leads what comes there
// to the endpoints. It stands where a cloud's controller stands (k8s.io/cloud-provider's service controller), and leaves alone
// what another implementation has given an address.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "client/event_recorder.h"
#include "controller-manager/manager.h"
#include "controller-manager/objects.h"
#include "controller-manager/service_load_balancer_plan.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::ReconcileResult;
using client::Resource;
using core_v1::Node;
using core_v1::Service;

namespace {

constexpr Resource services{"", "v1", "services"}, nodes{"", "v1", "nodes"};
constexpr const char* log_name = balancer_manager;
constexpr const char* port_index = "balancer-port";  // of Services that want a balancer: "TCP/80"

std::string index_key(const NodePortKey& port) { return fmt::format("{}/{}", port.first, port.second); }

std::vector<std::string> addresses_of(const Document& node) {
  std::vector<std::string> out;
  for (const auto address : Node(&node.root()).status().addresses()) out.emplace_back(address.address());
  return out;
}
// Nothing else of a node concerns this controller.
bool is_same_for_balancer(const Document& a, const Document& b) {
  return addresses_of(a) == addresses_of(b) && balancer_addresses({a}) == balancer_addresses({b});
}

class ServiceLoadBalancer final : public Controller, public client::Reconciler {
 public:
  explicit ServiceLoadBalancer(Context& context)
      : reserved_(context.options.reserved_node_ports),
        client_(context.make_client("service-controller")),
        services_(context.informer(services)),
        nodes_(context.informer(nodes)),
        recorder_(*client_, "service-controller", {}, *context.options.clock),
        loop_(log_name, client_->executor(), *this) {
    services_.add_index(port_index, [](const Document& service) {
      const Service view(&service.root());
      std::vector<std::string> keys;
      if (!wants_node_balancer(view)) return keys;
      for (const auto& port : balancer_ports(view)) keys.push_back(index_key(port));
      return keys;
    });
    services_.add_handler({[this](const Document& before, const Document& now) { on_service(before, now); }});
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_node(before, now); }});
  }
  void start(TaskGroup& tasks) override {
    recorder_.start(tasks);
    loop_.start(tasks);
  }

  Task<Result<ReconcileResult>> reconcile(std::string key) override {
    const Document service = services_.get(key);
    if (!service) co_return ReconcileResult{};
    const Service view(&service.root());
    if (!wants_node_balancer(view)) {
      told_.erase(key);
      co_return ReconcileResult{};
    }
    if (is_served_by_others(view, known_)) co_return ReconcileResult{};
    const auto taken = taken_ports(service, served_beside(view), reserved_);
    std::vector<std::string> wanted;
    if (taken.empty()) wanted = addresses_for(view, addresses_);
    tell(service, taken);
    RN_CO_CHECK(co_await publish(service, std::move(wanted)));
    co_return ReconcileResult{};
  }

 private:
  // What one has, others lack.
  void on_service(const Document& before, const Document& now) {
    const auto concerns = [](const Document& one) { return one && Service(&one.root()).spec().type() == "LoadBalancer"; };
    if (!concerns(before) && !concerns(now)) return;
    loop_.queue().add(client::object_key(now ? now : before));
    if (!now) told_.erase(client::object_key(before));
    const auto then = claims(before), next = claims(now);
    if (then == next && before && now && client::uid_of(before) == client::uid_of(now)) return;
    for (const auto& ports : {then, next})
      for (const auto& port : ports)
        for (const auto& other : services_.by_index(port_index, index_key(port))) loop_.queue().add(client::object_key(other));
  }
  void on_node(const Document& before, const Document& now) {
    if (before && now && is_same_for_balancer(before, now)) return;
    const auto all = nodes_.list();
    addresses_ = balancer_addresses(all);
    known_.clear();
    for (const auto& node : all)
      for (auto& address : addresses_of(node)) known_.push_back(std::move(address));
    for (const auto& service : services_.list())
      if (wants_node_balancer(Service(&service.root()))) loop_.queue().add(client::object_key(service));
  }

  // The ports that the nodes have for it alone.
  std::set<NodePortKey> claims(const Document& service) const {
    if (!service) return {};
    const Service view(&service.root());
    if (!wants_node_balancer(view) || is_served_by_others(view, known_)) return {};
    return balancer_ports(view);
  }
  // Those that the nodes serve and that want one of its ports, itself among them.
  std::vector<Document> served_beside(const Service& service) const {
    std::map<std::string, Document> found;
    for (const auto& port : balancer_ports(service))
      for (auto& other : services_.by_index(port_index, index_key(port)))
        if (!is_served_by_others(Service(&other.root()), known_)) found.try_emplace(client::object_key(other), other);
    std::vector<Document> out;
    for (auto& [key, other] : found) out.push_back(std::move(other));
    return out;
  }

  void tell(const Document& service, const std::vector<TakenPort>& taken) {
    std::vector<std::string> reasons;
    for (const auto& one : taken)
      reasons.push_back(fmt::format("port {}/{} of the node is taken by {}", one.port.second, one.port.first, one.by));
    const std::string text = fmt::format("{}", fmt::join(reasons, ", "));
    const std::string key = client::object_key(service);
    if (text.empty()) {
      told_.erase(key);
      return;
    }
    if (std::exchange(told_[key], text) != text)
      recorder_.warning(service, "v1", "Service", "SyncLoadBalancerFailed", "Error syncing load balancer: failed to ensure load balancer: " + text);
  }

  Task<Result<void>> publish(Document service, std::vector<std::string> wanted) {
    std::vector<std::string> present;
    for (const auto ingress : Service(&service.root()).status().loadBalancer().ingress()) present.emplace_back(ingress.ip());
    if (present == wanted) co_return Result<void>{};
    std::string list;
    for (const auto& address : wanted) list += fmt::format("{}{{\"ip\":\"{}\"}}", list.empty() ? "" : ",", address);
    const std::string ingress = wanted.empty() ? "null" : fmt::format("[{}]", list);
    const std::string body = fmt::format(R"({{"metadata":{{"uid":"{}"}},"status":{{"loadBalancer":{{"ingress":{}}}}}}})", client::uid_of(service), ingress);
    auto patched = co_await client_->patch(services, std::string(client::namespace_of(service)), std::string(client::name_of(service)), "status",
                                           client::PatchType::merge, body, {balancer_manager});
    if (!patched && patched.error().is("NotFound")) co_return Result<void>{};
    if (!patched) co_return patched.error();
    if (!wanted.empty()) recorder_.normal(service, "v1", "Service", "EnsuredLoadBalancer", "Ensured load balancer");
    log::info(log_name, "Service {} has the addresses [{}]", client::object_key(service), fmt::join(wanted, ", "));
    co_return Result<void>{};
  }

  std::set<NodePortKey> reserved_;
  std::unique_ptr<client::ApiClient> client_;
  client::Informer &services_, &nodes_;
  std::vector<std::string> addresses_;        // that Services get
  std::vector<std::string> known_;            // of every node, ready or not: this controller may have given them
  std::map<std::string, std::string> told_;  // why a Service has no address, by key
  client::EventRecorder recorder_;
  client::ControllerLoop loop_;
};

}  // namespace

std::unique_ptr<Controller> make_service_load_balancer(Context& context) { return std::make_unique<ServiceLoadBalancer>(context); }

}  // namespace rusternetes::controller_manager
