// A Pod's worker when things go wrong under it: starts that fail, sandboxes that are lost, ends that take their time.

#include <fstream>

#include "harness.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

std::string ready_reason(Harness& harness, const std::string& name) {
  for (const auto condition : harness.status(name).conditions())
    if (condition.type() == "Ready") return std::string(condition.reason());
  return {};
}

void lose_sandbox(Harness& harness, const std::string& pod) {
  harness.act([&] {
    for (auto& [id, sandbox] : harness.runtime.sandboxes)
      if (sandbox.name == pod) sandbox.state = engine::SandboxState::not_ready;
  });
  harness.touch(pod);
}

const char* kTwo = R"([{"name":"a","image":"busybox"},{"name":"b","image":"busybox"}])";

}  // namespace

TEST_CASE("a Pod may change while a container of it is being prepared") {
  Harness harness;
  AsyncEvent release(harness.thread.executor());
  bool is_held = false;
  harness.front.before_get = [&](client::Resource resource, std::string) -> Task<Result<void>> {
    if (resource.resource != "secrets") co_return Result<void>{};
    is_held = true;
    co_await release.wait();
    co_return Result<void>{};
  };
  const std::string long_name(60, 'c');
  harness.act([&] { harness.api.put("secrets", R"({"metadata":{"name":"s","namespace":"default"},"data":{"K":"dg=="}})"); });
  harness.put_pod("web", "", R"([{"name":")" + long_name + R"(","image":"busybox","envFrom":[{"secretRef":{"name":"s"}}],"env":[{"name":"E","value":"f"}]}])");
  REQUIRE(harness.eventually([&] { return is_held; }));
  harness.touch("web");
  // Changes are told in order: once this one runs, that one is known.
  harness.put_pod("later", "");
  REQUIRE(harness.eventually([&] { return harness.phase("later") == "Running"; }));
  harness.act([&] {
    harness.last = {};
    release.set();
  });
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  const auto& environment = harness.runtime.configs[harness.runtime.newest(long_name)->id].env;
  for (const auto& wanted : {std::pair<std::string, std::string>("K", "v"), std::pair<std::string, std::string>("E", "f")})
    CHECK(std::find(environment.begin(), environment.end(), wanted) != environment.end());
  harness.stop();
}

TEST_CASE("containers that cannot be started are tried later and later and do not pile up") {
  ManualClock clock(std::chrono::system_clock::now());
  Harness harness([&](KubeletOptions& options) { options.clock = &clock; });
  const Status trouble{500, "InternalError", "the engine is out of sorts"};
  const auto attempt = [&](int number) { return "create a/" + std::to_string(number); };
  harness.act([&] { harness.runtime.unstarted["a"] = trouble; });
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "RunContainerError"; }));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.was_called(attempt(1)); }));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "CrashLoopBackOff"; }));
  CHECK_FALSE(harness.was_called(attempt(2)));
  clock.advance(std::chrono::seconds(11));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.was_called(attempt(2)); }));
  CHECK(harness.eventually([&] { return harness.runtime.containers.size() == 1; }));

  // One that ran stays, for its log, however many fail after it.
  harness.act([&] { harness.runtime.unstarted.clear(); });
  clock.advance(std::chrono::seconds(21));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    harness.runtime.unstarted["a"] = trouble;
    harness.runtime.end_container("a", 9);
  });
  for (const int number : {4, 5, 6}) {
    clock.advance(std::chrono::seconds(301));
    harness.touch("web");
    REQUIRE(harness.eventually([&] { return harness.was_called(attempt(number)); }));
  }
  REQUIRE(harness.eventually([&] { return harness.runtime.containers.size() == 2; }));
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    return list[0].restartCount() == 6 && list[0].lastState().terminated().exitCode() == 9;
  }));
}

TEST_CASE("a container that cannot be made backs off and says why") {
  ManualClock clock(std::chrono::system_clock::now());
  Harness harness([&](KubeletOptions& options) { options.clock = &clock; });
  harness.act([&] { harness.runtime.create_errors["a"] = Status{500, "InternalError", "no room"}; });
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "CreateContainerError"; }));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.calls_of("create a/0") == 2; }));
  harness.touch("web");
  harness.put_pod("later", "", R"([{"name":"b","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return harness.phase("later") == "Running"; }));
  CHECK(harness.calls_of("create a/0") == 2);
  CHECK(harness.waiting_reason("web") == "CreateContainerError");
  harness.act([&] { harness.runtime.create_errors.clear(); });
  clock.advance(std::chrono::seconds(11));
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
}

