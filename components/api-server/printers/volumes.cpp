// PersistentVolumes and claims.

#include "api-server/printers/cells.h"
#include "api-server/printers/text.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

constexpr std::string_view beta_class = "volume.beta.kubernetes.io/storage-class";

std::string access_modes_text(const ListView<std::string_view>& modes) {
  constexpr std::pair<std::string_view, std::string_view> words[] = {{"ReadWriteOnce", "RWO"},
                                                                     {"ReadOnlyMany", "ROX"},
                                                                     {"ReadWriteMany", "RWX"},
                                                                     {"ReadWriteOncePod", "RWOP"}};
  std::string out;
  for (const auto& [mode, word] : words) {
    bool has_mode = false;
    for (const auto one : modes) has_mode |= one == mode;
    if (has_mode) out += fmt::format("{}{}", out.empty() ? "" : ",", word);
  }
  return out;
}

// The annotation of old goes before the field.
template <class Object>
std::string_view class_of(const Object& object) {
  const auto annotations = object.metadata().annotations();
  return annotations.contains(beta_class) ? annotations.get(beta_class) : object.spec().storageClassName();
}

template <class Object>
std::string_view phase_of(const Object& object) {
  return object.metadata().has_deletionTimestamp() ? std::string_view("Terminating")
                                                   : object.status().phase();
}

template <class Spec>
void mode_cell(Cells& cells, const Spec& spec) {
  cells.text(spec.has_volumeMode() ? spec.volumeMode() : std::string_view("<unset>"));
}

template <class Spec>
void attributes_class_cell(Cells& cells, const Spec& spec) {
  cells.text(spec.has_volumeAttributesClassName() ? spec.volumeAttributesClassName()
                                                  : std::string_view("<unset>"));
}

std::string_view storage_of(const MapView<std::string_view>& quantities) {
  const auto found = quantities.get("storage");
  return found.empty() ? std::string_view("0") : found;
}

void print_volume(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::PersistentVolume volume(&object);
  const auto spec = volume.spec();
  cells.text(volume.metadata().name());
  cells.text(storage_of(spec.capacity()));
  cells.text(access_modes_text(spec.accessModes()));
  cells.text(spec.persistentVolumeReclaimPolicy());
  cells.text(phase_of(volume));
  cells.text(spec.has_claimRef() ? fmt::format("{}/{}", spec.claimRef().namespace_(), spec.claimRef().name())
                                 : "");
  cells.text(class_of(volume));
  attributes_class_cell(cells, spec);
  cells.text(volume.status().reason());
  cells.text(age_of(volume.metadata().creationTimestamp(), now_us));
  mode_cell(cells, spec);
}

// Capacity and modes are the bound volume's.
void print_claim(Cells& cells, const Value& object, std::int64_t now_us) {
  const core_v1::PersistentVolumeClaim claim(&object);
  const auto spec = claim.spec();
  const bool is_bound = !spec.volumeName().empty();
  cells.text(claim.metadata().name());
  cells.text(phase_of(claim));
  cells.text(spec.volumeName());
  cells.text(is_bound ? storage_of(claim.status().capacity()) : std::string_view());
  cells.text(is_bound ? access_modes_text(claim.status().accessModes()) : std::string());
  cells.text(class_of(claim));
  attributes_class_cell(cells, spec);
  cells.text(age_of(claim.metadata().creationTimestamp(), now_us));
  mode_cell(cells, spec);
}

constexpr PrinterEntry printers[] = {{"", "", "persistentvolumes", print_volume},
                                     {"", "", "persistentvolumeclaims", print_claim}};

}  // namespace

std::span<const PrinterEntry> volume_printers() { return printers; }

}  // namespace rusternetes::api_server
