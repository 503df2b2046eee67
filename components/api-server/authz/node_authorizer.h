#pragma once
// The Node authorizer: what a kubelet may do. It may read what the Pods bound to its node refer to (Secrets,
// ConfigMaps, claims and their volumes, service accounts), handle its own Node, Lease, CSINode and
// ResourceSlices, and for the rest holds the rules of ClusterRole system:node. Whoever is no node gets no
// opinion. (Kubernetes' "Using Node Authorization"; feature gates at their v1.35 defaults: selectors on,
// PodCertificateRequest off.)

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api-server/authorizer.h"
#include "api-server/authz/generation_cache.h"
#include "api-server/authz/rbac_index.h"
#include "api-server/authz/rule_resolver.h"

namespace rusternetes::api_server {

// The node's name if the user is a kubelet (in system:nodes, named system:node:NAME); may be empty.
std::optional<std::string_view> node_identity(const User& user);

class NodeAuthorizer final : public Authorizer, public RuleResolver {
 public:
  // `source` outlives the authorizer. `rules` are those that every node holds.
  NodeAuthorizer(const ObjectSource& source, std::vector<PolicyRule> rules);

  Verdict authorize(const Attributes& attributes) const override;
  ResolvedRules rules_for(const User& user, std::string_view name_space) const override;

 private:
  struct PodsByNode {
    TextMap<std::vector<apimachinery::Document>> nodes;
  };
  struct VolumesByClaim {
    TextMap<std::vector<apimachinery::Document>> claims;  // by "namespace/name" of the claim
  };
  enum class Related {
    secret,
    config_map,
    volume_claim,
    volume,
    resource_claim,
    attachment,
    service_account,
    slice,
    pod
  };

  Verdict authorize_resource(std::string_view node, const Attributes& attributes) const;
  Verdict authorize_by_rules(const Attributes& attributes) const;
  Verdict authorize_related(std::string_view node, Related what, const Attributes& attributes) const;
  Verdict authorize_get(std::string_view node, Related what, const Attributes& attributes) const;
  Verdict authorize_read(std::string_view node, Related what, const Attributes& attributes) const;
  Verdict authorize_service_account(std::string_view node, const Attributes& attributes) const;
  Verdict authorize_slice(std::string_view node, const Attributes& attributes) const;
  Verdict authorize_pod(std::string_view node, const Attributes& attributes) const;

  bool is_related(std::string_view node, Related what, std::string_view name_space,
                  std::string_view name) const;
  bool uses_secret(std::string_view node, std::string_view name_space, std::string_view name) const;
  bool uses_claim(std::string_view node, std::string_view name_space, std::string_view name) const;
  bool uses_volume(std::string_view node, std::string_view name) const;
  // Whether `visit(pod)` is true for one of the node's Pods (of a namespace unless it is empty) that may give
  // access to other objects.
  template <class Visit>
  bool any_pod(std::string_view node, std::string_view name_space, Visit&& visit) const;

  std::shared_ptr<const PodsByNode> pods_by_node() const;
  std::shared_ptr<const VolumesByClaim> volumes_by_claim() const;

  const ObjectSource& source_;
  const std::vector<PolicyRule> rules_;
  GenerationCache<PodsByNode, 1> pods_;
  GenerationCache<VolumesByClaim, 1> volumes_;
};

}  // namespace rusternetes::api_server
