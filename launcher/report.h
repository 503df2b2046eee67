#pragma once
// What several commands print: a cluster, a plan, the wait for readiness.

#include <boost/json/fwd.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "launcher/session.h"

namespace rusternetes::launcher {

boost::json::object describe_json(const ClusterSettings& settings);
// RFC 3339, in UTC and whole seconds.
std::string date_text(SystemTime time);
// ClusterStopped for a cluster whose process does not run.
Result<> check_runs(Session& session, StepContext& context);

// Since `started`, by the clock that is never set.
std::int64_t elapsed_ms(const Invocation& invocation, SteadyTime started);

// The steps of a plan, and the manifest if there is one, for --dry-run.
void print_plan(const Invocation& invocation, const Plan& plan, const ClusterSettings& settings,
                const std::string& manifest = {});

// --wait, 60 s if it is not given. BadRequest.
Result<std::chrono::milliseconds> wait_flag(const Invocation& invocation);
Result<> wait_with_progress(Session& session, StepContext& context, std::chrono::milliseconds timeout);

// Asks on the terminal unless --yes was given. ConfirmationRequired when there is no terminal or the answer
// is no.
Result<> confirm(const Invocation& invocation, const std::string& question);

}  // namespace rusternetes::launcher
