// Every node gets a Pod CIDR out of the cluster's (pkg/controller/nodeipam, RangeAllocator).

#include <fmt/format.h>

#include <set>

#include "apimachinery/cidr.h"
#include "base/log.h"
#include "client/object_builder.h"
#include "controller-manager/manager.h"
#include "controller-manager/node_ranges.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Node;

namespace {

constexpr Resource nodes{"", "v1", "nodes"};

class NodeIpamController final : public Controller, public client::Reconciler {
 public:
  explicit NodeIpamController(Context& context)
      : client_(context.make_client("node-controller")), nodes_(context.informer(nodes)), loop_("node-ipam-controller", client_->executor(), *this),
        cluster_cidr_(context.options.cluster_cidr), mask_size_(context.options.node_cidr_mask_size) {
    nodes_.add_handler({[this](const Document&, const Document& now) {
      if (now && Node(&now.root()).spec().podCIDR().empty()) loop_.queue().add(std::string(client::name_of(now)));
    }});
  }
  void start(TaskGroup& tasks) override {
    if (!cluster_cidr_.empty()) loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document node = nodes_.get(name);
    if (!node || !Node(&node.root()).spec().podCIDR().empty()) co_return client::ReconcileResult{};
    std::vector<std::string> taken;
    for (const auto& other : nodes_.list())
      for (const auto range : Node(&other.root()).spec().podCIDRs()) taken.emplace_back(range);
    for (const auto& [other, range] : given_) taken.push_back(range);
    auto range = free_node_range(cluster_cidr_, mask_size_, taken);
    if (!range) co_return range.error();
    given_[name] = *range;  // until the mirror shows it
    const std::string body = fmt::format(R"({{"spec":{{"podCIDR":"{0}","podCIDRs":["{0}"]}}}})", *range);
    auto patched = co_await client_->patch(nodes, "", name, "", client::PatchType::strategic, body, {});
    if (!patched) {
      given_.erase(name);
      co_return patched.error();
    }
    log::info("node-ipam-controller", "node {} has Pod CIDR {}", name, *range);
    co_return client::ReconcileResult{};
  }

 private:
  std::unique_ptr<client::ApiClient> client_;
  client::Informer& nodes_;
  client::ControllerLoop loop_;
  std::string cluster_cidr_;
  int mask_size_;
  std::map<std::string, std::string> given_;
};

}  // namespace

std::unique_ptr<Controller> make_node_ipam_controller(Context& context) { return std::make_unique<NodeIpamController>(context); }

}  // namespace rusternetes::controller_manager
