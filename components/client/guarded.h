#pragma once
// Exceptions of callbacks and reconcilers, as errors: one that throws must not end the loop that serves all
// the others.

#include <exception>

#include "base/status.h"
#include "base/task.h"

namespace rusternetes::client {

// What a task of `tasks` caught, as an InternalError to be retried. Throws it on when the group is stopping:
// then it is the cancellation mostly, which has to end the task. Not to be told from the error alone:
// operation_aborted is also what a connection throws that somebody else has closed.
Status caught(std::exception_ptr error, const TaskGroup& tasks);

// As text.
std::string text_of(std::exception_ptr error);

}  // namespace rusternetes::client
