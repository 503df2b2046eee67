#include "base/task.h"

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "base/status.h"
#include "base/worker.h"

using namespace rusternetes;

namespace {
Task<> wait_for(AsyncEvent& event, bool& ended) {
  co_await event.wait();
  ended = true;
}
Task<> stop_group(TaskGroup& group) { co_await group.stop(); }
Task<> on_worker(WorkerThread& worker, std::thread::id& seen, std::thread::id& after) {
  seen = co_await worker.run([] { return std::this_thread::get_id(); });
  after = std::this_thread::get_id();
}
Result<int> half(int n) {
  if (n % 2) return internal_error("odd");
  return n / 2;
}
Result<int> quarter(int n) {
  RN_TRY(int h, half(n));
  return half(h);
}
}  // namespace

TEST_CASE("stopping a task group cancels a waiting coroutine and waits for it") {
  EventThread thread("test");
  TaskGroup group(thread.executor());
  AsyncEvent event(thread.executor());
  bool ended = false;
  std::promise<void> spawned;
  asio::post(thread.executor(), [&] {
    group.spawn("waiter", wait_for(event, ended));
    spawned.set_value();
  });
  spawned.get_future().get();
  run_blocking(thread.executor(), stop_group(group));
  CHECK(group.size() == 0);
  CHECK_FALSE(ended);
}

TEST_CASE("an event set before the wait is not lost") {
  EventThread thread("test");
  AsyncEvent event(thread.executor());
  bool ended = false;
  asio::post(thread.executor(), [&] { event.set(); });
  run_blocking(thread.executor(), wait_for(event, ended));
  CHECK(ended);
}

TEST_CASE("work runs on the worker and the coroutine resumes on its own thread") {
  EventThread thread("test");
  WorkerThread worker("worker");
  std::thread::id seen, after;
  run_blocking(thread.executor(), on_worker(worker, seen, after));
  CHECK(seen != after);
  CHECK(seen != std::this_thread::get_id());
}

TEST_CASE("a failed step returns its status through RN_TRY") {
  CHECK(*quarter(8) == 2);
  CHECK(quarter(6).error().message == "odd");
  CHECK_THROWS_AS(half(3).value(), BadResultAccess);
}

namespace {
Task<> wait_and_count(AsyncEvent& event, int& woken, int& late, std::chrono::steady_clock::time_point deadline) {
  ++(co_await event.wait_until(deadline) ? woken : late);
}
}  // namespace

TEST_CASE("several that wait for one event take no turns of the loop, each set() lets one go on, deadlines are each one's own") {
  asio::io_context context{1};
  AsyncEvent event(context.get_executor());
  TaskGroup group(context.get_executor());
  int woken = 0, late = 0;
  const auto never = std::chrono::steady_clock::time_point::max(), now = std::chrono::steady_clock::now();
  for (int i = 0; i < 3; ++i) group.spawn("waiter", wait_and_count(event, woken, late, never));
  for (const int ms : {30, 10, 20}) group.spawn("waiter", wait_and_count(event, woken, late, now + std::chrono::milliseconds(ms)));
  int turns = 0;
  while (context.poll_one()) REQUIRE(++turns < 100);
  while (late < 3) {
    const int before = late;
    while (late == before) REQUIRE(context.run_one_for(std::chrono::seconds(10)) == 1);
    CHECK(std::chrono::steady_clock::now() >= now + std::chrono::milliseconds(10 * late));
  }
  for (int i = 1; i <= 3; ++i) {
    CHECK(woken == i - 1);
    event.set();
    context.restart();
    context.poll();
    CHECK(woken == i);
  }
}

TEST_CASE("a task that is begun while its group stops ends with it") {
  EventThread thread("group");
  bool has_begun = false;
  run_blocking(thread.executor(), [](asio::any_io_executor executor, bool& has_begun) -> Task<> {
    TaskGroup group(executor);
    // Begins another one when it is cancelled, as a connection's task may.
    group.spawn("first", [](TaskGroup& group, bool& has_begun) -> Task<> {
      try {
        co_await sleep_for(std::chrono::hours(1));
      } catch (const boost::system::system_error&) {
        group.spawn("second", sleep_for(std::chrono::hours(1)));
        has_begun = true;
      }
    }(group, has_begun));
    AsyncEvent turn(executor);
    (void)co_await turn.wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(5));
    co_await group.stop();
  }(thread.executor(), has_begun));
  CHECK(has_begun);
}
