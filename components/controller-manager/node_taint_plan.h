#pragma once
// A Node's taints and labels as its conditions ask for them (pkg/controller/nodelifecycle). Pure; each gives
// false when it changes nothing.

#include "apimachinery/api/core_v1.h"
#include "apimachinery/value.h"

namespace rusternetes::controller_manager {

// The NoSchedule taints that its conditions and spec.unschedulable ask for; `now_us` becomes timeAdded of new
// ones.
bool set_condition_taints(apimachinery::Arena& arena, apimachinery::Value& node, std::int64_t now_us);

// Its NoExecute taint, not-ready or unreachable, of which it has one at most.
enum class NoExecute { leave, none, not_ready, unreachable };
bool set_no_execute_taint(apimachinery::Arena& arena, apimachinery::Value& node, NoExecute wanted,
                          std::int64_t now_us);
// A node that is not ready and has one keeps it, and changes it with its condition; one without gets it only
// when it is its turn. Where no node is ready (`is_stopped`) none has any.
NoExecute wanted_no_execute(const apimachinery::core_v1::Node& node, bool is_its_turn, bool is_stopped);
// It is not ready and has no NoExecute taint for that.
bool waits_for_no_execute(const apimachinery::core_v1::Node& node);

// beta.kubernetes.io/os and /arch say what kubernetes.io/os and /arch say.
bool set_beta_labels(apimachinery::Arena& arena, apimachinery::Value& node);

}  // namespace rusternetes::controller_manager
