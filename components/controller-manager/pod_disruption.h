#pragma once
// The condition of a Pod that ends for a reason outside of it (KEP-3329).

#include <cstdint>
#include <string>

#include "apimachinery/api/core_v1.h"

namespace rusternetes::controller_manager {

struct Disruption {
  std::string_view reason, message;
};

// A strategic patch of the Pod's status: the condition DisruptionTarget (unless `why` has no reason), and
// phase Failed if `fails`. Refused with Conflict when the name is another Pod's by now. Empty: it says so
// already.
std::string disruption_patch(const apimachinery::core_v1::Pod& pod, const Disruption& why, bool fails,
                             std::int64_t now_us);

}  // namespace rusternetes::controller_manager
