#include "client/informer.h"

#include "apimachinery/api/core_v1.h"
#include "scripted_api.h"

using namespace rusternetes;
using namespace rusternetes::client::testing;
using client::Document;
using client::Informer;
using client::WatchEvent;
using Type = client::WatchEvent::Type;

namespace {

constexpr client::Resource config_maps{"", "v1", "configmaps"};

WatchItem event(Type type, Document object) {
  return std::optional<WatchEvent>(WatchEvent{type, std::move(object)});
}
WatchItem end() { return std::optional<WatchEvent>{}; }
client::ObjectList list_of(int version, std::vector<Document> items) {
  return {std::to_string(version), "", std::move(items)};
}
std::string value_of(const Document& object) {
  return std::string(apimachinery::core_v1::ConfigMap(&object.root()).data().get("k"));
}

// An informer over a script, and what its handlers were told.
struct Mirror {
  asio::io_context context{1};
  ScriptedApi api{context.get_executor()};
  TaskGroup tasks{context.get_executor()};
  Informer informer{api, config_maps, options()};
  std::vector<std::string> told;

  static Informer::Options options() {
    Informer::Options out;
    out.least_backoff = out.most_backoff = std::chrono::milliseconds(2);
    return out;
  }
  Mirror() {
    informer.add_handler({[this](const Document& before, const Document& now) {
      const std::string key = client::object_key(now ? now : before);
      CHECK(informer.get(key).is_same(now));  // the mirror has changed already
      told.push_back((!before ? "+" : !now ? "-" : "~") + key + (now ? "=" + value_of(now) : ""));
    }});
  }
  void run_until(std::function<bool()> is_done) {
    if (tasks.size() == 0) informer.start(tasks);
    run_loop(context, std::move(is_done));
  }
  ~Mirror() { stop_tasks(context, tasks); }
};

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("an informer lists once, then follows the watch from the list's revision") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(5, {config_map("a", 3), config_map("b", 4)}));
  mirror.api.watches.push_back(std::deque<WatchItem>{
      event(Type::added, config_map("c", 6)), event(Type::modified, config_map("a", 7, "new")),
      event(Type::removed, config_map("b", 8)), event(Type::removed, config_map("unknown", 9)), end()});
  mirror.run_until([&] { return mirror.api.calls.size() == 3; });
  CHECK(mirror.informer.has_synced());
  CHECK(mirror.told == Words{"+default/a=v", "+default/b=v", "+default/c=v", "~default/a=new", "-default/b"});
  CHECK(mirror.api.calls == Words{"list", "watch from 5", "watch from 9"});
  CHECK(mirror.informer.size() == 2);
  CHECK(value_of(mirror.informer.get("default/a")) == "new");
  CHECK_FALSE(mirror.informer.get("default/b"));
  CHECK(mirror.informer.list("default").size() == 2);
  CHECK(mirror.informer.list("def").empty());
}

TEST_CASE("a bookmark moves the revision that a watch goes on from, and nothing else") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(5, {config_map("a", 3)}));
  mirror.api.watches.push_back(std::deque<WatchItem>{event(Type::bookmark, config_map("", 40)), end()});
  mirror.run_until([&] { return mirror.api.calls.size() == 3; });
  CHECK(mirror.api.calls.back() == "watch from 40");
  CHECK(mirror.told == Words{"+default/a=v"});
}

TEST_CASE("a lost connection is watched again from where it broke, without a new list") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(5, {}));
  mirror.api.watches.push_back(
      std::deque<WatchItem>{event(Type::added, config_map("a", 6)), Status{503, "ConnectionLost", "gone"}});
  mirror.api.watches.push_back(Status{503, "ConnectionRefused", "refused"});
  mirror.api.watches.push_back(std::deque<WatchItem>{event(Type::modified, config_map("a", 7, "w"))});
  mirror.run_until([&] { return mirror.told.size() == 2; });
  CHECK(mirror.api.calls == Words{"list", "watch from 5", "watch from 6", "watch from 6"});
  CHECK(mirror.told == Words{"+default/a=v", "~default/a=w"});
}

TEST_CASE("after 410 the new list is compared with the mirror, and handlers hear of the difference only") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(5, {config_map("same", 1), config_map("changed", 2),
                                         config_map("gone", 3), config_map("remade", 4, "v", "u1")}));
  const Status expired = apimachinery::expired("too old resource version");
  SECTION("as the answer to the watch") { mirror.api.watches.push_back(expired); }
  SECTION("as an event of the watch") { mirror.api.watches.push_back(std::deque<WatchItem>{expired}); }
  mirror.api.lists.push_back(list_of(90, {config_map("same", 1), config_map("changed", 80, "w"),
                                          config_map("new", 81), config_map("remade", 82, "x", "u2")}));
  mirror.run_until([&] { return mirror.api.calls.size() == 4; });
  CHECK(mirror.api.calls == Words{"list", "watch from 5", "list", "watch from 90"});
  CHECK(Words(mirror.told.begin() + 4, mirror.told.end()) == Words{"-default/gone", "~default/changed=w",
                                                                   "+default/new=v", "-default/remade",
                                                                   "+default/remade=x"});
}

TEST_CASE(
    "a server that knows nothing of our revision is listed again; one that has no room is only asked later") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(500, {}));
  mirror.api.watches.push_back(apimachinery::too_many_requests("later", 1));
  mirror.api.watches.push_back(apimachinery::timeout("Too large resource version", 1));
  mirror.api.lists.push_back(apimachinery::service_unavailable("not yet"));
  mirror.api.lists.push_back(list_of(7, {}));
  mirror.run_until([&] { return mirror.api.calls.size() == 6; });
  CHECK(mirror.api.calls ==
        Words{"list", "watch from 500", "watch from 500", "list", "list", "watch from 7"});
}

