#include "kubelet/pod/pod_actions.h"

#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

const SystemTime kNow{std::chrono::seconds{1'700'000'001}};

PodActions decide(const Document& pod, const PodRuntimeState& state, const BackOff& crashes = {std::chrono::seconds(10), std::chrono::seconds(300)},
                  SystemTime now = kNow, const FailedStarts& failed_starts = {}) {
  return compute_pod_actions(pod_view(pod), state, crashes, failed_starts, now);
}

std::vector<std::string> started(const Document& pod, const PodActions& actions) {
  std::vector<std::string> out;
  for (const auto ref : actions.containers_to_start) out.emplace_back(container_of(pod_view(pod), ref).name());
  return out;
}

const char* kOne = R"({"restartPolicy":"Always","containers":[{"name":"a","image":"busybox"}]})";
const char* kInit = R"({"restartPolicy":"Always","initContainers":[{"name":"i1","image":"busybox"},{"name":"i2","image":"busybox"}],
                        "containers":[{"name":"a","image":"busybox"}]})";
const char* kSidecar = R"({"restartPolicy":"Never","initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always"}],
                           "containers":[{"name":"a","image":"busybox"}]})";
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a new Pod gets a sandbox and its containers") {
  const auto pod = make_pod(kOne);
  const auto actions = decide(pod, {});
  CHECK(actions.create_sandbox);
  CHECK(actions.sandbox_attempt == 0);
  CHECK(started(pod, actions) == Names{"a"});
}

TEST_CASE("a Pod whose containers run needs nothing") {
  const auto pod = make_pod(kOne);
  const auto actions = decide(pod, state_of({container("a", ContainerState::running)}));
  CHECK_FALSE(actions.kill_pod);
  CHECK_FALSE(actions.create_sandbox);
  CHECK(actions.containers_to_start.empty());
  CHECK(actions.containers_to_kill.empty());
}

TEST_CASE("a sandbox that died is made again with everything in it") {
  const auto pod = make_pod(kOne);
  auto state = state_of({container("a", ContainerState::exited, 255)});
  state.sandboxes[0].state = engine::SandboxState::not_ready;
  const auto actions = decide(pod, state);
  CHECK(actions.kill_pod);
  CHECK(actions.create_sandbox);
  CHECK(actions.sandbox_attempt == 1);
  CHECK(started(pod, actions) == Names{"a"});
}

TEST_CASE("a Pod that runs once is not run again after its sandbox died") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox"}]})");
  auto state = state_of({container("a", ContainerState::exited, 255)});
  state.sandboxes[0].state = engine::SandboxState::not_ready;
  const auto actions = decide(pod, state);
  CHECK(actions.kill_pod);
  CHECK_FALSE(actions.create_sandbox);
  CHECK(actions.containers_to_start.empty());
}

TEST_CASE("a Pod that runs once and lost its sandbox before its containers ran begins again") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","initContainers":[{"name":"i","image":"busybox"}],"containers":[{"name":"a","image":"busybox"}]})");
  auto state = state_of({container("i", ContainerState::exited, 0)});
  state.sandboxes[0].state = engine::SandboxState::not_ready;
  const auto actions = decide(pod, state);
  CHECK(actions.create_sandbox);
  CHECK(started(pod, actions) == Names{"i"});
  // What was made and never started has not run either.
  state.containers.push_back(container("a", ContainerState::created));
  CHECK(decide(pod, state).create_sandbox);
  state.containers.back() = container("a", ContainerState::exited, 0);
  CHECK_FALSE(decide(pod, state).create_sandbox);
}

TEST_CASE("a container that its own rules start again gets a new sandbox although its Pod runs once") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox","restartPolicy":"Always"}]})");
  auto state = state_of({container("a", ContainerState::exited, 255)});
  state.sandboxes[0].state = engine::SandboxState::not_ready;
  const auto actions = decide(pod, state);
  CHECK(actions.create_sandbox);
  CHECK(started(pod, actions) == Names{"a"});
}

TEST_CASE("a Pod with OnFailure whose containers have all succeeded gets no new sandbox") {
  const auto pod = make_pod(R"({"restartPolicy":"OnFailure","containers":[{"name":"a","image":"busybox"}]})");
  auto state = state_of({container("a", ContainerState::exited, 0)});
  state.sandboxes[0].state = engine::SandboxState::not_ready;
  CHECK_FALSE(decide(pod, state).create_sandbox);
  state.containers[0].exit_code = 1;
  CHECK(decide(pod, state).create_sandbox);
}

