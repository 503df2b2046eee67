// Namespaces, Nodes, Secrets, ServiceAccounts, Events, Leases (pkg/registry/core, pkg/registry/coordination).

#include "api-server/strategy.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/names.h"

namespace rusternetes::api_server {

using namespace apimachinery;

namespace {

class NamespaceStrategy final : public Strategy {
 public:
  using N = core_v1::Namespace;
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    // The name is a label, too, so that selectors find it (KEP 2161).
    const std::string name(N(&object).metadata().name());
    if (!name.empty())
      set_map_string(arena, ensure(arena, ensure(arena, object, N::f_metadata), meta_v1::ObjectMeta::f_labels, ValueKind::map), "kubernetes.io/metadata.name", name);
  }
  void prepare_for_create(const StrategyContext& context, Value& object) const override {
    erase_field(object, N::f_status);
    set_string(context.arena, ensure(context.arena, object, N::f_status), core_v1::NamespaceStatus::f_phase, "Active");
    Value& finalizers = ensure(context.arena, ensure(context.arena, object, N::f_spec), core_v1::NamespaceSpec::f_finalizers, ValueKind::list);
    for (const auto& one : finalizers.children())
      if (one.str() == "kubernetes") return;
    append_string(context.arena, finalizers, "kubernetes");
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    take_field(context.arena, object, old, N::f_spec);
    take_field(context.arena, object, old, N::f_status);
  }
  std::vector<std::string> name_problems(std::string_view name, bool is_prefix) const override {
    return is_dns1123_label(is_prefix ? mask_trailing_dash(name) : std::string(name));
  }
  bool returns_deleted_object() const override { return true; }
  std::vector<std::string_view> selectable_fields() const override { return {"status.phase", "name"}; }
  std::string selectable_field(const Value& object, std::string_view field) const override {
    return std::string(field == "name" ? N(&object).metadata().name() : N(&object).status().phase());
  }
};

class NodeStrategy final : public Strategy {
 public:
  using N = core_v1::Node;
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    // What a node has is what it offers, unless it says otherwise.
    Value* status = object.get(N::f_status);
    if (!status) return;
    const Value* capacity = status->get(core_v1::NodeStatus::f_capacity);
    if (capacity && !status->get(core_v1::NodeStatus::f_allocatable))
      assign(set_field(arena, *status, core_v1::NodeStatus::f_allocatable), deep_copy(arena, *status->get(core_v1::NodeStatus::f_capacity)));
  }
  void prepare_for_create(const StrategyContext&, Value&) const override {}  // a node comes with its status
  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    take_field(context.arena, object, old, N::f_spec);  // labels of a node may come with its status
  }
  std::vector<std::string_view> selectable_fields() const override { return {"spec.unschedulable"}; }
  std::string selectable_field(const Value& object, std::string_view) const override { return N(&object).spec().unschedulable() ? "true" : "false"; }
};

class SecretStrategy final : public Strategy {
 public:
  using S = core_v1::Secret;
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    if (S(&object).type().empty()) set_string(arena, object, S::f_type, "Opaque");
    const Value* text = object.get(S::f_stringData);
    if (!text) return;
    const Value copy = *text;  // written to data, never read back
    Value& data = ensure(arena, object, S::f_data, ValueKind::map);
    for (const auto& [key, value] : MapView<std::string_view>(&copy)) assign(set_key(arena, data, key), Value::of_text(arena.copy(value), ValueKind::bytes));
    erase_field(object, S::f_stringData);
  }
  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    const FieldPath data("data");
    for (const auto& [key, value] : S(&object).data()) errors.push_invalid(data.key(key), key, is_config_map_key(key));
  }
  void validate_update(const StrategyContext& context, const Value& object, const Value& old, FieldErrorList& errors) const override {
    if (S(&object).type() != S(&old).type()) errors.push_back(field::invalid(FieldPath("type"), std::string(S(&object).type()), "field is immutable"));
    if (S(&old).immutable()) {
      if (!S(&object).immutable()) errors.push_back(field::forbidden(FieldPath("immutable"), "field is immutable when `immutable` is set"));
      const Value *now = object.get(S::f_data), *then = old.get(S::f_data);
      if (!now != !then || (now && !equal(*now, *then))) errors.push_back(field::forbidden(FieldPath("data"), "field is immutable when `immutable` is set"));
    }
    validate(context, object, errors);
  }
  std::vector<std::string_view> selectable_fields() const override { return {"type"}; }
  std::string selectable_field(const Value& object, std::string_view) const override { return std::string(S(&object).type()); }
};

class ServiceAccountStrategy final : public Strategy {
 public:
  bool returns_deleted_object() const override { return true; }
};

class EventStrategy final : public Strategy {
 public:
  using E = core_v1::Event;
  bool allows_create_on_update() const override { return true; }
  std::vector<std::string_view> selectable_fields() const override {
    return {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
            "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"};
  }
  std::string selectable_field(const Value& object, std::string_view name) const override {
    const E event(&object);
    const auto target = event.involvedObject();
    if (name == "involvedObject.kind") return std::string(target.kind());
    if (name == "involvedObject.namespace") return std::string(target.namespace_());
    if (name == "involvedObject.name") return std::string(target.name());
    if (name == "involvedObject.uid") return std::string(target.uid());
    if (name == "involvedObject.apiVersion") return std::string(target.apiVersion());
    if (name == "involvedObject.resourceVersion") return std::string(target.resourceVersion());
    if (name == "involvedObject.fieldPath") return std::string(target.fieldPath());
    if (name == "reason") return std::string(event.reason());
    if (name == "reportingComponent") return std::string(event.reportingComponent());
    if (name == "source") return std::string(event.source().component().empty() ? event.reportingComponent() : event.source().component());
    return std::string(event.type());
  }
};

class LeaseStrategy final : public Strategy {
 public:
  bool allows_create_on_update() const override { return true; }
  bool allows_unconditional_update() const override { return false; }
};

template <class T>
const Strategy& only() {
  static const T strategy;
  return strategy;
}

}  // namespace

const Strategy& namespaces_strategy() { return only<NamespaceStrategy>(); }
const Strategy& nodes_strategy() { return only<NodeStrategy>(); }
const Strategy& secrets_strategy() { return only<SecretStrategy>(); }
const Strategy& serviceaccounts_strategy() { return only<ServiceAccountStrategy>(); }
const Strategy& events_strategy() { return only<EventStrategy>(); }
const Strategy& leases_strategy() { return only<LeaseStrategy>(); }

}  // namespace rusternetes::api_server
