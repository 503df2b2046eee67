// What a container mounts, and which block devices it sees.

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

void check_propagation(const core::VolumeMount& mount, const core::Container& container, const FieldPath& path,
                       FieldErrorList& errors) {
  if (!mount.has_mountPropagation()) return;
  check_supported(mount.mountPropagation(), path, {"Bidirectional", "HostToContainer", "None"}, errors);
  if (mount.mountPropagation() == "Bidirectional" && !container.securityContext().privileged())
    errors.push_back(
        field::forbidden(path, "Bidirectional mount propagation is available only to privileged containers"));
}

void check_recursive_read_only(const core::VolumeMount& mount, const FieldPath& path, FieldErrorList& errors) {
  if (!mount.has_recursiveReadOnly()) return;
  const std::string_view value = mount.recursiveReadOnly();
  if (value == "Disabled") return;
  if (value != "Enabled" && value != "IfPossible") {
    errors.push_back(field::not_supported(path, value, {"Disabled", "Enabled", "IfPossible"}));
    return;
  }
  if (!mount.readOnly()) errors.push_back(field::forbidden(path, "may only be specified when readOnly is true"));
  if (mount.has_mountPropagation() && mount.mountPropagation() != "None")
    errors.push_back(field::forbidden(path, "may only be specified when mountPropagation is None or not specified"));
}

template <class List, class Get>
bool has_item(const List& list, std::string_view text, Get&& get) {
  for (const auto item : list)
    if (get(item) == text) return true;
  return false;
}

void check_mount(const core::VolumeMount& mount, const core::Container& container, const ContainerContext& context,
                 const FieldPath& list, std::int64_t i, FieldErrorList& errors) {
  const FieldPath at = list.index(i);
  check_required(mount.name(), at.child("name"), errors);
  if (!context.volumes.find(mount.name())) errors.push_back(field::not_found(at.child("name"), mount.name()));
  check_required(mount.mountPath(), at.child("mountPath"), errors);
  const auto devices = container.volumeDevices();
  if (!devices.empty()) {
    if (has_item(devices, mount.name(), [](const auto& one) { return one.name(); }))
      errors.push_back(field::invalid(at.child("name"), mount.name(), "must not already exist in volumeDevices"));
    if (has_item(devices, mount.mountPath(), [](const auto& one) { return one.devicePath(); }))
      errors.push_back(
          field::invalid(at.child("mountPath"), mount.mountPath(), "must not already exist as a path in volumeDevices"));
  }
  if (!mount.subPath().empty()) validate_local_descending_path(mount.subPath(), list.child("subPath"), errors);
  if (!mount.subPathExpr().empty()) {
    if (!mount.subPath().empty())
      errors.push_back(field::invalid(at.child("subPathExpr"), mount.subPathExpr(),
                                      "subPathExpr and subPath are mutually exclusive"));
    validate_local_descending_path(mount.subPathExpr(), list.child("subPathExpr"), errors);
  }
  check_propagation(mount, container, list.child("mountPropagation"), errors);
  check_recursive_read_only(mount, list.child("recursiveReadOnly"), errors);
}

void check_devices(const core::Container& container, const ContainerContext& context, const FieldPath& list,
                   FieldErrorList& errors) {
  TextSet names, paths;
  std::int64_t i = 0;
  for (const auto device : container.volumeDevices()) {
    const FieldPath at = list.index(i++), name_path = at.child("name"), device_path = at.child("devicePath");
    const std::string_view name = device.name(), where = device.devicePath();
    const auto volume = context.volumes.find(name);
    check_required(name, name_path, errors);
    if (names.contains(name)) errors.push_back(field::invalid(name_path, name, "must be unique"));
    if (volume && !volume.persistentVolumeClaim() && !volume.ephemeral())
      errors.push_back(field::invalid(
          name_path, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"));
    if (!volume) errors.push_back(field::not_found(name_path, name));
    check_required(where, device_path, errors);
    if (paths.contains(where)) errors.push_back(field::invalid(device_path, where, "must be unique"));
    FieldErrorList backsteps;
    if (!where.empty()) validate_path_no_backsteps(where, device_path, backsteps);
    if (!backsteps.empty())
      errors.push_back(field::invalid(device_path, where, "can not contain backsteps ('..')"));
    else
      paths.insert(where);
    const auto mounts = container.volumeMounts();
    if (has_item(mounts, name, [](const auto& one) { return one.name(); }))
      errors.push_back(field::invalid(name_path, name, "must not already exist in volumeMounts"));
    if (has_item(mounts, where, [](const auto& one) { return one.mountPath(); }))
      errors.push_back(field::invalid(device_path, where, "must not already exist as a path in volumeMounts"));
    if (!name.empty()) names.insert(name);
  }
}

}  // namespace

void validate_container_mounts(const core::Container& container, const ContainerContext& context,
                               const FieldPath& path, FieldErrorList& errors) {
  const FieldPath list = path.child("volumeMounts");
  TextSet points;
  std::int64_t i = 0;
  for (const auto mount : container.volumeMounts()) {
    if (!points.insert(mount.mountPath()))
      errors.push_back(field::invalid(list.index(i).child("mountPath"), mount.mountPath(), "must be unique"));
    check_mount(mount, container, context, list, i++, errors);
  }
  check_devices(container, context, path.child("volumeDevices"), errors);
}

}  // namespace rusternetes::api_server
