#include "api-server/strategy/autoscaling_conversion.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "api-server/strategy/defaulting.h"
#include "apimachinery/api/autoscaling_v1.h"
#include "apimachinery/api/autoscaling_v2.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/schema_builder.h"
#include "base/status.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;
using V1 = autoscaling_v1::HorizontalPodAutoscaler;
using V1Spec = autoscaling_v1::HorizontalPodAutoscalerSpec;
using V1Status = autoscaling_v1::HorizontalPodAutoscalerStatus;
using V2 = autoscaling_v2::HorizontalPodAutoscaler;
using V2Spec = autoscaling_v2::HorizontalPodAutoscalerSpec;
using V2Status = autoscaling_v2::HorizontalPodAutoscalerStatus;
using autoscaling_v2::MetricSpec;
using autoscaling_v2::MetricStatus;
using autoscaling_v2::MetricTarget;
using autoscaling_v2::MetricValueStatus;
using autoscaling_v2::ResourceMetricSource;
using autoscaling_v2::ResourceMetricStatus;

namespace {

constexpr std::string_view metrics_key = "autoscaling.alpha.kubernetes.io/metrics";
constexpr std::string_view behavior_key = "autoscaling.alpha.kubernetes.io/behavior";
constexpr std::string_view current_metrics_key = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr std::string_view conditions_key = "autoscaling.alpha.kubernetes.io/conditions";
// The last two are reserved only.
constexpr std::array round_trip_keys{metrics_key,
                                     behavior_key,
                                     current_metrics_key,
                                     conditions_key,
                                     std::string_view("autoscaling.alpha.kubernetes.io/scale-down-tolerance"),
                                     std::string_view("autoscaling.alpha.kubernetes.io/scale-up-tolerance")};

// What the annotations hold. Metrics have the shape of the first alpha; behind "--" stands where version 2
// has a field whose name or place is another. The behavior is Kubernetes' internal type as Go prints it: the
// fields of version 2 in the same order, with capitals, and null where nothing is.
constexpr std::string_view annotation_schema = R"(package autoscaling/annotations
type Annotations
  metrics         - []MetricSpec
  currentMetrics  - []MetricStatus
  conditions      - []autoscaling/v2.HorizontalPodAutoscalerCondition
  behavior        - HorizontalPodAutoscalerBehavior
type MetricSpec
  type               - string required
  object             - ObjectMetricSource? omitempty
  pods               - PodsMetricSource? omitempty
  resource           - ResourceMetricSource? omitempty
  containerResource  - ContainerResourceMetricSource? omitempty
  external           - ExternalMetricSource? omitempty
type CrossVersionObjectReference
  kind        - string required
  name        - string required
  apiVersion  - string omitempty
type ObjectMetricSource
  target        - CrossVersionObjectReference required -- describedObject
  metricName    - string required -- metric.name
  targetValue   - Quantity required -- target.value
  selector      - meta/v1.LabelSelector? omitempty -- metric.selector
  averageValue  - Quantity? omitempty -- target.averageValue
type PodsMetricSource
  metricName          - string required -- metric.name
  targetAverageValue  - Quantity required -- target.averageValue
  selector            - meta/v1.LabelSelector? omitempty -- metric.selector
type ResourceMetricSource
  name                      - string required
  targetAverageUtilization  - int32? omitempty -- target.averageUtilization
  targetAverageValue        - Quantity? omitempty -- target.averageValue
type ContainerResourceMetricSource
  name                      - string required
  targetAverageUtilization  - int32? omitempty -- target.averageUtilization
  targetAverageValue        - Quantity? omitempty -- target.averageValue
  container                 - string required
type ExternalMetricSource
  metricName          - string required -- metric.name
  metricSelector      - meta/v1.LabelSelector? omitempty -- metric.selector
  targetValue         - Quantity? omitempty -- target.value
  targetAverageValue  - Quantity? omitempty -- target.averageValue
type MetricStatus
  type               - string required
  object             - ObjectMetricStatus? omitempty
  pods               - PodsMetricStatus? omitempty
  resource           - ResourceMetricStatus? omitempty
  containerResource  - ContainerResourceMetricStatus? omitempty
  external           - ExternalMetricStatus? omitempty
type ObjectMetricStatus
  target        - CrossVersionObjectReference required -- describedObject
  metricName    - string required -- metric.name
  currentValue  - Quantity required -- current.value
  selector      - meta/v1.LabelSelector? omitempty -- metric.selector
  averageValue  - Quantity? omitempty -- current.averageValue
type PodsMetricStatus
  metricName           - string required -- metric.name
  currentAverageValue  - Quantity required -- current.averageValue
  selector             - meta/v1.LabelSelector? omitempty -- metric.selector
type ResourceMetricStatus
  name                       - string required
  currentAverageUtilization  - int32? omitempty -- current.averageUtilization
  currentAverageValue        - Quantity required -- current.averageValue
type ContainerResourceMetricStatus
  name                       - string required
  currentAverageUtilization  - int32? omitempty -- current.averageUtilization
  currentAverageValue        - Quantity required -- current.averageValue
  container                  - string required
type ExternalMetricStatus
  metricName           - string required -- metric.name
  metricSelector       - meta/v1.LabelSelector? omitempty -- metric.selector
  currentValue         - Quantity required -- current.value
  currentAverageValue  - Quantity? omitempty -- current.averageValue
type HorizontalPodAutoscalerBehavior
  ScaleUp    - HPAScalingRules?
  ScaleDown  - HPAScalingRules?
type HPAScalingRules
  StabilizationWindowSeconds  - int32?
  SelectPolicy                - string?
  Policies                    - []HPAScalingPolicy
  Tolerance                   - Quantity?
type HPAScalingPolicy
  Type           - string
  Value          - int32
  PeriodSeconds  - int32
)";

