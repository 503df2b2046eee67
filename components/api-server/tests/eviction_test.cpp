// Evictions and disruption budgets. What is expected here a real kube-apiserver v1.35 answered to the same requests.

#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "server_test_support.h"

using namespace rusternetes;
using api_server::testing::Answer;
using api_server::testing::TestServer;

namespace {

const std::string pods = "/api/v1/namespaces/default/pods";
const std::string budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const std::string merge = "application/merge-patch+json";

bool has(const Answer& answer, std::string_view text) { return answer.body.find(text) != std::string::npos; }

struct World {
  TestServer server;

  World() {
    server.send("POST", "/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"default"}})");
    pod("p");
  }
  void pod(const std::string& name, const std::string& phase = "Running", bool is_ready = true) {
    const auto made = server.send("POST", pods, fmt::format(R"({{"metadata":{{"name":"{}","labels":{{"app":"a"}}}},"spec":{{"nodeName":"n1","containers":[{{"name":"c","image":"i"}}]}}}})", name));
    INFO(made.body);
    REQUIRE(made.code == 201);
    become(name, phase, is_ready);
  }
  void become(const std::string& name, const std::string& phase, bool is_ready) {
    const auto set = server.send("PATCH", pods + "/" + name + "/status", fmt::format(R"({{"status":{{"phase":"{}","conditions":[{{"type":"Ready","status":"{}"}}]}}}})", phase, is_ready ? "True" : "False"), merge);
    INFO(set.body);
    REQUIRE(set.code == 200);
  }
  void budget(const std::string& name, const std::string& more = "", const std::string& selector = R"({"matchLabels":{"app":"a"}})") {
    const auto made = server.send("POST", budgets, fmt::format(R"({{"metadata":{{"name":"{}","generation":1}},"spec":{{"minAvailable":1,"selector":{}{}}}}})", name, selector, more));
    INFO(made.body);
    REQUIRE(made.code == 201);
  }
  void observed(const std::string& name, int allowed, int healthy, int desired, const std::string& more = "") {
    const auto set = server.send("PATCH", budgets + "/" + name + "/status", fmt::format(R"({{"status":{{"observedGeneration":1,"disruptionsAllowed":{},"currentHealthy":{},"desiredHealthy":{},"expectedPods":{}{}}}}})", allowed, healthy, desired, healthy, more), merge);
    INFO(set.body);
    REQUIRE(set.code == 200);
  }
  Answer evict(const std::string& name, const std::string& more = "", const std::string& query = "") {
    return server.send("POST", pods + "/" + name + "/eviction" + query, fmt::format(R"({{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{}"}}{}}})", name, more));
  }
  Answer pod_now(const std::string& name) { return server.send("GET", pods + "/" + name); }
  Answer budget_now(const std::string& name) { return server.send("GET", budgets + "/" + name); }
  bool is_evicted(const std::string& name) {
    const auto now = pod_now(name);
    return now.code == 404 || has(now, "deletionTimestamp");
  }
};

}  // namespace

TEST_CASE("a Pod without a budget is evicted, and its status says why it goes") {
  World world;
  const auto answer = world.evict("p");
  CHECK(answer.code == 201);
  CHECK(has(answer, R"("status":"Success","code":201)"));
  const auto pod = world.pod_now("p");
  CHECK(has(pod, "deletionTimestamp"));
  CHECK(has(pod, R"("type":"DisruptionTarget","status":"True")"));
  CHECK(has(pod, R"("reason":"EvictionByEvictionAPI","message":"Eviction API: evicting")"));
}

TEST_CASE("a budget whose controller has not seen it yet refuses, and says when to come again") {
  World world;
  world.budget("b");
  const auto answer = world.evict("p");
  CHECK(answer.code == 429);
  CHECK(has(answer, "Cannot evict pod as it would violate the pod's disruption budget."));
  CHECK(has(answer, R"("reason":"DisruptionBudget","message":"The disruption budget b is still being processed by the server.")"));
  CHECK(has(answer, R"("retryAfterSeconds":10)"));
  CHECK_FALSE(world.is_evicted("p"));
}

