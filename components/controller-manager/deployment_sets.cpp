#include "controller-manager/deployment_sets.h"

#include <fmt/format.h>

#include <charconv>

#include "apimachinery/api/apps_v1.h"
#include "client/object_builder.h"
#include "controller-manager/deployment_plan.h"
#include "controller-manager/objects.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;
using apps_v1::Deployment;
using apps_v1::ReplicaSet;
using M = meta_v1::ObjectMeta;
using S = apps_v1::ReplicaSetSpec;

namespace {

constexpr std::size_t longest_history = 2000;  // bytes of the annotation

// Those that are the Deployment's own, or the set's.
bool is_copied(std::string_view key) {
  return key != "kubectl.kubernetes.io/last-applied-configuration" &&
         key != "deprecated.deployment.rollback.to" && key != revision_annotation &&
         key != revision_history_annotation && key != desired_annotation && key != max_annotation;
}

// The oldest go when there is no room.
std::string longer_history(std::string_view history, std::string_view revision) {
  std::string out(history);
  if (!out.empty()) out += ',';
  out += revision;
  while (out.size() > longest_history && out.find(',') != std::string::npos) out.erase(0, out.find(',') + 1);
  return out;
}

}  // namespace

std::int64_t revision_of(const Document& object) {
  return std::atol(std::string(metadata_of(object).annotations().get(revision_annotation)).c_str());
}

std::optional<std::int64_t> replicas_annotation(const Document& set, std::string_view key) {
  const std::string_view text = metadata_of(set).annotations().get(key);
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

Document make_set(const Document& deployment, const std::string& hash, std::int64_t revision) {
  const Deployment view(&deployment.root());
  client::ObjectBuilder builder(ReplicaSet::schema_type());
  Arena& arena = builder.arena();
  Value& metadata = ensure(arena, builder.root(), ReplicaSet::f_metadata);
  constexpr std::size_t longest_name = 253;
  set_string(arena, metadata, M::f_name,
             fmt::format("{}-{}", view.metadata().name().substr(0, longest_name - 1 - hash.size()), hash));
  set_string(arena, metadata, M::f_namespace_, view.metadata().namespace_());
  append_controller_reference(arena, metadata, deployment, "apps/v1", "Deployment");
  Value& annotations = ensure(arena, metadata, M::f_annotations, ValueKind::map);
  for (const auto& [key, value] : view.metadata().annotations())
    if (is_copied(key)) set_map_string(arena, annotations, key, value);
  const std::int64_t replicas = view.spec().replicas(1);
  const auto rolling = view.spec().strategy().rollingUpdate();
  const Fenceposts posts =
      resolve_fenceposts(rolling.maxSurge().value(), rolling.maxUnavailable().value(), replicas);
  set_map_string(arena, annotations, desired_annotation, std::to_string(replicas));
  set_map_string(arena, annotations, max_annotation, std::to_string(replicas + posts.surge));
  set_map_string(arena, annotations, revision_annotation, std::to_string(revision));

  Value& spec = ensure(arena, builder.root(), ReplicaSet::f_spec);
  Value& pod_template =
      assign(set_field(arena, spec, S::f_template_), deep_copy(arena, *view.spec().template_().value()));
  Value& labels = ensure(arena, ensure(arena, pod_template, core_v1::PodTemplateSpec::f_metadata),
                         M::f_labels, ValueKind::map);
  set_map_string(arena, labels, "pod-template-hash", hash);
  Value copied = deep_copy(arena, labels);
  assign(set_field(arena, *builder.root().get(ReplicaSet::f_metadata), M::f_labels), copied);
  Value& selector = assign(set_field(arena, *builder.root().get(ReplicaSet::f_spec), S::f_selector),
                           deep_copy(arena, *view.spec().selector().value()));
  set_map_string(arena, ensure(arena, selector, meta_v1::LabelSelector::f_matchLabels, ValueKind::map),
                 "pod-template-hash", hash);
  Value& all = *builder.root().get(ReplicaSet::f_spec);
  if (view.spec().minReadySeconds())
    set_integer(arena, all, S::f_minReadySeconds, view.spec().minReadySeconds());
  set_integer(arena, all, S::f_replicas, 0);
  return builder.freeze();
}

Document updated_set(const Document& deployment, const Document& set, std::int64_t revision) {
  const Deployment view(&deployment.root());
  const auto present = metadata_of(set).annotations();
  client::ObjectBuilder builder(set);
  Arena& arena = builder.arena();
  bool is_changed = false;
  const auto annotate = [&](std::string_view key, std::string_view text) {
    Value& metadata = ensure(arena, builder.root(), ReplicaSet::f_metadata);
    set_map_string(arena, ensure(arena, metadata, M::f_annotations, ValueKind::map), key, text);
    is_changed = true;
  };
  for (const auto& [key, value] : view.metadata().annotations()) {
    const Value* has = present.find(key);
    if (is_copied(key) && (!has || has->str() != value)) annotate(key, value);
  }
  if (revision_of(set) < revision) {
    if (const auto former = present.get(revision_annotation); !former.empty())
      annotate(revision_history_annotation, longer_history(present.get(revision_history_annotation), former));
    annotate(revision_annotation, std::to_string(revision));
  }
  if (ReplicaSet(&set.root()).spec().minReadySeconds() != view.spec().minReadySeconds()) {
    set_integer(arena, ensure(arena, builder.root(), ReplicaSet::f_spec), S::f_minReadySeconds,
                view.spec().minReadySeconds());
    is_changed = true;
  }
  return is_changed ? builder.freeze() : Document{};
}

}  // namespace rusternetes::controller_manager
