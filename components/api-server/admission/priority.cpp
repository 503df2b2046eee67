// spec.priority and preemptionPolicy from the Pod's PriorityClass (plugin/pkg/admission/priority).

#include <fmt/format.h>

#include "api-server/admission/plugins.h"
#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/scheduling_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/errors.h"

namespace rusternetes::api_server {

using namespace apimachinery;
using core_v1::PodSpec;
using scheduling_v1::PriorityClass;

namespace {

class PriorityAdmission final : public AdmissionPlugin {
 public:
  explicit PriorityAdmission(const ObjectSource& source) : source_(source) {}
  std::string_view name() const override { return "Priority"; }

  Result<void> mutate(AdmissionRequest& request) const override {
    if (!is_pods(request) || !request.object || !request.call.info.subresource.empty() || request.operation != "CREATE") return {};
    Arena& arena = request.call.arena;
    Value& spec = ensure(arena, *request.object, core_v1::Pod::f_spec);
    std::int64_t priority = 0;
    std::string policy = "PreemptLowerPriority";
    const std::string wanted(PodSpec(&spec).priorityClassName());
    if (wanted.empty()) {
      for (const auto& document : source_.list("scheduling.k8s.io", "priorityclasses", "")) {
        const PriorityClass one(&document.root());
        if (!one.globalDefault()) continue;
        priority = one.value_();
        policy = one.has_preemptionPolicy() ? std::string(one.preemptionPolicy()) : policy;
        set_string(arena, spec, PodSpec::f_priorityClassName, one.metadata().name());
      }
    } else {
      const Document document = source_.get("scheduling.k8s.io", "priorityclasses", "", wanted);
      if (!document) return forbidden({"", "pods"}, request.name, fmt::format("no PriorityClass with name {} was found", wanted));
      const PriorityClass one(&document.root());
      priority = one.value_();
      if (one.has_preemptionPolicy()) policy = one.preemptionPolicy();
    }
    if (PodSpec(&spec).has_priority() && PodSpec(&spec).priority() != priority)
      return forbidden({"", "pods"}, request.name,
                       fmt::format("the integer value of priority ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
                                   PodSpec(&spec).priority(), priority));
    if (PodSpec(&spec).has_preemptionPolicy() && PodSpec(&spec).preemptionPolicy() != policy)
      return forbidden({"", "pods"}, request.name,
                       fmt::format("the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
                                   PodSpec(&spec).preemptionPolicy(), policy));
    set_integer(arena, spec, PodSpec::f_priority, priority);
    set_string(arena, spec, PodSpec::f_preemptionPolicy, policy);
    return {};
  }

 private:
  const ObjectSource& source_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> make_priority_admission(const ObjectSource& source) { return std::make_unique<PriorityAdmission>(source); }

}  // namespace rusternetes::api_server
