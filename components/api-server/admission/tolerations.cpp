// DefaultTolerationSeconds and TaintNodesByCondition: how long a Pod stays on a node that fails, and that a new node starts
// as not ready (plugin/pkg/admission/defaulttolerationseconds, nodetaint).

#include "api-server/admission/plugins.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/edit.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::Toleration;

namespace {

constexpr std::string_view not_ready = "node.kubernetes.io/not-ready", unreachable = "node.kubernetes.io/unreachable";
constexpr std::int64_t stay_s = 300;

class DefaultTolerationSeconds final : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "DefaultTolerationSeconds"; }
  Result<void> mutate(AdmissionRequest& request) const override {
    if (!is_pods(request) || !request.object || request.operation == "DELETE" || !request.call.info.subresource.empty()) return {};
    Arena& arena = request.call.arena;
    Value& spec = ensure(arena, *request.object, core_v1::Pod::f_spec);
    bool has_not_ready = false, has_unreachable = false;
    for (const auto one : core_v1::PodSpec(&spec).tolerations()) {
      const bool effect = one.effect() == "NoExecute" || one.effect().empty();
      has_not_ready |= effect && (one.key() == not_ready || one.key().empty());
      has_unreachable |= effect && (one.key() == unreachable || one.key().empty());
    }
    if (has_not_ready && has_unreachable) return {};
    Value& list = ensure(arena, spec, core_v1::PodSpec::f_tolerations, ValueKind::list);
    auto add = [&](std::string_view key) {
      Value& one = append_structure(arena, list);
      set_string(arena, one, Toleration::f_key, key);
      set_string(arena, one, Toleration::f_operator_, "Exists");
      set_string(arena, one, Toleration::f_effect, "NoExecute");
      set_integer(arena, one, Toleration::f_tolerationSeconds, stay_s);
    };
    if (!has_not_ready) add(not_ready);
    if (!has_unreachable) add(unreachable);
    return {};
  }
};

class TaintNodesByCondition final : public AdmissionPlugin {
 public:
  std::string_view name() const override { return "TaintNodesByCondition"; }
  Result<void> mutate(AdmissionRequest& request) const override {
    const bool is_node = request.kind.group_version.group.empty() && request.kind.resource == "nodes";
    if (!is_node || request.operation != "CREATE" || !request.object || !request.call.info.subresource.empty()) return {};
    Arena& arena = request.call.arena;
    Value& list = ensure(arena, ensure(arena, *request.object, core_v1::Node::f_spec), core_v1::NodeSpec::f_taints, ValueKind::list);
    for (const auto& taint : list.children())
      if (core_v1::Taint(&taint).key() == not_ready && core_v1::Taint(&taint).effect() == "NoSchedule") return {};
    Value& taint = append_structure(arena, list);
    set_string(arena, taint, core_v1::Taint::f_key, not_ready);
    set_string(arena, taint, core_v1::Taint::f_effect, "NoSchedule");
    return {};
  }
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_default_toleration_seconds(const ObjectSource&) { return std::make_unique<DefaultTolerationSeconds>(); }
std::unique_ptr<AdmissionPlugin> make_taint_nodes_by_condition(const ObjectSource&) { return std::make_unique<TaintNodesByCondition>(); }

}  // namespace rusternetes::api_server
