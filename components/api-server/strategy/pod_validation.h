#pragma once
// Validation of Pods and of the Pod templates inside workloads (pkg/apis/core/validation of Kubernetes v1.35, with the
// feature gates that are on by default). The rules of one part of a Pod each have a file: volumes, containers, resources,
// security, scheduling.

#include "api-server/strategy/checks.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

namespace core = apimachinery::core_v1;

// What an update tolerates because the stored object has it already, and what depends on where the Pod stands.
struct PodValidationOptions {
  bool is_pod = false;             // not a template
  bool allow_privileged = true;    // --allow-privileged
  bool allow_invalid_deletion_cost = false;
  bool allow_indivisible_huge_pages = false;
  bool allow_invalid_selector_values = false;         // of Pod affinity
  bool allow_invalid_node_affinity_values = false;    // of required node affinity
  bool allow_invalid_spread_selectors = false;        // of topology spread constraints
  bool allow_invalid_match_label_keys = false;        // of topology spread constraints
  bool allow_any_token_path = false;                  // of projected service account tokens
  bool allow_sysctls_of_host_namespaces = false;
  bool allow_any_selinux_change_policy = false;
  bool allow_host_network_in_user_namespace = false;
  bool allow_devices_in_user_namespace = false;
  bool allow_comparing_tolerations = false;           // Lt, Gt
  bool allow_restart_all_containers = false;
};

// For an update of what stood there before.
PodValidationOptions pod_update_options(const core::PodSpec& old_spec, const TextMap& old_annotations);

// `metadata` is a Pod's; empty for a template, whose Pods' names are not known.
void validate_pod_spec(const core::PodSpec& spec, const apimachinery::meta_v1::ObjectMeta& metadata,
                       const FieldPath& path, const PodValidationOptions& options, FieldErrorList& errors);
void validate_pod_template(const core::PodTemplateSpec& template_, const FieldPath& path,
                           const PodValidationOptions& options, FieldErrorList& errors);

// A Pod but for its general metadata.
void validate_pod(const core::Pod& pod, const PodValidationOptions& options, FieldErrorList& errors);
void validate_pod_create(const core::Pod& pod, const PodValidationOptions& options, FieldErrorList& errors);
void validate_pod_update(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                         FieldErrorList& errors);
void validate_pod_status_update(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                                FieldErrorList& errors);
void validate_ephemeral_containers_update(const core::Pod& pod, const core::Pod& old,
                                          const PodValidationOptions& options, FieldErrorList& errors);
void validate_pod_resize(const core::Pod& pod, const core::Pod& old, const PodValidationOptions& options,
                         FieldErrorList& errors);

// Calls `f(container, path)` for init containers, containers, ephemeral containers; stops when it returns false.
template <class F>
bool each_container(const core::PodSpec& spec, const FieldPath& path, F&& f) {
  const auto visit = [&](const auto& list, std::string_view name) {
    const FieldPath list_path = path.child(name);
    std::int64_t i = 0;
    for (const auto container : list)
      if (!f(core::Container(container.value()), list_path.index(i++))) return false;
    return true;
  };
  return visit(spec.initContainers(), "initContainers") && visit(spec.containers(), "containers") &&
         visit(spec.ephemeralContainers(), "ephemeralContainers");
}

// ---- the parts ----

// Names of a Pod's valid volumes, for mounts. Lookups are linear while the Pod has few.
class VolumeNames {
 public:
  explicit VolumeNames(const core::PodSpec& spec) : volumes_(spec.volumes()) {}
  void add(std::size_t index);
  // Null when there is no valid volume of that name.
  core::Volume find(std::string_view name) const;

 private:
  struct Index;
  apimachinery::ListView<core::Volume> volumes_;
  std::vector<std::pair<std::string_view, std::uint32_t>> many_;  // sorted, when there are many
  std::array<std::uint32_t, 16> few_{};
  std::size_t count_ = 0;
};

VolumeNames validate_volumes(const core::PodSpec& spec, const apimachinery::meta_v1::ObjectMeta& metadata,
                             const FieldPath& path, const PodValidationOptions& options, FieldErrorList& errors);
void validate_local_descending_path(std::string_view text, const FieldPath& path, FieldErrorList& errors);
void validate_path_no_backsteps(std::string_view text, const FieldPath& path, FieldErrorList& errors);
void validate_csi_driver_name(std::string_view name, const FieldPath& path, FieldErrorList& errors);
// A claim inside a template: of an ephemeral volume or a StatefulSet.
void validate_claim_spec(const core::PersistentVolumeClaimSpec& spec, const FieldPath& path, FieldErrorList& errors);

