#include "controller-manager/pod_disruption.h"
#include "controller-manager/taint_eviction_plan.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using namespace std::chrono_literals;
using apimachinery::core_v1::Node;
using apimachinery::core_v1::Pod;

namespace {

constexpr Resource pods{"", "v1", "pods"};

TaintVerdict judged(const std::string& taints, const std::string& tolerations) {
  const Document node =
      client::ObjectBuilder::from_json(Node::schema_type(), R"({"spec":{"taints":[)" + taints + "]}}");
  const Document pod = client::ObjectBuilder::from_json(Pod::schema_type(),
                                                        R"({"spec":{"tolerations":[)" + tolerations + "]}}");
  return judge_taints(Node(&node.root()), Pod(&pod.root()));
}
const std::string no_execute = R"({"key":"k","value":"v","effect":"NoExecute"})";

class Taints : public ControllerWorld {
 public:
  Taints() : ControllerWorld({"taint-eviction-controller"}, by(clock)) {
    create(accounts, "default", R"({"metadata":{"name":"default"}})");
    create(nodes, "", R"({"metadata":{"name":"n"}})");
    start();
  }
  static ManagerOptions by(const Clock& clock) {
    ManagerOptions options;
    options.clock = &clock;
    return options;
  }
  void add_pod(const std::string& name, const std::string& tolerations) {
    create(pods, "default",
           R"({"metadata":{"name":")" + name +
               R"(","finalizers":["test/keep"]},"spec":{"nodeName":"n","tolerations":[)" + tolerations +
               R"(],"containers":[{"name":"c","image":"i"}]}})");
  }
  void taint(const std::string& taints) { patch(nodes, "", "n", R"({"spec":{"taints":[)" + taints + "]}}"); }
  bool is_evicted(const std::string& name) {
    return becomes(pods, "default", name, [](const Document& pod) {
      const Pod view(&pod.root());
      for (const auto condition : view.status().conditions())
        if (condition.type() == "DisruptionTarget" && condition.status() == "True" &&
            condition.reason() == "DeletionByTaintManager" &&
            condition.message() == "Taint manager: deleting due to NoExecute taint" &&
            condition.observedGeneration() == 1)
          return view.metadata().has_deletionTimestamp();
      return false;
    });
  }
  bool is_there(const std::string& name) {
    const Document pod = get(pods, "default", name);
    return pod && !Pod(&pod.root()).metadata().has_deletionTimestamp();
  }
  bool has_said(const std::string& message) {
    return comes(events, "default", [&](const Objects& all) {
      return std::any_of(all.begin(), all.end(), [&](const auto& one) {
        const apimachinery::core_v1::Event event(&one.second.root());
        return event.reason() == "TaintManagerEviction" && event.message() == message &&
               event.type() == "Normal" && event.source().component() == "taint-eviction-controller";
      });
    });
  }
  // Until the controller has seen all that was written so far: it says so by an eviction.
  void settle() {
    const std::string name = "probe" + std::to_string(++probes_);
    add_pod(name, "");
    REQUIRE(is_evicted(name));
  }
  ManualClock clock;

 private:
  int probes_ = 0;
};

}  // namespace

TEST_CASE(
    "a Pod must go unless it tolerates every NoExecute taint, and may stay as long as the shortest "
    "toleration says") {
  CHECK_FALSE(judged("", "").must_go);
  CHECK_FALSE(judged(R"({"key":"k","effect":"NoSchedule"})", "").must_go);
  CHECK(judged(no_execute, "").must_go);
  CHECK(judged(no_execute, R"({"key":"k","value":"other"})").must_go);
  CHECK(judged(no_execute, R"({"key":"k","operator":"Exists","effect":"NoSchedule"})").must_go);
  CHECK(judged(no_execute, R"({"key":"k","value":"v","tolerationSeconds":0})").must_go);
  CHECK(judged(no_execute + R"(,{"key":"other","effect":"NoExecute"})", R"({"key":"k","operator":"Exists"})")
            .must_go);
  const auto forever =
      judged(no_execute, R"({"operator":"Exists"},{"key":"k","value":"v","tolerationSeconds":5})");
  CHECK_FALSE(forever.must_go);
  CHECK(forever.borne.empty());  // the first that fits counts
  const auto limited = judged(no_execute, R"({"key":"k","value":"v","tolerationSeconds":5})");
  CHECK_FALSE(limited.must_go);
  REQUIRE(limited.borne.size() == 1);
  CHECK(limited.borne[0].for_so_long == 5s);
}

