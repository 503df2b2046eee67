// What NodeRestriction says of Pods and of tokens that are bound to them.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api-server/admission/node_restriction.h"
#include "api-server/authz/pod_references.h"
#include "apimachinery/api/authentication_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/storage_v1.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Pod;
using meta_v1::OwnerReference;

namespace {

constexpr std::string_view mirror_annotation = "kubernetes.io/config.mirror";

// A mirror Pod belongs to its Node and to nothing else.
Result<void> restrict_owner(const AdmissionRequest& request, std::string_view node, Pod pod, const ObjectSource& source) {
  const auto refuse = [&](std::string_view why) { return refuse_node(request, fmt::format("node \"{}\" {}", node, why)); };
  int count = 0;
  OwnerReference owner;
  for (const auto one : pod.metadata().ownerReferences()) {
    owner = one;
    ++count;
  }
  if (count > 1) return refuse("can only create pods with a single owner reference set to itself");
  if (count == 0 || owner.apiVersion() != "v1" || owner.kind() != "Node" || owner.name() != node)
    return refuse("can only create pods with an owner reference set to itself");
  if (!owner.controller()) return refuse("can only create pods with a controller owner reference set to itself");
  if (owner.blockOwnerDeletion()) return refuse("must not set blockOwnerDeletion on an owner reference");
  const Document found = source.get("", "nodes", "", node);
  if (!found) return not_found({"", "node"}, node);
  const std::string_view uid = core_v1::Node(&found.root()).metadata().uid();
  if (owner.uid() != uid) return refuse_node(request, fmt::format("node {} UID mismatch: expected {} got {}", node, owner.uid(), uid));
  return {};
}

// Whatever a Pod refers to becomes readable for its node, so one that the node makes may refer to nothing.
Result<void> restrict_references(const AdmissionRequest& request, std::string_view node, Pod pod) {
  const auto refuse = [&](std::string_view what) { return refuse_node(request, fmt::format("node \"{}\" can not create pods that reference {}", node, what)); };
  const auto any = [](std::string_view) { return true; };
  if (!pod.spec().serviceAccountName().empty()) return refuse("a service account");
  if (visit_secrets(pod, any)) return refuse("secrets");
  if (visit_config_maps(pod, any)) return refuse("configmaps");
  for (const auto volume : pod.spec().volumes())
    for (const auto part : volume.projected().sources())
      if (part.has_clusterTrustBundle()) return refuse("clustertrustbundles");
  for (const auto volume : pod.spec().volumes())
    if (volume.has_persistentVolumeClaim()) return refuse("persistentvolumeclaims");
  return {};
}

Result<void> restrict_new_pod(const AdmissionRequest& request, std::string_view node, const ObjectSource& source) {
  const Pod pod(request.object);
  if (!pod.metadata().annotations().contains(mirror_annotation))
    return refuse_node(request, fmt::format("pod does not have \"{}\" annotation, node \"{}\" can only create mirror pods", mirror_annotation, node));
  if (pod.spec().nodeName() != node) return refuse_node(request, fmt::format("node \"{}\" can only create pods with spec.nodeName set to itself", node));
  RN_CHECK(restrict_owner(request, node, pod, source));
  return restrict_references(request, node, pod);
}

bool has_same_labels(Pod a, Pod b) {
  const auto contains = [](MapView<std::string_view> all, MapView<std::string_view> some) {
    for (const auto& [key, value] : some)
      if (!all.contains(key) || all.get(key) != value) return false;
    return true;
  };
  return contains(a.metadata().labels(), b.metadata().labels()) && contains(b.metadata().labels(), a.metadata().labels());
}

bool has_same_claims(Pod a, Pod b) {
  const auto names = [](Pod pod) {
    std::vector<std::pair<std::string_view, std::optional<std::string_view>>> out;
    for (const auto status : pod.status().resourceClaimStatuses())
      out.emplace_back(status.name(), status.has_resourceClaimName() ? std::optional(status.resourceClaimName()) : std::nullopt);
    return out;
  };
  return names(a) == names(b);
}

Result<void> restrict_status(const AdmissionRequest& request, std::string_view node) {
  if (request.operation != "UPDATE") return refuse_node(request, fmt::format("unexpected operation \"{}\"", request.operation));
  const Pod now(request.object), before(request.old_object);
  if (before.spec().nodeName() != node)
    return refuse_node(request, fmt::format("node \"{}\" can only update pod status for pods with spec.nodeName set to itself", node));
  if (!has_same_labels(now, before)) return refuse_node(request, fmt::format("node \"{}\" cannot update labels through pod status", node));
  if (!has_same_claims(now, before)) return refuse_node(request, fmt::format("node \"{}\" cannot update resource claim statues", node));
  return {};
}

Result<void> restrict_eviction(const AdmissionRequest& request, std::string_view node, const ObjectSource& source) {
  if (request.operation == "DELETE") return {};  // of the Pod, once the Eviction was admitted
  if (request.operation != "CREATE") return refuse_node(request, fmt::format("unexpected operation {}", request.operation));
  const Document pod = source.get("", "pods", request.call.info.name_space, request.call.info.name);
  if (!pod) return not_found({"", "pod"}, request.call.info.name);
  if (Pod(&pod.root()).spec().nodeName() != node)
    return refuse_node(request, fmt::format("node {} can only evict pods with spec.nodeName set to itself", node));
  return {};
}

// The drivers of the Pod's CSI volumes may want tokens for their own audiences.
Result<std::string> csi_driver(core_v1::Volume volume, Pod pod, const ObjectSource& source) {
  if (volume.has_csi()) return std::string(volume.csi().driver());
  std::string claim_name(volume.persistentVolumeClaim().claimName());
  if (volume.has_ephemeral()) claim_name = fmt::format("{}-{}", pod.metadata().name(), volume.name());
  if (claim_name.empty()) return std::string();
  const Document claim = source.get("", "persistentvolumeclaims", pod.metadata().namespace_(), claim_name);
  if (!claim) return not_found({"", "persistentvolumeclaim"}, claim_name);
  const std::string_view volume_name = core_v1::PersistentVolumeClaim(&claim.root()).spec().volumeName();
  const Document bound = source.get("", "persistentvolumes", "", volume_name);
  if (!bound) return not_found({"", "persistentvolume"}, volume_name);
  return std::string(core_v1::PersistentVolume(&bound.root()).spec().csi().driver());
}

Result<bool> wants_audience(std::string_view driver_name, std::string_view audience, const ObjectSource& source) {
  const Document driver = source.get("storage.k8s.io", "csidrivers", "", driver_name);
  if (!driver) return not_found({"storage.k8s.io", "csidriver"}, driver_name);
  for (const auto one : storage_v1::CSIDriver(&driver.root()).spec().tokenRequests())
    if (one.audience() == audience) return true;
  return false;
}

// Whether a volume of the Pod asks for tokens for the audience; an error says what could not be looked up.
Result<bool> references_audience(Pod pod, std::string_view audience, const ObjectSource& source) {
  std::vector<std::string> failures;
  for (const auto volume : pod.spec().volumes()) {
    for (const auto part : volume.projected().sources())
      if (part.has_serviceAccountToken() && part.serviceAccountToken().audience() == audience) return true;
    const auto driver = csi_driver(volume, pod, source);
    if (!driver) {
      failures.push_back(driver.error().message);
      continue;
    }
    if (driver->empty()) continue;
    const auto is_wanted = wants_audience(*driver, audience, source);
    if (!is_wanted)
      failures.push_back(is_wanted.error().message);
    else if (*is_wanted)
      return true;
  }
  if (failures.size() == 1) return internal_error(failures[0]);
  if (!failures.empty()) return internal_error(fmt::format("[{}]", fmt::join(failures, ", ")));
  return false;
}

Result<void> restrict_audience(const AdmissionRequest& request, authentication_v1::TokenRequest wanted, Pod pod,
                               const ObjectSource& source, const Authorizer& authorizer) {
  std::string audience;
  int count = 0;
  for (const auto one : wanted.spec().audiences()) {
    audience = one;
    ++count;
  }
  if (count > 1) return refuse_node(request, "node may only request 0 or 1 audiences");
  const auto is_referenced = references_audience(pod, audience, source);
  if (!is_referenced) return refuse_node(request, fmt::format("error validating audience \"{}\": {}", audience, is_referenced.error().message));
  if (*is_referenced) return {};
  Attributes attributes;
  attributes.user = request.call.user;
  attributes.verb = "request-serviceaccounts-token-audience";
  attributes.is_resource = true;
  attributes.api_version = "v1";
  attributes.resource = audience;
  attributes.name_space = request.call.info.name_space;
  attributes.name = request.call.info.name;
  if (authorizer.authorize(attributes).decision == Decision::allow) return {};
  return refuse_node(request, fmt::format("audience \"{}\" not found in pod spec volume, {} is not authorized to request tokens for this audience", audience, request.call.user.name));
}

class NodeTokenAudience final : public AdmissionPlugin {
 public:
  NodeTokenAudience(const ObjectSource& source, const Authorizer& authorizer) : source_(source), authorizer_(authorizer) {}
  std::string_view name() const override { return "NodeRestriction"; }

