#pragma once
#include "base/status.h"

namespace rusternetes::controller_manager {

// Whether an object could not be made because its namespace is going or gone: there is nothing to try again
// for.
inline bool is_namespace_ending(const Status& error) {
  if (error.is("NotFound")) return true;
  if (error.details)
    for (const auto& cause : error.details->causes)
      if (cause.reason == "NamespaceTerminating") return true;
  return false;
}

}  // namespace rusternetes::controller_manager