TEST_CASE("time runs from when a taint came, also when unreachable becomes not-ready") {
  TaintTimer timer;
  const SteadyTime t{100s};
  CHECK(timer.update({{"a", 60s}}, t) == t + 60s);
  CHECK(timer.update({{"a", 60s}, {"b", 10s}}, t + 20s) == t + 30s);
  CHECK(timer.update({{"a", 60s}}, t + 25s) == t + 60s);
  CHECK(timer.update({{"b", 10s}}, t + 30s) == t + 40s);
  const auto unreachable = judged(R"({"key":"node.kubernetes.io/unreachable","effect":"NoExecute"})",
                                  R"({"operator":"Exists","tolerationSeconds":9})");
  const auto not_ready = judged(R"({"key":"node.kubernetes.io/not-ready","effect":"NoExecute"})",
                                R"({"operator":"Exists","tolerationSeconds":9})");
  TaintTimer swapped;
  CHECK(swapped.update(unreachable.borne, t) == t + 9s);
  CHECK(swapped.update(not_ready.borne, t + 5s) == t + 9s);
}

TEST_CASE(
    "the patch of a disrupted Pod says only what it does not say yet, and comes after its other conditions") {
  const auto patch = [](const std::string& status, bool fails) {
    const Document pod = client::ObjectBuilder::from_json(
        Pod::schema_type(), R"({"metadata":{"uid":"u","generation":3},"status":{)" + status + "}}");
    return disruption_patch(Pod(&pod.root()), {"Why", "Because"}, fails, 1'700'000'000'000'000);
  };
  const std::string condition =
      R"("conditions":[{"type":"DisruptionTarget","status":"True","reason":"Why","message":"Because","observedGeneration":3,"lastTransitionTime":"2023-11-14T22:13:20Z"}])";
  CHECK(
      patch(R"("conditions":[{"type":"Ready","status":"True"}])", false) ==
      R"({"metadata":{"uid":"u"},"status":{"$setElementOrder/conditions":[{"type":"Ready"},{"type":"DisruptionTarget"}],)" +
          condition + "}}");
  CHECK(
      patch(R"("phase":"Running")", true) ==
      R"({"metadata":{"uid":"u"},"status":{"phase":"Failed","observedGeneration":3,"$setElementOrder/conditions":[{"type":"DisruptionTarget"}],)" +
          condition + "}}");
  const std::string said =
      R"("phase":"Failed","conditions":[{"type":"DisruptionTarget","status":"True","reason":"Why","message":"Because"}])";
  CHECK(patch(said, true).empty());
  CHECK(patch(said, false).empty());
}

TEST_CASE("Pods that do not tolerate a new taint are evicted with the reason, others stay") {
  Taints world;
  world.add_pod("plain", "");
  world.add_pod("tolerant", R"({"key":"k","operator":"Exists","effect":"NoExecute"})");
  world.taint(no_execute);
  CHECK(world.is_evicted("plain"));
  CHECK(world.has_said("Marking for deletion Pod default/plain"));
  world.settle();
  CHECK(world.is_there("tolerant"));
}

TEST_CASE("a Pod that tolerates a taint for a while is evicted when that is over") {
  Taints world;
  world.add_pod("patient", R"({"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":100})");
  world.taint(no_execute);
  world.settle();
  world.clock.advance(99s);
  world.taint(no_execute + R"(,{"key":"j","value":"1","effect":"NoExecute"})");
  CHECK(world.is_evicted("patient"));  // of the second taint it knows nothing
  world.add_pod("second", R"({"operator":"Exists","effect":"NoExecute","tolerationSeconds":100})");
  world.settle();
  CHECK(world.is_there("second"));
  world.clock.advance(101s);
  world.taint(no_execute);
  CHECK(world.is_evicted("second"));
}

TEST_CASE("a taint that goes in time takes the eviction with it") {
  Taints world;
  world.add_pod("patient", R"({"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":100})");
  world.taint(no_execute);
  world.settle();
  world.taint("");
  CHECK(world.has_said("Cancelling deletion of Pod default/patient"));
  world.clock.advance(200s);
  world.taint(no_execute);
  world.settle();
  CHECK(world.is_there("patient"));  // its time runs anew
}

TEST_CASE("a toleration's own deadline wakes the controller") {
  ControllerWorld world({"taint-eviction-controller"});
  world.create(accounts, "default", R"({"metadata":{"name":"default"}})");
  world.create(nodes, "", R"({"metadata":{"name":"n"},"spec":{"taints":[)" + no_execute + "]}}");
  world.create(
      pods, "default",
      R"({"metadata":{"name":"p"},"spec":{"nodeName":"n","tolerations":[{"operator":"Exists","effect":"NoExecute","tolerationSeconds":1}],
    "terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"i"}]}})");
  world.start();
  CHECK(world.goes(pods, "default", "p"));
}