TEST_CASE("a Pod that runs once and lost its sandbox during its initialization begins again") {
  Harness harness;
  harness.act([&] {
    harness.runtime.exits_at_once = {{"prepare", 0}};
    harness.runtime.create_errors["a"] = Status{500, "InternalError", "no room"};
  });
  harness.put_pod("job", R"("restartPolicy":"Never","initContainers":[{"name":"prepare","image":"busybox"}],)");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("job") == "CreateContainerError"; }));
  harness.act([&] { harness.runtime.create_errors.clear(); });
  lose_sandbox(harness, "job");
  REQUIRE(harness.eventually([&] { return harness.phase("job") == "Running"; }));
  CHECK(harness.was_called("sandbox job/1"));
  CHECK(harness.calls_of("start prepare") == 2);
}

TEST_CASE("a Pod that can neither run on nor end leaves the node in peace") {
  Harness harness;
  harness.act([&] { harness.runtime.exits_at_once = {{"a", 0}}; });
  harness.put_pod("half", R"("restartPolicy":"Never",)",
                  R"([{"name":"a","image":"busybox"},{"name":"b","image":"reg.invalid/b:1","imagePullPolicy":"Never"}])");
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("half").containerStatuses();
    return list.size() == 2 && list[0].state().terminated() && list[1].state().waiting().reason() == "ErrImageNeverPull";
  }));
  lose_sandbox(harness, "half");
  std::string uid;
  harness.act([&] { uid = client::uid_of(harness.api.find("pods", "default", "half")); });
  const int before = harness.runtime.looks[uid];
  harness.put_pod("slow", R"("activeDeadlineSeconds":2,)", R"([{"name":"c","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return harness.phase("slow") == "Failed"; }));
  CHECK(harness.runtime.looks[uid] - before < 10);
  CHECK_FALSE(harness.was_called("sandbox half/1"));
}

TEST_CASE("a Pod past its deadline is Failed only when its containers have ended") {
  Harness harness;
  harness.act([&] { harness.runtime.ignores_stop_signal = true; });
  harness.put_pod("slow", R"("activeDeadlineSeconds":1,"terminationGracePeriodSeconds":3,)");
  REQUIRE(harness.eventually([&] { return ready_reason(harness, "slow") == "PodFailed"; }));
  harness.act([&] {
    CHECK(harness.runtime.is_running("a"));
    CHECK(harness.phase("slow") == "Running");
    CHECK(harness.status("slow").reason().empty());
  });
  bool was_running = true;
  REQUIRE(harness.eventually([&] {
    was_running = harness.runtime.is_running("a");
    return harness.phase("slow") == "Failed";
  }));
  CHECK_FALSE(was_running);
  harness.act([&] { CHECK(harness.status("slow").reason() == "DeadlineExceeded"); });
}

TEST_CASE("a failed initialization ends the sidecar before the Pod is Failed") {
  Harness harness;
  harness.act([&] {
    harness.runtime.ignores_stop_signal = true;
    harness.runtime.exits_at_once = {{"prepare", 1}};
  });
  harness.put_pod("job", R"("restartPolicy":"Never","terminationGracePeriodSeconds":2,"initContainers":[
      {"name":"side","image":"busybox","restartPolicy":"Always"},{"name":"prepare","image":"busybox"}],)");
  REQUIRE(harness.eventually([&] { return harness.was_called("stop side 2"); }));
  harness.act([&] { CHECK(harness.phase("job") == "Pending"); });
  bool was_running = true;
  REQUIRE(harness.eventually([&] {
    was_running = harness.runtime.is_running("side");
    return harness.phase("job") == "Failed";
  }));
  CHECK_FALSE(was_running);
  CHECK(harness.calls_of("start side") == 1);
  CHECK_FALSE(harness.runtime.newest("a"));
}

TEST_CASE("containers of a lost sandbox are stopped together, and a deletion is heard meanwhile") {
  Harness harness;
  harness.put_pod("web", R"("terminationGracePeriodSeconds":600,)", kTwo);
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.runtime.ignores_stop_signal = true; });
  lose_sandbox(harness, "web");
  REQUIRE(harness.eventually([&] { return harness.was_called("stop a 600") && harness.was_called("stop b 600"); }));
  CHECK(harness.runtime.is_running("a"));
  CHECK(harness.runtime.is_running("b"));
  CHECK(harness.eventually([&] { return harness.has_event("Killing") && harness.has_event("SandboxChanged"); }));
  harness.act([&] { harness.api.delete_pod("web", 1); });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a lost sandbox is made again once its containers have ended") {
  Harness harness;
  harness.put_pod("web", "", kTwo);
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  lose_sandbox(harness, "web");
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    return list.size() == 2 && list[0].restartCount() == 1 && list[0].ready() && list[1].restartCount() == 1 && list[1].ready();
  }));
  CHECK(harness.calls_of("stop a 30") == 1);
  CHECK(harness.calls_of("stop b 30") == 1);
  CHECK(harness.calls_of("sandbox web/1") == 1);
}