const Type& field_type(const Type& type, std::string_view name) {
  const int index = type.find(name);
  return *type.fields[static_cast<std::size_t>(index)].type;
}

// The type of what is below the annotation that holds this field. Lives for ever.
const Type& annotation_type(std::string_view field) {
  static const OwnedSchema& schema = *[] {
    auto parsed = parse_schema_text({{"annotations", std::string(annotation_schema)}}, &builtin_schema());
    RN_ASSERT(parsed, "the schema of annotations is right");
    return parsed->release();
  }();
  const auto annotations =
      std::ranges::find(schema.types, "autoscaling/annotations.Annotations", &Type::name);
  return field_type(**annotations, field);
}

// Where version 2 has a field of an annotation: a name, or two with a dot between.
struct Place {
  std::string_view outer, inner;
};
Place place_of(const Field& field) {
  const std::string_view path = field.rules->description.empty() ? field.name : field.rules->description;
  const auto dot = path.find('.');
  return dot == std::string_view::npos ? Place{path, {}} : Place{path.substr(0, dot), path.substr(dot + 1)};
}

Value shared(const Value& value) {
  Value copy = value;
  copy.growable = 0;
  return copy;
}

// A structure of version 2 (may be null) as the annotations have it.
Value to_annotation(Arena& arena, const Value& value, const Type& from, const Type& to) {
  if (&from == &to || to.kind != TypeKind::structure || value.kind != ValueKind::structure)
    return shared(value);
  Value out = Value::empty(ValueKind::structure);
  for (std::size_t i = 0; i < to.fields.size(); ++i) {
    const Place place = place_of(to.fields[i]);
    const Type* type = &field_type(from, place.outer);
    const Value* found = value.get(from.find(place.outer));
    if (!place.inner.empty()) {
      if (found) found = found->get(type->find(place.inner));
      type = &field_type(*type, place.inner);
    }
    if (found)
      assign(set_field(arena, out, static_cast<int>(i)),
             to_annotation(arena, *found, *type, *to.fields[i].type));
  }
  return out;
}

// The reverse. An amount that the annotation always has and version 2 may lack is there even when it is 0.
Value from_annotation(Arena& arena, const Value& value, const Type& from, const Type& to) {
  if (&from == &to || to.kind != TypeKind::structure) return shared(value);
  Value out = Value::empty(ValueKind::structure);
  for (std::size_t i = 0; i < from.fields.size(); ++i) {
    const Field& field = from.fields[i];
    const Value zero = Value::of_text("0");
    const Value* found = value.kind == ValueKind::structure ? value.get(static_cast<int>(i)) : nullptr;
    if (!found && field.type->kind == TypeKind::quantity && !field.is_pointer) found = &zero;
    if (!found) continue;
    const Place place = place_of(field);
    const Type* type = &field_type(to, place.outer);
    const int outer = to.find(place.outer);
    if (place.inner.empty()) {
      assign(set_field(arena, out, outer), from_annotation(arena, *found, *field.type, *type));
    } else {
      const int inner = type->find(place.inner);
      type = &field_type(*type, place.inner);
      const Value converted = from_annotation(arena, *found, *field.type, *type);
      assign(set_field(arena, ensure(arena, out, outer), inner), converted);
    }
  }
  return out;
}

