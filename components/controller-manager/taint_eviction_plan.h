#pragma once
// What a node's NoExecute taints mean for a Pod on it (API docs, "Taint based Evictions"). Pure.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apimachinery/api/core_v1.h"
#include "base/clock.h"

namespace rusternetes::controller_manager {

bool tolerates(const apimachinery::core_v1::Toleration& toleration,
               const apimachinery::core_v1::Taint& taint);

// A taint that the Pod bears for so long only.
struct BorneTaint {
  std::string
      taint;  // not-ready and unreachable count as one: a node's trouble does not begin anew with its name
  std::chrono::seconds for_so_long{0};
};
struct TaintVerdict {
  bool must_go = false;           // now
  std::vector<BorneTaint> borne;  // empty, unless it must go: it may stay
};
TaintVerdict judge_taints(const apimachinery::core_v1::Node& node, const apimachinery::core_v1::Pod& pod);

// Since when a Pod bears which taints.
class TaintTimer {
 public:
  // When the Pod's time is over.
  SteadyTime update(const std::vector<BorneTaint>& borne, SteadyTime now);

 private:
  std::map<std::string, SteadyTime> since_;
};

}  // namespace rusternetes::controller_manager
