// The whole kubelet over a runtime and an API in memory.

#include "harness.h"

#include "apimachinery/api/coordination_v1.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

TEST_CASE("a kubelet registers its node and keeps its lease") {
  Harness harness;
  REQUIRE(harness.eventually([&] { return bool(harness.api.find("nodes", "", "n1")); }));
  REQUIRE(harness.eventually([&] { return bool(harness.api.find("leases", "kube-node-lease", "n1")); }));
  harness.act([&] {
    const auto lease = harness.api.find("leases", "kube-node-lease", "n1");
    const apimachinery::coordination_v1::Lease view(&lease.root());
    CHECK(view.spec().holderIdentity() == "n1");
    CHECK(view.spec().leaseDurationSeconds() == 40);
    CHECK(view.metadata().ownerReferences()[0].kind() == "Node");
  });
}

TEST_CASE("a Pod bound to the node comes to run and is Ready") {
  Harness harness;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    const auto status = harness.status("web");
    CHECK(status.containerStatuses()[0].ready());
    CHECK(status.containerStatuses()[0].containerID().starts_with("fake://"));
    CHECK(status.podIP() == "10.213.0.2");
    const auto* made = harness.runtime.newest("a");
    const auto& config = harness.runtime.configs[made->id];
    CHECK(config.log_path.ends_with("/a/0.log"));
    std::vector<std::string> targets;
    for (const auto& mount : config.mounts) targets.push_back(mount.container_path);
    CHECK(targets == std::vector<std::string>{"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"});
  });
  for (const char* reason : {"Pulled", "Created", "Started"}) CHECK(harness.eventually([&] { return harness.has_event(reason); }));
}

TEST_CASE("a ConfigMap's volume is there before the container, and a missing one holds the Pod back") {
  Harness harness;
  harness.put_pod("web", R"("volumes":[{"name":"v","configMap":{"name":"cm"}}],)",
                  R"([{"name":"a","image":"busybox","volumeMounts":[{"name":"v","mountPath":"/v"}]}])");
  REQUIRE(harness.eventually([&] { return harness.has_event("FailedMount"); }));
  CHECK_FALSE(harness.runtime.newest("a"));
  harness.act([&] { harness.api.put("configmaps", R"({"metadata":{"name":"cm","namespace":"default"},"data":{"k":"v"}})"); });
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    const auto& config = harness.runtime.configs[harness.runtime.newest("a")->id];
    const auto mount = std::find_if(config.mounts.begin(), config.mounts.end(), [](const auto& m) { return m.container_path == "/v"; });
    REQUIRE(mount != config.mounts.end());
    CHECK(mount->is_read_only);
    CHECK(std::filesystem::exists(mount->host_path + "/k"));
  });
}

TEST_CASE("a deleted Pod is ended gracefully, told, and then taken out of the API") {
  Harness harness;
  harness.put_pod("web", R"("terminationGracePeriodSeconds":7,)");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  std::string uid;
  harness.act([&] {
    uid = client::uid_of(harness.api.find("pods", "default", "web"));
    harness.api.delete_pod("web", 7);
  });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  CHECK(harness.was_called("stop a 7"));
  CHECK(harness.api.removed == std::vector<std::string>{"pods/web grace 0 uid " + uid});
  CHECK(harness.eventually([&] { return harness.runtime.sandboxes.empty() && harness.runtime.containers.empty(); }));
  CHECK(harness.eventually([&] { return std::filesystem::is_empty(harness.folder / "root/pods"); }));
  CHECK(harness.eventually([&] { return harness.has_event("Killing"); }));
}

TEST_CASE("a Pod deleted by force is killed although the API has it no more") {
  Harness harness;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 0); });
  REQUIRE(harness.eventually([&] { return harness.runtime.sandboxes.empty(); }));
  CHECK(harness.was_called("stop a 2"));
}

