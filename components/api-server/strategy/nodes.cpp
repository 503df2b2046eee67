// Nodes (pkg/registry/core/node).

#include <fmt/format.h>

#include "api-server/strategy.h"
#include "api-server/strategy/defaulting.h"
#include "api-server/strategy/pod_validation.h"
#include "apimachinery/cidr.h"
#include "apimachinery/json.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Node;
using core_v1::NodeSpec;
using core_v1::NodeStatus;

namespace {

// podCIDR and podCIDRs[0] are the same; what the singular field says counts.
void unify_pod_cidrs(Arena& arena, Value& spec) {
  const NodeSpec view(&spec);
  const std::string_view single = view.podCIDR();
  const std::string_view first = view.podCIDRs().empty() ? std::string_view{} : view.podCIDRs()[0];
  if (single == first) return;
  if (single.empty()) {
    set_string(arena, spec, NodeSpec::f_podCIDR, first);
    return;
  }
  Value list = Value::empty(ValueKind::list);
  append_string(arena, list, single);
  assign(set_field(arena, spec, NodeSpec::f_podCIDRs), list);
}

void check_taints(const Node& node, FieldErrorList& errors) {
  const FieldPath metadata("metadata"), list = metadata.child("taints");
  const auto taints = node.spec().taints();
  for (std::size_t i = 0; i < taints.size(); ++i) {
    const auto taint = taints[i];
    const FieldPath at = list.index(static_cast<std::int64_t>(i));
    check_qualified_name(taint.key(), at.child("key"), errors);
    std::string joined;
    for (const auto& problem : is_valid_label_value(taint.value_())) joined += (joined.empty() ? "" : ";") + problem;
    if (!joined.empty()) errors.push_back(field::invalid(at.child("value"), taint.value_(), joined));
    validate_taint_effect(taint.effect(), false, at.child("effect"), errors);
    for (std::size_t n = 0; n < i; ++n) {
      if (taints[n].key() != taint.key() || taints[n].effect() != taint.effect()) continue;
      std::string json;
      encode_json(json, *taint.value(), core_v1::Taint::schema_type());
      FieldError error = field::duplicate(at, BadValue::json(json));
      error.detail = "taints must be unique by key and effect pair";
      errors.push_back(std::move(error));
      break;
    }
  }
}

void check_resources(const Node& node, FieldErrorList& errors) {
  const FieldPath status("status"), capacity = status.child("capacity"), allocatable = status.child("allocatable");
  for (const auto& [name, amount] : node.status().capacity()) validate_resource_quantity(name, amount, capacity.child(name), errors);
  for (const auto& [name, amount] : node.status().allocatable()) validate_resource_quantity(name, amount, allocatable.child(name), errors);
}

void check_pod_cidrs(const Node& node, FieldErrorList& errors) {
  const FieldPath spec("spec"), list = spec.child("podCIDRs");
  const auto blocks = node.spec().podCIDRs();
  bool has_v4 = false, has_v6 = false;
  std::int64_t i = 0;
  for (const auto block : blocks) {
    errors.push_invalid(list.index(i++), block, is_valid_cidr_legacy(block));
    if (const auto parsed = Cidr::parse_sloppy(block)) (parsed->is_v4() ? has_v4 : has_v6) = true;
  }
  if (blocks.size() < 2 || (blocks.size() == 2 && has_v4 && has_v6)) return;
  std::string json;
  encode_json_any(json, *node.spec().value()->get(NodeSpec::f_podCIDRs));
  errors.push_back(field::invalid(list, BadValue::json(json), "may specify no more than one CIDR for each IP family"));
}

void check_node(const Node& node, FieldErrorList& errors) {
  check_taints(node, errors);
  check_resources(node, errors);
  const FieldPath metadata("metadata"), swap = metadata.child("nodeSwapStatus");
  if (const auto status = node.status().nodeInfo().swap(); status.has_capacity()) check_positive(status.capacity(), swap.child("capacity"), errors);
  check_pod_cidrs(node, errors);
}

// What holds for both updates, of the node and of its status.
void check_update(const Node& node, const Node& old, FieldErrorList& errors) {
  const FieldPath spec_path("spec"), status("status"), addresses = status.child("addresses");
  check_resources(node, errors);
  const auto list = node.status().addresses();
  for (std::size_t i = 0; i < list.size(); ++i)
    for (std::size_t n = 0; n < i; ++n) {
      if (!equal(*list[n].value(), *list[i].value())) continue;
      errors.push_back(field::duplicate(addresses.index(static_cast<std::int64_t>(i)),
          BadValue::json(fmt::format("{{\"type\":\"{}\",\"address\":\"{}\"}}", list[i].type(), list[i].address()))));
      break;
    }
  const NodeSpec now = node.spec(), then = old.spec();
  constexpr std::string_view fixed = "node updates may not change podCIDR except from \"\" to valid";
  if (!then.podCIDRs().empty()) {
    if (then.podCIDRs().size() != now.podCIDRs().size()) {
      errors.push_back(field::forbidden(spec_path.child("podCIDRs"), fixed));
    } else {
      for (std::size_t i = 0; i < then.podCIDRs().size(); ++i)
        if (then.podCIDRs()[i] != now.podCIDRs()[i]) errors.push_back(field::forbidden(spec_path.child("podCIDRs"), fixed));
    }
  }
  if (!then.providerID().empty() && then.providerID() != now.providerID())
    errors.push_back(field::forbidden(spec_path.child("providerID"), "node updates may not change providerID except from \"\" to valid"));
  check_taints(node, errors);
  if (now.externalID() != then.externalID()) errors.push_back(field::forbidden(spec_path.child("externalID"), "may not be updated"));
}

class NodeStrategy final : public Strategy {
 public:
  void set_defaults(const Kind&, Arena& arena, Value& object) const override {
    if (Value* spec = object.get(Node::f_spec)) unify_pod_cidrs(arena, *spec);
    Value* status = object.get(Node::f_status);
    if (!status) return;
    // What a node has is what it offers, unless it says otherwise.
    if (const Value* capacity = status->get(NodeStatus::f_capacity); capacity && !status->get(NodeStatus::f_allocatable)) {
      const Value copy = copy_level(arena, *capacity);
      assign(set_field(arena, *status, NodeStatus::f_allocatable), copy);
    }
    round_resource_list(arena, *status, NodeStatus::f_capacity);
    round_resource_list(arena, *status, NodeStatus::f_allocatable);
  }

