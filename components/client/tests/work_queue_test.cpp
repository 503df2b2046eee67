#include "client/work_queue.h"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <catch2/catch.hpp>

#include "client/controller.h"
#include "scripted_api.h"

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

namespace {

// Works on keys slowly enough that another worker could take the same one.
struct Careful final : client::Reconciler {
  std::set<std::string> under_way;
  std::map<std::string, int> times;
  int most_at_once = 0, total = 0;
  bool has_met_itself = false;
  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    has_met_itself |= !under_way.insert(key).second;
    most_at_once = std::max(most_at_once, static_cast<int>(under_way.size()));
    co_await sleep_for(std::chrono::milliseconds(1));
    under_way.erase(key);
    ++times[key];
    ++total;
    co_return client::ReconcileResult{};
  }
};

}  // namespace

TEST_CASE("several workers share the keys, and never two of them one key") {
  asio::io_context context{1};
  TaskGroup tasks(context.get_executor());
  Careful careful;
  client::ControllerLoop loop("careful", context.get_executor(), careful, 4);
  loop.start(tasks);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 6; ++i) loop.queue().add("key" + std::to_string(i));
    const int before = careful.total;
    client::testing::run_loop(context, [&] { return careful.total > before; });
  }
  client::testing::run_loop(context, [&] { return careful.under_way.empty() && loop.queue().size() == 0; });
  CHECK_FALSE(careful.has_met_itself);
  CHECK(careful.most_at_once == 4);
  CHECK(careful.times.size() == 6);
  client::testing::stop_tasks(context, tasks);
}

TEST_CASE("workers without work take no turns of the loop") {
  asio::io_context context{1};
  TaskGroup tasks(context.get_executor());
  Careful careful;
  client::ControllerLoop loop("idle", context.get_executor(), careful, 5);
  loop.start(tasks);
  loop.queue().add_after("later", std::chrono::hours(1));
  int turns = 0;
  while (context.poll_one()) REQUIRE(++turns < 100);
  loop.queue().add("now");
  client::testing::run_loop(context, [&] { return careful.total == 1; });
  turns = 0;
  while (context.poll_one()) REQUIRE(++turns < 100);
  client::testing::stop_tasks(context, tasks);
}

TEST_CASE(
    "each failing key has a back-off of its own, which doubles up to the most and starts anew when it is "
    "forgotten") {
  asio::io_context context{1};
  WorkQueue queue(context.get_executor(), {std::chrono::milliseconds(4), std::chrono::milliseconds(16)});
  std::vector<std::string> seen;
  TaskGroup tasks(context.get_executor());
  tasks.spawn("take", take(queue, seen, 100));
  auto wait_of = [&](const std::string& key) {
    const auto begin = std::chrono::steady_clock::now();
    const auto count = seen.size();
    queue.add_rate_limited(key);
    client::testing::run_loop(context, [&] { return seen.size() > count; });
    return std::chrono::steady_clock::now() - begin;
  };
  using std::chrono::milliseconds;
  for (const int least : {4, 8, 16, 16}) CHECK(wait_of("a") >= milliseconds(least));
  CHECK(queue.failures("a") == 4);
  CHECK(queue.failures("b") == 0);
  const auto other = wait_of("b");
  CHECK(other >= milliseconds(4));
  CHECK(queue.failures("b") == 1);
  queue.forget("a");
  CHECK(queue.failures("a") == 0);
  wait_of("a");
  CHECK(queue.failures("a") == 1);
  client::testing::stop_tasks(context, tasks);
}

TEST_CASE("a key that waits twice waits once, until the earlier time") {
  asio::io_context context{1};
  WorkQueue queue(context.get_executor());
  queue.add_after("k", std::chrono::hours(2));
  queue.add_after("k", std::chrono::hours(1));
  queue.add_after("k", std::chrono::milliseconds(1));
  queue.add_after("k", std::chrono::hours(3));
  CHECK(queue.delayed() == 1);
  std::vector<std::string> seen;
  TaskGroup tasks(context.get_executor());
  tasks.spawn("take", take(queue, seen, 1));
  client::testing::run_loop(context, [&] { return tasks.size() == 0; });
  CHECK(seen == std::vector<std::string>{"k"});
  CHECK(queue.delayed() == 0);
}

