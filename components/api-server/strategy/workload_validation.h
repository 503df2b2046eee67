#pragma once
// What validation of Deployments, ReplicaSets, StatefulSets, DaemonSets and ReplicationControllers has in common.

#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

// A required LabelSelector that selects something. `kind` stands in the message about an empty one.
void validate_workload_selector(const apimachinery::meta_v1::LabelSelector& selector, std::string_view kind,
                                const FieldPath& path, FieldErrorList& errors);
// The selector selects the template's Pods, the template is valid, restarts always and has no deadline. `kind` stands in
// the message about a deadline. `spec_path` is that of the workload's spec.
void validate_selected_template(const apimachinery::meta_v1::LabelSelector& selector,
                                const core::PodTemplateSpec& template_, std::string_view kind,
                                const FieldPath& spec_path, const PodValidationOptions& options,
                                FieldErrorList& errors);
void validate_always_restarting(const core::PodTemplateSpec& template_, std::string_view kind,
                                const FieldPath& template_path, FieldErrorList& errors);
// A selector that LabelSelectorAsSelector would refuse.
bool is_bad_selector(const apimachinery::meta_v1::LabelSelector& selector);

void validate_int_or_percent(const apimachinery::Value* value, const FieldPath& path, FieldErrorList& errors);
// The number, of percents or things.
std::int64_t int_or_percent(const apimachinery::Value* value);
void validate_at_most_100_percent(const apimachinery::Value* value, const FieldPath& path, FieldErrorList& errors);
apimachinery::BadValue shown_int_or_string(const apimachinery::Value* value);

// `field` of both specs may not differ.
void validate_immutable(const apimachinery::Value* now, const apimachinery::Value* then,
                        const apimachinery::Type& type, const FieldPath& path, FieldErrorList& errors);
// A counter that never falls.
void validate_not_decremented(const apimachinery::Value* now, const apimachinery::Value* then, const FieldPath& path,
                              FieldErrorList& errors);

// Of the replica counts in a status: none may be more than another.
struct ReplicaCount {
  std::string_view name;
  std::int64_t count;
};
void validate_at_most(const ReplicaCount& count, std::int64_t limit, std::string_view detail, const FieldPath& status,
                      FieldErrorList& errors);

// Options for templates of new workloads, and of changed ones.
PodValidationOptions template_options(bool allow_privileged);
PodValidationOptions template_update_options(const core::PodTemplateSpec& old, bool allow_privileged);

}  // namespace rusternetes::api_server