TEST_CASE("a pull secret that cannot be read fails one attempt, one that is missing is only told") {
  Harness harness;
  bool is_broken = true;
  harness.front.before_get = [&](client::Resource, std::string name) -> Task<Result<void>> {
    if (name == "broken" && is_broken) co_return Status{503, "ServiceUnavailable", "not now"};
    co_return Result<void>{};
  };
  harness.put_pod("broken", R"("imagePullSecrets":[{"name":"broken"}],)", R"([{"name":"a","image":"reg.invalid/a:1"}])");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("broken") == "ErrImagePull"; }));
  CHECK_FALSE(harness.was_called("pull reg.invalid/a:1"));
  harness.act([&] {
    is_broken = false;
    harness.api.put("secrets", R"({"metadata":{"name":"broken","namespace":"default"},"type":"kubernetes.io/dockerconfigjson","data":{}})");
  });
  harness.touch("broken");
  REQUIRE(harness.eventually([&] { return harness.phase("broken") == "Running"; }));
  harness.act([&] { CHECK_FALSE(harness.has_event("FailedToRetrieveImagePullSecret")); });

  harness.put_pod("missing", R"("imagePullSecrets":[{"name":""},{"name":"gone"},{"name":"broken"},{"name":"lost"}],)",
                  R"([{"name":"b","image":"reg.invalid/b:1"}])");
  REQUIRE(harness.eventually([&] { return harness.phase("missing") == "Running"; }));
  REQUIRE(harness.eventually([&] { return harness.has_event("FailedToRetrieveImagePullSecret"); }));
  harness.act([&] {
    CHECK(harness.event_message("FailedToRetrieveImagePullSecret") ==
          "Unable to retrieve some image pull secrets (gone, lost); attempting to pull the image may not succeed.");
  });
  harness.stop();
}

TEST_CASE("the message of an ended container outlives a late event and a restart of the kubelet") {
  Harness harness;
  harness.put_pod("job", R"("restartPolicy":"Never","volumes":[{"name":"v","emptyDir":{}}],)",
                  R"([{"name":"a","image":"busybox","terminationMessagePath":"/words","volumeMounts":[{"name":"v","mountPath":"/v"}]}])");
  REQUIRE(harness.eventually([&] { return harness.phase("job") == "Running"; }));
  std::string id, volume;
  harness.act([&] {
    id = harness.runtime.newest("a")->id;
    for (const auto& mount : harness.runtime.configs[id].mounts) {
      if (mount.container_path == "/words") std::ofstream(mount.host_path) << "done well";
      if (mount.container_path == "/v") volume = mount.host_path;
    }
    harness.runtime.end_container("a", 0);
  });
  const auto message = [&] { return std::string(harness.status("job").containerStatuses()[0].state().terminated().message()); };
  REQUIRE(harness.eventually([&] { return harness.phase("job") == "Succeeded" && !std::filesystem::exists(volume); }));
  harness.act([&] { CHECK(message() == "done well"); });

  std::string uid;
  harness.act([&] { uid = client::uid_of(harness.last); });
  const auto looked_after = [&](const std::function<void()>& change) {
    int before = 0;
    harness.act([&] { before = harness.runtime.looks[uid]; });
    change();
    return harness.eventually([&] { return harness.runtime.looks[uid] > before; });
  };
  REQUIRE(looked_after([&] { harness.act([&] { harness.runtime.tell(engine::RuntimeEvent::Kind::died, id); }); }));
  REQUIRE(looked_after([&] { harness.touch("job"); }));
  harness.act([&] { CHECK(message() == "done well"); });
  REQUIRE(looked_after([&] {
    harness.stop();
    harness.start();
  }));
  REQUIRE(looked_after([&] { harness.touch("job"); }));
  harness.act([&] {
    CHECK(message() == "done well");
    harness.api.delete_pod("job", 1);
  });
  CHECK(harness.eventually([&] { return std::filesystem::is_empty(harness.options.root_dir + "/pods"); }));
}