// The annotations do not say of what type a target is: what it has tells.
void set_target_type(Arena& arena, Value& metric, int source) {
  Value* source_value = metric.get(source);
  if (!source_value) return;
  const Type& type = *MetricSpec::schema_type().fields[static_cast<std::size_t>(source)].type;
  Value& target = ensure(arena, *source_value, type.find("target"));
  const MetricTarget view(&target);
  const bool is_value = source == MetricSpec::f_object ? !view.has_averageValue() : view.has_value_();
  default_text(arena, target, MetricTarget::f_type,
               view.has_averageUtilization() ? "Utilization"
               : is_value                    ? "Value"
                                             : "AverageValue");
}

// Go's decoder takes keys of any case for a field whose exact name is not there.
const Field* field_like(const Type& type, std::string_view key) {
  if (const int index = type.find(key); index >= 0) return &type.fields[static_cast<std::size_t>(index)];
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (const Field& field : type.fields)
    if (std::ranges::equal(field.name, key, {}, lower, lower)) return &field;
  return nullptr;
}

Value with_exact_names(Arena& arena, const Value& any, const Type& type) {
  if (any.kind == ValueKind::list && type.kind == TypeKind::list) {
    Value out = Value::empty(ValueKind::list);
    for (const Value& item : any.children()) append(arena, out, with_exact_names(arena, item, *type.element));
    return out;
  }
  if (any.kind != ValueKind::map || type.kind != TypeKind::structure) return shared(any);
  Value out = Value::empty(ValueKind::map);
  for (std::uint32_t i = 0; i < any.size; ++i) {
    const Field* field = field_like(type, any.items[2 * i].str());
    if (field)
      append_pair(arena, out, field->name, with_exact_names(arena, any.items[2 * i + 1], *field->type));
  }
  sort_pairs(out);
  return out;
}

// What an annotation says; nothing if it is not there or is no JSON of that type, which then counts as not
// there.
std::optional<Value> read_annotation(Arena& arena, const V1& from, std::string_view key, const Type& type) {
  const Value* text = from.metadata().annotations().find(key);
  if (!text) return std::nullopt;
  const auto any = decode_json_any(arena, text->str());
  if (!any) return std::nullopt;
  if (any->is_null()) return Value{};
  const auto typed = convert_any(arena, with_exact_names(arena, *any, type), type);
  return typed ? std::optional<Value>(*typed) : std::nullopt;
}

// The list that an annotation holds, as version 2 has it.
std::optional<Value> read_list(Arena& arena, const V1& from, std::string_view key, std::string_view field,
                               const Type& to) {
  const Type& type = annotation_type(field);
  const auto read = read_annotation(arena, from, key, type);
  if (!read) return std::nullopt;
  Value out = Value::empty(ValueKind::list);
  for (const Value& item : read->children())
    append(arena, out, from_annotation(arena, item, *type.element, to));
  return out;
}

void write_annotation(Arena& arena, Value& metadata, std::string_view key, const Value& value,
                      const Type& type) {
  std::string text;
  encode_json(text, &value, type, {});
  set_map_string(arena, ensure(arena, metadata, ObjectMeta::f_annotations, ValueKind::map), key, text);
}

bool is_cpu_target(const MetricSpec& metric) {
  return metric.type() == "Resource" && metric.has_resource() && metric.resource().name() == "cpu" &&
         metric.resource().target().has_averageUtilization();
}

// The metadata of a converted object, which shares it with the original, made its own to the annotations.
Value& own_metadata(Arena& arena, Value& object) {
  Value& metadata = ensure(arena, object, V2::f_metadata);
  assign(metadata, copy_level(arena, metadata));
  drop_round_trip_annotations(arena, metadata);
  if (Value* annotations = metadata.get(ObjectMeta::f_annotations))
    assign(*annotations, copy_level(arena, *annotations));
  return metadata;
}

void to_v1(Arena& arena, const Value& from, Value& to) {
  const V2 autoscaler(&from);
  Value& metadata = own_metadata(arena, to);
  Value others = Value::empty(ValueKind::list), current = Value::empty(ValueKind::list);
  const Type &specs = annotation_type("metrics"), &statuses = annotation_type("currentMetrics");
  bool has_cpu = false;
  for (const MetricSpec metric : autoscaler.spec().metrics()) {
    if (!is_cpu_target(metric)) {
      append(arena, others, to_annotation(arena, *metric.value(), MetricSpec::schema_type(), *specs.element));
      continue;
    }
    if (!std::exchange(has_cpu, true))
      set_integer(arena, ensure(arena, to, V1::f_spec), V1Spec::f_targetCPUUtilizationPercentage,
                  metric.resource().target().averageUtilization());
  }
  for (const MetricStatus metric : autoscaler.status().currentMetrics()) {
    append(arena, current,
           to_annotation(arena, *metric.value(), MetricStatus::schema_type(), *statuses.element));
    if (metric.type() == "Resource" && metric.resource().name() == "cpu" &&
        metric.resource().current().has_averageUtilization())
      set_integer(arena, ensure(arena, to, V1::f_status), V1Status::f_currentCPUUtilizationPercentage,
                  metric.resource().current().averageUtilization());
  }
  if (others.size) write_annotation(arena, metadata, metrics_key, others, specs);
  if (current.size) write_annotation(arena, metadata, current_metrics_key, current, statuses);
  if (const Value* behavior = autoscaler.spec().behavior().value())
    write_annotation(arena, metadata, behavior_key, *behavior, annotation_type("behavior"));
  if (const Value* conditions = descend(&from, V2::f_status, V2Status::f_conditions);
      conditions && conditions->size)
    write_annotation(arena, metadata, conditions_key, *conditions, annotation_type("conditions"));
}

