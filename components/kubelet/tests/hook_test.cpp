// postStart and preStop in the life of a Pod.

#include "harness.h"
#include "kubelet/pod/lifecycle_hooks.h"
#include "probe_target.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;

namespace {

using Output = Result<engine::ExecOutput>;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

const auto on_loopback = [](KubeletOptions& options) { options.node_ip = "127.0.0.1"; };

std::string one(const std::string& lifecycle, const std::string& more = "") {
  return R"([{"name":"a","image":"busybox","lifecycle":{)" + lifecycle + "}" + more + "}]";
}
const std::string kPostStart = R"("postStart":{"exec":{"command":["begin"]}})";
const std::string kPreStop = R"("preStop":{"exec":{"command":["end"]}})";

// Commands that a test lets go on.
struct Commands {
  explicit Commands(Harness& harness) : release(harness.thread.executor()), stops_first(harness) {
    harness.runtime.on_exec = [this](std::string name, std::vector<std::string> command, milliseconds) { return run(name, command); };
  }
  Task<Output> run(std::string name, std::vector<std::string> command) {
    ran.push_back(name + " " + command[0]);
    if (holds.contains(command[0])) co_await release.wait();
    engine::ExecOutput out;
    out.exit_code = exit_code;
    out.stderr_bytes = exit_code ? "secret" : "";
    co_return out;
  }
  bool has(const std::string& what) const { return std::find(ran.begin(), ran.end(), what) != ran.end(); }
  AsyncEvent release;
  std::set<std::string> holds;
  std::vector<std::string> ran;
  int exit_code = 0;
  StopsFirst stops_first;
};

std::size_t index_of(const Harness& harness, const std::string& call) {
  const auto& calls = harness.runtime.calls;
  return static_cast<std::size_t>(std::find(calls.begin(), calls.end(), call) - calls.begin());
}

}  // namespace

TEST_CASE("a container is running and the next one begins when its postStart hook has ended") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"begin"};
  harness.put_pod("web", "", R"([{"name":"a","image":"busybox","lifecycle":{)" + kPostStart + R"(}},{"name":"b","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return commands.has("a begin"); }));
  harness.put_pod("later", "", R"([{"name":"c","image":"busybox"}])");
  REQUIRE(harness.eventually([&] { return harness.phase("later") == "Running"; }));
  harness.act([&] {
    CHECK(harness.runtime.is_running("a"));
    CHECK(harness.phase("web") == "Pending");
    CHECK_FALSE(harness.runtime.newest("b"));
    commands.release.set();
  });
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  CHECK(harness.runtime.is_running("b"));
}

TEST_CASE("a container whose postStart hook fails is killed, and says why") {
  Harness harness;
  Commands commands(harness);
  commands.exit_code = 7;
  harness.put_pod("web", R"("terminationGracePeriodSeconds":9,)", one(kPostStart + "," + kPreStop));
  REQUIRE(harness.eventually([&] { return harness.was_called("stop a 9"); }));
  CHECK(commands.has("a end"));  // a killed container's preStop hook is run
  REQUIRE(harness.eventually([&] { return harness.was_called("create a/1"); }));
  REQUIRE(harness.eventually([&] { return harness.waiting_reason("web") == "CrashLoopBackOff"; }));
  CHECK(harness.eventually([&] { return harness.event_message("FailedPostStartHook") == "PostStartHook failed"; }));
  CHECK(harness.eventually([&] { return harness.event_message("Killing") == "FailedPostStartHook"; }));
  CHECK(harness.eventually([&] { return harness.event_message("FailedPreStopHook") == "PreStopHook failed"; }));
}

TEST_CASE("while a container whose hook failed is being ended, nobody takes it for running") {
  Harness harness;
  Commands commands(harness);
  commands.exit_code = 1;
  bool was_ready = false;
  harness.act([&] { harness.runtime.ignores_stop_signal = true; });
  harness.put_pod("web", R"("terminationGracePeriodSeconds":2,"restartPolicy":"Never",)", one(kPostStart));
  REQUIRE(harness.eventually([&] {
    const auto list = harness.status("web").containerStatuses();
    was_ready = was_ready || (!list.empty() && (list[0].ready() || list[0].state().running()));
    return harness.phase("web") == "Failed";
  }));
  CHECK_FALSE(was_ready);
}

TEST_CASE("a Pod that is deleted does not wait for its postStart hook") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"begin"};
  harness.put_pod("web", "", one(kPostStart));
  REQUIRE(harness.eventually([&] { return commands.has("a begin"); }));
  harness.act([&] { harness.api.delete_pod("web", 5); });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  CHECK(harness.was_called("stop a 5"));
}

