#pragma once
// How a session of a client ends, whatever ends it.

#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <exception>
#include <functional>

#include "base/task.h"

namespace rusternetes::kubelet {

// Awaits `end` to its very end, also when the session is cancelled meanwhile (or was before: `is_cancelled`): `hurry` is
// called then, which is to shorten it. What `end` uses need only live as long as this. Nothing can be cancelled afterwards.
Task<> run_to_end(Task<> end, std::function<void()> hurry, bool is_cancelled);

// session.run(), then session.end(grace), always; session.hurry() once it is cancelled. A client may take what is left for it
// as slowly as it took what came before, so that grace is hours.
template <class Session>
Task<> run_session(Session& session) {
  std::exception_ptr error;
  try {
    co_await session.run();
  } catch (...) {
    error = std::current_exception();
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool is_cancelled = error || state.cancelled() != asio::cancellation_type::none;
  co_await asio::this_coro::reset_cancellation_state();
  Task<> end = session.end(std::chrono::hours(4));
  std::function<void()> hurry = [&session] { session.hurry(); };
  co_await run_to_end(std::move(end), std::move(hurry), is_cancelled);
  if (error) std::rethrow_exception(error);
}

}  // namespace rusternetes::kubelet
