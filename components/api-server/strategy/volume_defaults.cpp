#include "api-server/strategy/volume_defaults.h"

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/image_reference.h"
#include "api-server/strategy/pod_defaults.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Volume;

namespace {

constexpr std::int64_t mode_0644 = 0644;

void set_downward_defaults(Arena& arena, Value& source, int items_field) {
  each_item(source, items_field, [&](Value& item) {
    if (Value* reference = item.get(core_v1::DownwardAPIVolumeFile::f_fieldRef))
      set_field_reference_defaults(arena, *reference);
  });
}

void set_projected_defaults(Arena& arena, Value& source) {
  default_integer(arena, source, core_v1::ProjectedVolumeSource::f_defaultMode, mode_0644);
  each_item(source, core_v1::ProjectedVolumeSource::f_sources, [&](Value& one) {
    if (Value* downward = one.get(core_v1::VolumeProjection::f_downwardAPI))
      set_downward_defaults(arena, *downward, core_v1::DownwardAPIProjection::f_items);
    if (Value* token = one.get(core_v1::VolumeProjection::f_serviceAccountToken))
      default_integer(arena, *token, core_v1::ServiceAccountTokenProjection::f_expirationSeconds, 3600);
  });
}

// Sources of storage systems that few clusters use.
void set_storage_system_defaults(Arena& arena, Value& volume) {
  if (Value* source = volume.get(Volume::f_iscsi))
    default_text(arena, *source, core_v1::ISCSIVolumeSource::f_iscsiInterface, "default");
  if (Value* source = volume.get(Volume::f_rbd)) {
    default_text(arena, *source, core_v1::RBDVolumeSource::f_pool, "rbd");
    default_text(arena, *source, core_v1::RBDVolumeSource::f_user, "admin");
    default_text(arena, *source, core_v1::RBDVolumeSource::f_keyring, "/etc/ceph/keyring");
  }
  if (Value* source = volume.get(Volume::f_azureDisk)) set_azure_disk_defaults(arena, *source);
  if (Value* source = volume.get(Volume::f_scaleIO)) {
    default_text(arena, *source, core_v1::ScaleIOVolumeSource::f_storageMode, "ThinProvisioned");
    default_text(arena, *source, core_v1::ScaleIOVolumeSource::f_fsType, "xfs");
  }
}

}  // namespace

void set_field_reference_defaults(Arena& arena, Value& reference) {
  default_text(arena, reference, core_v1::ObjectFieldSelector::f_apiVersion, "v1");
}

void set_host_path_defaults(Arena& arena, Value& source) {
  default_text(arena, source, core_v1::HostPathVolumeSource::f_type, "");
}

void set_azure_disk_defaults(Arena& arena, Value& source) {
  default_text(arena, source, core_v1::AzureDiskVolumeSource::f_cachingMode, "ReadWrite");
  default_text(arena, source, core_v1::AzureDiskVolumeSource::f_fsType, "ext4");
  default_boolean(arena, source, core_v1::AzureDiskVolumeSource::f_readOnly, false);
  default_text(arena, source, core_v1::AzureDiskVolumeSource::f_kind, "Shared");
}

void set_volume_defaults(Arena& arena, Value& volume) {
  // A volume that names no source is an emptyDir.
  if (volume.size == (volume.get(Volume::f_name) ? 1u : 0u)) ensure(arena, volume, Volume::f_emptyDir);
  if (Value* source = volume.get(Volume::f_image))
    default_text(arena, *source, core_v1::ImageVolumeSource::f_pullPolicy,
                 is_latest_image(core_v1::ImageVolumeSource(source).reference()) ? "Always" : "IfNotPresent");
  if (Value* source = volume.get(Volume::f_hostPath)) set_host_path_defaults(arena, *source);
  if (Value* source = volume.get(Volume::f_secret))
    default_integer(arena, *source, core_v1::SecretVolumeSource::f_defaultMode, mode_0644);
  if (Value* source = volume.get(Volume::f_configMap))
    default_integer(arena, *source, core_v1::ConfigMapVolumeSource::f_defaultMode, mode_0644);
  if (Value* source = volume.get(Volume::f_downwardAPI)) {
    default_integer(arena, *source, core_v1::DownwardAPIVolumeSource::f_defaultMode, mode_0644);
    set_downward_defaults(arena, *source, core_v1::DownwardAPIVolumeSource::f_items);
  }
  if (Value* source = volume.get(Volume::f_projected)) set_projected_defaults(arena, *source);
  if (Value* source = volume.get(Volume::f_ephemeral))
    if (Value* claim = source->get(core_v1::EphemeralVolumeSource::f_volumeClaimTemplate))
      set_claim_spec_defaults(arena, ensure(arena, *claim, core_v1::PersistentVolumeClaimTemplate::f_spec));
  set_storage_system_defaults(arena, volume);
}

}  // namespace rusternetes::api_server
