// A kubelet changes only its own Node, the status of Pods on it, and what belongs to them
// (plugin/pkg/admission/noderestriction).

#include <fmt/format.h>

#include "api-server/admission/plugins.h"
#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Node;
using core_v1::Pod;

namespace {

constexpr std::string_view prefix = "system:node:";
constexpr std::string_view restricted_label = "node-restriction.kubernetes.io/";

class NodeRestriction final : public AdmissionPlugin {
 public:
  explicit NodeRestriction(const ObjectSource& source) : source_(source) {}
  std::string_view name() const override { return "NodeRestriction"; }

  Result<void> validate(AdmissionRequest& request) const override {
    const User& user = request.call.user;
    if (!user.is_in(group_nodes) || !user.name.starts_with(prefix)) return {};
    const std::string node = user.name.substr(prefix.size());
    const std::string_view group = request.call.kind->group_version.group, resource = request.call.kind->resource;
    if (group.empty() && resource == "pods") return check_pod(request, node);
    if (group.empty() && resource == "nodes") return check_node(request, node);
    if (group == "coordination.k8s.io" && resource == "leases") return check_lease(request, node);
    if (group == "storage.k8s.io" && resource == "csinodes" && request.name != node)
      return refuse(request, fmt::format("can only access CSINode with the same name as the requesting node {}", node));
    return {};
  }

 private:
  static Status refuse(const AdmissionRequest& request, std::string why) {
    return forbidden({request.call.kind->group_version.group, request.call.kind->resource}, request.name, why);
  }

  Result<void> check_pod(AdmissionRequest& request, const std::string& node) const {
    if (request.operation == "CREATE" && request.call.info.subresource.empty()) {
      const Pod pod(request.object);
      if (!pod.metadata().annotations().contains("kubernetes.io/config.mirror"))
        return refuse(request, fmt::format("pod does not have \"kubernetes.io/config.mirror\" annotation, node \"{}\" can only create mirror pods", node));
      if (pod.spec().nodeName() != node)
        return refuse(request, fmt::format("node \"{}\" can only create pods with spec.nodeName set to itself", node));
      return {};
    }
    const Value* old = request.old_object;
    if (!old) return {};
    if (Pod(old).spec().nodeName() == node) return {};
    if (request.operation == "DELETE") return refuse(request, fmt::format("node \"{}\" can only delete pods with spec.nodeName set to itself", node));
    return refuse(request, fmt::format("node \"{}\" can only update pod status for pods with spec.nodeName set to itself", node));
  }

  Result<void> check_node(AdmissionRequest& request, const std::string& node) const {
    if (request.name != node) return refuse(request, fmt::format("node \"{}\" is not allowed to modify node \"{}\"", node, request.name));
    if (request.operation == "DELETE") return {};
    const Node now(request.object), before(request.old_object);
    for (const auto& [key, value] : now.metadata().labels()) {
      if (key.find(restricted_label) == std::string_view::npos || before.metadata().labels().get(key) == value) continue;
      return refuse(request, fmt::format("is not allowed to set the following labels: {}", key));
    }
    if (request.operation == "UPDATE" && request.call.info.subresource.empty()) {
      const Value *taints_now = now.spec().value() ? now.spec().value()->get(core_v1::NodeSpec::f_taints) : nullptr;
      const Value *taints_before = before.spec().value() ? before.spec().value()->get(core_v1::NodeSpec::f_taints) : nullptr;
      if (!taints_now != !taints_before || (taints_now && !equal(*taints_now, *taints_before)))
        return refuse(request, fmt::format("node \"{}\" is not allowed to modify taints", node));
    }
    return {};
  }

  Result<void> check_lease(AdmissionRequest& request, const std::string& node) const {
    if (request.call.info.name_space != "kube-node-lease")
      return refuse(request, "can only access leases in the \"kube-node-lease\" system namespace");
    if (request.name != node) return refuse(request, fmt::format("can only access node lease with the same name as the requesting node"));
    return {};
  }

  const ObjectSource& source_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_node_restriction(const ObjectSource& source) { return std::make_unique<NodeRestriction>(source); }

}  // namespace rusternetes::api_server
