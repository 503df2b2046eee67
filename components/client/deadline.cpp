#include "client/deadline.h"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

namespace rusternetes::client {

namespace {

struct End {
  explicit End(asio::any_io_executor executor) : event(std::move(executor)) {}
  AsyncEvent event;
  bool is_reached = false;
};

// However the task ends.
struct Tell {
  std::shared_ptr<End> end;
  bool by_itself = false;
  ~Tell() {
    end->is_reached = by_itself;
    end->event.set();
  }
};

Task<> run_and_tell(Task<> task, std::shared_ptr<End> end) {
  Tell tell{std::move(end)};
  co_await std::move(task);
  tell.by_itself = true;
}

}  // namespace

Task<bool> hold_cancellation() {
  // It may have come in the turn in which what was awaited ended, and then nothing has thrown it yet.
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool came = state.cancelled() != asio::cancellation_type::none;
  // Let in, so that it is remembered; not let out, so that what is awaited meanwhile goes on.
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation(),
                                                     asio::disable_cancellation());
  co_return came;
}

Task<bool> release_cancellation() {
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool came = state.cancelled() != asio::cancellation_type::none;
  co_await asio::this_coro::reset_cancellation_state();
  co_await asio::this_coro::throw_if_cancelled(true);
  co_return came;
}

void throw_cancelled() { throw boost::system::system_error(asio::error::operation_aborted); }

Task<bool> run_until(std::string name, Task<> task, std::chrono::steady_clock::time_point deadline) {
  const auto executor = co_await asio::this_coro::executor;
  TaskGroup group(executor);
  auto end = std::make_shared<End>(executor);
  group.spawn(std::move(name), run_and_tell(std::move(task), end));
  bool is_cancelled = false;
  try {
    co_await end->event.wait_until(deadline);
  } catch (const boost::system::system_error&) {
    is_cancelled = true;
  }
  const bool by_itself = end->is_reached;
  co_await asio::this_coro::throw_if_cancelled(false);
  is_cancelled |= co_await hold_cancellation();
  co_await group.stop();
  is_cancelled |= co_await release_cancellation();
  if (is_cancelled) throw_cancelled();
  co_return by_itself;
}

}  // namespace rusternetes::client
