#pragma once
// What the server itself changes in Pods and templates that are written: fields of features that are off by default in
// v1.35 are dropped unless the stored object has them, and some fields of a new Pod follow from others.

#include "api-server/strategy.h"
#include "apimachinery/api/core_v1.h"

namespace rusternetes::api_server {

// `old` is empty at creation.
void drop_disabled_pod_fields(apimachinery::Arena& arena, apimachinery::Value& spec, const apimachinery::core_v1::PodSpec& old);
// The same for a PodTemplateSpec that lies in the field of `owner`.
void drop_disabled_template_fields(apimachinery::Arena& arena, apimachinery::Value* template_,
                                   const apimachinery::core_v1::PodTemplateSpec& old);
void drop_disabled_pod_status_fields(apimachinery::Value& status, const apimachinery::core_v1::PodStatus& old);

// A new Pod's (mis)matchLabelKeys become part of its selectors.
void apply_match_label_keys(apimachinery::Arena& arena, apimachinery::Value& pod);
// A new Pod's AppArmor annotations become fields.
void apply_app_armor_annotations(const StrategyContext& context, apimachinery::Value& pod);

}  // namespace rusternetes::api_server
