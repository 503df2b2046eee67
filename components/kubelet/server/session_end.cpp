#include "kubelet/server/session_end.h"

#include <memory>

namespace rusternetes::kubelet {

namespace {

struct Ending {
  explicit Ending(asio::any_io_executor executor) : changed(std::move(executor)) {}
  AsyncEvent changed;
  bool is_over = false;
};

Task<> run(Task<> end, std::shared_ptr<Ending> ending) {
  std::shared_ptr<void> mark(nullptr, [ending](void*) {
    ending->is_over = true;
    ending->changed.set();
  });
  co_await std::move(end);
}

}  // namespace

Task<> run_to_end(Task<> end, std::function<void()> hurry, bool is_cancelled) {
  const auto executor = co_await asio::this_coro::executor;
  const auto ending = std::make_shared<Ending>(executor);
  // A task of its own, which our cancellation does not reach.
  TaskGroup tasks(executor);
  tasks.spawn("session end", run(std::move(end), ending));
  try {
    while (!is_cancelled && !ending->is_over) co_await ending->changed.wait();
  } catch (const boost::system::system_error&) {
    is_cancelled = true;
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (is_cancelled) hurry();
  while (!ending->is_over) co_await ending->changed.wait();
}

}  // namespace rusternetes::kubelet