TEST_CASE("a grace that is shortened later ends the Pod sooner") {
  Harness harness;
  harness.runtime.ignores_stop_signal = true;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 600); });
  REQUIRE(harness.eventually([&] { return harness.was_called("stop a 600"); }));
  harness.act([&] { harness.api.delete_pod("web", 1); });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a Pod that runs once ends as its containers do, and its sandbox with it") {
  Harness harness;
  harness.runtime.exits_at_once = {{"a", 0}};
  harness.put_pod("job", R"("restartPolicy":"Never",)");
  REQUIRE(harness.eventually([&] { return harness.phase("job") == "Succeeded"; }));
  REQUIRE(harness.eventually([&] { return harness.runtime.sandboxes.begin()->second.state == engine::SandboxState::not_ready; }));
  CHECK(harness.runtime.containers.size() == 1);  // for its log
  harness.runtime.exits_at_once = {{"a", 3}};
  harness.put_pod("bad", R"("restartPolicy":"Never",)");
  REQUIRE(harness.eventually([&] { return harness.phase("bad") == "Failed"; }));
  harness.act([&] { CHECK(harness.status("bad").containerStatuses()[0].state().terminated().exitCode() == 3); });
}

TEST_CASE("a crashing container is restarted once at once and then backs off") {
  Harness harness;
  harness.runtime.exits_at_once = {{"a", 1}};
  harness.put_pod("crash", "");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("crash") == "CrashLoopBackOff"; }));
  harness.act([&] {
    const auto status = harness.status("crash").containerStatuses()[0];
    CHECK(status.restartCount() == 1);
    CHECK(status.lastState().terminated().exitCode() == 1);
    CHECK(status.state().waiting().message().starts_with("back-off 10s restarting failed container=a pod=crash_default("));
  });
  CHECK(harness.eventually([&] { return harness.has_event("BackOff"); }));
}

TEST_CASE("a container that ends while it runs is started again with the next number") {
  Harness harness;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.runtime.end_container("a", 9); });
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    return list.size() == 1 && list[0].restartCount() == 1 && list[0].ready();
  }));
  harness.act([&] { CHECK(harness.status("web").containerStatuses()[0].lastState().terminated().exitCode() == 9); });
}

TEST_CASE("images: what is here is not pulled, what fails backs off, Never never pulls") {
  Harness harness;
  harness.runtime.pull_errors["reg.invalid/x:1"] = Status{500, engine::reason::kRegistryUnavailable, "connection refused"};
  harness.put_pod("here", "", R"([{"name":"a","image":"busybox","imagePullPolicy":"IfNotPresent"}])");
  harness.put_pod("pulled", "", R"([{"name":"b","image":"reg.invalid/y:1","imagePullPolicy":"IfNotPresent"}])");
  harness.put_pod("always", "", R"([{"name":"c","image":"busybox","imagePullPolicy":"Always"}])");
  harness.put_pod("failing", "", R"([{"name":"d","image":"reg.invalid/x:1","imagePullPolicy":"IfNotPresent"}])");
  harness.put_pod("never", "", R"([{"name":"e","image":"reg.invalid/z:1","imagePullPolicy":"Never"}])");
  harness.put_pod("invalid", "", R"([{"name":"f","image":"Not Valid","imagePullPolicy":"Always"}])");
  for (const char* name : {"here", "pulled", "always"}) REQUIRE(harness.eventually([&] { return harness.phase(name) == "Running"; }));
  CHECK(harness.was_called("pull busybox"));
  CHECK(std::count(harness.runtime.calls.begin(), harness.runtime.calls.end(), "pull busybox") == 1);
  CHECK(harness.eventually([&] { return harness.waiting_reason("never") == "ErrImageNeverPull"; }));
  CHECK(harness.eventually([&] { return harness.waiting_reason("invalid") == "InvalidImageName"; }));
  CHECK(harness.eventually([&] { return harness.waiting_reason("failing") == "ErrImagePull"; }));
  CHECK(harness.eventually([&] { return harness.waiting_reason("failing") == "ImagePullBackOff"; }));
  harness.act([&] {
    CHECK(harness.status("failing").containerStatuses()[0].state().waiting().message() ==
          "Back-off pulling image \"reg.invalid/x:1\": ErrImagePull: connection refused");
  });
}

