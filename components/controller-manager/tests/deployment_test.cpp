#include <catch2/catch.hpp>

#include "controller-manager/deployment_sets.h"
#include "controller-manager/deployment_status.h"
#include "workload_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

constexpr std::int64_t second_us = 1'000'000;

Document named(const std::string& name, int replicas, int deadline_s, const std::string& more_spec = "",
               const std::string& status = "{}") {
  return made(Deployment::schema_type(),
              R"({"metadata":{"name":")" + name + R"(","generation":2},"spec":{"replicas":)" +
                  std::to_string(replicas) + R"(,"progressDeadlineSeconds":)" + std::to_string(deadline_s) +
                  R"(,"selector":{"matchLabels":{"app":")" + name + R"("}},)" + more_spec +
                  R"("template":{"metadata":{"labels":{"app":")" + name +
                  R"("}},"spec":{"containers":[{"name":"c","image":"registry.local/c:1"}]}}},"status":)" +
                  status + "}");
}
Document web(int replicas, const std::string& more_spec = "", const std::string& status = "{}") {
  return named("web", replicas, 10, more_spec, status);
}
const std::string image_2 =
    R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"registry.local/c:2"}]}}}})";
const std::string image_1 =
    R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"registry.local/c:1"}]}}}})";

std::string reason_of(const Document& deployment) {
  for (const auto condition : Deployment(&deployment.root()).status().conditions())
    if (condition.type() == "Progressing") return std::string(condition.reason());
  return "";
}
std::string message_of(const Document& deployment) {
  for (const auto condition : Deployment(&deployment.root()).status().conditions())
    if (condition.type() == "Progressing") return std::string(condition.message());
  return "";
}
// Where kubectl begins to look at the rest.
bool is_observed(const Document& deployment) {
  const Deployment view(&deployment.root());
  return view.status().observedGeneration() >= view.metadata().generation();
}
std::function<bool(const Document&)> tells(std::string reason) {
  return [reason](const Document& deployment) {
    return is_observed(deployment) && reason_of(deployment) == reason;
  };
}

// Only the Deployment controller runs: the test writes what the ReplicaSets' own would.
class Rollouts : public WorkloadWorld {
 public:
  Rollouts() : WorkloadWorld({"deployment"}) {}
  Document set_of_image(const std::string& image) {
    return await(replica_sets, [image](const Document& set) {
      for (const auto container : ReplicaSet(&set.root()).spec().template_().spec().containers())
        if (container.image() == "registry.local/c:" + image) return true;
      return false;
    });
  }
  void report(const Document& set, int replicas, int available) {
    const std::string some = std::to_string(available);
    edit(replica_sets, name_of(set),
         R"({"status":{"replicas":)" + std::to_string(replicas) + R"(,"readyReplicas":)" + some +
             R"(,"availableReplicas":)" + some + "}}",
         "status");
  }
  void await_size(const Document& set, int replicas) {
    await(replica_sets, [&](const Document& now) {
      return client::uid_of(now) == client::uid_of(set) &&
             ReplicaSet(&now.root()).spec().replicas() == replicas;
    });
  }
  // What a client sees first of the Deployment once an edit of its spec is observed.
  Document first_observed_after(const std::string& spec_edit) {
    const Document before = get(deployments, "default", "web");
    edit(deployments, "web", spec_edit);
    const std::int64_t generation = metadata_of(before).generation();
    return await(
        deployments,
        [generation](const Document& now) {
          return metadata_of(now).generation() > generation && is_observed(now);
        },
        before);
  }
  // Time goes by, and the Deployment is looked at again.
  void pass(std::chrono::seconds time) {
    clock.advance(time);
    edit(deployments, "web",
         R"({"metadata":{"annotations":{"look":")" + std::to_string(++looks_) + R"("}}})");
  }

 private:
  int looks_ = 0;
};

}  // namespace

TEST_CASE("a new image after the progress deadline was exceeded is not told as exceeded") {
  Rollouts world;
  world.add(deployments, web(1));
  world.await(deployments, tells("NewReplicaSetCreated"));
  world.pass(std::chrono::seconds(12));
  world.await(deployments, tells("ProgressDeadlineExceeded"));
  CHECK(reason_of(world.first_observed_after(image_2)) == "NewReplicaSetCreated");
  world.pass(std::chrono::seconds(12));  // and this one has a deadline as well
  world.await(deployments, tells("ProgressDeadlineExceeded"));
}

TEST_CASE("the time that a Deployment was paused does not count to its progress deadline") {
  Rollouts world;
  world.add(deployments, web(1));
  world.await(deployments, tells("NewReplicaSetCreated"));
  world.edit(deployments, "web", R"({"spec":{"paused":true}})");
  world.await(deployments, tells("DeploymentPaused"));
  world.clock.advance(std::chrono::hours(1));
  CHECK(reason_of(world.first_observed_after(R"({"spec":{"paused":false}})")) == "DeploymentResumed");
  world.pass(std::chrono::seconds(12));
  world.await(deployments, tells("ProgressDeadlineExceeded"));
}

