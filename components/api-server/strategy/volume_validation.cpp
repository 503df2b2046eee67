// Volumes of a Pod, and the sources that need no storage system (those are in volume_source_validation.cpp).

#include <algorithm>
#include <array>

#include "api-server/strategy/pod_validation.h"
#include "api-server/strategy/volume_source_validation.h"
#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Volume;
using meta_v1::ObjectMeta;

namespace {

constexpr std::string_view bad_mode = "must be a number between 0 and 0777 (octal), both inclusive";

void check_mode(bool is_set, std::int64_t mode, const FieldPath& path, FieldErrorList& errors) {
  if (is_set && (mode > 0777 || mode < 0)) errors.push_back(field::invalid(path, mode, bad_mode));
}

// A relative path that stays inside and does not begin like the hidden "..data" of mounted volumes.
void check_file_path(std::string_view text, const FieldPath& path, FieldErrorList& errors) {
  validate_local_descending_path(text, path, errors);
  if (text.starts_with("..") && !text.starts_with("../"))
    errors.push_back(field::invalid(path, text, "must not start with '..'"));
}

void check_key_to_path(const core::KeyToPath& item, const FieldPath& path, FieldErrorList& errors) {
  check_required(item.key(), path.child("key"), errors);
  check_required(item.path(), path.child("path"), errors);
  check_file_path(item.path(), path.child("path"), errors);
  check_mode(item.has_mode(), item.mode(), path.child("mode"), errors);
}

void check_key_items(const ListView<core::KeyToPath>& items, const FieldPath& path, FieldErrorList& errors) {
  std::int64_t i = 0;
  for (const auto item : items) check_key_to_path(item, path.index(i++), errors);
}

void check_downward_file(const core::DownwardAPIVolumeFile& file, const FieldPath& path, FieldErrorList& errors) {
  check_required(file.path(), path.child("path"), errors);
  check_file_path(file.path(), path.child("path"), errors);
  if (file.fieldRef()) {
    validate_field_reference(file.fieldRef(), path.child("fieldRef"), true, errors);
    if (file.resourceFieldRef())
      errors.push_back(
          field::invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
  } else if (file.resourceFieldRef()) {
    validate_resource_reference(file.resourceFieldRef(), path.child("resourceFieldRef"), true, errors);
  } else {
    errors.push_back(field::required(path, "one of fieldRef and resourceFieldRef is required"));
  }
  check_mode(file.has_mode(), file.mode(), path.child("mode"), errors);
}

void check_token_source(const core::ServiceAccountTokenProjection& token, const FieldPath& projected,
                        const FieldPath& path, const PodValidationOptions& options, FieldErrorList& errors) {
  const std::int64_t seconds = token.expirationSeconds();
  if (seconds < 600)
    errors.push_back(
        field::invalid(path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"));
  if (seconds > (std::int64_t{1} << 32))
    errors.push_back(field::invalid(path.child("expirationSeconds"), seconds,
                                    "may not specify a duration larger than 2^32 seconds"));
  if (token.path().empty())
    errors.push_back(field::required(projected.child("path")));
  else if (!options.allow_any_token_path)
    check_file_path(token.path(), projected.child("path"), errors);
}

void check_projected(const core::ProjectedVolumeSource& source, const FieldPath& path,
                     const PodValidationOptions& options, FieldErrorList& errors) {
  check_mode(source.has_defaultMode(), source.defaultMode(), path.child("defaultMode"), errors);
  TextSet paths;
  const auto claim_path = [&](std::string_view file, std::string_view shown) {
    if (!file.empty() && !paths.insert(file))
      errors.push_back(field::invalid(path, shown, "conflicting duplicate paths"));
  };
  const FieldPath sources = path.child("sources");
  std::int64_t i = 0;
  for (const auto one : source.sources()) {
    const FieldPath at = sources.index(i++);
    int count = 0;
    if (const auto secret = one.secret()) {
      ++count;
      check_required(secret.name(), at.child("secret").child("name"), errors);
      check_key_items(secret.items(), at.child("secret").child("items"), errors);
      for (const auto item : secret.items()) claim_path(item.path(), secret.name());
    }
    if (const auto config = one.configMap()) {
      ++count;
      check_required(config.name(), at.child("configMap").child("name"), errors);
      check_key_items(config.items(), at.child("configMap").child("items"), errors);
      for (const auto item : config.items()) claim_path(item.path(), config.name());
    }
    if (const auto downward = one.downwardAPI()) {
      ++count;
      for (const auto file : downward.items()) {
        check_downward_file(file, at.child("downwardAPI"), errors);
        claim_path(file.path(), file.path());
      }
    }
    if (const auto token = one.serviceAccountToken()) {
      ++count;
      check_token_source(token, path, at.child("serviceAccountToken"), options, errors);
    }
    if (count > 1) errors.push_back(field::forbidden(at, "may not specify more than 1 volume type per source"));
  }
}

void check_host_path(const core::HostPathVolumeSource& source, const FieldPath& path, FieldErrorList& errors) {
  if (source.path().empty()) {
    errors.push_back(field::required(path.child("path")));
    return;
  }
  validate_path_no_backsteps(source.path(), path.child("path"), errors);
  if (source.has_type())
    check_supported(source.type(), path.child("type"),
                    {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"},
                    errors);
}

void check_ephemeral(const Volume& volume, const ObjectMeta& metadata, const FieldPath& volume_path,
                     FieldErrorList& errors) {
  const FieldPath path = volume_path.child("ephemeral");
  const auto claim = volume.ephemeral().volumeClaimTemplate();
  if (!claim) {
    errors.push_back(field::required(path.child("volumeClaimTemplate")));
  } else {
    const FieldPath at = path.child("volumeClaimTemplate"), meta_path = at.child("metadata");
    check_annotations(claim.metadata().annotations(), meta_path.child("annotations"), errors);
    check_labels(claim.metadata().labels(), meta_path.child("labels"), errors);
    if (const Value* meta = claim.metadata().value())
      for (const auto& child : meta->children())
        if (child.field != ObjectMeta::f_annotations && child.field != ObjectMeta::f_labels)
          errors.push_back(field::forbidden(
              meta_path.child(ObjectMeta::schema_type().fields[child.field].name), "cannot be set"));
    validate_claim_spec(claim.spec(), at.child("spec"), errors);
  }
  if (metadata.name().empty() || volume.name().empty()) return;
  const std::string claim_name = std::string(metadata.name()) + "-" + std::string(volume.name());
  for (const auto& problem : is_dns1123_subdomain(claim_name))
    errors.push_back(
        field::invalid(volume_path.child("name"), volume.name(), "PVC name \"" + claim_name + "\": " + problem));
}

// In the order in which they are looked at: of several the first is the volume's source.
struct SourceOrder {
  int field;
  std::string_view name;  // as an error about a second source names it
};
constexpr std::array<SourceOrder, 30> source_order{{
    {Volume::f_emptyDir, "emptyDir"},
    {Volume::f_hostPath, "hostPath"},
    {Volume::f_gitRepo, "gitRepo"},
    {Volume::f_gcePersistentDisk, "gcePersistentDisk"},
    {Volume::f_awsElasticBlockStore, "awsElasticBlockStore"},
    {Volume::f_secret, "secret"},
    {Volume::f_nfs, "nfs"},
    {Volume::f_iscsi, "iscsi"},
    {Volume::f_glusterfs, "glusterfs"},
    {Volume::f_flocker, "flocker"},
    {Volume::f_persistentVolumeClaim, "persistentVolumeClaim"},
    {Volume::f_rbd, "rbd"},
    {Volume::f_cinder, "cinder"},
    {Volume::f_cephfs, "cephFS"},
    {Volume::f_quobyte, "quobyte"},
    {Volume::f_downwardAPI, "downwarAPI"},
    {Volume::f_fc, "fc"},
    {Volume::f_flexVolume, "flexVolume"},
    {Volume::f_configMap, "configMap"},
    {Volume::f_azureFile, "azureFile"},
    {Volume::f_vsphereVolume, "vsphereVolume"},
    {Volume::f_photonPersistentDisk, "photonPersistentDisk"},
    {Volume::f_portworxVolume, "portworxVolume"},
    {Volume::f_azureDisk, "azureDisk"},
    {Volume::f_storageos, "storageos"},
    {Volume::f_projected, "projected"},
    {Volume::f_scaleIO, "scaleIO"},
    {Volume::f_csi, "csi"},
    {Volume::f_ephemeral, "ephemeral"},
    {Volume::f_image, "image"},
}};

void check_source(const Volume& volume, int field, const ObjectMeta& metadata, const FieldPath& path,
                  const PodValidationOptions& options, FieldErrorList& errors) {
  switch (field) {
    case Volume::f_emptyDir:
      if (volume.emptyDir().sizeLimit().starts_with('-'))
        errors.push_back(field::forbidden(path.child("emptyDir").child("sizeLimit"),
                                          "SizeLimit field must be a valid resource quantity"));
      return;
    case Volume::f_hostPath: return check_host_path(volume.hostPath(), path.child("hostPath"), errors);
    case Volume::f_secret: {
      const FieldPath at = path.child("secret");
      const auto source = volume.secret();
      check_required(source.secretName(), at.child("secretName"), errors);
      check_mode(source.has_defaultMode(), source.defaultMode(), at.child("defaultMode"), errors);
      return check_key_items(source.items(), at.child("items"), errors);
    }
    case Volume::f_configMap: {
      const FieldPath at = path.child("configMap");
      const auto source = volume.configMap();
      check_required(source.name(), at.child("name"), errors);
      check_mode(source.has_defaultMode(), source.defaultMode(), at.child("defaultMode"), errors);
      return check_key_items(source.items(), at.child("items"), errors);
    }
    case Volume::f_persistentVolumeClaim:
      return check_required(volume.persistentVolumeClaim().claimName(),
                            path.child("persistentVolumeClaim").child("claimName"), errors);
    case Volume::f_downwardAPI: {
      const FieldPath at = path.child("downwardAPI");
      const auto source = volume.downwardAPI();
      check_mode(source.has_defaultMode(), source.defaultMode(), at.child("defaultMode"), errors);
      for (const auto file : source.items()) check_downward_file(file, at, errors);
      return;
    }
    case Volume::f_projected: return check_projected(volume.projected(), path.child("projected"), options, errors);
    case Volume::f_ephemeral: return check_ephemeral(volume, metadata, path, errors);
    case Volume::f_image:
      if (options.is_pod) check_required(volume.image().reference(), path.child("image").child("reference"), errors);
      return validate_pull_policy(volume.image().pullPolicy(), path.child("image").child("pullPolicy"), errors);
    default: return validate_storage_source(volume, field, path, errors);
  }
}

void check_volume_source(const Volume& volume, const ObjectMeta& metadata, const FieldPath& path,
                         const PodValidationOptions& options, FieldErrorList& errors) {
  const Value& value = *volume.value();
  const std::uint32_t sources = value.size - (value.get(Volume::f_name) ? 1 : 0);
  if (sources == 0) {
    errors.push_back(field::required(path, "must specify a volume type"));
  } else if (sources == 1) {
    check_source(volume, value.items[value.size - 1].field, metadata, path, options, errors);
  } else {
    bool is_first = true;
    for (const auto& [field, name] : source_order) {
      if (!value.get(field)) continue;
      if (is_first)
        check_source(volume, field, metadata, path, options, errors);
      else
        errors.push_back(field::forbidden(path.child(name), "may not specify more than 1 volume type"));
      is_first = false;
    }
  }
  if (const auto iscsi = volume.iscsi();
      iscsi.has_initiatorName() && volume.name().size() + 1 + iscsi.targetPortal().size() > 64)
    errors.push_back(field::invalid(path.child("name"), volume.name(),
                                    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
                                    "if iscsi.initiatorName is specified."));
}

bool is_claim_of_ephemeral_volume(std::string_view claim, const core::PodSpec& spec, const ObjectMeta& metadata) {
  const std::string_view pod = metadata.name();
  if (pod.empty() || claim.size() <= pod.size() || !claim.starts_with(pod) || claim[pod.size()] != '-') return false;
  const std::string_view name = claim.substr(pod.size() + 1);
  for (const auto volume : spec.volumes())
    if (volume.name() == name && volume.ephemeral()) return true;
  return false;
}

}  // namespace

void VolumeNames::add(std::size_t index) {
  if (many_.empty() && count_ < few_.size()) {
    few_[count_++] = static_cast<std::uint32_t>(index);
    return;
  }
  if (many_.empty()) {
    for (std::size_t i = 0; i < count_; ++i) many_.emplace_back(volumes_[few_[i]].name(), few_[i]);
    std::sort(many_.begin(), many_.end());
  }
  const std::pair<std::string_view, std::uint32_t> item{volumes_[index].name(), static_cast<std::uint32_t>(index)};
  many_.insert(std::upper_bound(many_.begin(), many_.end(), item), item);
}

Volume VolumeNames::find(std::string_view name) const {
  if (many_.empty()) {
    for (std::size_t i = 0; i < count_; ++i)
      if (volumes_[few_[i]].name() == name) return volumes_[few_[i]];
    return {};
  }
  const auto at =
      std::lower_bound(many_.begin(), many_.end(), name, [](const auto& one, auto text) { return one.first < text; });
  return at != many_.end() && at->first == name ? volumes_[at->second] : Volume{};
}

VolumeNames validate_volumes(const core::PodSpec& spec, const ObjectMeta& metadata, const FieldPath& path,
                             const PodValidationOptions& options, FieldErrorList& errors) {
  VolumeNames names(spec);
  std::size_t i = 0;
  for (const auto volume : spec.volumes()) {
    const FieldPath at = path.index(static_cast<std::int64_t>(i)), name_path = at.child("name");
    const std::size_t before = errors.size();
    check_volume_source(volume, metadata, at, options, errors);
    if (volume.name().empty())
      errors.push_back(field::required(name_path));
    else
      check_dns_label(volume.name(), name_path, errors);
    if (names.find(volume.name())) errors.push_back(field::duplicate(name_path, volume.name()));
    if (errors.size() == before) names.add(i);
    if (const auto claim = volume.persistentVolumeClaim();
        claim && is_claim_of_ephemeral_volume(claim.claimName(), spec, metadata))
      errors.push_back(field::invalid(at.child("persistentVolumeClaim").child("claimName"), claim.claimName(),
                                      "must not reference a PVC that gets created for an ephemeral volume"));
    ++i;
  }
  return names;
}

void validate_path_no_backsteps(std::string_view text, const FieldPath& path, FieldErrorList& errors) {
  std::string_view rest = text;
  while (true) {
    const auto slash = rest.find('/');
    if (rest.substr(0, slash) == "..") {
      errors.push_back(field::invalid(path, text, "must not contain '..'"));
      return;
    }
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void validate_local_descending_path(std::string_view text, const FieldPath& path, FieldErrorList& errors) {
  if (text.starts_with('/')) errors.push_back(field::invalid(path, text, "must be a relative path"));
  validate_path_no_backsteps(text, path, errors);
}

}  // namespace rusternetes::api_server