TEST_CASE("a sandbox without an address counts as none, but on the host's network it needs none") {
  auto state = state_of({container("a", ContainerState::running)});
  state.pod_ips.clear();
  CHECK(decide(make_pod(kOne), state).create_sandbox);
  const auto host = make_pod(R"({"hostNetwork":true,"containers":[{"name":"a","image":"busybox"}]})");
  state.sandboxes[0].network = engine::SandboxNetwork::host;
  CHECK_FALSE(decide(host, state).create_sandbox);
}

TEST_CASE("restart policies decide over a container that ended") {
  const auto with = [](const char* policy, int exit_code) {
    const auto pod = make_pod(std::string(R"({"restartPolicy":")") + policy +
                              R"(","containers":[{"name":"a","image":"busybox"},{"name":"b","image":"busybox"}]})");
    return started(pod, decide(pod, state_of({container("a", ContainerState::exited, exit_code), container("b", ContainerState::running)})));
  };
  CHECK(with("Always", 0) == Names{"a"});
  CHECK(with("OnFailure", 0) == Names{});
  CHECK(with("OnFailure", 1) == Names{"a"});
  CHECK(with("Never", 1) == Names{});
}

TEST_CASE("a container's own restart rules win over the Pod's policy") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox","restartPolicy":"Never",
      "restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[42]}}]}]})");
  const auto only = pod_view(pod).spec().containers()[0];
  CHECK(restarts_after(only, pod_view(pod), 42));
  CHECK_FALSE(restarts_after(only, pod_view(pod), 1));
}

TEST_CASE("when all containers have ended for good the Pod is ended") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox"}]})");
  const auto actions = decide(pod, state_of({container("a", ContainerState::exited, 0)}));
  CHECK(actions.kill_pod);
  CHECK_FALSE(actions.create_sandbox);
}

TEST_CASE("init containers run one after the other, then the others") {
  const auto pod = make_pod(kInit);
  CHECK(started(pod, decide(pod, {})) == Names{"i1"});
  CHECK(started(pod, decide(pod, state_of({}))) == Names{"i1"});
  CHECK(started(pod, decide(pod, state_of({container("i1", ContainerState::running)}))) == Names{});
  CHECK(started(pod, decide(pod, state_of({container("i1", ContainerState::exited, 0)}))) == Names{"i2"});
  CHECK(started(pod, decide(pod, state_of({container("i1", ContainerState::exited, 0), container("i2", ContainerState::exited, 0)}))) == Names{"a"});
}

TEST_CASE("a failed init container is tried again, or ends a Pod that runs once") {
  const auto pod = make_pod(kInit);
  CHECK(started(pod, decide(pod, state_of({container("i1", ContainerState::exited, 1)}))) == Names{"i1"});
  const auto once = make_pod(R"({"restartPolicy":"Never","initContainers":[{"name":"i1","image":"busybox"}],"containers":[{"name":"a","image":"busybox"}]})");
  const auto actions = decide(once, state_of({container("i1", ContainerState::exited, 1)}));
  CHECK(actions.kill_pod);
  CHECK(actions.containers_to_start.empty());
}

TEST_CASE("init containers of an earlier sandbox do not count") {
  const auto pod = make_pod(kInit);
  auto state = state_of({container("i1", ContainerState::exited, 0, 0, "s0"), container("i2", ContainerState::exited, 0, 0, "s0"),
                         container("a", ContainerState::exited, 255, 0, "s0")});
  CHECK(started(pod, decide(pod, state)) == Names{"i1"});
}

TEST_CASE("a collected init container is not run again while the Pod runs") {
  const auto pod = make_pod(kInit);
  const auto actions = decide(pod, state_of({container("a", ContainerState::running)}));
  CHECK(actions.containers_to_start.empty());
}

TEST_CASE("a sidecar starts first, is kept running, and does not outlive the containers it serves") {
  const auto pod = make_pod(kSidecar);
  CHECK(started(pod, decide(pod, state_of({}))) == Names{"side"});
  CHECK(started(pod, decide(pod, state_of({container("side", ContainerState::running)}))) == Names{"a"});
  CHECK(started(pod, decide(pod, state_of({container("side", ContainerState::exited, 1), container("a", ContainerState::running)}))) == Names{"side"});
  const auto over = decide(pod, state_of({container("side", ContainerState::running), container("a", ContainerState::exited, 0)}));
  CHECK(over.kill_pod);
  CHECK(over.containers_to_start.empty());
}

