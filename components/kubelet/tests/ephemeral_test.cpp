// Ephemeral containers (KEP-277): when they start, and what status says of them.

#include "kubelet/container/container_config.h"
#include "kubelet/pod/pod_actions.h"
#include "kubelet/pod/pod_status.h"
#include "objects.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

const char* kDebugged = R"({"restartPolicy":"Always","containers":[{"name":"a","image":"busybox"}],
  "ephemeralContainers":[{"name":"debug","image":"busybox","targetContainerName":"a","stdin":true,"tty":true}]})";

std::vector<ContainerRef> starts(const Document& pod, const PodRuntimeState& state) {
  return compute_pod_actions(pod_view(pod), state, {std::chrono::seconds(10), std::chrono::seconds(300)}, {}, SystemTime{})
      .containers_to_start;
}

core_v1::ContainerStatus shown(const Document& pod, const PodRuntimeState& state, const StartFailures& failures, Document& keep) {
  PodStatusInput input;
  input.state = &state;
  input.failures = &failures;
  input.runtime_name = "podman";
  keep = compute_pod_status(pod, input);
  const auto statuses = pod_view(keep).status().ephemeralContainerStatuses();
  REQUIRE(statuses.size() == 1);
  return statuses[0];
}

}  // namespace

TEST_CASE("an ephemeral container starts beside what runs") {
  const auto pod = make_pod(kDebugged);
  const auto found = starts(pod, state_of({container("a", ContainerState::running)}));
  REQUIRE(found.size() == 1);
  CHECK(found[0] == ContainerRef{false, 0, true});
  CHECK(container_of(pod_view(pod), found[0]).name() == "debug");
  CHECK(field_path(pod_view(pod), found[0]) == "spec.ephemeralContainers{debug}");
}

TEST_CASE("an ephemeral container starts while init containers still work") {
  const auto pod = make_pod(R"({"initContainers":[{"name":"i","image":"busybox"}],"containers":[{"name":"a","image":"busybox"}],
                                "ephemeralContainers":[{"name":"debug","image":"busybox"}]})");
  CHECK(starts(pod, state_of({container("i", ContainerState::running)})) == std::vector{ContainerRef{false, 0, true}});
}

TEST_CASE("an ephemeral container is never started again") {
  const auto pod = make_pod(kDebugged);
  const auto a = container("a", ContainerState::running);
  CHECK(starts(pod, state_of({a, container("debug", ContainerState::running)})).empty());
  CHECK(starts(pod, state_of({a, container("debug", ContainerState::exited, 1)})).empty());
  // Also when the runtime has forgotten it.
  const auto ended = make_pod(kDebugged, R"({"ephemeralContainerStatuses":[{"name":"debug","state":{"terminated":{"exitCode":1}}}]})");
  CHECK(starts(ended, state_of({a})).empty());
  // One that was made and never started has not begun.
  CHECK(starts(pod, state_of({a, container("debug", ContainerState::created)})).size() == 1);
}

TEST_CASE("a new sandbox begins without ephemeral containers") {
  const auto pod = make_pod(kDebugged);
  for (const auto ref : starts(pod, {})) CHECK_FALSE(ref.is_ephemeral);
}

TEST_CASE("a Pod whose containers have ended does not go on for an ephemeral one") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox"}],
                                "ephemeralContainers":[{"name":"debug","image":"busybox"}]})");
  const auto state = state_of({container("a", ContainerState::exited, 0), container("debug", ContainerState::running)});
  const auto actions = compute_pod_actions(pod_view(pod), state, {std::chrono::seconds(10), std::chrono::seconds(300)}, {}, SystemTime{});
  CHECK(actions.kill_pod);
  CHECK(actions.containers_to_start.empty());
  CHECK(termination_order(pod_view(pod), state).at(0).at(0)->name == "debug");
}

TEST_CASE("status tells of an ephemeral container from its wait to its end") {
  const auto pod = make_pod(kDebugged);
  const auto a = container("a", ContainerState::running);
  Document keep;
  CHECK(shown(pod, state_of({a}), {}, keep).state().waiting().reason() == "ContainerCreating");
  const StartFailures failures{{"debug", {"ErrImagePull", "no such image"}}};
  CHECK(shown(pod, state_of({a}), failures, keep).state().waiting().reason() == "ErrImagePull");
  auto status = shown(pod, state_of({a, container("debug", ContainerState::running)}), failures, keep);
  CHECK(status.state().running());
  CHECK(status.containerID() == "podman://debug0");
  CHECK_FALSE(status.ready());
  CHECK_FALSE(status.has_started());
  CHECK(pod_view(keep).status().phase() == "Running");
  status = shown(pod, state_of({a, container("debug", ContainerState::exited, 3)}), failures, keep);
  CHECK(status.state().terminated().exitCode() == 3);
  CHECK(pod_view(keep).status().phase() == "Running");
}

TEST_CASE("an ephemeral container joins its target's processes") {
  const auto pod = make_pod(kDebugged);
  const ContainerRef ref{false, 0, true};
  ContainerInput input;
  input.image.id = "sha256:1";
  input.pid_target = "a0";
  auto config = make_container_config(pod_view(pod), ref, input);
  REQUIRE(config);
  CHECK(config->pid == engine::PidMode::target);
  CHECK(config->pid_target == "a0");
  CHECK(config->has_stdin);
  CHECK(config->has_tty);
  // Where the Pod's containers share theirs already, it does so too.
  const auto shared = make_pod(R"({"shareProcessNamespace":true,"containers":[{"name":"a","image":"busybox"}],
                                   "ephemeralContainers":[{"name":"debug","image":"busybox","targetContainerName":"a"}]})");
  config = make_container_config(pod_view(shared), ref, input);
  REQUIRE(config);
  CHECK(config->pid == engine::PidMode::pod);
}
