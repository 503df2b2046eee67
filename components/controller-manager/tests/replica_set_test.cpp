#include <catch2/catch.hpp>

#include "controller-manager/replica_set_expectations.h"
#include "controller-manager/replica_set_plan.h"
#include "workload_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

constexpr std::int64_t second_us = 1'000'000;

Document set_of(const std::string& name, const std::string& more_spec,
                const std::string& more_template_metadata = "") {
  return made(ReplicaSet::schema_type(),
              R"({"metadata":{"name":")" + name + R"("},"spec":{"selector":{"matchLabels":{"app":")" + name +
                  R"("}},)" + more_spec + R"(,"template":{"metadata":{"labels":{"app":")" + name + R"("})" +
                  more_template_metadata +
                  R"(},"spec":{"containers":[{"name":"c","image":"registry.local/c:1"}]}}}})");
}

// A Pod of the set "web" that is ready since the ManualClock's start.
Document ready_pod(const std::string& more_metadata = "") {
  return made(
      Pod::schema_type(),
      R"({"metadata":{"name":"web-1","labels":{"app":"web"})" + more_metadata +
          R"(},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2023-11-14T22:13:20Z"}]}})");
}

}  // namespace

TEST_CASE(
    "an expectation of an owner that is gone is not kept, and not put back by what is still under way") {
  ManualClock clock;
  Expectations expectations;
  expectations.begin("default/web", clock.steady_now() + std::chrono::minutes(5));
  expectations.expect_created("default/web", "web-1");
  CHECK(expectations.pending_for("default/web", clock.steady_now()) == std::chrono::minutes(5));
  expectations.forget("default/web");
  expectations.expect_created("default/web", "web-2");
  expectations.expect_deleted("default/web", "web-1");
  CHECK(expectations.pending_for("default/web", clock.steady_now()).count() == 0);
  CHECK(expectations.size() == 0);
}

TEST_CASE("an owner is kept only while something is expected, and not beyond its time") {
  ManualClock clock;
  Expectations expectations;
  const auto until = clock.steady_now() + std::chrono::minutes(5);
  expectations.begin("default/a", until);
  expectations.begin("default/b", until);
  expectations.expect_created("default/a", "one");
  expectations.expect_deleted("default/a", "two");
  expectations.expect_created("default/b", "three");
  expectations.settle_created("default/a", "one");
  CHECK(expectations.pending_for("default/a", clock.steady_now()) == std::chrono::minutes(5));
  expectations.settle_created("default/a", "two");  // it was to go, not to come
  CHECK(expectations.pending_for("default/a", clock.steady_now()) == std::chrono::minutes(5));
  expectations.settle_deleted("default/a", "two");
  CHECK(expectations.pending_for("default/a", clock.steady_now()).count() == 0);
  CHECK(expectations.size() == 1);
  clock.advance(std::chrono::minutes(5));
  CHECK(expectations.pending_for("default/b", clock.steady_now()).count() == 0);
  CHECK(expectations.size() == 0);
}

TEST_CASE("a Pod counts as available when it has been ready for minReadySeconds") {
  const Document set = set_of("web", R"("replicas":1,"minReadySeconds":30)");
  const std::int64_t ready_us = 1'700'000'000 * second_us;
  ReplicaSetPlan plan = plan_replica_set(set, {ready_pod()}, ready_us + 20 * second_us);
  CHECK(plan.ready == 1);
  CHECK(plan.available == 0);
  CHECK(plan.becomes_available_after == std::chrono::seconds(10));
  plan = plan_replica_set(set, {ready_pod()}, ready_us + 30 * second_us);
  CHECK(plan.available == 1);
  CHECK(plan.becomes_available_after.count() == 0);
}

TEST_CASE("Pods that are ending are counted in a ReplicaSet's status, and that there are none is told") {
  const Document set = set_of("web", R"("replicas":1)");
  for (const bool is_ending : {false, true}) {
    const auto plan = plan_replica_set(
        set, {ready_pod(is_ending ? R"(,"deletionTimestamp":"2023-11-14T22:13:20Z")" : "")}, 1);
    client::ObjectBuilder builder(set);
    REQUIRE(set_replica_set_status(builder.arena(), builder.root(), plan, "", 1));
    const Document written = builder.freeze();
    const auto status = ReplicaSet(&written.root()).status();
    CHECK(status.has_terminatingReplicas());
    CHECK(status.terminatingReplicas() == (is_ending ? 1 : 0));
    CHECK(status.replicas() == (is_ending ? 0 : 1));
  }
}