struct ContainerContext {
  const core::PodSpec& spec;
  const VolumeNames& volumes;
  const PodValidationOptions& options;
  bool uses_host_users;
};
void validate_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors);
void validate_init_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors);
void validate_ephemeral_containers(const ContainerContext& context, const FieldPath& path, FieldErrorList& errors);
void validate_container_environment(const core::Container& container, const FieldPath& path, FieldErrorList& errors);
void validate_container_mounts(const core::Container& container, const ContainerContext& context,
                               const FieldPath& path, FieldErrorList& errors);
void validate_pull_policy(std::string_view policy, const FieldPath& path, FieldErrorList& errors);
void validate_field_reference(const core::ObjectFieldSelector& reference, const FieldPath& path, bool is_volume,
                              FieldErrorList& errors);
void validate_resource_reference(const core::ResourceFieldSelector& reference, const FieldPath& path, bool is_volume,
                                 FieldErrorList& errors);
void validate_port_number_or_name(const apimachinery::Value* port, const FieldPath& path, FieldErrorList& errors);
void validate_lifecycle(const core::Lifecycle& lifecycle, const ContainerContext& context, const FieldPath& path,
                        FieldErrorList& errors);
// All three of a container.
void validate_probes(const core::Container& container, const FieldPath& path, FieldErrorList& errors);

// Requests and limits. `claim_names` are of spec.resourceClaims.
void validate_container_resources(const core::ResourceRequirements& resources, const core::PodSpec& spec,
                                  const FieldPath& path, const PodValidationOptions& options, FieldErrorList& errors);
void validate_pod_level_resources(const core::PodSpec& spec, const FieldPath& path,
                                  const PodValidationOptions& options, FieldErrorList& errors);
// Of a Pod's `overhead` or the like: a ResourceList whose names may be a container's.
void validate_resource_limits(const TextMap& limits, const FieldPath& path, const PodValidationOptions& options,
                              FieldErrorList& errors);
void validate_resource_quantity(std::string_view resource, std::string_view quantity, const FieldPath& path,
                                FieldErrorList& errors);
bool uses_indivisible_huge_pages(const core::PodSpec& spec);

void validate_security_context(const core::SecurityContext& context, const ContainerContext& container,
                               const FieldPath& path, FieldErrorList& errors);
void validate_pod_security_context(const core::PodSpec& spec, const FieldPath& path,
                                   const PodValidationOptions& options, FieldErrorList& errors);
// seccomp and AppArmor annotations agree with the fields.
void validate_profile_annotations_match(const TextMap& annotations, const core::PodSpec& spec, const FieldPath& path,
                                        FieldErrorList& errors);
void validate_pod_annotations(const TextMap& annotations, const core::PodSpec& spec, const FieldPath& path,
                              const PodValidationOptions& options, FieldErrorList& errors);
bool is_sysctl_of_host_namespace(std::string_view name, const core::PodSpec& spec);
void validate_app_armor_profile(const core::AppArmorProfile& profile, const FieldPath& path, FieldErrorList& errors);
void validate_operating_system(const core::PodSpec& spec, const FieldPath& path, FieldErrorList& errors);
void validate_windows_host_process(const core::PodSpec& spec, const FieldPath& path,
                                   const PodValidationOptions& options, FieldErrorList& errors);

void validate_affinity(const core::Affinity& affinity, const FieldPath& path, const PodValidationOptions& options,
                       FieldErrorList& errors);
void validate_node_selector(const core::NodeSelector& selector, bool allow_invalid_values, const FieldPath& path,
                            FieldErrorList& errors);
void validate_tolerations(const apimachinery::ListView<core::Toleration>& tolerations, const FieldPath& path,
                          const PodValidationOptions& options, FieldErrorList& errors);
void validate_taint_effect(std::string_view effect, bool allow_empty, const FieldPath& path, FieldErrorList& errors);
void validate_topology_spread(const core::PodSpec& spec, const FieldPath& path, const PodValidationOptions& options,
                              FieldErrorList& errors);
bool has_invalid_match_label_keys(const core::PodSpec& spec);
bool has_invalid_affinity_selector_values(const core::PodSpec& spec);

}  // namespace rusternetes::api_server
