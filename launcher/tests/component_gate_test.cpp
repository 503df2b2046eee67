// What a plan waits for before it goes on to the next component.
#include "launcher/steps/component_gate.h"

#include "launcher/containers/topology.h"
#include "launcher/plans.h"
#include "state/state.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
using namespace rusternetes::launcher::testing;
using std::chrono::milliseconds;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// A cluster of containers that runs, and what steps have of it.
struct Running {
  World world;
  Environment environment = world.make_environment();
  Context context;
  explicit Running(const char* mode = "sqlite") {
    REQUIRE(world.run({"create", "a", "--mode", mode}) == 0);
    const auto state = state::State::open(Home{world.home()}.state_file(), false);
    REQUIRE(state);
    const auto cluster = (*state)->find("a");
    REQUIRE((cluster && *cluster));
    context = make_context(environment, nullptr, Home{world.home()},
                           settings_from_json((*cluster)->settings).value(), nullptr);
  }
  Member member(const std::string& key) const {
    for (const Member& one : members_of(context->settings))
      if (one.key == key) return one;
    FAIL("no member " << key);
    return {};
  }
  Result<> wait(const std::string& key, int timeout_ms = 0, SystemTime previous_start = {}) {
    return wait_for_component(*context, member(key), milliseconds(timeout_ms), previous_start);
  }
};

}  // namespace

TEST_CASE("a component that answers healthily is through the gate at once") {
  Running a;
  for (const char* key : {"rhino", "api-server", "controller-manager", "scheduler", "dns", "api-proxy",
                          "kube-proxy-1", "kubelet-2"}) {
    INFO(key);
    a.world.http.asked.clear();
    CHECK(a.wait(key));
    CHECK(a.world.http.asked.size() == 1);  // nobody else is asked
  }
}

TEST_CASE("a component that cannot be asked has to live for a second") {
  Running a;
  a.world.engine.started_at["host-agent"] = Clock::system().now();
  const auto early = a.wait("host-agent", 300);
  REQUIRE_FALSE(early);
  CHECK(early.error().is("NotReady"));
  CHECK(contains(early.error().message, "host-agent has just been started"));
  CHECK(a.wait("host-agent", 5000));
}

TEST_CASE(
    "a component that does not answer is told with what it said, and one that recovers is let through") {
  Running a;
  a.world.http.sick["/readyz"] = 500;
  const auto sick = a.wait("api-server", 120);
  REQUIRE_FALSE(sick);
  CHECK(sick.error().is("NotReady"));
  CHECK(contains(sick.error().message, "api-server is not well, it answers 500: [-]etcd failed: it hangs"));
  CHECK(contains(sick.error().message, "rusternetes-ctl logs a --component api-server --tail 50"));
  // It is well again when it is asked for the third time.
  int looks = 0;
  a.environment.is_interrupted = [&] {
    if (++looks == 2) a.world.http.sick.clear();
    return false;
  };
  CHECK(a.wait("api-server", 5000));
  CHECK(looks == 2);
}

TEST_CASE("a component that does not run, keeps ending or has none of it is no component that is unwell") {
  Running a;
  a.world.things.add("component", "a.scheduler", "exited");
  const auto ended = a.wait("scheduler");
  REQUIRE_FALSE(ended);
  CHECK(ended.error().is("ComponentEnded"));
  CHECK(contains(ended.error().message, "scheduler has ended with exit code 137"));
  a.world.things.remove("component", "a.scheduler");
  CHECK(contains(a.wait("scheduler").error().message, "scheduler has no container"));

  a.world.engine.keeps_ending.insert("dns");
  a.world.http.sick[":8181"] = 0;
  const auto hopeless = a.wait("dns", 60'000);
  REQUIRE_FALSE(hopeless);
  CHECK(hopeless.error().is("ComponentEnded"));
  CHECK(contains(hopeless.error().message, "dns keeps ending"));
}

TEST_CASE("a container that is still the one from before is not through the gate") {
  Running a;
  const SystemTime before = Clock::system().now();
  a.world.engine.started_at["api-server"] = before;
  const auto old = a.wait("api-server", 0, before);
  REQUIRE_FALSE(old);
  CHECK(old.error().is("NotReady"));
  CHECK(contains(old.error().message, "api-server has not been started anew"));
  a.world.engine.started_at["api-server"] = before + milliseconds(1);
  CHECK(a.wait("api-server", 0, before));
}

TEST_CASE("a kubelet is through the gate once its node is Ready by a status younger than itself") {
  Running a;
  a.world.engine.started_at["kubelet-1"] = Clock::system().now();
  a.world.http.heartbeat = "2001-01-01T00:00:00Z";
  const auto early = a.wait("kubelet-1");
  REQUIRE_FALSE(early);
  CHECK(early.error().is("NotReady"));
  CHECK(contains(early.error().message, "has said nothing since its kubelet started"));
  a.world.http.heartbeat = "2100-01-01T00:00:00Z";
  CHECK(a.wait("kubelet-1"));
  a.world.http.is_node_ready = false;
  CHECK(contains(a.wait("kubelet-1").error().message, "is not Ready"));
}

TEST_CASE("who waits at the gate can be interrupted") {
  Running a;
  a.world.http.sick["/readyz"] = 0;
  a.environment.is_interrupted = [] { return true; };
  CHECK(a.wait("api-server", 60'000).error().is("Interrupted"));
}
