#include "controller-manager/node_lifecycle_health.h"
#include "controller-manager/node_lifecycle_zones.h"
#include "controller-manager/node_taint_plan.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using namespace std::chrono_literals;
using apimachinery::core_v1::Node;
using apimachinery::core_v1::Pod;

namespace {

constexpr Resource leases{"coordination.k8s.io", "v1", "leases"}, pods{"", "v1", "pods"};

Document node_of(const std::string& json) {
  return client::ObjectBuilder::from_json(Node::schema_type(), json);
}
std::string ready_node(const std::string& status, const std::string& heartbeat) {
  return R"({"metadata":{"name":"n","creationTimestamp":"2020-01-01T00:00:00Z"},"status":{"conditions":[
    {"type":"Ready","status":")" +
         status + R"(","lastHeartbeatTime":")" + heartbeat + "\"}]}}";
}
// "type=status:reason" of each condition.
std::map<std::string, std::string> conditions_of(const Document& node) {
  std::map<std::string, std::string> out;
  for (const auto condition : Node(&node.root()).status().conditions())
    out[std::string(condition.type())] =
        std::string(condition.status()) + ":" + std::string(condition.reason());
  return out;
}

}  // namespace

TEST_CASE("a node is silent when neither its status nor its lease was renewed within the grace period") {
  const NodeLifecycleOptions options;
  const SteadyTime start{1000s};
  const SystemTime wall{2000s};
  NodeHealth health;
  const Document first = node_of(ready_node("True", "2024-01-01T00:00:00Z"));
  health.observe(Node(&first.root()), start, wall);
  CHECK(health.deadline(options) == start + 50s);
  // Something else of it changed: no sign of life.
  health.observe(Node(&first.root()), start + 10s, wall);
  CHECK(health.deadline(options) == start + 50s);
  const Document second = node_of(ready_node("True", "2024-01-01T00:00:10Z"));
  health.observe(Node(&second.root()), start + 10s, wall);
  CHECK(health.deadline(options) == start + 60s);
  health.observe_lease(5, start + 20s);
  CHECK(health.deadline(options) == start + 70s);
  health.observe_lease(5, start + 30s);
  CHECK(health.deadline(options) == start + 70s);
  health.observe_lease(6, start + 30s);
  CHECK(health.deadline(options) == start + 80s);
  health.forgive(start + 100s);
  CHECK(health.deadline(options) == start + 150s);
}

TEST_CASE("a node that never posted a status has the startup grace period from its creation on") {
  const NodeLifecycleOptions options;
  NodeHealth health;
  const Document node = node_of(R"({"metadata":{"name":"n","creationTimestamp":"1970-01-01T00:10:00Z"}})");
  health.observe(Node(&node.root()), SteadyTime{100s}, SystemTime{620s});  // 20 s old
  CHECK(health.deadline(options) == SteadyTime{140s});
  const Document posted = node_of(ready_node("False", "2024-01-01T00:00:00Z"));
  health.observe(Node(&posted.root()), SteadyTime{130s}, SystemTime{650s});
  CHECK(health.deadline(options) == SteadyTime{180s});
}

TEST_CASE("silent nodes are found at multiples of the monitor period") {
  const SteadyTime start{100s};
  CHECK(next_check(SteadyTime{151s}, start, 5s) == SteadyTime{155s});
  CHECK(next_check(SteadyTime{155s}, start, 5s) == SteadyTime{155s});
  CHECK(next_check(SteadyTime{151s}, start, 0s) == SteadyTime{151s});
  CHECK(next_check(SteadyTime{90s}, start, 5s) == SteadyTime{90s});
}

TEST_CASE("what a silent kubelet would say is Unknown, and what others say stays") {
  client::ObjectBuilder builder(
      node_of(R"({"metadata":{"name":"n","creationTimestamp":"2020-01-01T00:00:00Z"},
    "status":{"conditions":[{"type":"MemoryPressure","status":"Unknown","reason":"mine"},
    {"type":"NetworkUnavailable","status":"False","reason":"RouteCreated"},
    {"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":"2024-01-01T00:00:00Z",
     "lastTransitionTime":"2024-01-01T00:00:00Z"}]}})"));
  const std::int64_t now_us = 1'700'000'000'500'000;
  REQUIRE(set_conditions_unknown(builder.arena(), builder.root(), now_us));
  CHECK_FALSE(set_conditions_unknown(builder.arena(), builder.root(), now_us + 1));
  const Document node = builder.freeze();
  CHECK(conditions_of(node) ==
        std::map<std::string, std::string>{{"Ready", "Unknown:NodeStatusUnknown"},
                                           {"MemoryPressure", "Unknown:mine"},
                                           {"DiskPressure", "Unknown:NodeStatusNeverUpdated"},
                                           {"PIDPressure", "Unknown:NodeStatusNeverUpdated"},
                                           {"NetworkUnavailable", "False:RouteCreated"}});
  for (const auto condition : Node(&node.root()).status().conditions()) {
    if (condition.type() == "Ready") {
      CHECK(condition.message() == "Kubelet stopped posting node status.");
      CHECK(condition.lastTransitionTime() == 1'700'000'000'000'000);
      CHECK(condition.lastHeartbeatTime() == 1'704'067'200'000'000);
    }
    if (condition.type() == "DiskPressure") {
      CHECK(condition.message() == "Kubelet never posted node status.");
      CHECK(condition.lastHeartbeatTime() == 1'577'836'800'000'000);  // the node's creation
    }
  }
}

TEST_CASE(
    "a zone is disrupted in part from three nodes and the threshold on, and fully when no node is ready") {
  CHECK(zone_state({3, 0}, 0.55) == ZoneState::normal);
  CHECK(zone_state({1, 2}, 0.55) == ZoneState::normal);
  CHECK(zone_state({2, 3}, 0.55) == ZoneState::partial_disruption);
  CHECK(zone_state({3, 3}, 0.55) == ZoneState::normal);
  CHECK(zone_state({0, 1}, 0.55) == ZoneState::full_disruption);
  CHECK(zone_state({0, 0}, 0.55) == ZoneState::normal);
}

TEST_CASE("nodes of a zone get their turns at the eviction rate, each zone on its own") {
  Zones zones({});
  const SteadyTime t{1000s};
  CHECK(zones.update({{"a", {10, 2}}, {"b", {10, 1}}}, t) == Zones::Change::none);
  zones.want("a", "a1");
  zones.want("a", "a2");
  zones.want("a", "a1");
  zones.want("b", "b1");
  CHECK(zones.take(t) == std::vector<std::string>{"a1", "b1"});
  CHECK(zones.take(t + 9s).empty());
  CHECK(zones.next() == t + 10s);
  CHECK(zones.take(t + 10s) == std::vector<std::string>{"a2"});
  CHECK(zones.next() == std::nullopt);
  zones.want("a", "a3");
  zones.unwant("a3");
  CHECK(zones.take(t + 60s).empty());
}

TEST_CASE("in a zone that is disrupted in part the rate is the secondary one, and none when it is small") {
  Zones zones({});
  const SteadyTime t{1000s};
  zones.update({{"small", {2, 3}}, {"large", {20, 40}}}, t);
  for (const char* name : {"1", "2"})
    zones.want("small", std::string("s") + name), zones.want("large", std::string("l") + name);
  CHECK(zones.take(t) == std::vector<std::string>{"l1"});
  CHECK(zones.take(t + 99s).empty());
  CHECK(zones.take(t + 100s) == std::vector<std::string>{"l2"});
  // Better again: those that wait go on at the healthy rate, and not all at once.
  zones.update({{"small", {4, 1}}, {"large", {20, 40}}}, t + 200s);
  CHECK(zones.take(t + 200s).empty());
  CHECK(zones.take(t + 210s) == std::vector<std::string>{"s1"});
  CHECK(zones.take(t + 220s) == std::vector<std::string>{"s2"});
}

TEST_CASE("a zone of which no node is counted keeps its pause") {
  Zones zones({});
  const SteadyTime t{1000s};
  const std::map<std::string, ZoneCount> others{{"b", {1, 0}}};
  CHECK(zones.want("a", "a1"));
  CHECK_FALSE(zones.want("a", "a1"));
  zones.update(others, t);
  CHECK(zones.take(t) == std::vector<std::string>{"a1"});
  zones.update(others, t + 1s);
  CHECK(zones.want("a", "a2"));
  zones.update(others, t + 1s);
  CHECK(zones.take(t + 1s).empty());
  CHECK(zones.take(t + 10s) == std::vector<std::string>{"a2"});
}

TEST_CASE("where no node is ready nobody is evicted, until one is") {
  Zones zones({});
  const SteadyTime t{1000s};
  zones.want("a", "a1");
  CHECK(zones.update({{"a", {0, 1}}, {"b", {1, 0}}}, t) ==
        Zones::Change::none);  // one zone fully: as if it were healthy
  CHECK_FALSE(zones.is_stopped());
  CHECK(zones.take(t) == std::vector<std::string>{"a1"});
  zones.want("a", "a2");
  CHECK(zones.update({{"a", {0, 1}}, {"b", {0, 1}}}, t + 20s) == Zones::Change::stopped);
  CHECK(zones.is_stopped());
  CHECK(zones.take(t + 1000s).empty());
  CHECK(zones.next() == std::nullopt);
  CHECK(zones.update({{"a", {0, 1}}, {"b", {0, 1}}}, t + 1000s) == Zones::Change::none);
  CHECK(zones.update({{"a", {0, 1}}, {"b", {1, 0}}}, t + 1000s) == Zones::Change::resumed);
  CHECK(zones.take(t + 1000s).empty());
  CHECK(zones.take(t + 1010s) == std::vector<std::string>{"a2"});
}

TEST_CASE("a zone is named by the labels of old as well") {
  const auto zone = [](const std::string& labels) {
    const Document node = node_of(R"({"metadata":{"labels":{)" + labels + "}}}");
    return zone_of(Node(&node.root()).metadata());
  };
  CHECK(zone("").empty());
  CHECK(zone(R"("topology.kubernetes.io/zone":"z","topology.kubernetes.io/region":"r")") == "r/z");
  CHECK(zone(R"("topology.kubernetes.io/zone":"z","failure-domain.beta.kubernetes.io/zone":"old")") ==
        "/old");
}

TEST_CASE("a node has at most one NoExecute taint of ours, and it follows the condition") {
  const auto wanted = [](const std::string& ready, const std::string& taints, bool is_its_turn,
                         bool is_stopped) {
    const Document node =
        node_of(R"({"spec":{"taints":[)" + taints + R"(]},"status":{"conditions":[)" +
                (ready.empty() ? "" : R"({"type":"Ready","status":")" + ready + "\"}") + "]}}");
    return wanted_no_execute(Node(&node.root()), is_its_turn, is_stopped);
  };
  const std::string not_ready = R"({"key":"node.kubernetes.io/not-ready","effect":"NoExecute"})";
  CHECK(wanted("True", not_ready, false, false) == NoExecute::none);
  CHECK(wanted("", not_ready, false, false) == NoExecute::leave);
  CHECK(wanted("Unknown", "", false, false) == NoExecute::leave);
  CHECK(wanted("Unknown", "", true, false) == NoExecute::unreachable);
  CHECK(wanted("False", "", true, false) == NoExecute::not_ready);
  CHECK(wanted("Unknown", not_ready, false, false) == NoExecute::unreachable);  // swapped at once
  CHECK(wanted("Unknown", not_ready, true, true) == NoExecute::none);
}

namespace {

// Nodes whose kubelets are this test.
class Nodes : public ControllerWorld {
 public:
  explicit Nodes(NodeLifecycleOptions options = quick(), const Clock* other_clock = nullptr)
      : ControllerWorld({"node-lifecycle-controller"}, with(options, other_clock ? *other_clock : clock)) {
    create(accounts, "default", R"({"metadata":{"name":"default"}})");
  }
  static NodeLifecycleOptions quick() {
    NodeLifecycleOptions options;
    options.monitor_period = 0ms;
    return options;
  }
  static ManagerOptions with(NodeLifecycleOptions options, const Clock& clock) {
    ManagerOptions out;
    out.node_lifecycle = options;
    out.clock = &clock;
    return out;
  }
  void add(const std::string& name, const std::string& status = "True") {
    create(nodes, "",
           R"({"metadata":{"name":")" + name +
               R"(","labels":{"kubernetes.io/os":"linux","kubernetes.io/arch":"amd64"}}})");
    heartbeat(name, status);
  }
  void heartbeat(const std::string& name, const std::string& status) {
    const std::string time = "2024-01-01T00:00:" + std::to_string(10 + beats_++ % 50) + "Z";
    patch(nodes, "", name,
          R"({"status":{"conditions":[{"type":"Ready","status":")" + status + R"(","reason":"Kubelet",
      "lastHeartbeatTime":")" +
              time + "\"}]}}",
          "status");
  }
  void renew_lease(const std::string& name) {
    const std::string spec = R"("spec":{"holderIdentity":")" + name + R"(","renewTime":"2024-01-01T00:00:)" +
                             std::to_string(10 + beats_++ % 50) + ".000000Z\"}";
    if (get(leases, "kube-node-lease", name))
      patch(leases, "kube-node-lease", name, "{" + spec + "}");
    else
      create(leases, "kube-node-lease", R"({"metadata":{"name":")" + name + "\"}," + spec + "}");
  }
  // The clock turns, and the controller looks (its own deadlines are the real clock's).
  void pass(std::chrono::seconds time) {
    clock.advance(time);
    const auto all = wait(admin().list(nodes, "", {}));
    REQUIRE(all);
    for (const auto& node : all->items)
      patch(nodes, "", std::string(client::name_of(node)),
            R"({"metadata":{"labels":{"turn":")" + std::to_string(++turn_) + "\"}}}");
  }
  void add_pod(const std::string& name, const std::string& node) {
    create(pods, "default",
           R"({"metadata":{"name":")" + name + R"("},"spec":{"nodeName":")" + node +
               R"(","containers":[{"name":"c","image":"i"}]}})");
    patch(pods, "default", name,
          R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","reason":"Good"}]}})",
          "status");
  }
  bool is_ready(const std::string& name, const std::string& wanted) {
    return becomes(nodes, "", name,
                   [&](const Document& node) { return node && conditions_of(node)["Ready"] == wanted; });
  }
  bool has_taints(const std::string& name, const std::set<std::string>& wanted) {
    return becomes(nodes, "", name, [&](const Document& node) {
      std::set<std::string> taints;
      for (const auto taint : Node(&node.root()).spec().taints())
        taints.insert(std::string(taint.key().substr(taint.key().find('/') + 1)) + ":" +
                      std::string(taint.effect()));
      return taints == wanted;
    });
  }
  bool has_normal_event(const std::string& reason, const std::string& message) {
    return comes(events, "default", [&](const Objects& all) {
      return std::any_of(all.begin(), all.end(), [&](const auto& one) {
        const apimachinery::core_v1::Event event(&one.second.root());
        return event.reason() == reason && event.message() == message && event.type() == "Normal" &&
               event.source().component() == "node-controller";
      });
    });
  }
  ManualClock clock;

 private:
  int beats_ = 0, turn_ = 0;
};

}  // namespace

