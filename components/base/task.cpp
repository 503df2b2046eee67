#include "base/task.h"

#include <pthread.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <list>

#include "base/log.h"
#include "base/status.h"

namespace rusternetes {

EventThread::EventThread(std::string name, std::function<void()> prologue) {
  thread_ = std::thread([this, name = std::move(name), prologue = std::move(prologue)] {
    ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
    if (prologue) prologue();
    auto guard = asio::make_work_guard(context_);
    context_.run();
  });
}

EventThread::~EventThread() { stop(); }

void EventThread::stop() {
  context_.stop();
  if (thread_.joinable()) thread_.join();
}

AsyncEvent::AsyncEvent(asio::any_io_executor executor)
    : timer_(std::move(executor), std::chrono::steady_clock::time_point::max()) {}

void AsyncEvent::set() {
  is_set_ = true;
  timer_.cancel();
}

Task<> AsyncEvent::wait() { co_await wait_until(std::chrono::steady_clock::time_point::max()); }

Task<bool> AsyncEvent::wait_until(std::chrono::steady_clock::time_point deadline) {
  while (!is_set_) {
    const auto now = std::chrono::steady_clock::now();
    if (deadline != std::chrono::steady_clock::time_point::max() && now >= deadline) co_return false;
    // Setting the time wakes whoever else waits, who would set his own, and so on for ever: the timer has the earliest
    // deadline of all, and is set anew only for an earlier one or after it has fired.
    if (deadline < timer_.expiry() || timer_.expiry() <= now) timer_.expires_at(deadline);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  is_set_ = false;
  co_return true;
}

struct TaskGroup::State {
  struct Entry {
    std::string name;
    asio::cancellation_signal cancel;
  };
  explicit State(asio::any_io_executor e) : executor(std::move(e)), ended(executor) {}
  asio::any_io_executor executor;
  std::list<Entry> entries;
  AsyncEvent ended;
  bool stopping = false;
};

TaskGroup::TaskGroup(asio::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}
TaskGroup::~TaskGroup() = default;

// Posted, so that a task which ends during emit() does not erase its own entry under the signal.
void TaskGroup::cancel_soon(std::shared_ptr<State> state, const void* target) {
  asio::post(state->executor, [state, target] {
    for (auto& entry : state->entries)
      if (&entry == target) return entry.cancel.emit(asio::cancellation_type::all);
  });
}

void TaskGroup::spawn(std::string name, Task<> task) {
  auto state = state_;
  auto entry = state->entries.emplace(state->entries.end());
  entry->name = std::move(name);
  asio::co_spawn(state->executor, std::move(task),
                 asio::bind_cancellation_slot(entry->cancel.slot(), [state, entry](std::exception_ptr error) {
                   if (error) {
                     try {
                       std::rethrow_exception(error);
                     } catch (const boost::system::system_error& e) {
                       if (e.code() != asio::error::operation_aborted)
                         log::error(entry->name, "ended by an exception: {}", e.what());
                     } catch (const std::exception& e) {
                       log::error(entry->name, "ended by an exception: {}", e.what());
                     }
                   }
                   state->entries.erase(entry);
                   state->ended.set();
                 }));
  // A task that begins another while the group ends would keep it for ever.
  if (state->stopping) cancel_soon(state, &*entry);
}

Task<> TaskGroup::stop() {
  auto state = state_;
  state->stopping = true;
  // A task that ends at once erases its entry while we walk, so each round starts from the names that are left.
  std::vector<std::list<State::Entry>::iterator> all;
  for (auto it = state->entries.begin(); it != state->entries.end(); ++it) all.push_back(it);
  for (auto it : all) cancel_soon(state, &*it);
  while (!state->entries.empty()) co_await state->ended.wait();
}

bool TaskGroup::is_stopping() const { return state_->stopping; }
std::size_t TaskGroup::size() const { return state_->entries.size(); }
asio::any_io_executor TaskGroup::executor() const { return state_->executor; }

Task<> sleep_for(std::chrono::nanoseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration));
  co_await timer.async_wait(asio::use_awaitable);
}

void run_blocking(asio::any_io_executor executor, Task<> task) {
  std::promise<void> done;
  auto future = done.get_future();
  asio::co_spawn(executor, std::move(task), [&done](std::exception_ptr error) {
    if (error)
      done.set_exception(error);
    else
      done.set_value();
  });
  future.get();
}

}  // namespace rusternetes
