// Who writes roles and bindings must hold what they grant (pkg/registry/rbac policybased storages).

#include "api-server/admission/rbac_escalation.h"

#include "api-server/authz/escalation.h"

namespace rusternetes::api_server {
namespace {

class RbacEscalation final : public AdmissionPlugin {
 public:
  RbacEscalation(std::shared_ptr<const RbacAuthorizer> rbac, std::shared_ptr<const Authorizer> chain) : rbac_(std::move(rbac)), chain_(std::move(chain)) {}
  std::string_view name() const override { return "RBACEscalation"; }

  Result<void> validate(AdmissionRequest& request) const override {
    if (!request.object || request.kind.group_version.group != "rbac.authorization.k8s.io") return {};
    const RbacWrite write{*rbac_, *chain_, request.call.user, request.call.info.name_space, request.call.info.name};
    const std::string_view resource = request.kind.resource;
    if (resource == "roles") return check_role_write(write, *request.object, request.old_object);
    if (resource == "clusterroles") return check_cluster_role_write(write, *request.object, request.old_object);
    if (resource == "rolebindings") return check_role_binding_write(write, *request.object, request.old_object);
    if (resource == "clusterrolebindings") return check_cluster_role_binding_write(write, *request.object, request.old_object);
    return {};
  }

 private:
  std::shared_ptr<const RbacAuthorizer> rbac_;
  std::shared_ptr<const Authorizer> chain_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_rbac_escalation(std::shared_ptr<const RbacAuthorizer> rbac, std::shared_ptr<const Authorizer> chain) {
  return std::make_unique<RbacEscalation>(std::move(rbac), std::move(chain));
}

}  // namespace rusternetes::api_server
