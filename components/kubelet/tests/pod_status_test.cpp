#include "kubelet/pod/pod_status.h"

#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

const char* kOne = R"({"restartPolicy":"Always","containers":[{"name":"a","image":"busybox"}]})";
const char* kOnce = R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox"},{"name":"b","image":"busybox"}]})";

struct Scene {
  PodRuntimeState state;
  StartFailures failures;
  PodStatusInput input;
  Document compute(const Document& pod) {
    input.state = &state;
    input.failures = &failures;
    input.runtime_name = "podman";
    input.host_ips = {"10.213.0.2"};
    if (input.now_us == 0) input.now_us = 1'700'000'100'500'000;
    return compute_pod_status(pod, input);
  }
};

std::string condition(const Document& pod, std::string_view type) {
  for (const auto one : pod_view(pod).status().conditions())
    if (one.type() == type) return std::string(one.status());
  return "absent";
}

}  // namespace

TEST_CASE("a Pod without containers yet is Pending and says that they are being created") {
  Scene scene;
  const auto pod = scene.compute(make_pod(kOne));
  const auto status = pod_view(pod).status();
  CHECK(status.phase() == "Pending");
  CHECK(status.containerStatuses()[0].state().waiting().reason() == "ContainerCreating");
  CHECK(status.hostIP() == "10.213.0.2");
  CHECK(status.podIP().empty());
  CHECK(status.startTime() == 1'700'000'100'000'000);
  CHECK(status.observedGeneration() == 1);
  CHECK(status.qosClass() == "BestEffort");
  CHECK(condition(pod, "PodReadyToStartContainers") == "False");
  CHECK(condition(pod, "Initialized") == "True");
  CHECK(condition(pod, "Ready") == "False");
}

TEST_CASE("a running Pod is Ready and shows its addresses and containers") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  scene.input.image_refs["sha256:1"] = "reg/busybox@sha256:2";
  const auto pod = scene.compute(make_pod(kOne));
  const auto status = pod_view(pod).status();
  CHECK(status.phase() == "Running");
  CHECK(status.podIP() == "10.0.0.5");
  CHECK(status.podIPs()[0].ip() == "10.0.0.5");
  const auto container_status = status.containerStatuses()[0];
  CHECK(container_status.ready());
  CHECK(container_status.started());
  CHECK(container_status.containerID() == "podman://a0");
  CHECK(container_status.imageID() == "reg/busybox@sha256:2");
  CHECK(container_status.state().running().startedAt() == 1'700'000'000'000'000);
  CHECK(condition(pod, "Ready") == "True");
  CHECK(condition(pod, "ContainersReady") == "True");
}

TEST_CASE("computing the same state again changes nothing, transition times included") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  const auto first = scene.compute(make_pod(kOne));
  scene.input.now_us += 3'600'000'000;
  const auto second = scene.compute(first);
  CHECK(apimachinery::equal(first.root(), second.root()));
}

TEST_CASE("conditions of others are kept") {
  Scene scene;
  const auto pod = scene.compute(make_pod(kOne, R"({"conditions":[{"type":"example.com/gate","status":"True"}]})"));
  CHECK(condition(pod, "example.com/gate") == "True");
}

TEST_CASE("a readiness gate keeps a Pod from being Ready") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  const auto pod = scene.compute(make_pod(R"({"containers":[{"name":"a","image":"busybox"}],"readinessGates":[{"conditionType":"example.com/gate"}]})"));
  CHECK(condition(pod, "Ready") == "False");
  CHECK(condition(pod, "ContainersReady") == "True");
}

TEST_CASE("a crash loop shows as waiting with its last end, and the Pod stays Running") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::exited, 3, 2), container("a", ContainerState::exited, 1, 1)});
  scene.failures["a"] = {"CrashLoopBackOff", "back-off 20s restarting failed container=a pod=web_default(u1)"};
  const auto pod = scene.compute(make_pod(kOne));
  const auto status = pod_view(pod).status().containerStatuses()[0];
  CHECK(pod_view(pod).status().phase() == "Running");
  CHECK(status.state().waiting().reason() == "CrashLoopBackOff");
  CHECK(status.lastState().terminated().exitCode() == 3);
  CHECK(status.restartCount() == 2);
  CHECK_FALSE(status.ready());
}

