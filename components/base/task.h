#pragma once
// The life of coroutines. Every io_context is run by exactly one thread and a coroutine never leaves it (invariant 8);
// every coroutine belongs to a TaskGroup, whose stop() cancels and waits for all of them.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace rusternetes {

namespace asio = boost::asio;

template <class T = void>
using Task = asio::awaitable<T>;

// A named thread that runs one io_context until stop(). Used for I/O, controllers, the node.
class EventThread {
 public:
  // `prologue` runs first on the new thread (the node thread enters its network namespace there).
  explicit EventThread(std::string name, std::function<void()> prologue = {});
  ~EventThread();  // stop()
  EventThread(const EventThread&) = delete;
  EventThread& operator=(const EventThread&) = delete;

  asio::io_context& context() { return context_; }
  asio::any_io_executor executor() { return context_.get_executor(); }
  // Ends the loop and joins; what is still suspended is destroyed. Idempotent; not from the thread itself.
  void stop();

 private:
  asio::io_context context_{1};
  std::thread thread_;
};

// Wakes coroutines of one executor. set() is remembered until a wait takes it (auto-reset), so no wake-up is lost.
// Only used from the executor's own thread; to wake from elsewhere, post.
class AsyncEvent {
 public:
  explicit AsyncEvent(asio::any_io_executor executor);
  void set();
  // Returns when set. Throws operation_aborted when the waiting coroutine is cancelled.
  Task<> wait();
  // False when the deadline passed first.
  Task<bool> wait_until(std::chrono::steady_clock::time_point deadline);

 private:
  asio::steady_timer timer_;
  bool is_set_ = false;
};

// Owns the coroutines of one service. Lives on one executor; spawn() and stop() are called from its thread.
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);
  // Tasks that are left go on without it: whoever needs them ended calls stop() first. (Not asserted: what is still
  // suspended when an EventThread has stopped, or while a failed test unwinds, ends with its io_context.)
  ~TaskGroup();
  // Starts a coroutine. What it throws, other than its cancellation, is logged under `name`.
  void spawn(std::string name, Task<> task);
  // Cancels every task (total cancellation) and waits until the last has ended.
  Task<> stop();
  bool is_stopping() const;
  std::size_t size() const;
  asio::any_io_executor executor() const;

 private:
  struct State;
  static void cancel_soon(std::shared_ptr<State> state, const void* target);
  std::shared_ptr<State> state_;
};

// Sleeps for `duration`; for deadlines and back-off, never to poll.
Task<> sleep_for(std::chrono::nanoseconds duration);

// Runs `task` on `executor` from a thread that has none of its own and blocks until it ends (main(), tests).
// Rethrows what the coroutine throws. The io_context must be running elsewhere.
void run_blocking(asio::any_io_executor executor, Task<> task);

}  // namespace rusternetes
