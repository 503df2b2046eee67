#pragma once
// A named thread for work that blocks (SQLite commits, file trees, key generation, libnftables). Results return to the
// caller's own executor, so the coroutine that awaits never changes thread (invariant 8).

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/task.h"

namespace rusternetes {

class WorkerThread {
 public:
  // `queue_limit` jobs may wait; run() and post() beyond it throw std::length_error.
  explicit WorkerThread(std::string name, std::size_t queue_limit = 65536, std::function<void()> prologue = {});
  ~WorkerThread();  // finishes what is queued, then joins
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  void post(std::function<void()> job);

  // Runs `work` on the thread; the awaiting coroutine resumes on its own executor with the result or the exception.
  template <class F, class R = std::invoke_result_t<F>>
  Task<R> run(F work);

 private:
  void loop();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  std::size_t queue_limit_;
  bool stopping_ = false;
  std::thread thread_;
};

template <class F, class R>
Task<R> WorkerThread::run(F work) {
  struct Outcome {
    std::conditional_t<std::is_void_v<R>, std::optional<int>, std::optional<R>> value;
    std::exception_ptr error;
  };
  auto outcome = std::make_shared<Outcome>();
  auto executor = co_await asio::this_coro::executor;
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
      [&](auto handler) {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        auto job = std::make_shared<F>(std::move(work));
        // Keeps the caller's io_context alive while the work is elsewhere.
        auto guard = asio::prefer(executor, asio::execution::outstanding_work.tracked);
        post([outcome, shared, job, guard]() mutable {
          try {
            if constexpr (std::is_void_v<R>)
              (*job)();
            else
              outcome->value.emplace((*job)());
          } catch (...) {
            outcome->error = std::current_exception();
          }
          job.reset();
          asio::post(guard, [shared = std::move(shared)]() mutable { (*shared)(); });
        });
      },
      asio::use_awaitable);
  if (outcome->error) std::rethrow_exception(outcome->error);
  if constexpr (!std::is_void_v<R>) co_return std::move(*outcome->value);
}

}  // namespace rusternetes