TEST_CASE(
    "a node that falls silent is Unknown, its Pods are not ready, and it is tainted, until it speaks again") {
  Nodes world;
  world.start();
  world.add("a");
  world.add("b");
  world.add_pod("on-a", "a");
  world.add_pod("on-b", "b");
  CHECK(world.has_normal_event("RegisteredNode", "Node a event: Registered Node a in Controller"));
  CHECK(world.becomes(nodes, "", "a", [](const Document& node) {
    const auto labels = Node(&node.root()).metadata().labels();
    return labels.get("beta.kubernetes.io/os") == "linux" && labels.get("beta.kubernetes.io/arch") == "amd64";
  }));
  world.pass(40s);
  world.heartbeat("b", "True");
  world.pass(11s);
  CHECK(world.is_ready("a", "Unknown:NodeStatusUnknown"));
  CHECK(world.has_normal_event("NodeNotReady", "Node a status is now: NodeNotReady"));
  CHECK(world.becomes(pods, "default", "on-a",
                      [](const Document& pod) { return !is_pod_ready(Pod(&pod.root())); }));
  CHECK(world.has_event("default", "NodeNotReady", "Node is not ready"));
  CHECK(world.has_taints("a", {"unreachable:NoSchedule", "unreachable:NoExecute"}));
  const Document b = world.get(pods, "default", "on-b");
  CHECK(is_pod_ready(Pod(&b.root())));
  CHECK(world.is_ready("b", "True:Kubelet"));
  // A Pod that was bound to it meanwhile.
  world.add_pod("late", "a");
  world.pass(1s);
  CHECK(world.becomes(pods, "default", "late",
                      [](const Document& pod) { return !is_pod_ready(Pod(&pod.root())); }));
  world.heartbeat("a", "False");
  CHECK(world.has_taints("a", {"not-ready:NoSchedule", "not-ready:NoExecute"}));
  world.heartbeat("a", "True");
  CHECK(world.has_taints("a", {}));
  world.remove(nodes, "", "a");
  CHECK(world.has_normal_event("RemovingNode", "Node a event: Removing Node a from Controller"));
}

