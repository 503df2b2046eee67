#pragma once
// Defaults of Pods and of the Pod templates inside workloads (pkg/apis/core/v1 defaults), and the forms in which older
// clients say the same thing (conversion of serviceAccount, podIP and others).

#include "apimachinery/value.h"

namespace rusternetes::api_server {

// What holds for a Pod and for a template.
void set_pod_spec_defaults(apimachinery::Arena& arena, apimachinery::Value& spec);
// `template_` is a PodTemplateSpec.
void set_pod_template_defaults(apimachinery::Arena& arena, apimachinery::Value& template_);
// A Pod: what only holds for Pods as well.
void set_pod_defaults(apimachinery::Arena& arena, apimachinery::Value& pod);

// Of a PersistentVolumeClaimSpec, which ephemeral volumes hold.
void set_claim_spec_defaults(apimachinery::Arena& arena, apimachinery::Value& spec);

}  // namespace rusternetes::api_server
