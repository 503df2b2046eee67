#pragma once
#include <memory>

#include "api-server/admission.h"
#include "api-server/authz/rbac_authorizer.h"

namespace rusternetes::api_server {

std::unique_ptr<AdmissionPlugin> make_rbac_escalation(std::shared_ptr<const RbacAuthorizer> rbac, std::shared_ptr<const Authorizer> chain);

}  // namespace rusternetes::api_server