TEST_CASE("a command that cannot be run shows as such") {
  Harness harness;
  harness.runtime.start_errors["a"] = "exec: \"nope\": not found";
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "CrashLoopBackOff" || harness.waiting_reason("web") == "RunContainerError"; }));
  harness.act([&] {
    const auto last_state = harness.status("web").containerStatuses()[0].lastState().terminated();
    CHECK(last_state.reason() == "StartError");
    CHECK(last_state.exitCode() == 128);
    CHECK(last_state.message() == "exec: \"nope\": not found");
  });
}

TEST_CASE("a missing Secret in the environment is a CreateContainerConfigError until it is there") {
  Harness harness;
  harness.put_pod("web", "", R"([{"name":"a","image":"busybox","envFrom":[{"secretRef":{"name":"s"}}]}])");
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "CreateContainerConfigError"; }));
  harness.act([&] { harness.api.put("secrets", R"({"metadata":{"name":"s","namespace":"default"},"data":{"K":"dg=="}})"); });
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    const auto& environment = harness.runtime.configs[harness.runtime.newest("a")->id].env;
    CHECK(std::find(environment.begin(), environment.end(), std::pair<std::string, std::string>("K", "v")) != environment.end());
  });
}

TEST_CASE("a restarted kubelet adopts what runs and starts nothing twice") {
  Harness harness;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.stop();
  const auto calls = harness.runtime.calls;
  const auto id = harness.runtime.newest("a")->id;
  harness.put_pod("other", "", R"([{"name":"b","image":"busybox"}])");
  harness.start();
  REQUIRE(harness.eventually([&] { return harness.phase("other") == "Running"; }));
  CHECK(harness.runtime.newest("a")->id == id);
  CHECK(harness.runtime.is_running("a"));
  CHECK(std::count(harness.runtime.calls.begin(), harness.runtime.calls.end(), "create a/0") == 1);
}

TEST_CASE("a Pod that was deleted while the kubelet was away is ended when it comes back") {
  Harness harness;
  harness.put_pod("web", R"("terminationGracePeriodSeconds":11,"initContainers":[
      {"name":"one","image":"busybox","restartPolicy":"Always"},{"name":"two","image":"busybox","restartPolicy":"Always"}],)");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.stop();
  harness.act([&] { harness.api.erase("pods", "default", "web"); });
  harness.start();
  REQUIRE(harness.eventually([&] { return harness.runtime.sandboxes.empty(); }));
  const auto& calls = harness.runtime.calls;
  const auto at = [&](const std::string& call) { return std::find(calls.begin(), calls.end(), call); };
  REQUIRE(at("stop a 11") != calls.end());
  CHECK(at("stop a 11") < at("stop two 11"));
  CHECK(at("stop two 11") < at("stop one 11"));
  CHECK(at("stop one 11") != calls.end());
}

TEST_CASE("after the host's restart the Pods are started again") {
  Harness harness;
  harness.put_pod("web", "");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.stop();
  harness.runtime.reboot();
  harness.start();
  REQUIRE(harness.eventually([&] { return harness.runtime.is_running("a"); }));
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    return list.size() == 1 && list[0].restartCount() == 1 && list[0].ready();
  }));
  CHECK(harness.was_called("sandbox web/1"));
}

TEST_CASE("a Pod past its deadline fails and is ended") {
  Harness harness;
  harness.put_pod("slow", R"("activeDeadlineSeconds":1,)");
  REQUIRE(harness.eventually([&] { return harness.phase("slow") == "Failed"; }));
  harness.act([&] { CHECK(harness.status("slow").reason() == "DeadlineExceeded"); });
  CHECK(harness.eventually([&] { return !harness.runtime.is_running("a"); }));
}

TEST_CASE("init containers come first and sidecars end last") {
  Harness harness;
  harness.runtime.exits_at_once = {{"prepare", 0}};
  harness.put_pod("web", R"("initContainers":[{"name":"prepare","image":"busybox"},{"name":"side","image":"busybox","restartPolicy":"Always"}],)");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 5); });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  std::vector<std::string> order;
  for (const auto& call : harness.runtime.calls)
    if (call.starts_with("start") || call.starts_with("stop")) order.push_back(call.substr(0, call.rfind(' ') > 5 ? call.rfind(' ') : call.size()));
  CHECK(order == std::vector<std::string>{"start prepare", "start side", "start a", "stop a", "stop side"});
}