TEST_CASE("a preStop hook is run before the stop signal, within the one grace") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", "", one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 10); });
  REQUIRE(harness.eventually([&] { return commands.has("a end"); }));
  const auto began = Steady::now();
  CHECK(harness.eventually([&] { return Steady::now() - began > milliseconds(1500); }));
  harness.act([&] {
    CHECK(harness.runtime.is_running("a"));
    CHECK(harness.calls_of("stop a 10") == 0);
    commands.release.set();
  });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  CHECK((harness.was_called("stop a 9") || harness.was_called("stop a 8")));
  CHECK(harness.eventually([&] { return harness.event_message("Killing") == "Stopping container a"; }));
  harness.act([&] { CHECK_FALSE(harness.has_event("FailedPreStopHook")); });
}

TEST_CASE("a preStop hook that takes longer than the grace leaves two seconds for the stop signal") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", "", one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  const auto began = Steady::now();
  harness.act([&] { harness.api.delete_pod("web", 2); });
  REQUIRE(harness.eventually([&] { return harness.was_called("stop a 2"); }));
  CHECK(Steady::now() - began >= milliseconds(1900));
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a grace that is shortened cuts a preStop hook") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", "", one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 600); });
  REQUIRE(harness.eventually([&] { return commands.has("a end"); }));
  harness.act([&] { harness.api.delete_pod("web", 1); });
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a container that has ended does not wait for its preStop sleep") {
  Harness harness;
  harness.runtime.exits_at_once = {{"a", 0}};
  harness.put_pod("done", R"("restartPolicy":"OnFailure",)", R"([{"name":"a","image":"busybox","lifecycle":{"preStop":{"sleep":{"seconds":600}}}},
      {"name":"b","image":"busybox","lifecycle":{"preStop":{"sleep":{"seconds":600}}}}])");
  REQUIRE(harness.eventually([&] { return harness.runtime.is_running("b") && harness.status("done").containerStatuses()[0].state().terminated(); }));
  harness.act([&] {
    harness.api.delete_pod("done", 600);
  });
  REQUIRE(harness.eventually([&] { return harness.has_event("Killing"); }));
  harness.act([&] { harness.runtime.end_container("b", 0); });
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "done"); }));
  harness.act([&] {
    const auto& calls = harness.runtime.calls;
    CHECK(std::none_of(calls.begin(), calls.end(), [](const std::string& call) { return call.starts_with("stop b"); }));
  });
}

TEST_CASE("a grace and a preStop sleep beyond all time are long, and not over at once") {
  const std::string never = GENERATE(as<std::string>{}, "9999999999", "9223372036854775807");
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", R"("terminationGracePeriodSeconds":)" + never + ",", R"([{"name":"a","image":"busybox","lifecycle":{)" + std::string(kPreStop) +
                  R"(}},{"name":"b","image":"busybox","lifecycle":{"preStop":{"sleep":{"seconds":)" + never + "}}}}]");
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 9'999'999'999); });
  REQUIRE(harness.eventually([&] { return commands.has("a end"); }));
  harness.act([&] { commands.release.set(); });
  REQUIRE(harness.eventually([&] { return !harness.runtime.is_running("a"); }));
  harness.act([&] {
    CHECK(harness.runtime.is_running("b"));
    const auto& calls = harness.runtime.calls;
    CHECK(std::none_of(calls.begin(), calls.end(), [](const std::string& call) { return call.starts_with("stop b"); }));
  });
  harness.act([&] { harness.api.delete_pod("web", 1); });
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a preStop sleep delays the stop signal by its seconds") {
  Harness harness;
  harness.put_pod("web", "", one(R"("preStop":{"sleep":{"seconds":1}})"));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  const auto began = Steady::now();
  harness.act([&] { harness.api.delete_pod("web", 30); });
  REQUIRE(harness.eventually([&] { return !harness.runtime.is_running("a"); }));
  CHECK(Steady::now() - began >= seconds(1));
  CHECK(harness.was_called("stop a 29"));
}

TEST_CASE("preStop hooks of sidecars are run at once, their stop signals last") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", R"("initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always","lifecycle":{"preStop":{"exec":{"command":["bye"]}}}}],)",
                  one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 30); });
  REQUIRE(harness.eventually([&] { return commands.has("side bye") && commands.has("a end"); }));
  harness.act([&] {
    CHECK(harness.runtime.is_running("side"));
    commands.release.set();
  });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  const auto stop = [&](const std::string& name) { return std::min(index_of(harness, "stop " + name + " 30"), index_of(harness, "stop " + name + " 29")); };
  CHECK(stop("a") < stop("side"));
  CHECK(stop("side") < harness.runtime.calls.size());
}

