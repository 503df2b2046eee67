// PersistentVolumeClaims as far as Pods and workloads hold them.

#include "api-server/strategy/pod_validation.h"
#include "apimachinery/quantity.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::PersistentVolumeClaimSpec;

namespace {

template <class Source>
void check_data_source(const Source& source, const FieldPath& path, FieldErrorList& errors) {
  check_required(source.name(), path.child("name"), errors);
  check_required(source.kind(), path.child("kind"), errors);
  if (source.apiGroup().empty()) {
    if (source.kind() != "PersistentVolumeClaim")
      errors.push_back(field::invalid(path, source.kind(),
                                      "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
  } else {
    check_dns_subdomain(source.apiGroup(), path.child("apiGroup"), errors);
  }
}

void check_access_modes(const PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  if (spec.accessModes().empty()) errors.push_back(field::required(path, "at least 1 access mode is required"));
  bool has_once_pod = false, has_other = false;
  for (const auto mode : spec.accessModes()) {
    const std::size_t before = errors.size();
    check_supported(mode, path, {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"}, errors);
    if (mode == "ReadWriteOncePod")
      has_once_pod = true;
    else if (errors.size() == before)
      has_other = true;
  }
  if (has_once_pod && has_other)
    errors.push_back(field::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
}

void check_storage_request(const PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  const std::string_view storage = spec.resources().requests().get("storage");
  if (storage.empty()) {
    errors.push_back(field::required(path));
    return;
  }
  const auto amount = Quantity::parse(storage);
  if (amount && amount->sign() <= 0)
    errors.push_back(field::invalid(path, storage, "must be greater than zero"));
}

}  // namespace

void validate_claim_spec(const PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrorList& errors) {
  check_access_modes(spec, path.child("accessModes"), errors);
  check_label_selector(spec.selector(), path.child("selector"), errors);
  check_storage_request(spec, path.child("resources").key("storage"), errors);
  if (!spec.storageClassName().empty())
    check_dns_subdomain(spec.storageClassName(), path.child("storageClassName"), errors);
  if (spec.has_volumeMode()) check_supported(spec.volumeMode(), path.child("volumeMode"), {"Block", "Filesystem"}, errors);
  if (spec.dataSource()) check_data_source(spec.dataSource(), path.child("dataSource"), errors);
  const auto reference = spec.dataSourceRef();
  if (reference) {
    const FieldPath at = path.child("dataSourceRef");
    check_data_source(reference, at, errors);
    if (!reference.namespace_().empty()) check_dns_label(reference.namespace_(), at.child("namespace"), errors);
  }
  const auto contradiction = [&](std::string_view detail) {
    errors.push_back(field::invalid(path, BadValue::json("\"dataSource\""), detail));
  };
  if (!reference.namespace_().empty()) {
    if (spec.dataSource()) contradiction("may not be specified when dataSourceRef.namespace is specified");
  } else if (spec.dataSource() && reference &&
             (spec.dataSource().apiGroup() != reference.apiGroup() || spec.dataSource().kind() != reference.kind() ||
              spec.dataSource().name() != reference.name())) {
    contradiction("must match dataSourceRef");
  }
  if (!spec.volumeAttributesClassName().empty())
    check_dns_subdomain(spec.volumeAttributesClassName(), path.child("volumeAttributesClassName"), errors);
}

}  // namespace rusternetes::api_server
