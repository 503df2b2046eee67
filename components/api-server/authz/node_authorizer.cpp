#include "api-server/authz/node_authorizer.h"

#include <initializer_list>
#include <utility>

#include "api-server/authz/pod_references.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/resource_v1.h"
#include "apimachinery/api/storage_v1.h"
#include "apimachinery/field_selector.h"
#include "apimachinery/quote.h"

namespace rusternetes::api_server {

namespace core = apimachinery::core_v1;
using apimachinery::Document;

namespace {

constexpr std::string_view node_user_prefix = "system:node:";
constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";
constexpr std::string_view node_lease_namespace = "kube-node-lease";

const Verdict allowed{Decision::allow, {}, {}};

Verdict refused(std::string reason = {}) { return {Decision::no_opinion, std::move(reason), {}}; }

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  for (const std::string_view candidate : words)
    if (candidate == word) return true;
  return false;
}

// Whether a list or watch is limited to objects whose `field` is the node's name.
bool selects_node(const Attributes& attributes, std::string_view field, std::string_view node) {
  if (attributes.field_selector.empty()) return false;
  const auto selector = apimachinery::FieldSelector::parse(attributes.field_selector);
  if (!selector) return false;
  for (const apimachinery::FieldRequirement& requirement : selector->requirements())
    if (requirement.field == field && !requirement.is_negated && requirement.value == node) return true;
  return false;
}

std::string claim_key(std::string_view name_space, std::string_view name) {
  return std::string(name_space) + "/" + std::string(name);
}

Verdict authorize_lease(std::string_view node, const Attributes& attributes) {
  if (!is_one_of(attributes.verb, {"get", "create", "update", "patch", "delete"}))
    return refused("can only get, create, update, patch, or delete a node lease");
  if (attributes.name_space != node_lease_namespace)
    return refused("can only access leases in the " + apimachinery::quote(node_lease_namespace) +
                   " system namespace");
  // At creation the name is in the body: NodeRestriction looks at it.
  if (attributes.verb != "create" && attributes.name != node)
    return refused("can only access node lease with the same name as the requesting node");
  return allowed;
}

Verdict authorize_csi_node(std::string_view node, const Attributes& attributes) {
  if (!is_one_of(attributes.verb, {"get", "create", "update", "patch", "delete"}))
    return refused("can only get, create, update, patch, or delete a CSINode");
  if (!attributes.subresource.empty()) return refused("cannot authorize CSINode subresources");
  if (attributes.verb != "create" && attributes.name != node)
    return refused("can only access CSINode with the same name as the requesting node");
  return allowed;
}

Verdict authorize_node(std::string_view node, const Attributes& attributes) {
  if (attributes.subresource == "status")
    return is_one_of(attributes.verb, {"update", "patch"}) ? allowed : refused();
  if (!attributes.subresource.empty()) return refused();
  // Which Node is written is NodeRestriction's matter.
  if (is_one_of(attributes.verb, {"create", "update", "patch"})) return allowed;
  if (!is_one_of(attributes.verb, {"get", "list", "watch"})) return refused();
  if (attributes.name == node) return allowed;
  const std::string who = "node '" + std::string(node) + "' cannot read ";
  if (attributes.name.empty()) return refused(who + "all nodes, only its own Node object");
  return refused(who + "'" + attributes.name + "', only its own Node object");
}

}  // namespace

std::optional<std::string_view> node_identity(const User& user) {
  if (!user.name.starts_with(node_user_prefix) || !user.is_in(group_nodes)) return std::nullopt;
  return std::string_view(user.name).substr(node_user_prefix.size());
}

NodeAuthorizer::NodeAuthorizer(const ObjectSource& source, std::vector<PolicyRule> rules)
    : source_(source),
      rules_(std::move(rules)),
      pods_(source, {{{"", "pods"}}}),
      volumes_(source, {{{"", "persistentvolumes"}}}) {}

ResolvedRules NodeAuthorizer::rules_for(const User& user, std::string_view) const {
  if (!node_identity(user)) return {};
  return {{}, {}, true, "node authorizer does not support user rule resolution"};
}

Verdict NodeAuthorizer::authorize(const Attributes& attributes) const {
  const std::optional<std::string_view> node = node_identity(attributes.user);
  if (!node) return {};
  if (node->empty()) return refused("unknown node for user " + apimachinery::quote(attributes.user.name));
  return attributes.is_resource ? authorize_resource(*node, attributes) : authorize_by_rules(attributes);
}

Verdict NodeAuthorizer::authorize_by_rules(const Attributes& attributes) const {
  return rules_allow(rules_, attributes) ? allowed : Verdict{};
}