TEST_CASE("a lease that is renewed keeps a node alive whose status stays the same") {
  Nodes world;
  world.start();
  world.add("a");
  world.add("b");
  REQUIRE(world.is_ready("a", "True:Kubelet"));
  for (int i = 0; i < 5; ++i) {
    world.renew_lease("a");
    world.pass(30s);
  }
  CHECK(world.is_ready("b", "Unknown:NodeStatusUnknown"));
  CHECK(world.is_ready("a", "True:Kubelet"));
}

TEST_CASE("when no node is ready any more none is tainted NoExecute, and those that were are not") {
  NodeLifecycleOptions options = Nodes::quick();
  options.eviction_rate = 20;
  Nodes world(options, &Clock::system());
  world.start();
  world.add("a");
  world.add("b");
  world.heartbeat("a", "False");
  CHECK(world.has_taints("a", {"not-ready:NoSchedule", "not-ready:NoExecute"}));
  world.heartbeat("b", "False");
  CHECK(world.has_taints("a", {"not-ready:NoSchedule"}));
  CHECK(world.has_taints("b", {"not-ready:NoSchedule"}));
  world.heartbeat("b", "True");
  CHECK(world.has_taints("b", {}));
  CHECK(world.has_taints("a", {"not-ready:NoSchedule", "not-ready:NoExecute"}));
}