namespace {
// A set with its Pod, and a controller that has nothing more to do, not even to try again. What it was told
// of "web" it has seen before it writes the status of a set that was made later.
struct Settled : WorkloadWorld {
  Settled() : WorkloadWorld({"replicaset"}) {
    on_thread([&] { script.is_held = [](const std::string& resource) { return resource == "pods"; }; });
    set = add(replica_sets, set_of("web", R"("replicas":1)"));
    pod = await(pods, [&](const Document& one) { return is_owned_by(one, set); });
    await_observed("web");
    add(replica_sets, set_of("between", R"("replicas":0)"));
    await_observed("between");
    on_thread([&] { script.release(); });
    await(replica_sets, [](const Document& now) { return ReplicaSet(&now.root()).status().replicas() == 1; });
    other = add(replica_sets, set_of("other", R"("replicas":0)"));
    await_observed("other");
  }
  void await_observed(const std::string& name) {
    await(replica_sets, [&](const Document& now) {
      return name_of(now) == name && ReplicaSet(&now.root()).status().observedGeneration() == 1;
    });
  }
  bool is_replacement(const Document& one) const {
    return is_owned_by(one, set) && name_of(one) != name_of(pod);
  }
  Document set, pod, other;
};
}  // namespace

TEST_CASE("a Pod whose label and owner are taken away in one edit is replaced") {
  Settled world;
  world.edit(pods, name_of(world.pod), R"({"metadata":{"ownerReferences":null,"labels":null}})");
  world.await(pods, [&](const Document& one) { return world.is_replacement(one); });
}

TEST_CASE("a Pod that another ReplicaSet takes is replaced") {
  Settled world;
  const std::string taken =
      R"({"metadata":{"labels":{"app":"other"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"other","uid":")" +
      std::string(client::uid_of(world.other)) + R"(","controller":true},{"$patch":"delete","uid":")" +
      std::string(client::uid_of(world.set)) + R"("}]}})";
  world.edit(pods, name_of(world.pod), taken);
  world.await(pods, [&](const Document& one) { return world.is_replacement(one); });
}

TEST_CASE("minReadySeconds is measured by the controller's clock") {
  WorkloadWorld world({"replicaset"});
  const Document set = world.add(replica_sets, set_of("web", R"("replicas":1,"minReadySeconds":3000)"));
  const Document pod = world.await(pods, [&](const Document& one) { return is_owned_by(one, set); });
  world.edit(
      pods, name_of(pod),
      R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2023-11-14T22:13:20Z"}]}})",
      "status");
  const Document ready = world.await(replica_sets, [](const Document& now) {
    return ReplicaSet(&now.root()).status().readyReplicas() == 1;
  });
  CHECK(ReplicaSet(&ready.root()).status().availableReplicas() == 0);
  world.clock.advance(std::chrono::seconds(3001));
  world.edit(replica_sets, "web", R"({"metadata":{"annotations":{"look":"again"}}})");
  world.await(replica_sets,
              [](const Document& now) { return ReplicaSet(&now.root()).status().availableReplicas() == 1; });
}

TEST_CASE("a ReplicaSet tells how many of its Pods are ending") {
  WorkloadWorld world({"replicaset"});
  const Document set =
      world.add(replica_sets, set_of("web", R"("replicas":2)", R"(,"finalizers":["test.local/stay"])"));
  world.await(replica_sets,
              [](const Document& now) { return ReplicaSet(&now.root()).status().replicas() == 2; });
  world.edit(replica_sets, "web", R"({"spec":{"replicas":0}})");
  const Document ended = world.await(replica_sets, [](const Document& now) {
    const auto status = ReplicaSet(&now.root()).status();
    return status.replicas() == 0 && status.terminatingReplicas() == 2;
  });
  for (int i = 0; i < 2; ++i) {
    const Document pod = world.await(pods, [&](const Document& one) {
      return is_owned_by(one, set) && metadata_of(one).finalizers().size() > 0;
    });
    world.edit(pods, name_of(pod), R"({"metadata":{"finalizers":null}})");
  }
  world.await(
      replica_sets,
      [](const Document& now) {
        const auto status = ReplicaSet(&now.root()).status();
        return status.replicas() == 0 && status.has_terminatingReplicas() &&
               status.terminatingReplicas() == 0;
      },
      ended);
}