TEST_CASE("a crashed container waits out its back-off, counted from its end") {
  const auto pod = make_pod(kOne);
  const auto crashed = state_of({container("a", ContainerState::exited, 1)});
  BackOff crashes{std::chrono::seconds(10), std::chrono::seconds(300)};
  CHECK(started(pod, decide(pod, crashed, crashes)) == Names{"a"});  // the first time at once
  const SystemTime ended{std::chrono::milliseconds{1'700'000'000'500}};
  crashes.next(back_off_key(pod_view(pod), "a"), ended);
  const auto actions = decide(pod, crashed, crashes, ended + std::chrono::seconds(9));
  CHECK(actions.containers_to_start.empty());
  REQUIRE(actions.in_back_off.size() == 1);
  CHECK(actions.in_back_off[0].delay == std::chrono::seconds(10));
  REQUIRE(actions.next);
  CHECK(*actions.next == ended + std::chrono::seconds(10));
  CHECK_FALSE(actions.kill_pod);
  CHECK(started(pod, decide(pod, crashed, crashes, ended + std::chrono::seconds(10))) == Names{"a"});
}

TEST_CASE("a container that cannot be made or started waits out its back-off too") {
  const auto pod = make_pod(kOne);
  BackOff crashes{std::chrono::seconds(10), std::chrono::seconds(300)};
  const FailedStarts failed{{"a", kNow}};
  for (const auto& state : {state_of({}), state_of({container("a", ContainerState::created)})}) {
    crashes.forget(back_off_key(pod_view(pod), "a"));
    CHECK(started(pod, decide(pod, state, crashes, kNow, failed)) == Names{"a"});
    crashes.next(back_off_key(pod_view(pod), "a"), kNow);
    const auto actions = decide(pod, state, crashes, kNow + std::chrono::seconds(9), failed);
    CHECK(actions.containers_to_start.empty());
    REQUIRE(actions.next);
    CHECK(*actions.next == kNow + std::chrono::seconds(10));
    CHECK(started(pod, decide(pod, state, crashes, kNow + std::chrono::seconds(10), failed)) == Names{"a"});
  }
}

TEST_CASE("a container whose image changed is killed and started again") {
  const auto pod = make_pod(R"({"restartPolicy":"Always","containers":[{"name":"a","image":"busybox:2"}]})");
  const auto actions = decide(pod, state_of({container("a", ContainerState::running)}));
  REQUIRE(actions.containers_to_kill.size() == 1);
  CHECK(actions.containers_to_kill[0].message == "Container a definition changed, will be restarted");
  CHECK_FALSE(actions.kill_pod);
}

TEST_CASE("sidecars end last, in reverse order") {
  const auto pod = make_pod(R"({"initContainers":[{"name":"s1","image":"x","restartPolicy":"Always"},{"name":"s2","image":"x","restartPolicy":"Always"}],
                                "containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]})");
  const auto state = state_of({container("s1", ContainerState::running), container("s2", ContainerState::running),
                               container("a", ContainerState::running), container("b", ContainerState::exited)});
  const auto order = termination_order(pod_view(pod), state);
  REQUIRE(order.size() == 3);
  CHECK(order[0].size() == 1);
  CHECK(order[0][0]->name == "a");
  CHECK(order[1][0]->name == "s2");
  CHECK(order[2][0]->name == "s1");
}

TEST_CASE("back-off doubles up to its bound and is forgotten after a quiet time") {
  BackOff crashes{std::chrono::seconds(10), std::chrono::seconds(300)};
  SystemTime at{std::chrono::seconds{1000}};
  std::vector<long> seen;
  for (int i = 0; i < 7; ++i) {
    crashes.next("k", at);
    seen.push_back(crashes.delay("k").count());
  }
  CHECK(seen == std::vector<long>{10, 20, 40, 80, 160, 300, 300});
  CHECK(crashes.is_waiting("k", at, at + std::chrono::seconds(299)));
  CHECK_FALSE(crashes.is_waiting("k", at, at + std::chrono::seconds(300)));
  at += std::chrono::seconds(601);
  CHECK_FALSE(crashes.is_waiting("k", at, at));
  crashes.next("k", at);
  CHECK(crashes.delay("k") == std::chrono::seconds(10));
}

TEST_CASE("what ran before a host's restart is told from what never ran") {
  const auto pod = make_pod(kOne, R"({"containerStatuses":[{"name":"a","image":"busybox","imageID":"","containerID":"podman://a0","ready":true,"restartCount":0,
      "state":{"running":{"startedAt":"2023-11-14T22:13:20Z"}}}]})");
  auto state = state_of({container("a", ContainerState::created)});
  complete_from_status(pod_view(pod), state);
  CHECK(state.containers[0].state == ContainerState::exited);
  CHECK(state.containers[0].exit_code == 137);
  CHECK(state.containers[0].reason == "ContainerStatusUnknown");
  auto fresh = state_of({container("a", ContainerState::created, 0, 1)});
  complete_from_status(pod_view(pod), fresh);
  CHECK(fresh.containers[0].state == ContainerState::created);
}

