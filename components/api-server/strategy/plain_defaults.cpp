#include "api-server/strategy/plain_defaults.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_defaults.h"
#include "apimachinery/api/admissionregistration_v1.h"
#include "apimachinery/api/apiextensions_v1.h"
#include "apimachinery/api/apiregistration_v1.h"
#include "apimachinery/api/apps_v1.h"
#include "apimachinery/api/batch_v1.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/flowcontrol_v1.h"
#include "apimachinery/api/networking_v1.h"
#include "apimachinery/api/resource_v1.h"
#include "apimachinery/api/storage_v1.h"
#include "apimachinery/edit.h"
#include "base/status.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using meta_v1::ObjectMeta;

namespace {

enum class Set { text, number, yes, no, structure, one_text, pod_template, claim_spec };

// A path's parts are structures, made where they are missing; "part?" leaves everything alone where that is missing, and
// "part[]" means each item.
struct Rule {
  std::string_view path;
  Set set;
  std::string_view text = {};
  std::int64_t number = 0;
};

// Where a rule of one value cannot say it. It runs before the rules.
using Special = void (*)(Arena& arena, Value& object);

struct Defaults {
  const Type* type;
  std::vector<Rule> rules;
  Special special = nullptr;
};

void replication_controller(Arena& arena, Value& object) {
  using Spec = core_v1::ReplicationControllerSpec;
  const Value* labels = descend(&object, core_v1::ReplicationController::f_spec, Spec::f_template_,
                                core_v1::PodTemplateSpec::f_metadata, ObjectMeta::f_labels);
  if (!labels || labels->size == 0) return;
  const Value copy = deep_copy(arena, *labels);
  const auto take = [&](Value& parent, int field) {
    Value& place = set_field(arena, parent, field);
    if (place.is_null() || place.size == 0) assign(place, copy_level(arena, copy));
  };
  take(ensure(arena, object, core_v1::ReplicationController::f_spec), Spec::f_selector);
  take(ensure(arena, object, core_v1::ReplicationController::f_metadata), ObjectMeta::f_labels);
}

void limit_range(Arena& arena, Value& object) {
  using Item = core_v1::LimitRangeItem;
  each_item(ensure(arena, object, core_v1::LimitRange::f_spec), core_v1::LimitRangeSpec::f_limits, [&](Value& item) {
    if (Item(&item).type() != "Container") return;
    fill_resource_list(arena, item, Item::f_default_, item.get(Item::f_max));
    fill_resource_list(arena, item, Item::f_defaultRequest, item.get(Item::f_default_));
    fill_resource_list(arena, item, Item::f_defaultRequest, item.get(Item::f_min));
  });
}

// The older and the newer way to name what a volume is filled from say the same (NormalizeDataSources of pkg/api).
void claim_source(Arena& arena, Value& object) {
  using Spec = core_v1::PersistentVolumeClaimSpec;
  using Old = core_v1::TypedLocalObjectReference;
  using New = core_v1::TypedObjectReference;
  Value& spec = ensure(arena, object, core_v1::PersistentVolumeClaim::f_spec);
  const auto copy = [&](int from, int to, std::initializer_list<std::pair<int, int>> fields) {
    const Value source = *spec.get(from);
    Value made = Value::empty(ValueKind::structure);
    for (const auto& [there, here] : fields)
      if (const Value* value = source.get(there)) assign(set_field(arena, made, here), *value);
    assign(set_field(arena, spec, to), made);
  };
  const Value *older = spec.get(Spec::f_dataSource), *newer = spec.get(Spec::f_dataSourceRef);
  if (older && !newer)
    copy(Spec::f_dataSource, Spec::f_dataSourceRef,
         {{Old::f_apiGroup, New::f_apiGroup}, {Old::f_kind, New::f_kind}, {Old::f_name, New::f_name}});
  else if (newer && !older && New(newer).namespace_().empty())
    copy(Spec::f_dataSourceRef, Spec::f_dataSource,
         {{New::f_apiGroup, Old::f_apiGroup}, {New::f_kind, Old::f_kind}, {New::f_name, Old::f_name}});
}

void daemon_set(Arena& arena, Value& object) {
  using Strategy = apps_v1::DaemonSetUpdateStrategy;
  using Rolling = apps_v1::RollingUpdateDaemonSet;
  // A field of the first beta, which version 1 has kept as an annotation.
  Value& notes = ensure(arena, ensure(arena, object, apps_v1::DaemonSet::f_metadata), ObjectMeta::f_annotations, ValueKind::map);
  Value& generation = set_key(arena, notes, "deprecated.daemonset.template.generation");
  if (generation.is_null()) assign(generation, Value::of_text("1"));
  Value& strategy = ensure(arena, ensure(arena, object, apps_v1::DaemonSet::f_spec), apps_v1::DaemonSetSpec::f_updateStrategy);
  default_text(arena, strategy, Strategy::f_type, "RollingUpdate");
  if (Strategy(&strategy).type() != "RollingUpdate") return;
  Value& rolling = ensure(arena, strategy, Strategy::f_rollingUpdate);
  default_integer(arena, rolling, Rolling::f_maxUnavailable, 1);
  default_integer(arena, rolling, Rolling::f_maxSurge, 0);
}

void stateful_set(Arena& arena, Value& object) {
  using Strategy = apps_v1::StatefulSetUpdateStrategy;
  Value& strategy = ensure(arena, ensure(arena, object, apps_v1::StatefulSet::f_spec), apps_v1::StatefulSetSpec::f_updateStrategy);
  if (Strategy(&strategy).type().empty()) {
    default_text(arena, strategy, Strategy::f_type, "RollingUpdate");
    ensure(arena, strategy, Strategy::f_rollingUpdate);
  }
  Value* rolling = strategy.get(Strategy::f_rollingUpdate);
  if (rolling && Strategy(&strategy).type() == "RollingUpdate")
    default_integer(arena, *rolling, apps_v1::RollingUpdateStatefulSetStrategy::f_partition, 0);
}

void job_spec(Arena& arena, Value& spec) {
  using Spec = batch_v1::JobSpec;
  if (!spec.get(Spec::f_completions) && !spec.get(Spec::f_parallelism)) default_integer(arena, spec, Spec::f_completions, 1);
  default_integer(arena, spec, Spec::f_parallelism, 1);
  default_integer(arena, spec, Spec::f_backoffLimit, spec.get(Spec::f_backoffLimitPerIndex) ? 2147483647 : 6);
  default_text(arena, spec, Spec::f_podReplacementPolicy, spec.get(Spec::f_podFailurePolicy) ? "Failed" : "TerminatingOrFailed");
}

void job(Arena& arena, Value& object) {
  using Spec = batch_v1::JobSpec;
  Value& spec = ensure(arena, object, batch_v1::Job::f_spec);
  job_spec(arena, spec);
  const Value* labels = descend(&spec, Spec::f_template_, core_v1::PodTemplateSpec::f_metadata, ObjectMeta::f_labels);
  if (!labels || labels->size == 0) return;
  const Value copy = deep_copy(arena, *labels);
  Value& place = set_field(arena, ensure(arena, object, batch_v1::Job::f_metadata), ObjectMeta::f_labels);
  if (place.is_null() || place.size == 0) assign(place, copy);
}

void default_counts(Arena& arena, Value& devices) {
  using Request = resource_v1::DeviceRequest;
  const auto one = [&](Value& request, int mode_field, int count_field) {
    default_text(arena, request, mode_field, "ExactCount");
    if (request.get(mode_field)->str() == "ExactCount") {
      const Value* count = request.get(count_field);
      if (!count || count->is_null() || count->integer == 0) set_integer(arena, request, count_field, 1);
    }
  };
  each_item(devices, resource_v1::DeviceClaim::f_requests, [&](Value& request) {
    using Exact = resource_v1::ExactDeviceRequest;
    using Sub = resource_v1::DeviceSubRequest;
    if (Value* exact = request.get(Request::f_exactly)) one(*exact, Exact::f_allocationMode, Exact::f_count);
    each_item(request, Request::f_firstAvailable, [&](Value& sub) { one(sub, Sub::f_allocationMode, Sub::f_count); });
  });
}

void resource_claim(Arena& arena, Value& object) {
  default_counts(arena, ensure(arena, ensure(arena, object, resource_v1::ResourceClaim::f_spec), resource_v1::ResourceClaimSpec::f_devices));
}

void resource_claim_template(Arena& arena, Value& object) {
  Value& spec = ensure(arena, object, resource_v1::ResourceClaimTemplate::f_spec);
  default_counts(arena, ensure(arena, ensure(arena, spec, resource_v1::ResourceClaimTemplateSpec::f_spec), resource_v1::ResourceClaimSpec::f_devices));
}

void custom_resource_definition(Arena& arena, Value& object) {
  using Definition = apiextensions_v1::CustomResourceDefinition;
  using Spec = apiextensions_v1::CustomResourceDefinitionSpec;
  using Names = apiextensions_v1::CustomResourceDefinitionNames;
  using Status = apiextensions_v1::CustomResourceDefinitionStatus;
  Value& names = ensure(arena, ensure(arena, object, Definition::f_spec), Spec::f_names);
  std::string kind(Names(&names).kind());
  if (!kind.empty()) {
    if (Names(&names).listKind().empty()) set_string(arena, names, Names::f_listKind, kind + "List");
    std::ranges::transform(kind, kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (Names(&names).singular().empty()) set_string(arena, names, Names::f_singular, kind);
  }
  Value& stored = ensure(arena, ensure(arena, object, Definition::f_status), Status::f_storedVersions, ValueKind::list);
  if (stored.size) return;
  for (const auto version : Definition(&object).spec().versions())
    if (version.storage()) {
      append_string(arena, stored, version.name());
      return;
    }
}

std::vector<Rule> webhook_rules(bool is_mutating) {
  std::vector<Rule> rules{{"webhooks[].failurePolicy", Set::text, "Fail"},
                          {"webhooks[].matchPolicy", Set::text, "Equivalent"},
                          {"webhooks[].namespaceSelector", Set::structure},
                          {"webhooks[].objectSelector", Set::structure},
                          {"webhooks[].timeoutSeconds", Set::number, {}, 10},
                          {"webhooks[].rules[].scope", Set::text, "*"},
                          {"webhooks[].clientConfig.service?.port", Set::number, {}, 443}};
  if (is_mutating) rules.push_back({"webhooks[].reinvocationPolicy", Set::text, "Never"});
  return rules;
}

// pkg/apis/*/*/defaults.go.
std::vector<Defaults> workloads() {
  return {
      {&core_v1::PodTemplate::schema_type(), {{"template", Set::pod_template}}},
      {&core_v1::ReplicationController::schema_type(),
       {{"spec.replicas", Set::number, {}, 1}, {"spec.template?", Set::pod_template}},
       replication_controller},
      {&apps_v1::DaemonSet::schema_type(),
       {{"spec.revisionHistoryLimit", Set::number, {}, 10}, {"spec.template", Set::pod_template}},
       daemon_set},
      {&apps_v1::StatefulSet::schema_type(),
       {{"spec.podManagementPolicy", Set::text, "OrderedReady"},
        {"spec.persistentVolumeClaimRetentionPolicy.whenDeleted", Set::text, "Retain"},
        {"spec.persistentVolumeClaimRetentionPolicy.whenScaled", Set::text, "Retain"},
        {"spec.replicas", Set::number, {}, 1},
        {"spec.revisionHistoryLimit", Set::number, {}, 10},
        {"spec.template", Set::pod_template},
        {"spec.volumeClaimTemplates[].kind", Set::text, "PersistentVolumeClaim"},
        {"spec.volumeClaimTemplates[].apiVersion", Set::text, "v1"},
        {"spec.volumeClaimTemplates[].spec", Set::claim_spec},
        {"spec.volumeClaimTemplates[].status.phase", Set::text, "Pending"}},
       stateful_set},
      {&batch_v1::Job::schema_type(),
       {{"spec.completionMode", Set::text, "NonIndexed"},
        {"spec.suspend", Set::no},
        {"spec.manualSelector", Set::no},
        {"spec.podFailurePolicy?.rules[].onPodConditions[].status", Set::text, "True"},
        {"spec.template", Set::pod_template}},
       job},
      {&batch_v1::CronJob::schema_type(),
       {{"spec.concurrencyPolicy", Set::text, "Allow"},
        {"spec.suspend", Set::no},
        {"spec.successfulJobsHistoryLimit", Set::number, {}, 3},
        {"spec.failedJobsHistoryLimit", Set::number, {}, 1},
        {"spec.jobTemplate.spec.podFailurePolicy?.rules[].onPodConditions[].status", Set::text, "True"},
        {"spec.jobTemplate.spec.template", Set::pod_template}}},
  };
}

std::vector<Defaults> volumes() {
  return {
      {&core_v1::LimitRange::schema_type(), {}, limit_range},
      {&core_v1::PersistentVolumeClaim::schema_type(),
       {{"spec", Set::claim_spec}, {"status.phase", Set::text, "Pending"}},
       claim_source},
      {&core_v1::PersistentVolume::schema_type(),
       {{"status.phase", Set::text, "Pending"},
        {"spec.persistentVolumeReclaimPolicy", Set::text, "Retain"},
        {"spec.volumeMode", Set::text, "Filesystem"},
        {"spec.hostPath?.type", Set::text, ""},
        {"spec.rbd?.pool", Set::text, "rbd"},
        {"spec.rbd?.user", Set::text, "admin"},
        {"spec.rbd?.keyring", Set::text, "/etc/ceph/keyring"},
        {"spec.iscsi?.iscsiInterface", Set::text, "default"},
        {"spec.scaleIO?.storageMode", Set::text, "ThinProvisioned"},
        {"spec.scaleIO?.fsType", Set::text, "xfs"},
        {"spec.azureDisk?.cachingMode", Set::text, "ReadWrite"},
        {"spec.azureDisk?.fsType", Set::text, "ext4"},
        {"spec.azureDisk?.readOnly", Set::no},
        {"spec.azureDisk?.kind", Set::text, "Shared"}}},
      {&storage_v1::StorageClass::schema_type(),
       {{"reclaimPolicy", Set::text, "Delete"}, {"volumeBindingMode", Set::text, "Immediate"}}},
      {&storage_v1::CSIDriver::schema_type(),
       {{"spec.attachRequired", Set::yes},
        {"spec.podInfoOnMount", Set::no},
        {"spec.storageCapacity", Set::no},
        {"spec.fsGroupPolicy", Set::text, "ReadWriteOnceWithFSType"},
        {"spec.volumeLifecycleModes", Set::one_text, "Persistent"},
        {"spec.requiresRepublish", Set::no},
        {"spec.seLinuxMount", Set::no}}},
      {&resource_v1::ResourceClaim::schema_type(), {}, resource_claim},
      {&resource_v1::ResourceClaimTemplate::schema_type(), {}, resource_claim_template},
  };
}

std::vector<Defaults> the_rest() {
  return {
      {&networking_v1::IngressClass::schema_type(), {{"spec.parameters?.scope", Set::text, "Cluster"}}},
      {&admissionregistration_v1::ValidatingWebhookConfiguration::schema_type(), webhook_rules(false)},
      {&admissionregistration_v1::MutatingWebhookConfiguration::schema_type(), webhook_rules(true)},
      {&admissionregistration_v1::ValidatingAdmissionPolicy::schema_type(),
       {{"spec.failurePolicy", Set::text, "Fail"},
        {"spec.matchConstraints?.matchPolicy", Set::text, "Equivalent"},
        {"spec.matchConstraints?.namespaceSelector", Set::structure},
        {"spec.matchConstraints?.objectSelector", Set::structure},
        {"spec.matchConstraints?.resourceRules[].scope", Set::text, "*"},
        {"spec.matchConstraints?.excludeResourceRules[].scope", Set::text, "*"}}},
      {&admissionregistration_v1::ValidatingAdmissionPolicyBinding::schema_type(),
       {{"spec.matchResources?.matchPolicy", Set::text, "Equivalent"},
        {"spec.matchResources?.namespaceSelector", Set::structure},
        {"spec.matchResources?.objectSelector", Set::structure},
        {"spec.matchResources?.resourceRules[].scope", Set::text, "*"},
        {"spec.matchResources?.excludeResourceRules[].scope", Set::text, "*"}}},
      {&flowcontrol_v1::FlowSchema::schema_type(), {{"spec.matchingPrecedence", Set::number, {}, 1000}}},
      {&flowcontrol_v1::PriorityLevelConfiguration::schema_type(),
       {{"spec.exempt?.nominalConcurrencyShares", Set::number, {}, 0},
        {"spec.exempt?.lendablePercent", Set::number, {}, 0},
        {"spec.limited?.nominalConcurrencyShares", Set::number, {}, 30},
        {"spec.limited?.lendablePercent", Set::number, {}, 0},
        {"spec.limited?.limitResponse.queuing?.queues", Set::number, {}, 64},
        {"spec.limited?.limitResponse.queuing?.handSize", Set::number, {}, 8},
        {"spec.limited?.limitResponse.queuing?.queueLengthLimit", Set::number, {}, 50}}},
      {&apiregistration_v1::APIService::schema_type(), {{"spec.service?.port", Set::number, {}, 443}}},
      {&apiextensions_v1::CustomResourceDefinition::schema_type(),
       {{"spec.conversion.strategy", Set::text, "None"},
        {"spec.conversion.webhook?.clientConfig?.service?.port", Set::number, {}, 443}},
       custom_resource_definition},
  };
}

struct Step {
  int field;
  enum class How { make, look, each } how;
};
struct CompiledRule {
  std::vector<Step> steps;  // the last one names the field that is set
  Rule rule;
};
struct Compiled {
  Special special;
  std::vector<CompiledRule> rules;
};

CompiledRule compile(const Type* type, const Rule& rule) {
  CompiledRule out{{}, rule};
  for (std::string_view rest = rule.path; !rest.empty();) {
    const auto end = std::min(rest.find('.'), rest.size());
    std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    Step step{0, Step::How::make};
    if (part.ends_with("[]")) {
      step.how = Step::How::each;
      part.remove_suffix(2);
    } else if (part.ends_with('?')) {
      step.how = Step::How::look;
      part.remove_suffix(1);
    }
    step.field = type->find(part);
    RN_ASSERT(step.field >= 0, "a default names a field that the kind has");
    type = type->fields[static_cast<std::size_t>(step.field)].type;
    if (step.how == Step::How::each) type = type->element;
    out.steps.push_back(step);
  }
  return out;
}

const std::map<const Type*, Compiled>& all_defaults() {
  static const auto& table = *[] {
    auto* out = new std::map<const Type*, Compiled>;
    for (const auto& part : {workloads(), volumes(), the_rest()})
      for (const auto& one : part) {
        Compiled& compiled = (*out)[one.type];
        compiled.special = one.special;
        for (const auto& rule : one.rules) compiled.rules.push_back(compile(one.type, rule));
      }
    return out;
  }();
  return table;
}

void set_value(Arena& arena, Value& parent, const Step& step, const Rule& rule) {
  const int field = step.field;
  switch (rule.set) {
    case Set::text: return default_text(arena, parent, field, rule.text);
    case Set::number: return default_integer(arena, parent, field, rule.number);
    case Set::yes: return default_boolean(arena, parent, field, true);
    case Set::no: return default_boolean(arena, parent, field, false);
    case Set::structure: ensure(arena, parent, field); return;
    case Set::one_text: {
      Value& list = ensure(arena, parent, field, ValueKind::list);
      if (list.size == 0) append(arena, list, Value::of_text(rule.text));
      return;
    }
    case Set::pod_template:
    case Set::claim_spec:
      if (step.how == Step::How::look && !parent.get(field)) return;
      Value& part = ensure(arena, parent, field);
      return rule.set == Set::pod_template ? set_pod_template_defaults(arena, part) : set_claim_spec_defaults(arena, part);
  }
}

void apply(Arena& arena, Value& value, std::span<const Step> steps, const Rule& rule) {
  const Step& step = steps.front();
  if (steps.size() == 1) return set_value(arena, value, step, rule);
  const auto rest = steps.subspan(1);
  if (step.how == Step::How::each) {
    each_item(value, step.field, [&](Value& item) { apply(arena, item, rest, rule); });
  } else if (step.how == Step::How::make) {
    apply(arena, ensure(arena, value, step.field), rest, rule);
  } else if (Value* part = value.get(step.field); part && part->kind == ValueKind::structure) {
    apply(arena, *part, rest, rule);
  }
}

}  // namespace

void set_plain_defaults(const Type& type, Arena& arena, Value& object) {
  const auto& all = all_defaults();
  const auto found = all.find(&type);
  if (found == all.end()) return;
  if (found->second.special) found->second.special(arena, object);
  for (const auto& [steps, rule] : found->second.rules) apply(arena, object, steps, rule);
}

}  // namespace rusternetes::api_server
