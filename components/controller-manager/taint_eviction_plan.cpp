#include "controller-manager/taint_eviction_plan.h"

#include <algorithm>

namespace rusternetes::controller_manager {

using namespace apimachinery;
using core_v1::Taint;
using core_v1::Toleration;

namespace {

std::string identity(const Taint& taint) {
  if (taint.key() == "node.kubernetes.io/not-ready" || taint.key() == "node.kubernetes.io/unreachable")
    return "node.kubernetes.io/not-ready";
  return std::string(taint.key()) + "=" + std::string(taint.value_());
}

}  // namespace

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect().empty() && toleration.effect() != taint.effect()) return false;
  if (!toleration.key().empty() && toleration.key() != taint.key()) return false;
  const auto how = toleration.operator_();
  if (how == "Exists") return true;
  return (how.empty() || how == "Equal") && toleration.value_() == taint.value_();
}

TaintVerdict judge_taints(const core_v1::Node& node, const core_v1::Pod& pod) {
  constexpr std::int64_t longest_s = 1'000'000'000;
  TaintVerdict verdict;
  for (const auto taint : node.spec().taints()) {
    if (taint.effect() != "NoExecute") continue;
    Toleration first;  // of several, the first counts
    for (const auto toleration : pod.spec().tolerations())
      if (!first && tolerates(toleration, taint)) first = toleration;
    if (!first || (first.has_tolerationSeconds() && first.tolerationSeconds() <= 0)) return {true, {}};
    if (first.has_tolerationSeconds())
      verdict.borne.push_back(
          {identity(taint), std::chrono::seconds(std::min(first.tolerationSeconds(), longest_s))});
  }
  return verdict;
}

SteadyTime TaintTimer::update(const std::vector<BorneTaint>& borne, SteadyTime now) {
  std::map<std::string, SteadyTime> since;
  SteadyTime over = SteadyTime::max();
  for (const auto& one : borne) {
    const auto known = since_.find(one.taint);
    const SteadyTime start = known == since_.end() ? now : known->second;
    since[one.taint] = start;
    over = std::min<SteadyTime>(over, start + one.for_so_long);
  }
  since_ = std::move(since);
  return over;
}

}  // namespace rusternetes::controller_manager
