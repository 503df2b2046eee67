// Every node gets a Pod CIDR out of the cluster's (pkg/controller/nodeipam, RangeAllocator).

#include <fmt/format.h>

#include <map>

#include "base/log.h"
#include "controller-manager/manager.h"
#include "controller-manager/node_ranges.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using client::Resource;
using core_v1::Node;

namespace {

constexpr Resource nodes{"", "v1", "nodes"};

bool has_range(const Document& node) { return !Node(&node.root()).spec().podCIDR().empty(); }

class NodeIpamController final : public Controller, public client::Reconciler {
 public:
  explicit NodeIpamController(Context& context)
      : client_(context.make_client("node-controller")),
        nodes_(context.informer(nodes)),
        loop_("node-ipam-controller", client_->executor(), *this),
        cluster_cidr_(context.options.cluster_cidr),
        mask_size_(context.options.node_cidr_mask_size) {
    nodes_.add_handler({[this](const Document& before, const Document& now) { on_change(before, now); }});
  }
  void start(TaskGroup& tasks) override {
    if (!cluster_cidr_.empty()) loop_.start(tasks);
  }

  Task<Result<client::ReconcileResult>> reconcile(std::string name) override {
    const Document node = nodes_.get(name);
    if (!node || has_range(node)) co_return client::ReconcileResult{};
    auto range = range_for(name);
    if (!range) co_return range.error();
    // An answer that fails to come does not say that nothing happened: the range stays the node's, and is
    // asked for again, until the mirror shows it or the node's end.
    given_[name] = *range;
    const std::string body =
        fmt::format(R"({{"metadata":{{"uid":"{1}"}},"spec":{{"podCIDR":"{0}","podCIDRs":["{0}"]}}}})", *range,
                    client::uid_of(node));
    auto patched = co_await client_->patch(nodes, "", name, "", client::PatchType::strategic, body, {});
    if (!patched) co_return patched.error();
    log::info("node-ipam-controller", "node {} has Pod CIDR {}", name, *range);
    co_return client::ReconcileResult{};
  }

 private:
  void on_change(const Document& before, const Document& now) {
    const std::string name(client::name_of(now ? now : before));
    if (!now || has_range(now)) given_.erase(name);
    if (now && !has_range(now)) loop_.queue().add(name);
    if (now) return;
    for (const auto& node : nodes_.list())  // one may have waited for what is free now
      if (!has_range(node)) loop_.queue().add(std::string(client::name_of(node)));
  }

  Result<std::string> range_for(const std::string& name) const {
    std::vector<std::string> taken;
    for (const auto& other : nodes_.list())
      for (const auto range : Node(&other.root()).spec().podCIDRs()) taken.emplace_back(range);
    for (const auto& [other, range] : given_)
      if (other != name) taken.push_back(range);
    const auto given = given_.find(name);
    if (given != given_.end() && is_free_range(given->second, taken)) return given->second;
    return free_node_range(cluster_cidr_, mask_size_, taken);
  }

  std::unique_ptr<client::ApiClient> client_;
  client::Informer& nodes_;
  client::ControllerLoop loop_;
  std::string cluster_cidr_;
  int mask_size_;
  std::map<std::string, std::string> given_;  // node → its range, until the mirror shows it
};

}  // namespace

std::unique_ptr<Controller> make_node_ipam_controller(Context& context) {
  return std::make_unique<NodeIpamController>(context);
}

}  // namespace rusternetes::controller_manager
