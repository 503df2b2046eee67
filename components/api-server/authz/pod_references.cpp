#include "api-server/authz/pod_references.h"

#include <string>

namespace rusternetes::api_server {

namespace core = apimachinery::core_v1;

namespace {

// Containers of all three kinds; `visit(container)` returns true to end.
template <class Visit>
bool visit_containers(core::PodSpec spec, Visit&& visit) {
  for (const auto container : spec.initContainers())
    if (visit(container)) return true;
  for (const auto container : spec.containers())
    if (visit(container)) return true;
  for (const auto container : spec.ephemeralContainers())
    if (visit(container)) return true;
  return false;
}

}  // namespace

bool visit_secrets(core::Pod pod, const NameVisitor& visitor) {
  const auto visit = [&visitor](std::string_view name) { return !name.empty() && visitor(name); };
  for (const auto reference : pod.spec().imagePullSecrets())
    if (visit(reference.name())) return true;
  const auto in_container = [&visit](const auto& container) {
    for (const auto source : container.envFrom())
      if (visit(source.secretRef().name())) return true;
    for (const auto variable : container.env())
      if (visit(variable.valueFrom().secretKeyRef().name())) return true;
    return false;
  };
  if (visit_containers(pod.spec(), in_container)) return true;
  for (const auto volume : pod.spec().volumes()) {
    for (const std::string_view name :
         {volume.azureFile().secretName(), volume.cephfs().secretRef().name(),
          volume.cinder().secretRef().name(), volume.flexVolume().secretRef().name(),
          volume.rbd().secretRef().name(), volume.secret().secretName(), volume.scaleIO().secretRef().name(),
          volume.iscsi().secretRef().name(), volume.storageos().secretRef().name(),
          volume.csi().nodePublishSecretRef().name()})
      if (visit(name)) return true;
    for (const auto source : volume.projected().sources())
      if (visit(source.secret().name())) return true;
  }
  return false;
}

bool visit_config_maps(core::Pod pod, const NameVisitor& visitor) {
  const auto visit = [&visitor](std::string_view name) { return !name.empty() && visitor(name); };
  const auto in_container = [&visit](const auto& container) {
    for (const auto source : container.envFrom())
      if (visit(source.configMapRef().name())) return true;
    for (const auto variable : container.env())
      if (visit(variable.valueFrom().configMapKeyRef().name())) return true;
    return false;
  };
  if (visit_containers(pod.spec(), in_container)) return true;
  for (const auto volume : pod.spec().volumes()) {
    if (visit(volume.configMap().name())) return true;
    for (const auto source : volume.projected().sources())
      if (visit(source.configMap().name())) return true;
  }
  return false;
}

bool visit_volume_claims(core::Pod pod, const NameVisitor& visit) {
  for (const auto volume : pod.spec().volumes()) {
    if (volume.has_persistentVolumeClaim()) {
      const std::string_view name = volume.persistentVolumeClaim().claimName();
      if (!name.empty() && visit(name)) return true;
    } else if (volume.has_ephemeral()) {
      // The claim of a generic ephemeral volume is named after both (KEP-1698).
      if (visit(std::string(pod.metadata().name()) + "-" + std::string(volume.name()))) return true;
    }
  }
  return false;
}

bool visit_resource_claims(core::Pod pod, const NameVisitor& visitor) {
  const auto visit = [&visitor](std::string_view name) { return !name.empty() && visitor(name); };
  for (const auto claim : pod.spec().resourceClaims()) {
    if (claim.has_resourceClaimName()) {
      if (visit(claim.resourceClaimName())) return true;
      continue;
    }
    if (!claim.has_resourceClaimTemplateName()) continue;
    // A claim made from a template is named in the status once it is there.
    for (const auto status : pod.status().resourceClaimStatuses())
      if (status.name() == claim.name()) {
        if (visit(status.resourceClaimName())) return true;
        break;
      }
  }
  return visit(pod.status().extendedResourceClaimStatus().resourceClaimName());
}

bool visit_kubelet_secrets(core::PersistentVolume volume,
                           const std::function<bool(std::string_view, std::string_view)>& visitor) {
  const core::PersistentVolumeSpec spec = volume.spec();
  const std::string_view claim_namespace = spec.claimRef().namespace_();
  // Where the reference's own namespace is optional, the claim's is meant.
  const auto visit = [&](std::string_view name_space, std::string_view name, bool has_default) {
    if (name.empty()) return false;
    return visitor(name_space.empty() && has_default ? claim_namespace : name_space, name);
  };
  const auto visit_reference = [&visit](const auto& reference, bool has_default) {
    return visit(reference.namespace_(), reference.name(), has_default);
  };
  return visit(spec.azureFile().secretNamespace(), spec.azureFile().secretName(), true) ||
         visit_reference(spec.cephfs().secretRef(), true) ||
         visit_reference(spec.cinder().secretRef(), false) ||
         visit_reference(spec.flexVolume().secretRef(), true) ||
         visit_reference(spec.rbd().secretRef(), true) || visit_reference(spec.scaleIO().secretRef(), true) ||
         visit_reference(spec.iscsi().secretRef(), true) ||
         visit_reference(spec.storageos().secretRef(), false) ||
         visit_reference(spec.csi().nodePublishSecretRef(), false) ||
         visit_reference(spec.csi().nodeStageSecretRef(), false) ||
         visit_reference(spec.csi().nodeExpandSecretRef(), false);
}

}  // namespace rusternetes::api_server