Verdict NodeAuthorizer::authorize_resource(std::string_view node, const Attributes& attributes) const {
  const std::string_view group = attributes.api_group, resource = attributes.resource;
  if (group.empty()) {
    if (resource == "secrets") return authorize_read(node, Related::secret, attributes);
    if (resource == "configmaps") return authorize_read(node, Related::config_map, attributes);
    if (resource == "persistentvolumeclaims" && attributes.subresource == "status") {
      if (!is_one_of(attributes.verb, {"update", "patch"}))
        return refused("can only get/update/patch this type");
      return authorize_related(node, Related::volume_claim, attributes);
    }
    if (resource == "persistentvolumeclaims") return authorize_get(node, Related::volume_claim, attributes);
    if (resource == "persistentvolumes") return authorize_get(node, Related::volume, attributes);
    if (resource == "serviceaccounts") return authorize_service_account(node, attributes);
    if (resource == "nodes") return authorize_node(node, attributes);
    if (resource == "pods") return authorize_pod(node, attributes);
  } else if (group == "storage.k8s.io") {
    if (resource == "volumeattachments") return authorize_get(node, Related::attachment, attributes);
    if (resource == "csinodes") return authorize_csi_node(node, attributes);
  } else if (group == "resource.k8s.io") {
    if (resource == "resourceclaims") return authorize_get(node, Related::resource_claim, attributes);
    if (resource == "resourceslices") return authorize_slice(node, attributes);
  } else if (group == "coordination.k8s.io" && resource == "leases") {
    return authorize_lease(node, attributes);
  } else if (group == "certificates.k8s.io" && resource == "podcertificaterequests") {
    return refused();
  }
  return authorize_by_rules(attributes);
}

Verdict NodeAuthorizer::authorize_related(std::string_view node, Related what,
                                          const Attributes& attributes) const {
  if (attributes.name.empty()) return refused("No Object name found");
  if (is_related(node, what, attributes.name_space, attributes.name)) return allowed;
  return refused("no relationship found between node '" + std::string(node) + "' and this object");
}

Verdict NodeAuthorizer::authorize_get(std::string_view node, Related what,
                                      const Attributes& attributes) const {
  if (attributes.verb != "get") return refused("can only get individual resources of this type");
  if (!attributes.subresource.empty()) return refused("cannot get subresource");
  return authorize_related(node, what, attributes);
}

Verdict NodeAuthorizer::authorize_read(std::string_view node, Related what,
                                       const Attributes& attributes) const {
  if (!is_one_of(attributes.verb, {"get", "list", "watch"}))
    return refused("can only read resources of this type");
  if (!attributes.subresource.empty()) return refused("cannot read subresource");
  if (attributes.name_space.empty()) return refused("can only read namespaced object of this type");
  return authorize_related(node, what, attributes);
}

Verdict NodeAuthorizer::authorize_service_account(std::string_view node, const Attributes& attributes) const {
  if (attributes.verb == "get" && attributes.subresource.empty())
    return authorize_read(node, Related::service_account, attributes);
  if (attributes.verb != "create" || attributes.name.empty())
    return refused("can only create tokens for individual service accounts");
  if (attributes.subresource != "token")
    return refused("can only create token subresource of serviceaccount");
  return authorize_related(node, Related::service_account, attributes);
}

Verdict NodeAuthorizer::authorize_slice(std::string_view node, const Attributes& attributes) const {
  if (!attributes.subresource.empty()) return refused("cannot authorize ResourceSlice subresources");
  // What a new slice says is NodeRestriction's matter.
  if (attributes.verb == "create") return allowed;
  if (is_one_of(attributes.verb, {"get", "update", "patch", "delete"}))
    return authorize_related(node, Related::slice, attributes);
  if (!is_one_of(attributes.verb, {"watch", "list", "deletecollection"}))
    return refused(
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, "
        "delete, "
        "deletecollection");
  if (selects_node(attributes, "spec.nodeName", node)) return allowed;
  return refused("can only list/watch/deletecollection resourceslices with nodeName field selector");
}

Verdict NodeAuthorizer::authorize_pod(std::string_view node, const Attributes& attributes) const {
  const std::string_view verb = attributes.verb, subresource = attributes.subresource;
  // Whose Pod is written, deleted or evicted is NodeRestriction's matter.
  if (subresource == "status") return is_one_of(verb, {"update", "patch"}) ? allowed : refused();
  if (subresource == "eviction") return verb == "create" ? allowed : refused();
  if (!subresource.empty()) return refused();
  if (is_one_of(verb, {"create", "delete"})) return allowed;
  if (verb == "get") return authorize_get(node, Related::pod, attributes);
  if (!is_one_of(verb, {"list", "watch"})) return refused();
  if (selects_node(attributes, "spec.nodeName", node)) return allowed;
  if (!attributes.name.empty()) return authorize_related(node, Related::pod, attributes);
  return refused("can only list/watch pods with spec.nodeName field selector");
}