TEST_CASE("a key that is due later does not wait for a worker that is busy") {
  EventThread thread("queue");
  bool is_taken = false;
  run_blocking(thread.executor(), [](asio::any_io_executor executor, bool& is_taken) -> Task<> {
    client::WorkQueue queue(executor);
    AsyncEvent taken(executor), busy(executor);
    TaskGroup workers(executor);
    // The first worker that gets "long" never comes back; the other is idle.
    for (int i = 0; i < 2; ++i)
      workers.spawn(
          "worker",
          [](client::WorkQueue& queue, AsyncEvent& taken, AsyncEvent& busy, bool& is_taken) -> Task<> {
            for (;;) {
              const std::string key = co_await queue.next();
              if (key == "long") {
                busy.set();
                co_await sleep_for(std::chrono::hours(1));
              }
              is_taken |= key == "later";
              taken.set();
              queue.done(key);
            }
          }(queue, taken, busy, is_taken));
    queue.add_after("later", std::chrono::milliseconds(50));
    queue.add("long");
    (void)co_await busy.wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(10));
    (void)co_await taken.wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(10));
    co_await workers.stop();
  }(thread.executor(), is_taken));
  CHECK(is_taken);
}

TEST_CASE("ready keys come by rank, and among equals as they came") {
  asio::io_context context{1};
  std::map<std::string, std::int64_t> ranks{{"high", 10}, {"low", -5}};
  client::WorkQueue::Options options;
  options.rank = [&](const std::string& key) { return ranks[key]; };
  WorkQueue queue(context.get_executor(), options);
  for (const char* key : {"low", "first", "second", "high", "third"}) queue.add(key);
  ranks["third"] = 20;
  queue.add("third");  // another of that name, which ranks higher
  CHECK(queue.size() == 5);
  std::vector<std::string> seen;
  TaskGroup tasks(context.get_executor());
  tasks.spawn("take", take(queue, seen, 5));
  client::testing::run_loop(context, [&] { return tasks.size() == 0; });
  CHECK(seen == std::vector<std::string>{"third", "high", "first", "second", "low"});
}

namespace {

// Throws as often as is asked for, in either of the ways that there are.
struct Throwing final : client::Reconciler {
  int left = 2, calls = 0;
  bool as_if_aborted = false;
  Task<Result<client::ReconcileResult>> reconcile(std::string key) override {
    ++calls;
    if (key == "bad" && left-- > 0) {
      if (as_if_aborted) throw boost::system::system_error(asio::error::operation_aborted);
      throw std::runtime_error("a bug");
    }
    co_return client::ReconcileResult{};
  }
};

// Never ends by itself.
struct Endless final : client::Reconciler {
  bool has_begun = false;
  Task<Result<client::ReconcileResult>> reconcile(std::string) override {
    has_begun = true;
    co_await sleep_for(std::chrono::hours(1));
    co_return client::ReconcileResult{};
  }
};

}  // namespace

TEST_CASE("a key whose reconciler throws is tried again, and the worker serves the others") {
  asio::io_context context{1};
  Throwing throwing;
  throwing.as_if_aborted = GENERATE(false, true);
  client::ControllerLoop loop("throwing", context.get_executor(), throwing);
  TaskGroup tasks(context.get_executor());
  loop.start(tasks);
  loop.queue().add("bad");
  client::testing::run_loop(context, [&] { return throwing.calls == 1; });
  loop.queue().add("good");
  client::testing::run_loop(context,
                            [&] { return throwing.calls == 4 && loop.queue().failures("bad") == 0; });
  loop.queue().add("bad");  // it is not kept as one that is being worked on
  client::testing::run_loop(context, [&] { return throwing.calls == 5; });
  client::testing::stop_tasks(context, tasks);
}

TEST_CASE("a reconciler under way ends with the group of its loop") {
  asio::io_context context{1};
  Endless endless;
  client::ControllerLoop loop("endless", context.get_executor(), endless);
  TaskGroup tasks(context.get_executor());
  loop.start(tasks);
  loop.queue().add("k");
  client::testing::run_loop(context, [&] { return endless.has_begun; });
  client::testing::stop_tasks(context, tasks);
  CHECK(tasks.size() == 0);
}
