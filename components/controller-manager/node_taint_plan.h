#pragma once
#include "apimachinery/value.h"

namespace rusternetes::controller_manager {

// Gives a Node the NoSchedule taints that its conditions and spec.unschedulable ask for; false when it has them already.
bool set_condition_taints(apimachinery::Arena& arena, apimachinery::Value& node);

}  // namespace rusternetes::controller_manager
