// Nothing is made in a namespace that is not there or is being deleted, and the namespaces of the system stay
// (plugin/pkg/admission/namespace/lifecycle).

#include <fmt/format.h>

#include "api-server/admission/plugins.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

bool is_immortal(std::string_view name) { return name == "default" || name == "kube-system" || name == "kube-public"; }

class NamespaceLifecycle final : public AdmissionPlugin {
 public:
  explicit NamespaceLifecycle(const ObjectSource& source) : source_(source) {}
  std::string_view name() const override { return "NamespaceLifecycle"; }

  Result<void> mutate(AdmissionRequest& request) const override {
    const auto& info = request.call.info;
    if (request.operation == "DELETE" && request.kind.resource == "namespaces" && request.kind.group_version.group.empty() && is_immortal(request.name))
      return forbidden({"", "namespaces"}, request.name, "this namespace may not be deleted");
    if (info.name_space.empty() || !request.call.kind->is_namespaced || request.operation != "CREATE") return {};
    // Access reviews ask about namespaces that need not be there.
    if (request.kind.group_version.group == "authorization.k8s.io") return {};
    const Document document = source_.get("", "namespaces", "", info.name_space);
    if (!document) return not_found({"", "namespaces"}, info.name_space);
    const core_v1::Namespace name_space(&document.root());
    if (name_space.status().phase() != "Terminating" && !name_space.metadata().has_deletionTimestamp()) return {};
    Status status = forbidden({request.call.kind->group_version.group, request.call.kind->resource}, request.name,
                              fmt::format("unable to create new content in namespace {} because it is being terminated", info.name_space));
    auto details = std::make_shared<StatusDetails>(status.details ? *status.details : StatusDetails{});
    details->causes.push_back({"NamespaceTerminating", fmt::format("namespace {} is being terminated", info.name_space), "metadata.namespace"});
    status.details = std::move(details);
    return status;
  }

 private:
  const ObjectSource& source_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_namespace_lifecycle(const ObjectSource& source) { return std::make_unique<NamespaceLifecycle>(source); }

}  // namespace rusternetes::api_server
