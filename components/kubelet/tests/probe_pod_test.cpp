// Probes in the life of a Pod: what they do to its status, and to its containers.

#include "harness.h"
#include "probe_target.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

const auto on_loopback = [](KubeletOptions& options) { options.node_ip = "127.0.0.1"; };

std::string get_of(const HttpTarget& target, const std::string& path = "/") {
  return R"("httpGet":{"port":)" + std::to_string(target.port) + R"(,"path":")" + path + "\"}";
}
std::string probe(const std::string& kind, const std::string& rest) { return "\"" + kind + R"(Probe":{"periodSeconds":1,"timeoutSeconds":1,)" + rest + "}"; }
std::string one(const std::string& probes) { return R"([{"name":"a","image":"busybox",)" + probes + "}]"; }

std::string condition(Harness& harness, const std::string& name, std::string_view type) {
  for (const auto each : harness.status(name).conditions())
    if (each.type() == type) return std::string(each.status()) + (each.reason().empty() ? "" : " ") + std::string(each.reason());
  return {};
}

bool has_message(Harness& harness, const std::string& reason, const std::string& text) {
  for (const auto& event : harness.api.all("events")) {
    const core_v1::Event view(&event.root());
    if (view.reason() == reason && view.message().find(text) != std::string_view::npos) return true;
  }
  return false;
}

HttpTarget::Reply sick(const http::RequestHead&) { return {503, "", ""}; }
HttpTarget::Reply well(const http::RequestHead&) { return {}; }

// The container of that name runs since long before this kubelet.
void age(Harness& harness, const std::string& name) {
  harness.act([&] { harness.runtime.newest(name)->started_at_ns -= 3'600'000'000'000; });
}

}  // namespace

TEST_CASE("a readiness probe makes its Pod Ready, and the first one is asked as soon as the container runs") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  const auto began = std::chrono::steady_clock::now();
  harness.put_pod("web", "", one(R"("readinessProbe":{"periodSeconds":30,"timeoutSeconds":1,)" + get_of(target) + "}"));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
  harness.act([&] { CHECK(harness.status("web").containerStatuses()[0].ready()); });
}