TEST_CASE("a budget that allows no disruption refuses with its numbers") {
  World world;
  world.budget("b");
  world.observed("b", 0, 1, 1);
  const auto answer = world.evict("p");
  CHECK(answer.code == 429);
  CHECK_FALSE(has(answer, "retryAfterSeconds"));
  CHECK(has(answer, R"("message":"The disruption budget b needs 1 healthy pods and has 1 currently")"));
  CHECK_FALSE(world.is_evicted("p"));
  world.observed("b", 0, 3, 1, R"(,"conditions":[{"type":"DisruptionAllowed","status":"False","reason":"SyncFailed","message":"no scale","lastTransitionTime":"2026-01-01T00:00:00Z"}])");
  CHECK(has(world.evict("p"), "does not allow evicting pods currently because it failed sync: no scale"));
  world.observed("b", 0, 3, 1, R"(,"conditions":null)");
  CHECK(has(world.evict("p"), R"("message":"The disruption budget b does not allow evicting pods currently")"));
}

TEST_CASE("each eviction takes one disruption from the budget's status") {
  World world;
  world.pod("q");
  world.pod("r");
  world.budget("b");
  world.observed("b", 2, 3, 1);
  CHECK(world.evict("p", "", "?dryRun=All").code == 201);
  CHECK_FALSE(world.is_evicted("p"));
  CHECK(has(world.budget_now("b"), R"("disruptionsAllowed":2)"));
  CHECK(world.evict("p", R"(,"deleteOptions":{"dryRun":["All"]})").code == 201);
  CHECK_FALSE(world.is_evicted("p"));

  CHECK(world.evict("p").code == 201);
  auto now = world.budget_now("b");
  CHECK(has(now, R"("disruptionsAllowed":1)"));
  CHECK(has(now, R"("disruptedPods":{"p":"2)"));
  CHECK(has(now, R"("manager":"kube-apiserver")"));
  CHECK(world.evict("q").code == 201);
  now = world.budget_now("b");
  CHECK(has(now, R"("disruptionsAllowed":0)"));
  CHECK(has(now, R"("type":"DisruptionAllowed","status":"False","observedGeneration":1)"));
  CHECK(has(now, R"("reason":"InsufficientPods","message":"")"));
  CHECK(world.evict("r").code == 429);
  CHECK(world.is_evicted("p"));
  CHECK(world.is_evicted("q"));
  CHECK_FALSE(world.is_evicted("r"));
}

TEST_CASE("of evictions at once, as many succeed as the budget allows") {
  World world;
  constexpr int count = 8, allowed = 3;
  for (int i = 0; i < count; ++i) world.pod(fmt::format("p{}", i));
  world.budget("b");
  world.observed("b", allowed, count, count - allowed);
  std::atomic<int> granted = 0, refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&, i] {
        const int code = world.evict(fmt::format("p{}", i)).code;
        if (code == 201) ++granted;
        if (code == 429) ++refused;
      });
  }
  CHECK(granted == allowed);
  CHECK(refused == count - allowed);
  int gone = 0;
  for (int i = 0; i < count; ++i) gone += world.is_evicted(fmt::format("p{}", i));
  CHECK(gone == allowed);
}

TEST_CASE("two budgets for one Pod are an error, and an empty selector is for every Pod of the namespace") {
  World world;
  world.budget("b");
  world.budget("all", "", "{}");
  const auto answer = world.evict("p");
  CHECK(answer.code == 500);
  CHECK(has(answer, "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."));
  REQUIRE(world.server.send("DELETE", budgets + "/b").code == 200);
  CHECK(world.evict("p").code == 429);
  REQUIRE(world.server.send("DELETE", budgets + "/all").code == 200);
  world.budget("others", "", R"({"matchLabels":{"app":"b"}})");
  CHECK(world.evict("p").code == 201);
}