TEST_CASE("after a restart the end before is the last state") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running, 0, 2), container("a", ContainerState::exited, 7, 1)});
  const auto status = pod_view(scene.compute(make_pod(kOne)));
  const auto pod = scene.compute(make_pod(kOne));
  CHECK(pod_view(pod).status().containerStatuses()[0].lastState().terminated().exitCode() == 7);
  CHECK(pod_view(pod).status().containerStatuses()[0].restartCount() == 2);
  // The dead one is collected: status remembers it.
  scene.state = state_of({container("a", ContainerState::running, 0, 2)});
  const auto later = scene.compute(pod);
  CHECK(pod_view(later).status().containerStatuses()[0].lastState().terminated().exitCode() == 7);
}

TEST_CASE("an image that cannot be pulled leaves the Pod Pending") {
  Scene scene;
  scene.state = state_of({});
  scene.failures["a"] = {"ImagePullBackOff", "Back-off pulling image \"x\""};
  const auto pod = scene.compute(make_pod(kOne));
  CHECK(pod_view(pod).status().phase() == "Pending");
  CHECK(pod_view(pod).status().containerStatuses()[0].state().waiting().reason() == "ImagePullBackOff");
}

TEST_CASE("a Pod that runs once succeeds or fails with its containers") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::exited, 0), container("b", ContainerState::running)});
  CHECK(pod_view(scene.compute(make_pod(kOnce))).status().phase() != "Succeeded");
  scene.state = state_of({container("a", ContainerState::exited, 0), container("b", ContainerState::exited, 0)});
  const auto good = scene.compute(make_pod(kOnce));
  CHECK(pod_view(good).status().phase() == "Succeeded");
  CHECK(condition(good, "Ready") == "False");
  scene.state = state_of({container("a", ContainerState::exited, 0), container("b", ContainerState::exited, 1)});
  const auto bad = scene.compute(make_pod(kOnce));
  CHECK(pod_view(bad).status().phase() == "Failed");
}

TEST_CASE("a terminal phase is never left") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running), container("b", ContainerState::running)});
  const auto pod = scene.compute(make_pod(kOnce, R"({"phase":"Failed","reason":"Evicted","message":"m"})"));
  CHECK(pod_view(pod).status().phase() == "Failed");
  CHECK(pod_view(pod).status().reason() == "Evicted");
}

TEST_CASE("a deleted Pod with restartPolicy Always ends by its exit codes") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::exited, 0)});
  scene.input.is_terminating = true;
  CHECK(pod_view(scene.compute(make_pod(kOne))).status().phase() != "Running");
  const auto pod = scene.compute(make_pod(kOne));
  CHECK(pod_view(pod).status().phase() == "Succeeded");
  scene.state = state_of({container("a", ContainerState::exited, 137)});
  const auto killed = scene.compute(make_pod(kOne));
  CHECK(pod_view(killed).status().phase() == "Failed");
}

TEST_CASE("init containers: the Pod is Pending and not Initialized until they have succeeded") {
  const auto pod = make_pod(R"({"initContainers":[{"name":"i","image":"busybox"}],"containers":[{"name":"a","image":"busybox"}]})");
  Scene scene;
  scene.state = state_of({container("i", ContainerState::running)});
  const auto during = scene.compute(pod);
  CHECK(pod_view(during).status().phase() == "Pending");
  CHECK(condition(during, "Initialized") == "False");
  CHECK(pod_view(during).status().containerStatuses()[0].state().waiting().reason() == "PodInitializing");
  scene.state = state_of({container("i", ContainerState::exited, 0), container("a", ContainerState::running)});
  const auto after = scene.compute(pod);
  CHECK(pod_view(after).status().phase() == "Running");
  CHECK(condition(after, "Initialized") == "True");
  CHECK(pod_view(after).status().initContainerStatuses()[0].ready());
}

TEST_CASE("a container that ran and that the runtime has lost is counted as ended") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  const auto before = scene.compute(make_pod(kOne));
  scene.state = {};
  const auto pod = scene.compute(before);
  const auto status = pod_view(pod).status().containerStatuses()[0];
  CHECK(status.lastState().terminated().reason() == "ContainerStatusUnknown");
  CHECK(status.restartCount() == 1);
  CHECK(pod_view(pod).status().phase() == "Running");
}

