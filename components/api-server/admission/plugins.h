#pragma once
// One maker a plugin; `source` outlives it.

#include <memory>

#include "api-server/admission.h"

namespace rusternetes::api_server {

std::unique_ptr<AdmissionPlugin> make_namespace_lifecycle(const ObjectSource& source);
std::unique_ptr<AdmissionPlugin> make_service_account_admission(const ObjectSource& source);
std::unique_ptr<AdmissionPlugin> make_node_restriction(const ObjectSource& source);
std::unique_ptr<AdmissionPlugin> make_taint_nodes_by_condition(const ObjectSource& source);
std::unique_ptr<AdmissionPlugin> make_priority_admission(const ObjectSource& source);
std::unique_ptr<AdmissionPlugin> make_default_toleration_seconds(const ObjectSource& source);

inline bool is_pods(const AdmissionRequest& request) {
  return request.kind.group_version.group.empty() && request.kind.resource == "pods";
}

}  // namespace rusternetes::api_server
