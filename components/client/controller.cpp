#include "client/controller.h"

#include "base/log.h"
#include "client/guarded.h"

namespace rusternetes::client {

ControllerLoop::ControllerLoop(std::string name, asio::any_io_executor executor, Reconciler& reconciler,
                               int workers)
    : name_(std::move(name)), queue_(std::move(executor)), reconciler_(reconciler), workers_(workers) {}

void ControllerLoop::start(TaskGroup& tasks) {
  for (int i = 0; i < workers_; ++i) tasks.spawn(name_, work(tasks));
}

Task<Result<ReconcileResult>> ControllerLoop::attempt(std::string key, const TaskGroup& tasks) {
  std::exception_ptr thrown;
  try {
    co_return co_await reconciler_.reconcile(key);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return caught(thrown, tasks);
}

Task<> ControllerLoop::work(const TaskGroup& tasks) {
  for (;;) {
    std::string key = co_await queue_.next();
    auto result = co_await attempt(key, tasks);
    if (!result) {
      const auto& error = result.error();
      // Somebody else was quicker, or the object has gone meanwhile: ordinary, and tried again.
      if (error.is("Conflict") || error.is("NotFound") || error.is("AlreadyExists"))
        log::debug(name_, "{}: {}", key, error.message);
      else
        log::warn(name_, "{}: {} (attempt {})", key, error.message, queue_.failures(key) + 1);
      queue_.add_rate_limited(key);
    } else {
      queue_.forget(key);
      if (result->requeue_after.count() > 0) queue_.add_after(key, result->requeue_after);
    }
    queue_.done(key);
  }
}

}  // namespace rusternetes::client