TEST_CASE("a terminal phase is told only when nothing runs, its conditions at once") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  const auto before = scene.compute(make_pod(kOne));
  scene.input.is_terminating = true;
  scene.input.forced_phase = "Failed";
  scene.input.forced_reason = "DeadlineExceeded";
  scene.input.forced_message = "too long";
  const auto during = scene.compute(before);
  CHECK(pod_view(during).status().phase() == "Running");
  CHECK(pod_view(during).status().reason().empty());
  CHECK(pod_view(during).status().message().empty());
  CHECK(condition(during, "Ready") == "False");
  scene.state = state_of({container("a", ContainerState::exited, 137)});
  const auto after = scene.compute(during);
  CHECK(pod_view(after).status().phase() == "Failed");
  CHECK(pod_view(after).status().reason() == "DeadlineExceeded");
  CHECK(pod_view(after).status().message() == "too long");
  // What is terminal stays so, whatever runs.
  scene.state = state_of({container("a", ContainerState::running)});
  CHECK(pod_view(scene.compute(after)).status().phase() == "Failed");
}

TEST_CASE("a failed init container fails its Pod when the sidecar beside it has ended") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always"},
      {"name":"i","image":"busybox"}],"containers":[{"name":"a","image":"busybox"}]})", R"({"phase":"Pending"})");
  Scene scene;
  scene.state = state_of({container("side", ContainerState::running), container("i", ContainerState::exited, 1)});
  const auto during = scene.compute(pod);
  CHECK(pod_view(during).status().phase() == "Pending");
  scene.state = state_of({container("side", ContainerState::exited, 137), container("i", ContainerState::exited, 1)});
  CHECK(pod_view(scene.compute(during)).status().phase() == "Failed");
}

TEST_CASE("the last state is of the last container that ended, not of those that never started") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::exited, 7, 0), container("a", ContainerState::created, 0, 1),
                          container("a", ContainerState::created, 0, 2)});
  const auto pod = scene.compute(make_pod(kOne));
  const auto status = pod_view(pod).status().containerStatuses()[0];
  CHECK(status.restartCount() == 2);
  CHECK(status.lastState().terminated().exitCode() == 7);
  CHECK(status.lastState().terminated().containerID() == "podman://a0");
}

TEST_CASE("probes decide which containers are ready and started, and so the conditions") {
  const auto pod = make_pod(R"({"initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always","readinessProbe":{},"startupProbe":{}}],
      "containers":[{"name":"a","image":"busybox","readinessProbe":{}}]})");
  Scene scene;
  ProbeResults probes;
  scene.input.probes = &probes;
  probes.add_probe(ProbeKind::startup, "side");
  probes.add_probe(ProbeKind::readiness, "side");
  probes.add_probe(ProbeKind::readiness, "a");
  scene.state = state_of({container("side", ContainerState::running), container("a", ContainerState::running)});
  const auto before = scene.compute(pod);
  CHECK_FALSE(pod_view(before).status().initContainerStatuses()[0].started());
  CHECK(pod_view(before).status().containerStatuses()[0].started());
  CHECK_FALSE(pod_view(before).status().containerStatuses()[0].ready());
  CHECK(condition(before, "Ready") == "False");
  probes.set(ProbeKind::startup, "side0", ProbeResult::success);
  probes.set(ProbeKind::readiness, "a0", ProbeResult::success);
  const auto half = scene.compute(before);
  CHECK(pod_view(half).status().containerStatuses()[0].ready());
  CHECK_FALSE(pod_view(half).status().initContainerStatuses()[0].ready());
  CHECK(condition(half, "ContainersReady") == "False");
  probes.set(ProbeKind::readiness, "side0", ProbeResult::success);
  CHECK(condition(scene.compute(half), "Ready") == "True");
}

TEST_CASE("a readiness gate is told with what is wrong about it") {
  Scene scene;
  scene.state = state_of({container("a", ContainerState::running)});
  const auto reason = [&](const std::string& conditions) {
    const auto pod = scene.compute(make_pod(R"({"containers":[{"name":"a","image":"busybox"}],"readinessGates":[{"conditionType":"example.com/gate"}]})",
                                            R"({"conditions":[)" + conditions + "]}"));
    for (const auto one : pod_view(pod).status().conditions())
      if (one.type() == "Ready") return std::string(one.reason()) + ": " + std::string(one.message());
    return std::string();
  };
  CHECK(reason("") == "ReadinessGatesNotReady: corresponding condition of pod readiness gate \"example.com/gate\" does not exist.");
  CHECK(reason(R"({"type":"example.com/gate","status":"False"})") ==
        "ReadinessGatesNotReady: the status of pod readiness gate \"example.com/gate\" is not \"True\", but False");
  CHECK(reason(R"({"type":"example.com/gate","status":"True"})") == ": ");
}
