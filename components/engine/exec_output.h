#pragma once
// What a process writes, collected.

#include "engine/runtime.h"

namespace rusternetes::engine {

// All output of a process without a terminal, up to 16 MiB, and its exit code once it has ended. Both outlive the call.
Task<> collect_output(ExecSession* session, Result<ExecOutput>* out);

}  // namespace rusternetes::engine