TEST_CASE("Pods that have ended, have not started or go already need no budget") {
  World world;
  world.budget("b");
  world.observed("b", 0, 1, 1);
  for (const auto* phase : {"Succeeded", "Failed", "Pending"}) {
    CAPTURE(phase);
    world.become("p", phase, false);
    const auto answer = world.evict("p");
    CHECK(answer.code == 201);
    CHECK(world.is_evicted("p"));
    world.server.send("DELETE", pods + "/p?gracePeriodSeconds=0");
    world.pod("p");
  }
  REQUIRE(world.server.send("DELETE", pods + "/p").code == 200);
  CHECK(world.evict("p").code == 201);
}

TEST_CASE("an unready Pod goes as unhealthyPodEvictionPolicy says") {
  World world;
  world.become("p", "Running", false);
  world.budget("b");
  world.observed("b", 0, 0, 1);
  CHECK(world.evict("p").code == 429);  // the application is disrupted already
  world.observed("b", 0, 1, 1);
  CHECK(world.evict("p").code == 201);
  CHECK(has(world.budget_now("b"), R"("disruptionsAllowed":0)"));
  CHECK_FALSE(has(world.budget_now("b"), "disruptedPods"));

  REQUIRE(world.server.send("DELETE", budgets + "/b").code == 200);
  world.pod("q", "Running", false);
  world.budget("b", R"(,"unhealthyPodEvictionPolicy":"AlwaysAllow")");
  world.observed("b", 0, 0, 1);
  CHECK(world.evict("q").code == 201);
  world.pod("r", "Running", true);
  CHECK(world.evict("r").code == 429);
}

TEST_CASE("an Eviction names its Pod, and its preconditions and dry run are checked") {
  World world;
  auto answer = world.server.send("POST", pods + "/p/eviction", R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{}})");
  CHECK(answer.code == 400);
  CHECK(has(answer, "name in URL does not match name in Eviction object"));
  answer = world.server.send("POST", pods + "/p/eviction", R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p","namespace":"other"}})");
  CHECK(answer.code == 400);
  CHECK(has(answer, "the namespace of the provided object does not match the namespace sent on the request"));
  CHECK(world.evict("none").code == 404);
  answer = world.evict("p", R"(,"deleteOptions":{"preconditions":{"uid":"x"}})");
  CHECK(answer.code == 409);
  CHECK(has(answer, "the UID in the precondition (x) does not match the UID in record"));
  answer = world.evict("p", R"(,"deleteOptions":{"preconditions":{"resourceVersion":"1"}})");
  CHECK(answer.code == 409);
  answer = world.evict("p", R"(,"deleteOptions":{"dryRun":["x"]})", "?dryRun=All");
  CHECK(answer.code == 500);
  CHECK(has(answer, "Non-matching dry-run options in request and content: [All] and [x]"));
  answer = world.evict("p", R"(,"deleteOptions":{"ignoreStoreReadErrorWithClusterBreakingPotential":true})");
  CHECK(answer.code == 422);
  answer = world.evict("p", R"(,"deleteOptions":{"orphanDependents":true,"propagationPolicy":"Orphan"})");
  CHECK(answer.code == 422);
  CHECK(has(answer, "orphanDependents and deletionPropagation cannot be both set"));
  CHECK_FALSE(world.is_evicted("p"));
  const auto pod = world.pod_now("p");
  const auto at = pod.body.find(R"("resourceVersion":")") + 19;
  answer = world.evict("p", R"(,"deleteOptions":{"preconditions":{"resourceVersion":")" + pod.body.substr(at, pod.body.find('"', at) - at) + "\"}}");
  CHECK(answer.code == 201);
  CHECK(world.is_evicted("p"));
}