TEST_CASE("a node that never posts a status is Unknown after the startup grace period, and loses its Pods") {
  NodeLifecycleOptions options = Nodes::quick();
  options.startup_grace_period = 300ms;
  Nodes world(options, &Clock::system());  // its own deadline wakes it
  world.start();
  world.add("healthy");
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.add_pod("on-n", "n");
  CHECK(world.is_ready("n", "Unknown:NodeStatusNeverUpdated"));
  CHECK(world.has_taints("n", {"unreachable:NoSchedule", "unreachable:NoExecute"}));
  // Nor is the condition that says so taken for a sign of life.
  CHECK(world.becomes(pods, "default", "on-n",
                      [](const Document& pod) { return !is_pod_ready(Pod(&pod.root())); }));
}

TEST_CASE("a node that is not counted in its zone loses its Pods when it falls silent") {
  Nodes world;
  world.start();
  world.add("a");
  world.add("b");
  world.patch(nodes, "", "a", R"({"metadata":{"labels":{"node.kubernetes.io/exclude-disruption":""}}})");
  world.pass(40s);
  world.heartbeat("b", "True");
  world.wait(sleep_for(300ms));  // turns of before are over: none of them finds it
  world.pass(11s);
  CHECK(world.has_taints("a", {"unreachable:NoSchedule", "unreachable:NoExecute"}));
}

