#include "api-server/strategy/volume_source_validation.h"

#include <algorithm>

#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Volume;

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// iqn.YYYY-MM.domain[:anything but separators and space]; the expression is not anchored at its start.
bool is_iqn(std::string_view name) {
  for (std::size_t at = name.find("iqn."); at != std::string_view::npos; at = name.find("iqn.", at + 1)) {
    std::string_view rest = name.substr(at + 4);
    if (rest.size() < 8 || !std::all_of(rest.begin(), rest.begin() + 4, is_digit) || rest[4] != '-' ||
        !is_digit(rest[5]) || !is_digit(rest[6]) || rest[7] != '.')
      continue;
    rest.remove_prefix(8);
    const auto colon = rest.find(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    const std::string_view domain = rest.substr(0, colon), suffix = rest.substr(colon + 1);
    if (!suffix.empty() && std::ranges::all_of(domain, [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; }) &&
        std::ranges::none_of(suffix, [](char c) { return std::string_view(",;*&$| \t\n\r\f").find(c) != std::string_view::npos; }))
      return true;
  }
  return false;
}

bool is_identifier(std::string_view name, std::size_t digits) {
  return name.size() == 4 + digits && std::all_of(name.begin() + 4, name.end(), is_alphanumeric);
}

void check_partition(std::int64_t partition, const FieldPath& path, FieldErrorList& errors) {
  if (partition < 0 || partition > 255)
    errors.push_back(field::invalid(path, partition, inclusive_range_message(1, 255)));
}

void check_lun(std::int64_t lun, const FieldPath& path, FieldErrorList& errors) {
  if (lun < 0 || lun > 255) errors.push_back(field::invalid(path, lun, inclusive_range_message(0, 255)));
}

void check_iscsi(const core::ISCSIVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  check_required(source.targetPortal(), path.child("targetPortal"), errors);
  if (source.iqn().empty())
    errors.push_back(field::required(path.child("iqn")));
  else
    validate_iscsi_name(source.iqn(), "must be valid format starting with iqn, eui, or naa", path.child("iqn"), errors);
  check_lun(source.lun(), path.child("lun"), errors);
  if ((source.chapAuthDiscovery() || source.chapAuthSession()) && !source.has_secretRef())
    errors.push_back(field::required(path.child("secretRef")));
  if (source.has_initiatorName())
    validate_iscsi_name(source.initiatorName(), "must be valid format starting with iqn, eui, or naa",
                        path.child("initiatorname"), errors);
}

void check_fibre_channel(const core::FCVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  const bool has_targets = !source.targetWWNs().empty(), has_ids = !source.wwids().empty();
  if (!has_targets && !has_ids)
    errors.push_back(
        field::required(path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"));
  if (has_targets && has_ids) {
    std::string shown;
    encode_json_any(shown, *source.value()->get(core::FCVolumeSource::f_targetWWNs));
    errors.push_back(field::invalid(path.child("targetWWNs"), BadValue::json(shown),
                                    "targetWWNs and wwids can not be specified simultaneously"));
  }
  if (!has_targets) return;
  if (!source.has_lun())
    errors.push_back(field::required(path.child("lun"), "lun is required if targetWWNs is specified"));
  else
    check_lun(source.lun(), path.child("lun"), errors);
}

// What Go's net.SplitHostPort takes.
bool is_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end != std::string_view::npos && end + 1 == colon;
  }
  const std::string_view host = text.substr(0, colon);
  return host.find_first_of(":[]") == std::string_view::npos && text.find_first_of("[]") == std::string_view::npos;
}

void check_quobyte(const core::QuobyteVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  constexpr std::string_view pairs = "must be a host:port pair or multiple pairs separated by commas";
  if (source.registry().empty()) {
    errors.push_back(field::required(path.child("registry"), pairs));
  } else if (source.tenant().size() >= 65) {
    errors.push_back(
        field::required(path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters"));
  } else {
    std::string_view rest = source.registry();
    while (true) {
      const auto comma = rest.find(',');
      if (!is_host_port(rest.substr(0, comma)))
        errors.push_back(field::invalid(path.child("registry"), source.registry(), pairs));
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  check_required(source.volume(), path.child("volume"), errors);
}

void check_flex(const core::FlexVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  check_required(source.driver(), path.child("driver"), errors);
  const FieldPath options = path.child("options");
  for (const auto& [key, value] : source.options()) {
    std::string domain = "." + std::string(key.substr(0, key.find('/')));
    for (char& c : domain)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io"))
      errors.push_back(field::invalid(options.key(key), key, "kubernetes.io and k8s.io namespaces are reserved"));
  }
}

void check_azure_disk(const core::AzureDiskVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  check_required(source.diskName(), path.child("diskName"), errors);
  check_required(source.diskURI(), path.child("diskURI"), errors);
  if (source.has_cachingMode())
    check_supported(source.cachingMode(), path.child("cachingMode"), {"None", "ReadOnly", "ReadWrite"}, errors);
  if (!source.has_kind()) return;
  check_supported(source.kind(), path.child("kind"), {"Dedicated", "Managed", "Shared"}, errors);
  if (source.kind() == "Managed" && !source.diskURI().starts_with("/subscriptions/"))
    errors.push_back(field::not_supported(path.child("diskURI"), source.diskURI(),
                                          {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
                                           "microsoft.compute/disks/{disk-id}"}));
  if (source.kind() != "Managed" && !source.diskURI().starts_with("https://"))
    errors.push_back(field::not_supported(path.child("diskURI"), source.diskURI(),
                                          {"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"}));
}

void check_storageos(const core::StorageOSVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  if (source.volumeName().empty())
    errors.push_back(field::required(path.child("volumeName")));
  else
    check_dns_label(source.volumeName(), path.child("volumeName"), errors);
  if (!source.volumeNamespace().empty())
    check_dns_label(source.volumeNamespace(), path.child("volumeNamespace"), errors);
  if (source.secretRef()) check_required(source.secretRef().name(), path.child("secretRef").child("name"), errors);
}

void check_flocker(const core::FlockerVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  if (source.datasetName().empty() && source.datasetUUID().empty())
    errors.push_back(field::required(path, "one of datasetName and datasetUUID is required"));
  if (!source.datasetName().empty() && !source.datasetUUID().empty())
    errors.push_back(
        field::invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"));
  if (source.datasetName().find('/') != std::string_view::npos)
    errors.push_back(field::invalid(path.child("datasetName"), source.datasetName(), "must not contain '/'"));
}

void check_csi(const core::CSIVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  validate_csi_driver_name(source.driver(), path.child("driver"), errors);
  const auto secret = source.nodePublishSecretRef();
  if (!secret) return;
  if (secret.name().empty())
    errors.push_back(field::required(path.child("nodePublishSecretRef").child("name")));
  else
    check_dns_subdomain(secret.name(), path.child("name"), errors);
}

}  // namespace

void validate_iscsi_name(std::string_view name, std::string_view bad_start, const FieldPath& path,
                         FieldErrorList& errors) {
  const bool iqn = name.starts_with("iqn"), eui = name.starts_with("eui"), naa = name.starts_with("naa");
  if (!iqn && !eui && !naa)
    errors.push_back(field::invalid(path, name, bad_start));
  else if ((iqn && !is_iqn(name)) || (eui && !is_identifier(name, 16)) || (naa && !is_identifier(name, 32)))
    errors.push_back(field::invalid(path, name, "must be valid format"));
}

void validate_csi_driver_name(std::string_view name, const FieldPath& path, FieldErrorList& errors) {
  if (name.empty()) errors.push_back(field::required(path));
  if (name.size() > 63) errors.push_back(field::too_long(path, 63));
  std::string lower(name);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const auto& problem : is_dns1123_subdomain(lower)) errors.push_back(field::invalid(path, name, problem));
}

void validate_storage_source(const Volume& volume, int source, const FieldPath& path, FieldErrorList& errors) {
  const FieldPath at = path.child(source == Volume::f_gcePersistentDisk ? "persistentDisk"
                                                                        : Volume::schema_type().fields[static_cast<std::size_t>(source)].name);
  const auto required = [&](std::string_view value, std::string_view name) {
    check_required(value, at.child(name), errors);
  };
  switch (source) {
    case Volume::f_gitRepo:
      required(volume.gitRepo().repository(), "repository");
      return validate_local_descending_path(volume.gitRepo().directory(), at.child("directory"), errors);
    case Volume::f_gcePersistentDisk:
      required(volume.gcePersistentDisk().pdName(), "pdName");
      return check_partition(volume.gcePersistentDisk().partition(), at.child("partition"), errors);
    case Volume::f_awsElasticBlockStore:
      required(volume.awsElasticBlockStore().volumeID(), "volumeID");
      return check_partition(volume.awsElasticBlockStore().partition(), at.child("partition"), errors);
    case Volume::f_nfs:
      required(volume.nfs().server(), "server");
      required(volume.nfs().path(), "path");
      if (!volume.nfs().path().starts_with('/'))
        errors.push_back(field::invalid(at.child("path"), volume.nfs().path(), "must be an absolute path"));
      return;
    case Volume::f_iscsi: return check_iscsi(volume.iscsi(), at, errors);
    case Volume::f_glusterfs:
      required(volume.glusterfs().endpoints(), "endpoints");
      return required(volume.glusterfs().path(), "path");
    case Volume::f_flocker: return check_flocker(volume.flocker(), at, errors);
    case Volume::f_rbd:
      if (volume.rbd().monitors().empty()) required({}, "monitors");
      return required(volume.rbd().image(), "image");
    case Volume::f_cinder:
      required(volume.cinder().volumeID(), "volumeID");
      if (volume.cinder().secretRef())
        check_required(volume.cinder().secretRef().name(), at.child("secretRef").child("name"), errors);
      return;
    case Volume::f_cephfs:
      if (volume.cephfs().monitors().empty()) required({}, "monitors");
      return;
    case Volume::f_quobyte: return check_quobyte(volume.quobyte(), at, errors);
    case Volume::f_fc: return check_fibre_channel(volume.fc(), at, errors);
    case Volume::f_flexVolume: return check_flex(volume.flexVolume(), at, errors);
    case Volume::f_azureFile:
      required(volume.azureFile().secretName(), "secretName");
      return required(volume.azureFile().shareName(), "shareName");
    case Volume::f_azureDisk: return check_azure_disk(volume.azureDisk(), at, errors);
    case Volume::f_vsphereVolume: return required(volume.vsphereVolume().volumePath(), "volumePath");
    case Volume::f_photonPersistentDisk: return required(volume.photonPersistentDisk().pdID(), "pdID");
    case Volume::f_portworxVolume: return required(volume.portworxVolume().volumeID(), "volumeID");
    case Volume::f_storageos: return check_storageos(volume.storageos(), at, errors);
    case Volume::f_scaleIO:
      required(volume.scaleIO().gateway(), "gateway");
      required(volume.scaleIO().system(), "system");
      return required(volume.scaleIO().volumeName(), "volumeName");
    case Volume::f_csi: return check_csi(volume.csi(), at, errors);
    default: return;
  }
}

}  // namespace rusternetes::api_server