bool NodeAuthorizer::is_related(std::string_view node, Related what, std::string_view name_space,
                                std::string_view name) const {
  const auto is_name = [name](std::string_view candidate) { return candidate == name; };
  switch (what) {
    case Related::pod: {
      const Document pod = source_.get("", "pods", name_space, name);
      return pod && core::Pod(&pod.root()).spec().nodeName() == node;
    }
    case Related::attachment: {
      const Document attachment = source_.get("storage.k8s.io", "volumeattachments", "", name);
      return attachment &&
             apimachinery::storage_v1::VolumeAttachment(&attachment.root()).spec().nodeName() == node;
    }
    case Related::slice: {
      const Document slice = source_.get("resource.k8s.io", "resourceslices", "", name);
      return slice && apimachinery::resource_v1::ResourceSlice(&slice.root()).spec().nodeName() == node;
    }
    case Related::config_map:
      return any_pod(node, name_space, [&](core::Pod pod) { return visit_config_maps(pod, is_name); });
    case Related::service_account:
      return any_pod(node, name_space,
                     [&](core::Pod pod) { return pod.spec().serviceAccountName() == name; });
    case Related::resource_claim:
      return any_pod(node, name_space, [&](core::Pod pod) { return visit_resource_claims(pod, is_name); });
    case Related::volume_claim:
      return uses_claim(node, name_space, name);
    case Related::volume:
      return uses_volume(node, name);
    case Related::secret:
      return uses_secret(node, name_space, name);
  }
  return false;
}

template <class Visit>
bool NodeAuthorizer::any_pod(std::string_view node, std::string_view name_space, Visit&& visit) const {
  const std::shared_ptr<const PodsByNode> pods = pods_by_node();
  const auto found = pods->nodes.find(node);
  if (found == pods->nodes.end()) return false;
  for (const Document& document : found->second) {
    const core::Pod pod(&document.root());
    if (!name_space.empty() && pod.metadata().namespace_() != name_space) continue;
    // A node makes mirror Pods itself; they must not open other objects to it.
    if (pod.metadata().annotations().contains(mirror_annotation)) continue;
    if (visit(pod)) return true;
  }
  return false;
}

bool NodeAuthorizer::uses_claim(std::string_view node, std::string_view name_space,
                                std::string_view name) const {
  return any_pod(node, name_space, [&](core::Pod pod) {
    return visit_volume_claims(pod, [&](std::string_view claim) { return claim == name; });
  });
}

bool NodeAuthorizer::uses_volume(std::string_view node, std::string_view name) const {
  const Document volume = source_.get("", "persistentvolumes", "", name);
  if (!volume) return false;
  const core::PersistentVolume view(&volume.root());
  return view.spec().has_claimRef() &&
         uses_claim(node, view.spec().claimRef().namespace_(), view.spec().claimRef().name());
}

bool NodeAuthorizer::uses_secret(std::string_view node, std::string_view name_space,
                                 std::string_view name) const {
  const auto in_pod = [&](core::Pod pod) {
    return visit_secrets(pod, [&](std::string_view secret) { return secret == name; });
  };
  if (any_pod(node, name_space, in_pod)) return true;
  // Through a volume: the Secret may be in another namespace than the Pod.
  const std::shared_ptr<const VolumesByClaim> volumes = volumes_by_claim();
  if (volumes->claims.empty()) return false;
  const auto through_volume = [&](core::Pod pod) {
    return visit_volume_claims(pod, [&](std::string_view claim) {
      const auto found = volumes->claims.find(claim_key(pod.metadata().namespace_(), claim));
      if (found == volumes->claims.end()) return false;
      for (const Document& volume : found->second)
        if (visit_kubelet_secrets(core::PersistentVolume(&volume.root()),
                                  [&](std::string_view secret_namespace, std::string_view secret) {
                                    return secret_namespace == name_space && secret == name;
                                  }))
          return true;
      return false;
    });
  };
  return any_pod(node, "", through_volume);
}

std::shared_ptr<const NodeAuthorizer::PodsByNode> NodeAuthorizer::pods_by_node() const {
  return pods_.get([this](std::shared_ptr<const PodsByNode>) {
    auto out = std::make_shared<PodsByNode>();
    for (Document& document : source_.list("", "pods", "")) {
      const std::string_view node = core::Pod(&document.root()).spec().nodeName();
      if (node.empty()) continue;
      auto found = out->nodes.find(node);
      if (found == out->nodes.end())
        found = out->nodes.emplace(std::string(node), std::vector<Document>{}).first;
      found->second.push_back(std::move(document));
    }
    return out;
  });
}

std::shared_ptr<const NodeAuthorizer::VolumesByClaim> NodeAuthorizer::volumes_by_claim() const {
  return volumes_.get([this](std::shared_ptr<const VolumesByClaim>) {
    auto out = std::make_shared<VolumesByClaim>();
    for (Document& document : source_.list("", "persistentvolumes", "")) {
      const core::PersistentVolumeSpec spec = core::PersistentVolume(&document.root()).spec();
      if (!spec.has_claimRef()) continue;
      out->claims[claim_key(spec.claimRef().namespace_(), spec.claimRef().name())].push_back(
          std::move(document));
    }
    return out;
  });
}

}  // namespace rusternetes::api_server