  void prepare_for_create(const StrategyContext&, Value& object) const override {
    // A node may come with its status.
    if (Value* spec = object.get(Node::f_spec)) erase_field(*spec, NodeSpec::f_configSource);
    if (Value* status = object.get(Node::f_status)) {
      erase_field(*status, NodeStatus::f_config);
      erase_field(*status, NodeStatus::f_declaredFeatures);
    }
  }
  void prepare_for_update(const StrategyContext& context, Value& object, const Value& old) const override {
    take_field(context.arena, object, old, Node::f_status);
    if (Value* spec = object.get(Node::f_spec); spec && !Node(&old).spec().configSource()) erase_field(*spec, NodeSpec::f_configSource);
  }
  void prepare_for_status_update(const StrategyContext& context, Value& object, const Value& old) const override {
    take_field(context.arena, object, old, Node::f_spec);
    Value* status = object.get(Node::f_status);
    if (!status) return;
    if (!Node(&old).status().config()) erase_field(*status, NodeStatus::f_config);
    if (Node(&old).status().declaredFeatures().empty()) erase_field(*status, NodeStatus::f_declaredFeatures);
  }

  void validate(const StrategyContext&, const Value& object, FieldErrorList& errors) const override {
    check_node(Node(&object), errors);
  }
  void validate_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    check_node(Node(&object), errors);
    check_update(Node(&object), Node(&old), errors);
  }
  void validate_status_update(const StrategyContext&, const Value& object, const Value& old, FieldErrorList& errors) const override {
    check_update(Node(&object), Node(&old), errors);
  }

  std::vector<std::string_view> selectable_fields() const override { return {"spec.unschedulable"}; }
  std::string selectable_field(const Value& object, std::string_view) const override {
    return Node(&object).spec().unschedulable() ? "true" : "false";
  }
};

}  // namespace

const Strategy& nodes_strategy() {
  static const NodeStrategy strategy;
  return strategy;
}

}  // namespace rusternetes::api_server