TEST_CASE("a NoExecute taint that somebody takes away from a silent node comes back") {
  Nodes world;
  world.start();
  world.add("a");
  world.add("b");
  world.pass(40s);
  world.heartbeat("b", "True");
  world.pass(11s);
  REQUIRE(world.has_taints("a", {"unreachable:NoSchedule", "unreachable:NoExecute"}));
  world.heartbeat("b", "True");
  world.clock.advance(11s);  // the zone's next turn
  world.wait(sleep_for(300ms));
  REQUIRE(world.wait(world.admin().patch(nodes, "", "a", "", client::PatchType::merge, R"({"spec":{"taints":null}})", {})));
  CHECK(world.becomes(nodes, "", "a", [](const Document& node) { return Node(&node.root()).spec().taints().size() == 2; }));
}

TEST_CASE("a Pod that cannot be written keeps neither the taints from its silent node nor other Pods from being told") {
  Nodes world;
  world.script.before = [](const Call& call) -> std::optional<Status> {
    if (call.verb == "patch" && call.resource == "pods" && call.name == "refused") return Status(422, "Invalid", "refused");
    return std::nullopt;
  };
  world.start();
  world.add("a");
  world.add("b");
  world.add_pod("refused", "a");
  world.add_pod("second", "a");
  world.pass(40s);
  world.heartbeat("b", "True");
  world.pass(11s);
  CHECK(world.has_taints("a", {"unreachable:NoSchedule", "unreachable:NoExecute"}));
  CHECK(world.becomes(pods, "default", "second",
                      [](const Document& pod) { return !is_pod_ready(Pod(&pod.root())); }));
  const Document refused = world.get(pods, "default", "refused");
  CHECK(is_pod_ready(Pod(&refused.root())));
}