TEST_CASE("a container that failed its liveness or startup probe is killed, and started again where its Pod restarts") {
  const auto state = state_of({container("a", ContainerState::running)});
  const auto spec = [](const std::string& policy, const std::string& more = "") {
    return make_pod(R"({"restartPolicy":")" + policy + R"(","containers":[{"name":"a","image":"busybox",)" + more +
                    R"("livenessProbe":{"terminationGracePeriodSeconds":7},"startupProbe":{}},{"name":"b","image":"busybox"}]})");
  };
  auto both = state;
  both.containers.push_back(container("b", ContainerState::running));
  for (const auto kind : {ProbeKind::liveness, ProbeKind::startup}) {
    ProbeResults probes;
    probes.set(kind, "a0", ProbeResult::failure);
    const auto decide_on = [&](const Document& pod) { return compute_pod_actions(pod_view(pod), both, {std::chrono::seconds(10), std::chrono::seconds(300)}, {}, kNow, probes); };
    const std::string word = kind == ProbeKind::liveness ? "liveness" : "startup";
    const auto always = decide_on(spec("Always"));
    REQUIRE(always.containers_to_kill.size() == 1);
    CHECK(always.containers_to_kill[0].message == "Container a failed " + word + " probe, will be restarted");
    CHECK(always.containers_to_kill[0].grace == (kind == ProbeKind::liveness ? std::optional(std::chrono::seconds(7)) : std::nullopt));
    CHECK(started(spec("Always"), always) == Names{"a"});
    const auto never = decide_on(spec("Never"));
    REQUIRE(never.containers_to_kill.size() == 1);
    CHECK(never.containers_to_kill[0].message == "Container a failed " + word + " probe");
    CHECK(never.containers_to_start.empty());
    CHECK_FALSE(never.kill_pod);
    CHECK(started(spec("Never"), decide_on(spec("Never", R"("restartPolicy":"Always",)"))) == Names{"a"});
  }
}

TEST_CASE("a Pod whose only container failed its probe for good ends as a whole") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox","livenessProbe":{}}]})");
  ProbeResults probes;
  probes.set(ProbeKind::liveness, "a0", ProbeResult::failure);
  const auto actions = compute_pod_actions(pod_view(pod), state_of({container("a", ContainerState::running)}), {std::chrono::seconds(10), std::chrono::seconds(300)}, {}, kNow, probes);
  CHECK(actions.kill_pod);
  CHECK_FALSE(actions.create_sandbox);
}

TEST_CASE("a container that was ended to be started again does not wait for its own end, but for the crash before") {
  const auto pod = make_pod(kOne);
  BackOff crashes(std::chrono::seconds(10), std::chrono::seconds(300));
  const auto state = state_of({container("a", ContainerState::exited, 137, 60), container("a", ContainerState::exited, 1, 0)});
  const SystemTime end{std::chrono::seconds{1'700'000'061}};
  crashes.next(back_off_key(pod_view(pod), "a"), end - std::chrono::seconds(60));
  CHECK(compute_pod_actions(pod_view(pod), state, crashes, {}, end).in_back_off.size() == 1);
  CHECK(started(pod, compute_pod_actions(pod_view(pod), state, crashes, {}, end, ProbeResults(), {"a60"})) == Names{"a"});
  const SystemTime soon{std::chrono::seconds{1'700'000'003}};
  CHECK(compute_pod_actions(pod_view(pod), state, crashes, {}, soon, ProbeResults(), {"a60"}).in_back_off.size() == 1);
}

TEST_CASE("a sidecar's startup probe holds back what follows, its liveness probe does not") {
  const auto pod = make_pod(R"({"restartPolicy":"Never","initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always","startupProbe":{},
      "livenessProbe":{}}],"containers":[{"name":"a","image":"busybox"}]})");
  const auto state = state_of({container("side", ContainerState::running)});
  ProbeResults probes;
  const auto decide_now = [&] { return compute_pod_actions(pod_view(pod), state, {std::chrono::seconds(10), std::chrono::seconds(300)}, {}, kNow, probes); };
  CHECK(decide_now().containers_to_start.empty());
  probes.set(ProbeKind::startup, "side0", ProbeResult::unknown);
  CHECK(decide_now().containers_to_start.empty());
  probes.set(ProbeKind::startup, "side0", ProbeResult::failure);
  REQUIRE(decide_now().containers_to_kill.size() == 1);
  CHECK(decide_now().containers_to_kill[0].message == "Init container side failed startup probe");
  CHECK(started(pod, decide_now()) == Names{"side"});
  probes.set(ProbeKind::startup, "side0", ProbeResult::success);
  CHECK(started(pod, decide_now()) == Names{"a"});
  probes.set(ProbeKind::liveness, "side0", ProbeResult::failure);
  CHECK(decide_now().containers_to_kill[0].message == "Init container side failed liveness probe");
  CHECK(started(pod, decide_now()) == Names{"side", "a"});
}
