// A probe's decisions without its I/O: when it asks, and what the answers add up to.

#include "kubelet/probe/container_probe.h"

#include "kubelet/probe/pod_probes.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;
using Turn = ContainerProbe::Turn;

namespace {

const SystemTime kStart{std::chrono::seconds{1'700'000'000}};  // when objects.h starts containers
const std::string kHandler = R"("tcpSocket":{"port":80})";

std::string spec(const std::string& probes, const std::string& more = "") {
  return R"({"restartPolicy":"Always",)" + more + R"("containers":[{"name":"a","image":"busybox",)" + probes + "}]}";
}
std::string readiness(const std::string& more = "") { return R"("readinessProbe":{)" + kHandler + more + "}"; }
std::string liveness(const std::string& more = "") { return R"("livenessProbe":{)" + kHandler + more + "}"; }
std::string startup(const std::string& more = "") { return R"("startupProbe":{)" + kHandler + more + "}"; }

// One probe of container `a`.
struct Scene {
  Scene(ProbeKind kind, Document pod, SystemTime kubelet_start = kStart) : pod(std::move(pod)), results(kubelet_start), probe(kind, {false, 0}) {
    results.add_probe(kind, "a");
  }
  Turn next(const engine::ContainerStatus* container) {
    const auto view = pod_view(pod);
    const auto facts = container ? facts_of(view, *container) : ContainerFacts{};
    return probe.next({view, container, facts.was_started, facts.was_ready, now}, results, is_changed);
  }
  Turn next() { return next(&running); }
  bool take(bool is_success) { return probe.take(probe_of(container_of(pod_view(pod), {false, 0}), probe.kind()), is_success, results); }
  std::optional<ProbeResult> result() { return results.get(probe.kind(), running.id); }
  bool is_ready() { return results.is_ready(facts_of(pod_view(pod), running)); }
  bool is_started() { return results.is_started(facts_of(pod_view(pod), running)); }

  Document pod;
  ProbeResults results;
  ContainerProbe probe;
  engine::ContainerStatus running = container("a", ContainerState::running);
  SystemTime now = kStart + std::chrono::seconds(5);
  bool is_changed = false;
};

}  // namespace

TEST_CASE("before its first answer a container is alive, not ready and not started") {
  Scene alive(ProbeKind::liveness, make_pod(spec(liveness())));
  CHECK(alive.next() == Turn::probe);
  CHECK(alive.result() == ProbeResult::success);
  Scene ready(ProbeKind::readiness, make_pod(spec(readiness())));
  CHECK(ready.next() == Turn::probe);
  CHECK(ready.is_changed);
  CHECK(ready.result() == ProbeResult::failure);
  CHECK_FALSE(ready.is_ready());
  CHECK(ready.next() == Turn::probe);
  CHECK_FALSE(ready.is_changed);
  Scene started(ProbeKind::startup, make_pod(spec(startup())));
  CHECK(started.next() == Turn::probe);
  CHECK(started.result() == ProbeResult::unknown);
  CHECK_FALSE(started.is_started());
}

TEST_CASE("an answer counts once it came as often in a row as its threshold says") {
  Scene scene(ProbeKind::readiness, make_pod(spec(readiness(R"(,"successThreshold":2,"failureThreshold":3)"))));
  scene.next();
  CHECK_FALSE(scene.take(true));
  CHECK_FALSE(scene.take(false));
  CHECK_FALSE(scene.take(true));
  CHECK_FALSE(scene.is_ready());
  CHECK(scene.take(true));
  CHECK(scene.is_ready());
  CHECK_FALSE(scene.take(true));  // no news
  CHECK_FALSE(scene.take(false));
  CHECK_FALSE(scene.take(false));
  CHECK(scene.is_ready());
  CHECK(scene.take(false));
  CHECK_FALSE(scene.is_ready());
}

TEST_CASE("nothing is asked within the initial delay, nor of what does not run") {
  Scene scene(ProbeKind::readiness, make_pod(spec(readiness(R"(,"initialDelaySeconds":5)"))));
  scene.now = kStart + std::chrono::milliseconds(4999);
  CHECK(scene.next() == Turn::wait);
  scene.now = kStart + std::chrono::milliseconds(5000);
  CHECK(scene.next() == Turn::probe);
  scene.take(true);
  CHECK(scene.next(nullptr) == Turn::wait);
  auto ended = container("a", ContainerState::exited, 1);
  CHECK(scene.next(&ended) == Turn::wait);
  CHECK(scene.is_changed);
  CHECK(scene.result() == ProbeResult::failure);
}

TEST_CASE("a probe ends with a container that is not started again, and with its Pod") {
  Scene never(ProbeKind::readiness, make_pod(R"({"restartPolicy":"Never","containers":[{"name":"a","image":"busybox",)" + readiness() + "}]}"));
  auto ended = container("a", ContainerState::exited, 1);
  CHECK(never.next(&ended) == Turn::end);
  Scene done(ProbeKind::readiness, make_pod(spec(readiness()), R"({"phase":"Failed"})"));
  CHECK(done.next() == Turn::end);
}

TEST_CASE("the others wait for the startup probe, which asks no more once the container has started") {
  Scene scene(ProbeKind::startup, make_pod(spec(startup(R"(,"failureThreshold":2)") + "," + liveness())));
  ContainerProbe live(ProbeKind::liveness, {false, 0});
  bool ignored = false;
  const auto turn = [&] { return live.next({pod_view(scene.pod), &scene.running, false, false, scene.now}, scene.results, ignored); };
  CHECK(scene.next() == Turn::probe);
  CHECK(turn() == Turn::wait);
  CHECK_FALSE(scene.take(false));
  CHECK(scene.take(true));
  CHECK(scene.is_started());
  CHECK(scene.next() == Turn::wait);
  CHECK(turn() == Turn::probe);
}

TEST_CASE("a startup probe that failed for good, and a liveness probe too, wait for another container") {
  for (const auto kind : {ProbeKind::startup, ProbeKind::liveness}) {
    Scene scene(kind, make_pod(spec((kind == ProbeKind::startup ? startup(R"(,"failureThreshold":2)") : liveness(R"(,"failureThreshold":2)")))));
    CHECK(scene.next() == Turn::probe);
    CHECK_FALSE(scene.take(false));
    CHECK(scene.next() == Turn::probe);
    CHECK(scene.take(false));
    CHECK(scene.next() == Turn::wait);
    auto other = container("a", ContainerState::running, 0, 1);
    CHECK(scene.next(&other) == Turn::probe);
    CHECK_FALSE(scene.result());  // what was known of the one before is forgotten
    CHECK_FALSE(scene.take(false));
  }
}

TEST_CASE("a Pod that is being deleted is probed for readiness only") {
  const auto deleted = [](const std::string& probes) {
    return make_pod(spec(probes), "{}", R"(,"deletionTimestamp":"2024-01-01T00:00:00Z")");
  };
  Scene live(ProbeKind::liveness, deleted(liveness()));
  CHECK(live.next() == Turn::end);
  CHECK(live.result() == ProbeResult::success);
  Scene ready(ProbeKind::readiness, deleted(readiness()));
  CHECK(ready.next() == Turn::probe);
}

TEST_CASE("after a kubelet's restart a container is as ready as its status says until a probe answers") {
  const auto later = kStart + std::chrono::minutes(5);
  const auto status = [](const char* is_ready) {
    return std::string(R"({"containerStatuses":[{"name":"a","containerID":"fake://a0","started":true}],"conditions":[{"type":"Ready","status":")") +
           is_ready + R"("}]})";
  };
  for (const bool was_ready : {true, false}) {
    Scene scene(ProbeKind::readiness, make_pod(spec(readiness(R"(,"failureThreshold":1)")), status(was_ready ? "True" : "False")), later);
    scene.now = later;
    CHECK(scene.next() == Turn::probe);
    CHECK_FALSE(scene.is_changed);
    CHECK_FALSE(scene.result());
    CHECK(scene.is_ready() == was_ready);
    CHECK(scene.take(false));
    CHECK_FALSE(scene.is_ready());
  }
  Scene started(ProbeKind::startup, make_pod(spec(startup()), status("True")), later);
  CHECK(started.next() == Turn::wait);
  CHECK(started.is_started());
  // One that began within the last seconds is a new one, unless status calls it ready by its id.
  Scene young(ProbeKind::readiness, make_pod(spec(readiness()), status("True")), kStart + std::chrono::seconds(9));
  young.next();
  CHECK_FALSE(young.is_ready());
  const std::string known = R"({"containerStatuses":[{"name":"a","containerID":"fake://a0","started":true,"ready":true}]})";
  Scene seen(ProbeKind::readiness, make_pod(spec(readiness()), known), kStart + std::chrono::seconds(9));
  CHECK(seen.next() == Turn::probe);
  CHECK(seen.is_ready());
  Scene begun(ProbeKind::startup, make_pod(spec(startup()), known), kStart + std::chrono::seconds(9));
  CHECK(begun.next() == Turn::wait);
  CHECK(begun.is_started());
}

TEST_CASE("a sidecar that had started is known as started after a kubelet's restart") {
  const auto pod = make_pod(R"({"initContainers":[{"name":"a","image":"busybox","restartPolicy":"Always",)" + startup() + R"(}],"containers":[]})",
                            R"({"initContainerStatuses":[{"name":"a","containerID":"fake://a0","started":true}]})");
  ProbeResults results(kStart + std::chrono::minutes(5));
  ContainerProbe probe(ProbeKind::startup, {true, 0});
  const auto running = container("a", ContainerState::running);
  bool is_changed = false;
  CHECK(probe.next({pod_view(pod), &running, true, false, kStart + std::chrono::minutes(5)}, results, is_changed) == Turn::wait);
  CHECK(results.get(ProbeKind::startup, "a0") == ProbeResult::success);
}
