#include <catch2/catch.hpp>

#include "controller-manager/deployment_plan.h"
#include "controller-manager/node_ranges.h"

using namespace rusternetes::controller_manager;

namespace {
// Plays a rollout to its end with every Pod becoming ready at once; gives the least available and the most
// Pods seen.
struct Course {
  std::int64_t least_available = 1'000'000, most_pods = 0;
  int steps = 0;
  bool is_done = false;
};
Course play(std::int64_t replicas, std::int64_t surge, std::int64_t unavailable) {
  RolloutInput input;
  input.replicas = replicas;
  input.max_surge = surge;
  input.max_unavailable = unavailable;
  input.current = {"new", 0, 0, 0, 0, 2};
  input.old = {{"old", replicas, replicas, replicas, replicas, 1}};
  Course course;
  for (; course.steps < 200; ++course.steps) {
    const auto wanted = plan_rollout(input);
    if (wanted.empty()) {
      course.is_done = input.current.wanted == replicas && input.old[0].wanted == 0;
      return course;
    }
    for (const auto& [name, count] : wanted) {
      ReplicaSetState& set = name == "new" ? input.current : input.old[0];
      set.wanted = set.replicas = count;
      set.available = set.ready = std::min(set.available, count);  // new Pods are not available yet
    }
    course.least_available =
        std::min(course.least_available, input.current.available + input.old[0].available);
    course.most_pods = std::max(course.most_pods, input.current.replicas + input.old[0].replicas);
    for (auto* set : {&input.current, &input.old[0]}) set->available = set->ready = set->replicas;
  }
  return course;
}
}  // namespace

TEST_CASE("a rolling update ends, and keeps within maxSurge and maxUnavailable on its way") {
  for (std::int64_t replicas : {1, 2, 3, 5, 10})
    for (std::int64_t surge : {0, 1, 3})
      for (std::int64_t unavailable : {0, 1, 2}) {
        if (surge + unavailable == 0) continue;
        const Course course = play(replicas, surge, std::min(unavailable, replicas));
        INFO(replicas << " " << surge << " " << unavailable);
        CHECK(course.is_done);
        CHECK(course.least_available >= replicas - std::min(unavailable, replicas));
        CHECK(course.most_pods <= replicas + surge);
      }
}

TEST_CASE("Recreate takes all old Pods away before the first new one") {
  RolloutInput input;
  input.replicas = 3;
  input.is_recreate = true;
  input.old = {{"old", 3, 3, 3, 3, 1}};
  input.old_pods = 3;
  CHECK(plan_rollout(input) == std::map<std::string, std::int64_t>{{"old", 0}});
  input.old[0].wanted = 0;
  input.current = {"new", 0, 0, 0, 0, 2};
  CHECK(plan_rollout(input).empty());
  input.old_pods = 0;
  CHECK(plan_rollout(input) == std::map<std::string, std::int64_t>{{"new", 3}});
}

namespace {
// Two active sets of a Deployment that was last scaled for `desired` replicas.
RolloutInput halfway(std::int64_t desired, std::int64_t surge, std::int64_t old, std::int64_t current) {
  RolloutInput input;
  input.replicas = desired;
  input.max_surge = surge;
  input.current = {"new", current, current, current, current, 2, desired, desired + surge};
  input.old = {{"old", old, old, old, old, 1, desired, desired + surge}};
  input.reported_replicas = old + current;
  return input;
}
using Sizes = std::map<std::string, std::int64_t>;
}  // namespace

TEST_CASE("a paused Deployment does not roll") {
  RolloutInput input = halfway(4, 1, 4, 1);
  CHECK_FALSE(plan_rollout(input).empty());
  input.is_paused = true;
  CHECK(plan_rollout(input).empty());
}

TEST_CASE("a paused Deployment with one active ReplicaSet scales that one, whichever it is") {
  RolloutInput input = halfway(4, 1, 0, 1);
  input.is_paused = true;
  CHECK(plan_rollout(input) == Sizes{{"new", 4}});
  input = halfway(4, 1, 4, 0);
  input.is_paused = true;
  input.replicas = 6;
  CHECK(plan_rollout(input) == Sizes{{"old", 6}});
  input.current = {};  // its new template has no set yet
  CHECK(plan_rollout(input) == Sizes{{"old", 6}});
  input.old[0].wanted = 0;  // none is active: the newest
  CHECK(plan_rollout(input) == Sizes{{"old", 6}});
}