  Result<void> mutate(AdmissionRequest& request) const override {
    const Call& call = request.call;
    if (!call.kind->group_version.group.empty() || call.kind->resource != "serviceaccounts" || call.info.subresource != "token" ||
        request.operation != "CREATE" || !node_of(call.user))
      return {};
    const authentication_v1::TokenRequest wanted(request.object);
    const Document found = source_.get("", "pods", call.info.name_space, wanted.spec().boundObjectRef().name());
    if (!found) return not_found({"", "pod"}, wanted.spec().boundObjectRef().name());
    return restrict_audience(request, wanted, Pod(&found.root()), source_, authorizer_);
  }

 private:
  const ObjectSource& source_;
  const Authorizer& authorizer_;
};

}  // namespace

Result<void> restrict_pods(const AdmissionRequest& request, std::string_view node, const ObjectSource& source) {
  const std::string_view subresource = request.call.info.subresource;
  if (subresource == "status") return restrict_status(request, node);
  if (subresource == "eviction") return restrict_eviction(request, node, source);
  if (!subresource.empty())
    return refuse_node(request, fmt::format("unexpected pod subresource \"{}\", only 'status' and 'eviction' are allowed", subresource));
  if (request.operation == "CREATE") return restrict_new_pod(request, node, source);
  if (request.operation != "DELETE")
    return refuse_node(request, fmt::format("unexpected operation \"{}\", node \"{}\" can only create and delete mirror pods", request.operation, node));
  if (Pod(request.old_object).spec().nodeName() != node)
    return refuse_node(request, fmt::format("node \"{}\" can only delete pods with spec.nodeName set to itself", node));
  return {};
}

Result<void> restrict_token(const AdmissionRequest& request, std::string_view node, const ObjectSource& source) {
  const authentication_v1::TokenRequest wanted(request.object);
  const auto reference = wanted.spec().boundObjectRef();
  if (reference.apiVersion() != "v1" || reference.kind() != "Pod" || reference.name().empty())
    return refuse_node(request, "node requested token not bound to a pod");
  if (reference.uid().empty()) return refuse_node(request, "node requested token with a pod binding without a uid");
  const Document found = source.get("", "pods", request.call.info.name_space, reference.name());
  if (!found) return not_found({"", "pod"}, reference.name());
  const Pod pod(&found.root());
  if (pod.metadata().uid() != reference.uid())
    return refuse_node(request, fmt::format("the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated", reference.uid()));
  if (pod.spec().nodeName() != node) return refuse_node(request, "node requested token bound to a pod scheduled on a different node");
  return {};
}

std::unique_ptr<AdmissionPlugin> make_node_token_audience(const ObjectSource& source, const Authorizer& authorizer) {
  return std::make_unique<NodeTokenAudience>(source, authorizer);
}

}  // namespace rusternetes::api_server
