#include "api-server/actions.h"

#include <fmt/format.h>

#include "api-server/eviction.h"
#include "api-server/storage_codec.h"
#include "apimachinery/any_patch.h"
#include "apimachinery/api/apps_v1.h"
#include "apimachinery/api/autoscaling_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"
#include "apimachinery/json.h"
#include "apimachinery/quote.h"
#include "apimachinery/strategic_patch.h"

namespace rusternetes::api_server {

using namespace apimachinery;

Written success(Call& call, int code) {
  static const Kind status_kind = [] {
    Kind kind;
    kind.group_version = {"", "v1"};
    kind.kind = "Status";
    kind.type = &meta_v1::Status::schema_type();
    return kind;
  }();
  Written out;
  out.kind = &status_kind;
  out.object = Value::empty(ValueKind::structure);
  ensure(call.arena, out.object, meta_v1::Status::f_metadata);
  set_string(call.arena, out.object, meta_v1::Status::f_status, "Success");
  set_integer(call.arena, out.object, meta_v1::Status::f_code, code);
  return out;
}

Task<Result<void>> admit_create(Resources& resources, const AdmissionChain& admission, Call& call, Value& object) {
  const Kind& kind = *call.registry->find_kind(call.subresource->kind_group, call.subresource->kind_version, call.subresource->kind);
  Value& metadata = ensure(call.arena, object, metadata_field(*kind.type));
  const std::string_view name_space = meta_v1::ObjectMeta(&metadata).namespace_();
  if (name_space.empty()) {
    set_string(call.arena, metadata, meta_v1::ObjectMeta::f_namespace_, call.info.name_space);
  } else if (name_space != call.info.name_space) {
    co_return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  }
  AdmissionRequest request{call, "CREATE", kind, &object, nullptr, call.info.name};
  auto admitted = admission.mutate(request);
  if (admitted) admitted = admission.validate(request);
  if (admitted) co_return admitted;
  // Plugins read caches, which may be behind what the client knows already.
  RN_CO_CHECK(co_await resources.cacher().wait_for_newest());
  admitted = admission.mutate(request);
  if (admitted) admitted = admission.validate(request);
  co_return admitted;
}

namespace {

// POST pods/NAME/binding: the scheduler's word on where the Pod runs (pkg/registry/core/pod/storage BindingREST).
Task<Result<Written>> bind_pod(Resources& resources, const AdmissionChain& admission, Call& call, Value object) {
  auto admitted = co_await admit_create(resources, admission, call, object);
  if (!admitted) co_return admitted.error();
  // Kubernetes answers these mistakes with a bare 500.
  const core_v1::Binding binding(&object);
  const std::string node(binding.target().name());
  if (!binding.target().kind().empty() && binding.target().kind() != "Node" && binding.target().kind() != "Minion")
    co_return Status(500, "", fmt::format("target.kind: Unsupported value: {}: supported values: \"Node\", \"<empty>\"", quote(binding.target().kind())));
  if (node.empty()) co_return Status(500, "", "target.name: Required value");
  Resources::Change change = [&call, &object, node](const EntryPtr& before, Value& pod) -> Result<void> {
    const core_v1::Pod old(&before->document.root());
    const core_v1::Binding wanted(&object);
    const GroupResource what{"", "pods/binding"};
    if (!wanted.metadata().uid().empty() && wanted.metadata().uid() != old.metadata().uid())
      return conflict(what, call.info.name, fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", wanted.metadata().uid(), old.metadata().uid()));
    if (old.metadata().has_deletionTimestamp())
      return conflict(what, call.info.name, fmt::format("pod {} is being deleted, cannot be assigned to a host", call.info.name));
    if (!old.spec().nodeName().empty())
      return conflict(what, call.info.name, fmt::format("pod {} is already assigned to node \"{}\"", call.info.name, old.spec().nodeName()));
    if (!old.spec().schedulingGates().empty())
      return conflict(what, call.info.name, fmt::format("pod {} has non-empty .spec.schedulingGates", call.info.name));
    Arena& arena = call.arena;
    set_string(arena, ensure(arena, pod, core_v1::Pod::f_spec), core_v1::PodSpec::f_nodeName, node);
    if (!wanted.metadata().annotations().empty()) {
      Value& annotations = ensure(arena, ensure(arena, pod, core_v1::Pod::f_metadata), meta_v1::ObjectMeta::f_annotations, ValueKind::map);
      for (const auto& [key, value] : wanted.metadata().annotations()) set_map_string(arena, annotations, key, value);
    }
    Value& conditions = ensure(arena, ensure(arena, pod, core_v1::Pod::f_status), core_v1::PodStatus::f_conditions, ValueKind::list);
    for (std::size_t i = conditions.size; i-- > 0;)
      if (core_v1::PodCondition(&conditions.items[i]).type() == "PodScheduled") erase_item(conditions, i);
    Value& scheduled = append_structure(arena, conditions);
    set_string(arena, scheduled, core_v1::PodCondition::f_type, "PodScheduled");
    set_string(arena, scheduled, core_v1::PodCondition::f_status, "True");
    set_time(arena, scheduled, core_v1::PodCondition::f_lastTransitionTime, call.now_us - call.now_us % 1'000'000);
    return {};
  };
  auto written = co_await resources.modify(call, call.info.name, change);
  if (!written) co_return written.error();
  co_return success(call, 201);
}

// Scale is a view of an object's spec.replicas, status.replicas and selector.
struct ScaleFields {
  int spec, replicas, status, status_replicas, selector;
};

std::optional<ScaleFields> scale_fields(const Type& type) {
  ScaleFields out{type.find("spec"), -1, type.find("status"), -1, -1};
  if (out.spec < 0 || out.status < 0) return std::nullopt;
  const Type& spec = *type.fields[static_cast<std::size_t>(out.spec)].type;
  out.replicas = spec.find("replicas");
  out.selector = spec.find("selector");
  out.status_replicas = type.fields[static_cast<std::size_t>(out.status)].type->find("replicas");
  return out;
}

std::string selector_text(const Value* selector) {
  if (!selector) return {};
  std::string out;
  auto add = [&](std::string_view text) {
    if (!out.empty()) out += ',';
    out += text;
  };
  if (selector->kind == ValueKind::map) {
    for (const auto& [key, value] : MapView<std::string_view>(selector)) add(fmt::format("{}={}", key, value));
    return out;
  }
  const meta_v1::LabelSelector parts(selector);
  LabelSelectorParts all;
  for (const auto& [key, value] : parts.matchLabels()) all.match_labels.emplace_back(key, value);
  for (const auto e : parts.matchExpressions()) {
    LabelExpression one{std::string(e.key()), std::string(e.operator_()), {}};
    for (const auto v : e.values()) one.values.emplace_back(v);
    all.match_expressions.push_back(std::move(one));
  }
  auto built = LabelSelector::from_parts(&all);
  return built ? built->to_string() : std::string{};
}

Value scale_of(Arena& arena, const Value& object, const Type& type, const ScaleFields& at) {
  using S = autoscaling_v1::Scale;
  Value scale = Value::empty(ValueKind::structure);
  const meta_v1::ObjectMeta metadata(object.get(metadata_field(type)));
  Value& meta = ensure(arena, scale, S::f_metadata);
  const Value& from = *metadata.value();
  for (const int field : {meta_v1::ObjectMeta::f_name, meta_v1::ObjectMeta::f_namespace_, meta_v1::ObjectMeta::f_uid,
                          meta_v1::ObjectMeta::f_resourceVersion, meta_v1::ObjectMeta::f_creationTimestamp})
    take_field(arena, meta, from, field);
  const Value* replicas = descend(&object, at.spec, at.replicas);
  if (replicas && replicas->integer) set_integer(arena, ensure(arena, scale, S::f_spec), autoscaling_v1::ScaleSpec::f_replicas, replicas->integer);
  const Value* actual = descend(&object, at.status, at.status_replicas);
  Value& status = ensure(arena, scale, S::f_status);
  if (actual && actual->integer) set_integer(arena, status, autoscaling_v1::ScaleStatus::f_replicas, actual->integer);
  const std::string selector = selector_text(descend(&object, at.spec, at.selector));
  if (!selector.empty()) set_string(arena, ensure(arena, scale, S::f_status), autoscaling_v1::ScaleStatus::f_selector, selector);
  return scale;
}

Result<Value> patched_scale(Call& call, const Value& scale) {
  const Type& type = autoscaling_v1::Scale::schema_type();
  std::string text;
  encode_json(text, &scale, type, {"autoscaling/v1", "Scale", true});
  RN_TRY(const Value any, decode_json_any(call.arena, text));
  Result<Value> patched = Status{};
  if (call.patch_type == "application/json-patch+json") {
    patched = apply_json_patch(call.arena, any, call.patch_body);
  } else {
    RN_TRY(const Value patch, decode_json_any(call.arena, call.patch_body));
    patched = call.patch_type == "application/strategic-merge-patch+json" ? apply_strategic_patch(call.arena, any, patch, type)
                                                                          : apply_merge_patch(call.arena, any, patch);
  }
  if (!patched) return patched.error();
  return convert_any(call.arena, *patched, type);
}

Task<Result<Written>> scale(Resources& resources, Call& call, Value object) {
  const Kind& kind = *call.kind;
  const auto at = scale_fields(*kind.type);
  const Kind* scale_kind = call.registry->find_kind("autoscaling/v1", "Scale");
  if (!at || !scale_kind) co_return path_not_found();
  if (call.info.verb == "get") {
    auto entry = co_await resources.get(call);
    if (!entry) co_return entry.error();
    co_return Written{scale_of(call.arena, (*entry)->document.root(), *kind.type, *at), scale_kind, false, false};
  }
  Resources::Change change = [&resources, &call, &object, &kind, at](const EntryPtr& before, Value& target) -> Result<void> {
    Value wanted = object;
    if (call.info.verb == "patch") {
      RN_TRY(wanted, patched_scale(call, scale_of(call.arena, target, *kind.type, *at)));
    }
    const autoscaling_v1::Scale view(&wanted);
    const std::int64_t replicas = view.spec().replicas();
    if (replicas < 0)
      return invalid("autoscaling", "Scale", call.info.name, {{"FieldValueInvalid", fmt::format("Invalid value: {}: must be greater than or equal to 0", replicas), "spec.replicas"}},
                     fmt::format("spec.replicas: Invalid value: {}: must be greater than or equal to 0", replicas));
    Value& metadata = ensure(call.arena, target, metadata_field(*kind.type));
    if (!view.metadata().resourceVersion().empty())
      set_string(call.arena, metadata, meta_v1::ObjectMeta::f_resourceVersion, view.metadata().resourceVersion());
    set_integer(call.arena, ensure(call.arena, target, at->spec), at->replicas, replicas);
    return resources.prepare_update(call, target, before);
  };
  auto written = co_await resources.modify(call, call.info.name, change);
  if (!written) co_return written.error();
  co_return Written{scale_of(call.arena, written->object, *kind.type, *at), scale_kind, false, false};
}

}  // namespace

void add_core_actions(ApiServer& server, const AdmissionChain& admission) {
  Resources& resources = server.resources();
  server.add_action("/pods/binding", [&resources, &admission](Call& call, Value object) { return bind_pod(resources, admission, call, object); });
  server.add_action("/pods/eviction", [&resources, &admission](Call& call, Value object) { return evict_pod(resources, admission, call, object); });
  for (const char* path : {"apps/deployments/scale", "apps/replicasets/scale", "apps/statefulsets/scale", "/replicationcontrollers/scale"})
    server.add_action(path, [&resources](Call& call, Value object) { return scale(resources, call, object); });
}

}  // namespace rusternetes::api_server