TEST_CASE(
    "a rollout whose new ReplicaSet gets no Pod exceeds its deadline though the one before was complete") {
  Rollouts world;
  world.add(deployments, web(1));
  world.report(world.set_of_image("1"), 1, 1);
  world.await(deployments, tells("NewReplicaSetAvailable"));
  world.edit(deployments, "web", image_2);
  world.await(deployments, tells("NewReplicaSetCreated"));
  world.pass(std::chrono::seconds(12));
  world.await(deployments, tells("ProgressDeadlineExceeded"));
}

TEST_CASE("a roll-back begins a rollout of its own, and the set keeps its former revisions") {
  Rollouts world;
  world.add(deployments, web(1));
  const Document first = world.set_of_image("1");
  world.report(first, 1, 1);
  world.await(deployments, tells("NewReplicaSetAvailable"));
  world.edit(deployments, "web", image_2);
  const Document second = world.set_of_image("2");
  world.report(second, 1, 1);
  world.await_size(first, 0);
  world.report(first, 0, 0);
  world.await(deployments, tells("NewReplicaSetAvailable"));
  world.edit(deployments, "web", image_1);
  const Document found = world.await(deployments, tells("FoundNewReplicaSet"));
  CHECK(revision_of(found) == 3);
  const Document set = world.set_of_image("1");
  CHECK(revision_of(set) == 3);
  CHECK(metadata_of(set).annotations().get(revision_history_annotation) == "1");
}

TEST_CASE("a ReplicaSet that cannot be made is told as ReplicaSetCreateError, until it can") {
  Rollouts world;
  world.on_thread([&] {
    world.script.before = [](const Call& call) -> std::optional<Status> {
      if (call.verb == "create" && call.resource == "replicasets")
        return Status(403, "Forbidden", "exceeded quota");
      return std::nullopt;
    };
  });
  world.add(deployments, web(1));
  const Document failed =
      world.await(deployments, [](const Document& now) { return reason_of(now) == "ReplicaSetCreateError"; });
  CHECK_FALSE(is_observed(failed));
  CHECK(world.has_event("default", "ReplicaSetCreateError", message_of(failed)));
  world.on_thread([&] { world.script.before = {}; });
  world.await(deployments, tells("NewReplicaSetCreated"));
}

TEST_CASE("a Deployment that looks again before its mirror shows the new ReplicaSet takes that one") {
  Rollouts world;
  world.on_thread(
      [&] { world.script.is_held = [](const std::string& resource) { return resource == "replicasets"; }; });
  world.add(deployments, web(1));
  world.await(deployments, tells("NewReplicaSetCreated"));
  world.pass(std::chrono::seconds(1));
  const Document again = world.await(deployments, tells("NewReplicaSetCreated"));
  CHECK(world.count_calls("create", "replicasets") >= 2);
  CHECK_FALSE(Deployment(&again.root()).status().has_collisionCount());
  CHECK(revision_of(again) == 1);
}

TEST_CASE("a Deployment that is paused in the middle of a rollout is scaled in proportion") {
  Rollouts world;
  world.add(deployments, web(4, R"("strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},)"));
  const Document first = world.set_of_image("1");
  world.await_size(first, 4);
  world.report(first, 4, 4);
  world.await(deployments, tells("NewReplicaSetAvailable"));
  world.edit(deployments, "web", image_2);
  const Document second = world.set_of_image("2");
  world.await_size(second, 1);
  world.edit(deployments, "web", R"({"spec":{"paused":true}})");
  world.await(deployments, tells("DeploymentPaused"));
  world.edit(deployments, "web", R"({"spec":{"replicas":8}})");
  world.await_size(first, 7);
  world.await_size(second, 2);
  const Document scaled = world.set_of_image("1");
  CHECK(replicas_annotation(scaled, desired_annotation) == 8);
  CHECK(replicas_annotation(scaled, max_annotation) == 9);
}

TEST_CASE("a ReplicaSet whose labels and owner are taken away in one edit is replaced") {
  Rollouts world;
  const Document deployment = world.add(deployments, named("web", 1, 600));
  const Document first = world.set_of_image("1");
  world.report(first, 1, 1);
  world.await(deployments, tells("NewReplicaSetAvailable"));
  // The controller has seen all that was written of "web" before it writes the status of another.
  world.add(deployments, named("other", 1, 600, R"("paused":true,)"));
  world.await(deployments, tells("DeploymentPaused"));
  world.edit(replica_sets, name_of(first), R"({"metadata":{"ownerReferences":null,"labels":null}})");
  world.await(replica_sets, [&](const Document& set) {
    return is_owned_by(set, deployment) && name_of(set) != name_of(first);
  });
}

TEST_CASE("a Deployment's annotations and minReadySeconds reach its present ReplicaSet") {
  Rollouts world;
  world.add(deployments, web(1));
  world.set_of_image("1");
  world.edit(
      deployments, "web",
      R"({"metadata":{"annotations":{"kubernetes.io/change-cause":"a test"}},"spec":{"minReadySeconds":5}})");
  world.await(replica_sets, [](const Document& set) {
    return metadata_of(set).annotations().get("kubernetes.io/change-cause") == "a test" &&
           ReplicaSet(&set.root()).spec().minReadySeconds() == 5;
  });
}

