#pragma once
// What a Pod asks for as a whole: its quality of service, and the sums of its containers.

#include <map>
#include <string_view>

#include "apimachinery/quantity.h"
#include "apimachinery/value.h"

namespace rusternetes::api_server {

// Guaranteed, Burstable or BestEffort (a literal).
std::string_view quality_of_service(const apimachinery::Value& pod_spec);

// "cpu", "memory" and huge pages may be asked for by a Pod as a whole (KEP 2837).
bool is_pod_level_resource(std::string_view name);
bool is_huge_page_resource(std::string_view name);

using ResourceAmounts = std::map<std::string_view, apimachinery::Quantity>;
// Over all containers, init containers counted as they run (KEP 753). `list_field` is ResourceRequirements::f_requests
// or f_limits. Keys are views into the spec.
ResourceAmounts aggregate_container_resources(const apimachinery::Value& pod_spec, int list_field);

// Pod-level requests and limits that follow from the containers' (only where some are set).
void set_pod_level_resource_defaults(apimachinery::Arena& arena, apimachinery::Value& pod_spec);

}  // namespace rusternetes::api_server
