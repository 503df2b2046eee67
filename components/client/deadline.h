#pragma once
// A coroutine with an end: it is cancelled when its time is over, and waited for either way.

#include <chrono>

#include "base/task.h"

namespace rusternetes::client {

// True when `task` ended by itself before `deadline`; false when it had to be cancelled. When this call
// returns or throws (because the caller was cancelled, which cancels `task`, too), `task` has ended. What it
// throws is logged under `name`.
Task<bool> run_until(std::string name, Task<> task, std::chrono::steady_clock::time_point deadline);

// What must happen also when a coroutine is cancelled (stopping children, giving back a lease) stands between
// these two. From hold_cancellation() on it is remembered instead of thrown. Before it stands `co_await
// asio::this_coro::throw_if_cancelled(false)`, the one thing that a cancelled coroutine can still await. True
// when one has come already that was not thrown.
Task<bool> hold_cancellation();
// True when one came since. The next ones are thrown again; the remembered one is the caller's to throw.
Task<bool> release_cancellation();
[[noreturn]] void throw_cancelled();

}  // namespace rusternetes::client
