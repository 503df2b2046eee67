#pragma once
// HorizontalPodAutoscaler between autoscaling/v1, which knows a share of CPU only, and autoscaling/v2. What version 1 has
// no field for stands in annotations of its objects, as JSON, so that a client of version 1 that writes back what it read
// loses nothing.

#include <cstdint>
#include <span>

#include "api-server/conversion.h"

namespace rusternetes::api_server {

// Both directions.
std::span<const Conversion> autoscaling_conversions();

// Removes those annotations, which no object of version 2 has. `metadata` is an ObjectMeta; annotations that it shares
// with another object stay whole there.
void drop_round_trip_annotations(apimachinery::Arena& arena, apimachinery::Value& metadata);

// What an autoscaler that names no metric is given: a share of the requested CPU, in percent.
inline constexpr std::int64_t default_cpu_utilization = 80;
// Adds a target for that share to a list of version 2's MetricSpec.
void append_cpu_metric(apimachinery::Arena& arena, apimachinery::Value& metrics, std::int64_t percentage);

}  // namespace rusternetes::api_server