void set_metrics(Arena& arena, const V1& from, Value& to) {
  auto metrics = read_list(arena, from, metrics_key, "metrics", MetricSpec::schema_type());
  if (!metrics) metrics = Value::empty(ValueKind::list);
  for (Value& metric : metrics->children())
    for (int source = MetricSpec::f_object; source <= MetricSpec::f_external; ++source)
      set_target_type(arena, metric, source);
  if (from.spec().has_targetCPUUtilizationPercentage())
    append_cpu_metric(arena, *metrics, from.spec().targetCPUUtilizationPercentage());
  else if (metrics->size == 0)
    append_cpu_metric(arena, *metrics, default_cpu_utilization);
  assign(set_field(arena, ensure(arena, to, V2::f_spec), V2Spec::f_metrics), *metrics);
}

void set_status(Arena& arena, const V1& from, Value& to) {
  auto current = read_list(arena, from, current_metrics_key, "currentMetrics", MetricStatus::schema_type());
  if (!current && from.status().has_currentCPUUtilizationPercentage()) {
    current = Value::empty(ValueKind::list);
    Value& metric = append_structure(arena, *current);
    set_string(arena, metric, MetricStatus::f_type, "Resource");
    Value& source = ensure(arena, metric, MetricStatus::f_resource);
    set_string(arena, source, ResourceMetricStatus::f_name, "cpu");
    set_integer(arena, ensure(arena, source, ResourceMetricStatus::f_current),
                MetricValueStatus::f_averageUtilization, from.status().currentCPUUtilizationPercentage());
  }
  if (current)
    assign(set_field(arena, ensure(arena, to, V2::f_status), V2Status::f_currentMetrics), *current);
  const Type& type = annotation_type("conditions");
  if (const auto conditions = read_list(arena, from, conditions_key, "conditions", *type.element))
    assign(set_field(arena, ensure(arena, to, V2::f_status), V2Status::f_conditions), *conditions);
}

void to_v2(Arena& arena, const Value& from, Value& to) {
  const V1 autoscaler(&from);
  set_metrics(arena, autoscaler, to);
  const auto behavior = read_annotation(arena, autoscaler, behavior_key, annotation_type("behavior"));
  if (behavior && !behavior->children().empty())
    assign(set_field(arena, ensure(arena, to, V2::f_spec), V2Spec::f_behavior), *behavior);
  set_status(arena, autoscaler, to);
  own_metadata(arena, to);
}

}  // namespace

void append_cpu_metric(Arena& arena, Value& metrics, std::int64_t percentage) {
  Value& metric = append_structure(arena, metrics);
  set_string(arena, metric, MetricSpec::f_type, "Resource");
  Value& source = ensure(arena, metric, MetricSpec::f_resource);
  set_string(arena, source, ResourceMetricSource::f_name, "cpu");
  Value& target = ensure(arena, source, ResourceMetricSource::f_target);
  set_string(arena, target, MetricTarget::f_type, "Utilization");
  set_integer(arena, target, MetricTarget::f_averageUtilization, percentage);
}

void drop_round_trip_annotations(Arena& arena, Value& metadata) {
  Value* annotations = metadata.get(ObjectMeta::f_annotations);
  if (!annotations) return;
  const auto is_there = [&](std::string_view key) { return annotations->lookup(key) != nullptr; };
  if (std::ranges::none_of(round_trip_keys, is_there)) return;
  assign(*annotations, copy_level(arena, *annotations));
  for (const auto key : round_trip_keys) erase_key(*annotations, key);
  if (annotations->size == 0) erase_field(metadata, ObjectMeta::f_annotations);
}

std::span<const Conversion> autoscaling_conversions() {
  static const std::array<Conversion, 2> conversions{{
      {&V1::schema_type(), &V2::schema_type(), to_v2},
      {&V2::schema_type(), &V1::schema_type(), to_v1},
  }};
  return conversions;
}

}  // namespace rusternetes::api_server