TEST_CASE("a readiness probe that fails is in the API within milliseconds, and that of its container alone") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.put_pod("web", "", R"([{"name":"a","image":"busybox",)" + probe("readiness", R"("failureThreshold":1,)" + get_of(target)) + R"(},
      {"name":"b","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  std::chrono::steady_clock::time_point failed_at{};
  const StopsFirst guard(harness);
  harness.act([&] {
    target.answer = [&](const http::RequestHead&) {
      if (failed_at == std::chrono::steady_clock::time_point{}) failed_at = std::chrono::steady_clock::now();
      return HttpTarget::Reply{503, "", ""};
    };
  });
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "False ContainersNotReady"; }));
  CHECK(std::chrono::steady_clock::now() - failed_at < std::chrono::milliseconds(500));  // a loaded machine's milliseconds
  harness.act([&] {
    CHECK(condition(harness, "web", "ContainersReady") == "False ContainersNotReady");
    CHECK_FALSE(harness.status("web").containerStatuses()[0].ready());
    CHECK(harness.status("web").containerStatuses()[0].started());
    CHECK(harness.status("web").containerStatuses()[1].ready());
  });
  CHECK(harness.eventually([&] { return has_message(harness, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"); }));
  harness.act([&] { target.answer = well; });
  CHECK(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  CHECK(harness.calls_of("start a") == 1);
}

TEST_CASE("readiness is told while a postStart hook holds the worker") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  AsyncEvent release(harness.thread.executor());
  bool is_held = false;
  const StopsFirst guard(harness);
  harness.runtime.on_exec = [&](std::string, std::vector<std::string>, std::chrono::milliseconds) -> Task<Result<engine::ExecOutput>> {
    is_held = true;
    co_await release.wait();
    co_return engine::ExecOutput{};
  };
  harness.put_pod("web", R"("initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always",)" +
                             probe("readiness", R"("failureThreshold":1,)" + get_of(target)) + "}],",
                  one(R"("lifecycle":{"postStart":{"exec":{"command":["wait"]}}})"));
  const auto side_is_ready = [&] {
    const auto list = harness.status("web").initContainerStatuses();
    return list.size() == 1 && list[0].ready();
  };
  REQUIRE(harness.eventually([&] { return is_held && side_is_ready(); }));
  harness.act([&] { target.answer = sick; });
  CHECK(harness.eventually([&] { return !side_is_ready(); }));
  harness.act([&] {
    CHECK(harness.phase("web") == "Pending");  // the hooked one is not told yet
    release.set();
  });
  CHECK(harness.eventually([&] { return harness.phase("web") == "Running"; }));
}

TEST_CASE("a container that fails its liveness probe is killed with the probe's grace and started again at once") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.put_pod("web", R"("terminationGracePeriodSeconds":20,)",
                  one(probe("liveness", R"("failureThreshold":2,"terminationGracePeriodSeconds":7,)" + get_of(target))));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running" && !target.requests.empty(); }));
  harness.act([&] { target.answer = sick; });
  REQUIRE(harness.eventually([&] { return harness.was_called("stop a 7"); }));
  harness.act([&] { target.answer = well; });
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    return list[0].restartCount() == 1 && list[0].ready();
  }));
  CHECK(harness.eventually([&] { return has_message(harness, "Killing", "Container a failed liveness probe, will be restarted"); }));
  CHECK(harness.eventually([&] { return has_message(harness, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 503"); }));
  // The second time, too: the back-off counts from the end before.
  harness.act([&] { harness.runtime.newest("a")->started_at_ns -= 60'000'000'000; });
  harness.act([&] {
    for (auto& [id, container] : harness.runtime.containers)
      if (container.attempt == 0) container.finished_at_ns -= 60'000'000'000;
    target.answer = sick;
  });
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.was_called("create a/2"); }));
}

TEST_CASE("a deletion that a probe's status write meets first is not missed") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  bool is_conflict_read = false;
  const StopsFirst guard(harness);
  harness.put_pod("web", "", one(probe("readiness", R"("failureThreshold":1,)" + get_of(target))));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  // Its watch event comes late: the write of what the probe found has to fetch the Pod before.
  harness.act([&] {
    harness.front.before_get = [&](client::Resource resource, std::string) -> Task<Result<void>> {
      if (resource.resource == "pods") is_conflict_read = true;
      co_return Result<void>{};
    };
    harness.api.delays_events = true;
    target.answer = sick;
    harness.api.delete_pod("web", 3);
  });
  CHECK(harness.eventually([&] { return harness.was_called("stop a 3"); }));
  harness.act([&] {
    CHECK(is_conflict_read);
    harness.api.delays_events = false;
  });
  harness.put_pod("other", "", R"([{"name":"z","image":"busybox"}])");  // its event brings those before it
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a liveness probe ends a container for good whose Pod never restarts") {
  Harness harness(on_loopback);
  harness.runtime.on_exec = [&](std::string, std::vector<std::string>, std::chrono::milliseconds) -> Task<Result<engine::ExecOutput>> {
    co_return engine::ExecOutput{"", "it is dead", 1};
  };
  harness.put_pod("job", R"("restartPolicy":"Never",)", R"([{"name":"a","image":"busybox",)" + probe("liveness", R"("failureThreshold":1,"exec":{"command":["live"]})") + R"(},
      {"name":"b","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return !harness.runtime.newest("a") ? false : harness.runtime.newest("a")->state == ContainerState::exited; }));
  CHECK(harness.eventually([&] {
    const auto list = harness.status("job").containerStatuses();
    return list[0].state().terminated() && list[1].state().running();
  }));
  CHECK(harness.eventually([&] { return has_message(harness, "Killing", "Container a failed liveness probe"); }));
  harness.act([&] { CHECK_FALSE(has_message(harness, "Killing", "will be restarted")); });
  CHECK(harness.eventually([&] { return has_message(harness, "Unhealthy", "Liveness probe failed: it is dead"); }));
  CHECK(harness.calls_of("create a/0") == 1);
}

TEST_CASE("a startup probe holds back the others, and kills what does not start") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.act([&] {
    target.answer = [](const http::RequestHead& head) { return head.target == "/startup" ? HttpTarget::Reply{500, "", ""} : HttpTarget::Reply{}; };
  });
  harness.put_pod("web", "", one(probe("startup", R"("failureThreshold":2,)" + get_of(target, "/startup")) + "," +
                                 R"("readinessProbe":{"periodSeconds":60,"timeoutSeconds":1,)" + get_of(target, "/ready") + "}"));
  REQUIRE(harness.eventually([&] { return harness.runtime.is_running("a") && !target.requests.empty(); }));
  harness.act([&] {
    CHECK_FALSE(harness.status("web").containerStatuses()[0].started());
    CHECK_FALSE(harness.status("web").containerStatuses()[0].ready());
  });
  REQUIRE(harness.eventually([&] { return has_message(harness, "Killing", "Container a failed startup probe, will be restarted"); }));
  harness.act([&] {
    CHECK(std::none_of(target.requests.begin(), target.requests.end(), [](const auto& head) { return head.target == "/ready"; }));
    target.answer = well;
  });
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));  // long before the readiness probe's period
  harness.act([&] { CHECK(harness.status("web").containerStatuses()[0].started()); });
}

