#pragma once
// The parts of NodeRestriction that deal with Pods: which a node may make and change, and whose tokens it may have.

#include <memory>
#include <optional>

#include "api-server/admission.h"

namespace rusternetes::api_server {

// A refusal of `request` as Kubernetes words it: Forbidden, with the resource of the URL.
Status refuse_node(const AdmissionRequest& request, std::string_view why);

// Any write to pods or to a subresource of them by the node's kubelet.
Result<void> restrict_pods(const AdmissionRequest& request, std::string_view node, const ObjectSource& source);

// A TokenRequest (request.object) must be bound to a Pod on the node.
Result<void> restrict_token(const AdmissionRequest& request, std::string_view node, const ObjectSource& source);

// The second half of the plugin, which needs to know who may do what: a node's token is for an audience that the Pod's
// volumes ask for or that `authorizer` lets the node have. Both arguments outlive it. It runs after the first half.
std::unique_ptr<AdmissionPlugin> make_node_token_audience(const ObjectSource& source, const Authorizer& authorizer);

// The node that makes the request, if one does; empty for a user of nodes that names none.
std::optional<std::string_view> node_of(const User& user);

}  // namespace rusternetes::api_server