namespace {
Document set_with(const std::string& status) {
  return made(ReplicaSet::schema_type(),
              R"({"metadata":{"name":"web-1"},"spec":{"replicas":1},"status":)" + status + "}");
}
constexpr auto created =
    R"({"observedGeneration":1,"conditions":[{"type":"Progressing","status":"True","reason":"NewReplicaSetCreated","lastUpdateTime":"2023-11-14T22:13:20Z","lastTransitionTime":"2023-11-14T22:13:20Z"}]})";
constexpr std::int64_t created_us = 1'700'000'000 * second_us;
}  // namespace

TEST_CASE("the deadline is over only after its last second, and is looked at again then") {
  const Document set = set_with(R"({"observedGeneration":1})");
  auto result = compute_deployment_status(web(1, "", created), set, {}, true, created_us + 4 * second_us);
  CHECK(reason_of(result.deployment) == "NewReplicaSetCreated");
  CHECK(result.check_again_after == std::chrono::seconds(7));
  result = compute_deployment_status(web(1, "", created), set, {}, true, created_us + 10 * second_us);
  CHECK(reason_of(result.deployment) == "NewReplicaSetCreated");
  result = compute_deployment_status(web(1, "", created), set, {}, true, created_us + 11 * second_us);
  CHECK(reason_of(result.deployment) == "ProgressDeadlineExceeded");
  CHECK(result.check_again_after.count() == 0);
}

TEST_CASE("no progress is judged while a Deployment is paused or scaled") {
  const auto result = compute_deployment_status(web(1, "", created), set_with("{}"), {}, false,
                                                created_us + 3600 * second_us);
  CHECK(reason_of(result.deployment) == "NewReplicaSetCreated");
  CHECK(result.check_again_after.count() == 0);
}

TEST_CASE("an exceeded deadline is not hidden by a pause; without a deadline nothing is told of progress") {
  const std::string exceeded =
      R"({"conditions":[{"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded"}]})";
  CHECK_FALSE(with_pause_told(web(1, R"("paused":true,)", exceeded), created_us));
  CHECK_FALSE(with_pause_told(web(1, "", exceeded), created_us));
  const Document endless = made(
      Deployment::schema_type(),
      R"({"metadata":{"name":"web","annotations":{"deployment.kubernetes.io/revision":"1"}},"spec":{"paused":true,"progressDeadlineSeconds":2147483647},"status":)" +
          exceeded + "}");
  CHECK_FALSE(with_pause_told(endless, created_us));
  CHECK_FALSE(with_create_error_told(endless, "no", created_us));
  CHECK_FALSE(with_new_set_told(endless, "web-1", 1, true, created_us));
  CHECK(
      reason_of(compute_deployment_status(endless, set_with("{}"), {}, true, created_us).deployment).empty());
}

TEST_CASE("a creation that fails with ever another text is told once") {
  const Document told = with_create_error_told(web(1), "try 1", created_us);
  REQUIRE(told);
  CHECK_FALSE(with_create_error_told(told, "try 2", created_us + second_us));
}

TEST_CASE("a second new ReplicaSet in a row starts the deadline anew") {
  const Document told = with_new_set_told(web(1, "", created), "web-2", 2, true, created_us + 8 * second_us);
  REQUIRE(told);
  CHECK(revision_of(told) == 2);
  CHECK_FALSE(with_new_set_told(told, "web-2", 2, false, created_us + 9 * second_us));
  const auto result = compute_deployment_status(told, set_with("{}"), {}, true, created_us + 15 * second_us);
  CHECK(reason_of(result.deployment) == "NewReplicaSetCreated");
}

TEST_CASE("a Deployment's ending Pods are the sum of its ReplicaSets', unless one of them does not tell") {
  const Document silent = set_with(R"({"observedGeneration":1})"), fresh = set_with("{}");
  const Document one = set_with(R"({"observedGeneration":1,"terminatingReplicas":1})"),
                 two = set_with(R"({"observedGeneration":1,"terminatingReplicas":2})");
  auto status_of = [](const Document& current, std::vector<Document> old) {
    return compute_deployment_status(web(1), current, old, true, created_us).deployment;
  };
  const Document sum = status_of(fresh, {one, two}), unknown = status_of(one, {silent}),
                 none = status_of(fresh, {});
  CHECK(Deployment(&sum.root()).status().terminatingReplicas() == 3);
  CHECK_FALSE(Deployment(&unknown.root()).status().has_terminatingReplicas());
  CHECK(Deployment(&none.root()).status().has_terminatingReplicas());
}

TEST_CASE("an old ReplicaSet's failure is told when the new one has none") {
  const Document failing = set_with(
      R"({"conditions":[{"type":"ReplicaFailure","status":"True","reason":"FailedDelete","message":"no"}]})");
  const Document told =
      compute_deployment_status(web(1), set_with("{}"), {failing}, true, created_us).deployment;
  bool is_told = false;
  for (const auto condition : Deployment(&told.root()).status().conditions())
    is_told |= condition.type() == "ReplicaFailure" && condition.reason() == "FailedDelete";
  CHECK(is_told);
}
