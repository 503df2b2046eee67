#pragma once
// An API whose answers a test writes down before: lists in order, and watches as rows of events. What is
// asked beyond the script is never answered.

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/errors.h"
#include "client/api_client.h"
#include "client/object_builder.h"

namespace rusternetes::client::testing {

using WatchItem = Result<std::optional<WatchEvent>>;

class ScriptedApi final : public ApiClient {
 public:
  explicit ScriptedApi(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  std::deque<Result<ObjectList>> lists;
  std::deque<Result<std::deque<WatchItem>>> watches;  // a row that ends without an end goes on for ever
  std::vector<std::string> calls;                     // "list", "watch from 5"
  // What get, create and update do; unset: nothing ever.
  std::function<Result<Document>(std::string verb, Document object)> on_object;

  Task<Result<Document>> get(Resource, std::string, std::string name) override {
    return object("get " + name, {});
  }
  Task<Result<ObjectList>> list(Resource, std::string, ListOptions) override {
    calls.push_back("list");
    if (lists.empty()) co_await never();
    auto out = std::move(lists.front());
    lists.pop_front();
    co_return out;
  }
  Task<Result<std::unique_ptr<WatchStream>>> watch(Resource, std::string, WatchOptions options) override {
    calls.push_back("watch from " + options.resource_version);
    if (watches.empty()) co_await never();
    auto row = std::move(watches.front());
    watches.pop_front();
    if (!row) co_return row.error();
    co_return std::unique_ptr<WatchStream>(std::make_unique<Stream>(*this, *std::move(row)));
  }
  Task<Result<Document>> create(Resource, std::string, std::string, std::string, Document made,
                                WriteOptions) override {
    return object("create", std::move(made));
  }
  Task<Result<Document>> update(Resource, std::string, std::string, std::string, Document made,
                                WriteOptions) override {
    return object("update", std::move(made));
  }
  Task<Result<Document>> patch(Resource, std::string, std::string, std::string, PatchType, std::string,
                               WriteOptions) override {
    return object("patch", {});
  }
  Task<Result<void>> remove(Resource, std::string, std::string name, RemoveOptions options) override {
    calls.push_back("remove " + name + " uid " + options.uid);
    if (removals.empty()) co_return Result<void>{};
    auto out = removals.front();
    removals.pop_front();
    co_return out;
  }
  std::deque<Result<void>> removals;
  std::shared_ptr<const apimachinery::Registry> registry() const override {
    return apimachinery::Registry::builtin();
  }
  asio::any_io_executor executor() const override { return executor_; }

 private:
  struct Stream final : WatchStream {
    Stream(ScriptedApi& api, std::deque<WatchItem> row) : api(api), row(std::move(row)) {}
    Task<WatchItem> next() override {
      if (row.empty()) co_await api.never();
      WatchItem item = std::move(row.front());
      row.pop_front();
      co_return item;
    }
    ScriptedApi& api;
    std::deque<WatchItem> row;
  };
  Task<Result<Document>> object(std::string verb, Document made) {
    calls.push_back(verb);
    if (!on_object) co_await never();
    co_return on_object(verb, made);
  }
  Task<> never() {
    AsyncEvent event(executor_);
    co_await event.wait();
  }
  asio::any_io_executor executor_;
};

inline Document config_map(const std::string& name, int version, const std::string& value = "v",
                           const std::string& uid = "") {
  return ObjectBuilder::from_json(apimachinery::core_v1::ConfigMap::schema_type(),
                                  R"({"metadata":{"namespace":"default","name":")" + name + R"(","uid":")" +
                                      (uid.empty() ? "uid-" + name : uid) + R"(","resourceVersion":")" +
                                      std::to_string(version) + R"("},"data":{"k":")" + value + R"("}})");
}

// Runs the loop on this thread until `is_done`; a test fails after 10 s.
inline void run_loop(asio::io_context& context, std::function<bool()> is_done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!is_done()) {
    context.restart();
    context.run_one_until(deadline);
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  }
}

// Stops the group on this thread.
inline void stop_tasks(asio::io_context& context, TaskGroup& tasks) {
  TaskGroup outer(context.get_executor());
  outer.spawn("stop", tasks.stop());
  run_loop(context, [&] { return outer.size() == 0 && tasks.size() == 0; });
}

}  // namespace rusternetes::client::testing
