#include "controller-manager/pod_disruption.h"

#include <fmt/format.h>

#include "apimachinery/time.h"

namespace rusternetes::controller_manager {

using namespace apimachinery;

std::string disruption_patch(const core_v1::Pod& pod, const Disruption& why, bool fails,
                             std::int64_t now_us) {
  bool has_condition = why.reason.empty(), was_true = false;
  std::string order;  // a new condition comes last
  for (const auto condition : pod.status().conditions()) {
    if (condition.type() != "DisruptionTarget") {
      order += fmt::format(R"({{"type":"{}"}},)", condition.type());
      continue;
    }
    was_true = condition.status() == "True";
    has_condition |= was_true && condition.reason() == why.reason && condition.message() == why.message;
  }
  fails &= pod.status().phase() != "Failed";
  if (has_condition && !fails) return {};
  const std::int64_t generation = pod.metadata().generation();
  std::string status;
  if (fails) status = fmt::format(R"("phase":"Failed","observedGeneration":{})", generation);
  if (!has_condition)
    status += fmt::format(
        R"({}"$setElementOrder/conditions":[{}{{"type":"DisruptionTarget"}}],"conditions":[{{"type":"DisruptionTarget","status":"True","reason":"{}","message":"{}","observedGeneration":{}{}}}])",
        status.empty() ? "" : ",", order, why.reason, why.message, generation,
        was_true ? "" : fmt::format(R"(,"lastTransitionTime":"{}")", format_time(now_us)));
  return fmt::format(R"({{"metadata":{{"uid":"{}"}},"status":{{{}}}}})", pod.metadata().uid(), status);
}

}  // namespace rusternetes::controller_manager