TEST_CASE("what comes after a sidecar waits for its startup probe") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.act([&] { target.answer = sick; });
  harness.put_pod("web", R"("initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always",)" +
                             probe("startup", R"("failureThreshold":30,)" + get_of(target)) + "}],");
  REQUIRE(harness.eventually([&] { return harness.runtime.is_running("side") && target.requests.size() >= 2; }));
  harness.act([&] {
    CHECK_FALSE(harness.runtime.newest("a"));
    CHECK(harness.phase("web") == "Pending");
    CHECK(condition(harness, "web", "Initialized") == "False ContainersNotInitialized");
    target.answer = well;
  });
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    CHECK(harness.status("web").initContainerStatuses()[0].started());
    CHECK(condition(harness, "web", "Initialized") == "True");
  });
}

TEST_CASE("a sidecar that is not ready keeps its Pod from being Ready, and one that fails its liveness probe starts again") {
  Harness harness(on_loopback);
  HttpTarget ready(harness.thread), alive(harness.thread);
  harness.act([&] { ready.answer = sick; });
  harness.put_pod("web", R"("initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always",)" + probe("readiness", get_of(ready)) + "," +
                             probe("liveness", R"("failureThreshold":1,)" + get_of(alive)) + "}],");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running" && condition(harness, "web", "Ready") == "False ContainersNotReady"; }));
  harness.act([&] { ready.answer = well; });
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  harness.act([&] {
    alive.answer = [&](const http::RequestHead&) {
      alive.answer = well;
      return HttpTarget::Reply{500, "", ""};
    };
  });
  REQUIRE(harness.eventually([&] { return harness.was_called("create side/1"); }));
  CHECK(harness.eventually([&] { return has_message(harness, "Killing", "Init container side failed liveness probe"); }));
  CHECK(harness.calls_of("create a/0") == 1);
  CHECK(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
}

TEST_CASE("a readiness gate holds back Ready, not ContainersReady") {
  Harness harness(on_loopback);
  harness.put_pod("web", R"("readinessGates":[{"conditionType":"example.com/gate"}],)");
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "ContainersReady") == "True"; }));
  harness.act([&] { CHECK(condition(harness, "web", "Ready") == "False ReadinessGatesNotReady"); });
  harness.run([](Harness& harness) -> Task<> {
    const Document before = harness.api.find("pods", "default", "web");
    client::ObjectBuilder builder(before);
    auto& status = apimachinery::ensure(builder.arena(), builder.root(), core_v1::Pod::f_status);
    auto& list = apimachinery::ensure(builder.arena(), status, core_v1::PodStatus::f_conditions, apimachinery::ValueKind::list);
    auto& gate = apimachinery::append_structure(builder.arena(), list);
    apimachinery::set_string(builder.arena(), gate, core_v1::PodCondition::f_type, "example.com/gate");
    apimachinery::set_string(builder.arena(), gate, core_v1::PodCondition::f_status, "True");
    auto written = co_await harness.api.update({"", "v1", "pods"}, "default", "web", "status", builder.freeze(), {});
    REQUIRE(written);
  }(harness));
  CHECK(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  harness.act([&] { CHECK(condition(harness, "web", "example.com/gate") == "True"); });
}