TEST_CASE("a watch that ends at once without an event is not repeated without a pause") {
  Mirror mirror;
  mirror.api.lists.push_back(list_of(5, {}));
  for (int i = 0; i < 3; ++i) mirror.api.watches.push_back(std::deque<WatchItem>{end()});
  const auto begin = std::chrono::steady_clock::now();
  mirror.run_until([&] { return mirror.api.calls.size() == 5; });
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(6));
}

TEST_CASE("handlers run in the order in which they were added, and an index follows each change") {
  Mirror mirror;
  Words order;
  mirror.informer.add_index("by-value", [](const Document& object) { return Words{value_of(object)}; });
  mirror.informer.add_handler({[&](const Document&, const Document&) { order.push_back("second"); }});
  mirror.informer.add_handler({[&](const Document&, const Document& now) {
    order.push_back("third");
    if (now) CHECK_FALSE(mirror.informer.by_index("by-value", value_of(now)).empty());
  }});
  mirror.api.lists.push_back(list_of(5, {config_map("a", 1, "x"), config_map("b", 2, "x")}));
  mirror.api.watches.push_back(std::deque<WatchItem>{event(Type::modified, config_map("a", 6, "y")),
                                                     event(Type::removed, config_map("b", 7, "x"))});
  mirror.run_until([&] { return mirror.told.size() == 4; });
  CHECK(order == Words{"second", "third", "second", "third", "second", "third", "second", "third"});
  CHECK(mirror.informer.by_index("by-value", "x").empty());
  REQUIRE(mirror.informer.by_index("by-value", "y").size() == 1);
  CHECK(mirror.informer.by_index("by-value", "y")[0].is_same(mirror.informer.get("default/a")));
}

TEST_CASE("everybody who waits for the first list goes on with it, and nobody before") {
  Mirror mirror;
  int gone_on = 0;
  struct Waiter {
    static Task<> wait(Informer& informer, int& count) {
      co_await informer.wait_for_sync();
      ++count;
    }
  };
  for (int i = 0; i < 3; ++i) mirror.tasks.spawn("waiter", Waiter::wait(mirror.informer, gone_on));
  // They wait without a turn of the loop.
  for (int turns = 0; mirror.context.poll_one(); ++turns) REQUIRE(turns < 100);
  CHECK(gone_on == 0);
  mirror.api.lists.push_back(Status{503, "ConnectionRefused", "not up yet"});
  mirror.api.lists.push_back(list_of(5, {}));
  mirror.informer.start(mirror.tasks);
  mirror.run_until([&] { return gone_on == 3; });
  CHECK(mirror.informer.has_synced());
}

TEST_CASE("without a way of the server's, a collection is removed one by one, and only what was listed") {
  asio::io_context context{1};
  ScriptedApi api{context.get_executor()};
  TaskGroup tasks{context.get_executor()};
  client::ObjectList first = list_of(5, {config_map("a", 1), config_map("b", 2)});
  first.continue_token = "more";
  api.lists.push_back(std::move(first));
  api.lists.push_back(list_of(5, {config_map("c", 3)}));
  api.removals = {Result<void>{}, apimachinery::not_found({"", "configmaps"}, "b"),
                  apimachinery::conflict({"", "configmaps"}, "c", "another uid")};
  struct Run {
    static Task<> run(client::ApiClient& api, Result<void>& out) {
      out = co_await api.remove_collection(config_maps, "default", {}, {});
    }
  };
  Result<void> outcome = Status{};
  tasks.spawn("remove", Run::run(api, outcome));
  run_loop(context, [&] { return tasks.size() == 0; });
  CHECK(outcome);
  CHECK(api.calls == Words{"list", "remove a uid uid-a", "remove b uid uid-b", "list", "remove c uid uid-c"});
}

TEST_CASE("a handler that throws keeps neither the other handlers nor the next events from being served") {
  Mirror mirror;
  mirror.informer.add_handler({[](const Document&, const Document&) { throw std::runtime_error("a bug"); }});
  Words later;
  mirror.informer.add_handler(
      {[&](const Document&, const Document& now) { later.push_back(value_of(now)); }});
  mirror.api.lists.push_back(list_of(5, {config_map("a", 3)}));
  mirror.api.watches.push_back(std::deque<WatchItem>{event(Type::modified, config_map("a", 6, "w"))});
  mirror.run_until([&] { return later.size() == 2; });
  CHECK(later == Words{"v", "w"});
  CHECK(mirror.told == Words{"+default/a=v", "~default/a=w"});
  CHECK(mirror.api.calls == Words{"list", "watch from 5"});
}

TEST_CASE("an informer whose index throws lists anew, and goes on") {
  Mirror mirror;
  bool is_broken = true;
  mirror.informer.add_index("by-value", [&](const Document& object) {
    if (value_of(object) == "w" && std::exchange(is_broken, false)) throw std::runtime_error("a bug");
    return Words{value_of(object)};
  });
  mirror.api.lists.push_back(list_of(5, {config_map("a", 3)}));
  mirror.api.watches.push_back(std::deque<WatchItem>{event(Type::modified, config_map("a", 6, "w"))});
  mirror.api.lists.push_back(list_of(7, {config_map("a", 6, "w")}));
  mirror.run_until([&] { return mirror.api.calls.size() == 4; });
  CHECK(mirror.api.calls == Words{"list", "watch from 5", "list", "watch from 7"});
  CHECK(mirror.informer.by_index("by-value", "w").size() == 1);
}
