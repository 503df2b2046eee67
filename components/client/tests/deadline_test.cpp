#include "client/deadline.h"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "scripted_api.h"

using namespace rusternetes;
using client::testing::run_loop;
using client::testing::stop_tasks;

namespace {

struct Inner {
  bool has_ended = false, ended_by_itself = false;
  Task<> run(bool is_endless) {
    struct Mark {
      bool& flag;
      ~Mark() { flag = true; }
    } mark{has_ended};
    co_await sleep_for(is_endless ? std::chrono::hours(1) : std::chrono::nanoseconds(1000));
    ended_by_itself = true;
  }
};

struct Outer {
  Inner inner;
  bool outcome = false, has_returned = false, has_slept = false;
  Task<> run(bool is_endless, std::chrono::milliseconds limit) {
    outcome =
        co_await client::run_until("inner", inner.run(is_endless), std::chrono::steady_clock::now() + limit);
    has_returned = true;
    co_await sleep_for(std::chrono::milliseconds(1));  // the caller is not cancelled with it
    has_slept = true;
  }
};

}  // namespace

TEST_CASE("a task that ends in time is told from one that had to be cancelled") {
  asio::io_context context{1};
  TaskGroup tasks(context.get_executor());
  Outer quick, slow;
  tasks.spawn("quick", quick.run(false, std::chrono::minutes(1)));
  tasks.spawn("slow", slow.run(true, std::chrono::milliseconds(5)));
  run_loop(context, [&] { return tasks.size() == 0; });
  CHECK(quick.outcome);
  CHECK(quick.inner.ended_by_itself);
  CHECK_FALSE(slow.outcome);
  CHECK(slow.inner.has_ended);
  CHECK_FALSE(slow.inner.ended_by_itself);
  CHECK(slow.has_slept);
}

TEST_CASE("who is cancelled while a task runs for it has ended that task before it ends") {
  asio::io_context context{1};
  TaskGroup tasks(context.get_executor());
  Outer outer;
  tasks.spawn("outer", outer.run(true, std::chrono::minutes(1)));
  for (int i = 0; i < 10; ++i) context.poll();
  stop_tasks(context, tasks);
  CHECK(outer.inner.has_ended);
  CHECK_FALSE(outer.has_returned);
}

namespace {

// Runs short tasks one after the other, for ever.
struct Endless {
  asio::any_io_executor executor;
  int rounds = 0;
  Task<> some_turns() {
    for (int i = 0; i < 3; ++i) co_await asio::post(executor, asio::use_awaitable);
  }
  Task<> run() {
    for (;; ++rounds)
      co_await client::run_until("turns", some_turns(),
                                 std::chrono::steady_clock::now() + std::chrono::minutes(1));
  }
};

}  // namespace

TEST_CASE("a cancellation is never lost, whatever turn of the loop it comes in") {
  for (int turns = 0; turns < 60; ++turns) {
    asio::io_context context{1};
    TaskGroup tasks(context.get_executor());
    Endless endless{context.get_executor()};
    tasks.spawn("endless", endless.run());
    for (int i = 0; i < turns; ++i) context.poll_one();
    CAPTURE(turns);
    stop_tasks(context, tasks);
    if (turns == 59) CHECK(endless.rounds > 2);  // several rounds were gone through
  }
}