TEST_CASE("a restarted kubelet keeps a Pod Ready until its probe says otherwise") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.put_pod("web", "", one(probe("readiness", R"("failureThreshold":1,)" + get_of(target)) + "," + probe("startup", get_of(target, "/startup"))));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  age(harness, "a");
  harness.stop();
  harness.act([&] {
    target.requests.clear();
    target.is_silent = true;
  });
  bool was_unready = false;
  harness.start();
  REQUIRE(harness.eventually([&] {
    was_unready = was_unready || condition(harness, "web", "Ready") != "True";
    return !target.requests.empty();
  }));
  CHECK_FALSE(was_unready);
  CHECK(harness.eventually([&] { return condition(harness, "web", "Ready") == "False ContainersNotReady"; }));  // its time was over
  harness.act([&] {
    CHECK(harness.status("web").containerStatuses()[0].started());
    CHECK(std::none_of(target.requests.begin(), target.requests.end(), [](const auto& head) { return head.target == "/startup"; }));
  });
}

TEST_CASE("a Pod that is being ended is ready as long as its probe says so, and is not killed by its liveness") {
  Harness harness(on_loopback);
  HttpTarget ready(harness.thread), alive(harness.thread);
  harness.put_pod("web", "", one(probe("readiness", R"("failureThreshold":1,)" + get_of(ready)) + "," + probe("liveness", R"("failureThreshold":1,)" + get_of(alive))));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True" && !alive.requests.empty(); }));
  std::size_t asked = 0;
  harness.act([&] {
    harness.runtime.ignores_stop_signal = true;
    alive.answer = sick;
    alive.requests.clear();
    asked = ready.requests.size();
    harness.api.delete_pod("web", 5);
  });
  REQUIRE(harness.eventually([&] { return ready.requests.size() >= asked + 2; }));
  harness.act([&] {
    CHECK(condition(harness, "web", "Ready") == "True");
    ready.answer = sick;
  });
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "False ContainersNotReady"; }));
  CHECK(harness.runtime.is_running("a"));
  CHECK(alive.requests.size() <= 1);
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  CHECK(harness.calls_of("stop a 5") == 1);
  harness.act([&] { CHECK_FALSE(has_message(harness, "Killing", "liveness")); });
}

TEST_CASE("a warning of a probe is told, and counts as a success") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.act([&] { target.answer = [](const http::RequestHead&) { return HttpTarget::Reply{302, "elsewhere", "http://example.invalid/"}; }; });
  harness.put_pod("web", "", one(probe("readiness", get_of(target))));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  CHECK(harness.eventually([&] {
    return harness.event_message("ProbeWarning") == "Readiness probe warning: Probe terminated redirects, Response body: elsewhere";
  }));
}

TEST_CASE("a probe that cannot be made is told, and changes nothing") {
  Harness harness(on_loopback);
  bool is_broken = false;
  const StopsFirst guard(harness);
  harness.runtime.on_exec = [&](std::string, std::vector<std::string>, std::chrono::milliseconds) -> Task<Result<engine::ExecOutput>> {
    if (is_broken) co_return internal_error("no such container");
    co_return engine::ExecOutput{};
  };
  harness.put_pod("web", "", one(probe("readiness", R"("failureThreshold":1,"exec":{"command":["ready"]})")));
  REQUIRE(harness.eventually([&] { return condition(harness, "web", "Ready") == "True"; }));
  harness.act([&] { is_broken = true; });
  REQUIRE(harness.eventually([&] { return harness.event_message("Unhealthy") == "Readiness probe errored and resulted in unknown state: no such container"; }));
  harness.act([&] { CHECK(condition(harness, "web", "Ready") == "True"); });
}

TEST_CASE("many probes at once take no thread of their own") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator{}); };
  const auto before = threads();
  for (int i = 0; i < 100; ++i)
    harness.put_pod("web" + std::to_string(i), "", R"([{"name":"c)" + std::to_string(i) + R"(","image":"busybox",)" + probe("readiness", get_of(target)) + "," +
                                                       probe("liveness", get_of(target)) + "}]");
  REQUIRE(harness.eventually(
      [&] {
        for (int i = 0; i < 100; ++i)
          if (condition(harness, "web" + std::to_string(i), "Ready") != "True") return false;
        return target.requests.size() >= 300;
      },
      std::chrono::seconds(60)));
  CHECK(threads() <= before);
}