TEST_CASE(
    "a Deployment that is scaled halfway through a rollout, or while it is paused, keeps the proportions of "
    "its ReplicaSets") {
  for (const bool is_paused : {false, true}) {
    INFO("paused: " << is_paused);
    RolloutInput input = halfway(10, 3, 8, 5);
    input.is_paused = is_paused;
    input.replicas = 15;
    CHECK(plan_rollout(input) == Sizes{{"old", 11}, {"new", 7}});  // 8/13 and 5/13 of 18
    input.replicas = 5;
    CHECK(plan_rollout(input) == Sizes{{"old", 5}, {"new", 3}});  // of 8
    input.replicas = 0;
    CHECK(plan_rollout(input) == Sizes{{"old", 0}, {"new", 0}});
  }
}

TEST_CASE(
    "what the proportions leave over goes to the largest ReplicaSet, of equal ones to the newer up and from "
    "the older down") {
  RolloutInput input = halfway(10, 0, 5, 5);
  input.replicas = 11;  // 5.5 each, rounded up: the first takes the one there is
  CHECK(plan_rollout(input) == Sizes{{"new", 6}, {"old", 5}});
  input.replicas = 9;  // 4.5 each, rounded up: nobody gives one
  CHECK(plan_rollout(input) == Sizes{{"new", 5}, {"old", 4}});
}

TEST_CASE(
    "a ReplicaSet that does not tell what it was scaled for is measured against what the Deployment "
    "reports") {
  RolloutInput input = halfway(10, 0, 5, 5);
  input.is_paused = true;
  input.replicas = 20;
  for (auto* set : {&input.current, &input.old[0]}) set->desired = set->max_replicas = std::nullopt;
  CHECK_FALSE(is_scaling(input));  // one that was adopted does not hold the rollout up
  CHECK(plan_rollout(input) == Sizes{{"new", 10}, {"old", 10}});
}

TEST_CASE("a rollout goes on once every ReplicaSet is scaled for the new number") {
  RolloutInput input = halfway(10, 3, 8, 5);
  CHECK_FALSE(is_scaling(input));
  input.replicas = 13;
  input.max_surge = 0;
  REQUIRE(is_scaling(input));
  // The sizes may stay; that they are for 13 now is to be noted all the same.
  CHECK(plan_rollout(input) == Sizes{{"old", 8}, {"new", 5}});
  for (auto* set : {&input.current, &input.old[0]}) set->desired = set->max_replicas = 13;
  CHECK_FALSE(is_scaling(input));
}

TEST_CASE("when the new ReplicaSet has all Pods, scaling takes the old ones away") {
  RolloutInput input = halfway(4, 0, 2, 4);
  input.is_paused = true;
  CHECK(plan_rollout(input) == Sizes{{"old", 0}});
}

TEST_CASE("Recreate with Pods of two templates is not held up by a change of replicas") {
  RolloutInput input = halfway(4, 0, 2, 4);
  input.is_recreate = true;
  input.replicas = 6;
  CHECK(plan_rollout(input) == Sizes{{"old", 0}});
}

TEST_CASE("nodes get the first free range of the cluster's, until there is none") {
  CHECK(*free_node_range("10.244.0.0/16", 24, {}) == "10.244.0.0/24");
  CHECK(*free_node_range("10.244.0.0/16", 24, {"10.244.0.0/24", "10.244.2.0/24"}) == "10.244.1.0/24");
  CHECK(*free_node_range("10.244.0.0/16", 24, {"10.244.0.0/23"}) == "10.244.2.0/24");
  CHECK_FALSE(free_node_range("10.244.0.0/24", 24, {"10.244.0.0/24"}));
  CHECK_FALSE(free_node_range("10.244.0.0/24", 16, {}));
}
