#include <catch2/catch.hpp>

#include "controller-manager/deployment_plan.h"
#include "controller-manager/node_ranges.h"

using namespace rusternetes::controller_manager;

namespace {
// Plays a rollout to its end with every Pod becoming ready at once; gives the least available and the most Pods seen.
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
    course.least_available = std::min(course.least_available, input.current.available + input.old[0].available);
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

TEST_CASE("a paused Deployment does not roll, but scales") {
  RolloutInput input;
  input.replicas = 4;
  input.is_paused = true;
  input.max_surge = 1;
  input.current = {"new", 1, 1, 1, 1, 2};
  input.old = {{"old", 2, 2, 2, 2, 1}};
  CHECK(plan_rollout(input).empty());
  input.old[0].wanted = 0;
  CHECK(plan_rollout(input) == std::map<std::string, std::int64_t>{{"new", 4}});
}

TEST_CASE("nodes get the first free range of the cluster's, until there is none") {
  CHECK(*free_node_range("10.244.0.0/16", 24, {}) == "10.244.0.0/24");
  CHECK(*free_node_range("10.244.0.0/16", 24, {"10.244.0.0/24", "10.244.2.0/24"}) == "10.244.1.0/24");
  CHECK(*free_node_range("10.244.0.0/16", 24, {"10.244.0.0/23"}) == "10.244.2.0/24");
  CHECK_FALSE(free_node_range("10.244.0.0/24", 24, {"10.244.0.0/24"}));
  CHECK_FALSE(free_node_range("10.244.0.0/24", 16, {}));
}
