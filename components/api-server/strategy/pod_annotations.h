#pragma once
#include "api-server/strategy/pod_validation.h"

namespace rusternetes::api_server {

inline constexpr std::string_view mirror_pod_annotation = "kubernetes.io/config.mirror";
inline constexpr std::string_view deletion_cost_annotation = "controller.kubernetes.io/pod-deletion-cost";
inline constexpr std::string_view app_armor_annotation_prefix = "container.apparmor.security.beta.kubernetes.io/";

bool is_valid_deletion_cost(std::string_view text);
// Some annotations of a Pod are fixed.
void validate_pod_annotation_updates(const core::Pod& pod, const core::Pod& old, const FieldPath& path,
                                     FieldErrorList& errors);

}  // namespace rusternetes::api_server
