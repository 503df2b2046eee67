// storage.k8s.io

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/storage_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

bool is_default_class(const meta_v1::ObjectMeta& metadata) {
  return metadata.annotations().get("storageclass.kubernetes.io/is-default-class") == "true" ||
         metadata.annotations().get("storageclass.beta.kubernetes.io/is-default-class") == "true";
}

void print_storage_class(Cells& cells, const Value& object, std::int64_t now_us) {
  const storage_v1::StorageClass one(&object);
  cells.text(
      fmt::format("{}{}", one.metadata().name(), is_default_class(one.metadata()) ? " (default)" : ""));
  cells.text(one.provisioner());
  cells.text(one.has_reclaimPolicy() ? one.reclaimPolicy() : std::string_view("Delete"));
  cells.text(one.has_volumeBindingMode() ? one.volumeBindingMode() : std::string_view("Immediate"));
  cells.boolean(one.allowVolumeExpansion());
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
}

void print_attributes_class(Cells& cells, const Value& object, std::int64_t now_us) {
  const storage_v1::VolumeAttributesClass one(&object);
  cells.text(one.metadata().name());
  cells.text(one.driverName());
  cells.text(age_of(one.metadata().creationTimestamp(), now_us));
}

void print_attachment(Cells& cells, const Value& object, std::int64_t now_us) {
  const storage_v1::VolumeAttachment attachment(&object);
  const auto spec = attachment.spec();
  cells.text(attachment.metadata().name());
  cells.text(spec.attacher());
  cells.text(spec.source().persistentVolumeName());
  cells.text(spec.nodeName());
  cells.boolean(attachment.status().attached());
  cells.text(age_of(attachment.metadata().creationTimestamp(), now_us));
}

void print_csi_node(Cells& cells, const Value& object, std::int64_t now_us) {
  const storage_v1::CSINode node(&object);
  cells.text(node.metadata().name());
  cells.number(static_cast<std::int64_t>(node.spec().drivers().size()));
  cells.text(age_of(node.metadata().creationTimestamp(), now_us));
}

void print_csi_driver(Cells& cells, const Value& object, std::int64_t now_us) {
  const storage_v1::CSIDriver driver(&object);
  const auto spec = driver.spec();
  std::string audiences;
  bool is_first = true;
  for (const auto request : spec.tokenRequests()) {
    if (!is_first) audiences += ',';
    is_first = false;
    audiences += request.audience();
  }
  cells.text(driver.metadata().name());
  cells.boolean(spec.attachRequired(true));
  cells.boolean(spec.podInfoOnMount());
  cells.boolean(spec.storageCapacity());
  cells.text(spec.tokenRequests().empty() ? "<unset>" : audiences);
  cells.boolean(spec.requiresRepublish());
  cells.text(or_none(joined(spec.volumeLifecycleModes())));
  cells.text(age_of(driver.metadata().creationTimestamp(), now_us));
}

constexpr PrinterEntry printers[] = {
    {"storage.k8s.io", "", "storageclasses", print_storage_class},
    {"storage.k8s.io", "", "volumeattributesclasses", print_attributes_class},
    {"storage.k8s.io", "", "volumeattachments", print_attachment},
    {"storage.k8s.io", "", "csinodes", print_csi_node},
    {"storage.k8s.io", "", "csidrivers", print_csi_driver},
};

}  // namespace

std::span<const PrinterEntry> storage_printers() { return printers; }

}  // namespace rusternetes::api_server
