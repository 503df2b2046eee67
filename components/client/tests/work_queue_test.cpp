#include "client/work_queue.h"

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "client/controller.h"

using namespace rusternetes;
using client::WorkQueue;

namespace {

Task<> take(WorkQueue& queue, std::vector<std::string>& into, std::size_t count) {
  while (into.size() < count) {
    std::string key = co_await queue.next();
    into.push_back(key);
    queue.done(key);
  }
}

struct Flaky final : client::Reconciler {
  int calls = 0;
  AsyncEvent done;
  explicit Flaky(asio::any_io_executor executor) : done(executor) {}
  Task<Result<client::ReconcileResult>> reconcile(std::string) override {
    if (++calls < 4) co_return internal_error("not yet");
    done.set();
    co_return client::ReconcileResult{};
  }
};

Task<> run_flaky(Flaky& flaky, client::ControllerLoop& loop, TaskGroup& tasks) {
  loop.start(tasks);
  loop.queue().add("x");
  co_await flaky.done.wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(10));
  co_await tasks.stop();
}

Task<> add_while_processing(WorkQueue& queue, std::vector<std::string>& seen) {
  queue.add("k");
  std::string key = co_await queue.next();
  seen.push_back(key);
  queue.add("k");  // changed while it is worked on
  queue.add("k");
  CHECK(queue.size() == 0);
  queue.done(key);
  CHECK(queue.size() == 1);
  seen.push_back(co_await queue.next());
  queue.done("k");
  CHECK(queue.size() == 0);
}

}  // namespace

TEST_CASE("a key that is added twice is worked on once") {
  EventThread thread("test");
  WorkQueue queue(thread.executor());
  std::vector<std::string> seen;
  asio::post(thread.executor(), [&] {
    queue.add("a");
    queue.add("a");
    queue.add("b");
  });
  run_blocking(thread.executor(), take(queue, seen, 2));
  CHECK(seen == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a key that changes while it is worked on is worked on once more") {
  EventThread thread("test");
  WorkQueue queue(thread.executor());
  std::vector<std::string> seen;
  run_blocking(thread.executor(), add_while_processing(queue, seen));
  CHECK(seen.size() == 2);
}

TEST_CASE("a delayed key comes after those that are due earlier") {
  EventThread thread("test");
  WorkQueue queue(thread.executor());
  std::vector<std::string> seen;
  asio::post(thread.executor(), [&] {
    queue.add_after("late", std::chrono::milliseconds(40));
    queue.add_after("early", std::chrono::milliseconds(10));
    queue.add("now");
  });
  run_blocking(thread.executor(), take(queue, seen, 3));
  CHECK(seen == std::vector<std::string>{"now", "early", "late"});
}

TEST_CASE("the loop tries a failed key again until it succeeds") {
  EventThread thread("test");
  Flaky flaky(thread.executor());
  client::ControllerLoop loop("test", thread.executor(), flaky);
  TaskGroup tasks(thread.executor());
  run_blocking(thread.executor(), run_flaky(flaky, loop, tasks));
  CHECK(flaky.calls == 4);
}