TEST_CASE("when the grace is over a sidecar waits for its turn no longer") {
  Harness harness;
  Commands commands(harness);
  commands.holds = {"end"};
  harness.put_pod("web", R"("initContainers":[{"name":"side","image":"busybox","restartPolicy":"Always"}],)", one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] {
    harness.runtime.ignores_stop_signal = true;
    harness.api.delete_pod("web", 2);
  });
  bool was_running = false;
  REQUIRE(harness.eventually([&] {
    was_running = harness.runtime.is_running("a");
    return harness.was_called("stop side 2");
  }));
  CHECK(was_running);
  CHECK(harness.was_called("stop a 2"));
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
}

TEST_CASE("a Pod past its deadline and a container killed by its liveness probe run their preStop hooks") {
  Harness harness;
  Commands commands(harness);
  harness.put_pod("slow", R"("activeDeadlineSeconds":1,)", one(kPreStop));
  REQUIRE(harness.eventually([&] { return harness.phase("slow") == "Failed"; }));
  CHECK(commands.has("a end"));
  harness.put_pod("sick", "", R"([{"name":"b","image":"busybox","lifecycle":{"preStop":{"exec":{"command":["end"]}}},
      "livenessProbe":{"periodSeconds":1,"timeoutSeconds":1,"failureThreshold":1,"tcpSocket":{"host":"127.0.0.1","port":)" +
                                  std::to_string(closed_port()) + "}}}]");
  REQUIRE(harness.eventually([&] { return harness.was_called("create b/1"); }));
  CHECK(commands.has("b end"));
}

TEST_CASE("an HTTP hook asks the Pod, whatever the answer, and a hook that says https may mean http") {
  Harness harness(on_loopback);
  HttpTarget target(harness.thread);
  harness.act([&] { target.answer = [](const http::RequestHead&) { return HttpTarget::Reply{500, "", ""}; }; });
  const std::string port = std::to_string(target.port);
  harness.put_pod("web", "", one(R"("postStart":{"httpGet":{"port":"web","path":"/begin"}},"preStop":{"httpGet":{"scheme":"HTTPS","port":)" + port +
                                 R"(,"path":"/end","httpHeaders":[{"name":"Authorization","value":"token"},{"name":"X-A","value":"1"}]}})",
                                 R"(,"ports":[{"name":"web","containerPort":)" + port + "}]"));
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("web", 30); });
  REQUIRE(harness.eventually([&] { return !harness.api.find("pods", "default", "web"); }));
  harness.act([&] {
    REQUIRE(target.requests.size() == 2);
    CHECK(target.requests[0].target == "/begin");
    CHECK(target.requests[0].headers.get("user-agent") == "kube-lifecycle/1.35");
    CHECK(target.requests[1].target == "/end");
    CHECK_FALSE(target.requests[1].headers.get("authorization"));
    CHECK(target.requests[1].headers.get("x-a") == "1");
  });
  CHECK(harness.eventually([&] {
    return harness.event_message("LifecycleHTTPFallback") ==
           "request to HTTPS lifecycle hook 127.0.0.1:" + port + " got HTTP response, retry with HTTP succeeded";
  }));
  harness.act([&] { CHECK_FALSE(harness.has_event("FailedPreStopHook")); });
}

TEST_CASE("a hook that cannot be run fails, a TCP one always") {
  Harness harness(on_loopback);
  harness.put_pod("tcp", R"("terminationGracePeriodSeconds":1,)", one(R"("preStop":{"tcpSocket":{"port":80}})"));
  REQUIRE(harness.eventually([&] { return harness.phase("tcp") == "Running"; }));
  harness.act([&] { harness.api.delete_pod("tcp", 5); });
  CHECK(harness.eventually([&] { return harness.event_message("FailedPreStopHook") == "PreStopHook failed"; }));
  CHECK(harness.eventually([&] { return !harness.api.find("pods", "default", "tcp"); }));
  harness.put_pod("http", R"("restartPolicy":"Never",)", R"([{"name":"b","image":"busybox","lifecycle":{"postStart":{"httpGet":{"port":)" +
                                                              std::to_string(closed_port()) + "}}}}]");
  CHECK(harness.eventually([&] { return harness.was_called("stop b 30"); }));
  CHECK(harness.eventually([&] { return harness.event_message("FailedPostStartHook") == "PostStartHook failed"; }));
}
