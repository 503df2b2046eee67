#pragma once
// What the schedule's process does each time it runs.

#include "launcher/command.h"

namespace rusternetes::launcher {

// Takes a snapshot if one is due, by the way of `snapshot create --scheduled --keep N`, and says to
// RUSTERNETES_WAKE (the supervisor's) when it is to be run again. What fails is written to the memory and
// told, and is no error here: the next time is known, and a supervisor need not try again sooner.
Result<> run_due(Invocation& invocation);

}  // namespace rusternetes::launcher
