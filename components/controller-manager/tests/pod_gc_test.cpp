#include <fmt/format.h>

#include "controller-manager/pod_gc_plan.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using namespace std::chrono_literals;
using apimachinery::core_v1::Node;
using apimachinery::core_v1::Pod;

namespace {

constexpr Resource pods{"", "v1", "pods"};

Document pod_of(const std::string& json) {
  return client::ObjectBuilder::from_json(Pod::schema_type(), json);
}

class Collected : public ControllerWorld {
 public:
  explicit Collected(int threshold = 12'500)
      : ControllerWorld({"pod-garbage-collector-controller"}, with(threshold, clock)) {
    create(accounts, "default", R"({"metadata":{"name":"default"}})");
  }
  static ManagerOptions with(int threshold, const Clock& clock) {
    ManagerOptions options;
    options.terminated_pod_gc_threshold = threshold;
    options.clock = &clock;
    return options;
  }
  void add_pod(const std::string& name, const std::string& node, const std::string& metadata = "") {
    create(pods, "default",
           R"({"metadata":{"name":")" + name + "\"" + metadata + R"(},"spec":{)" +
               (node.empty() ? "" : R"("nodeName":")" + node + "\",") +
               R"("containers":[{"name":"c","image":"i"}]}})");
  }
  void set_phase(const std::string& name, const std::string& phase) {
    patch(pods, "default", name, R"({"status":{"phase":")" + phase + "\"}}", "status");
  }
  // Quarantines pass, each with a Pod that makes the controller look at the node, until it is so or 20 s are
  // over.
  bool passes(const std::string& node, std::function<bool()> is_so) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    for (int i = 0; std::chrono::steady_clock::now() < deadline; ++i) {
      if (is_so()) return true;
      clock.advance(41s);
      add_pod("poke-" + std::to_string(i), node);
      wait(sleep_for(20ms));
    }
    return false;
  }
  ManualClock clock;
};
const std::string kept = R"(,"finalizers":["test/keep"])";

}  // namespace

TEST_CASE("of too many terminated Pods the evicted ones go first, then the oldest") {
  std::vector<Document> all;
  for (const auto& [name, time, status] :
       {std::tuple{"new", "2024-01-03", R"("phase":"Failed")"},
        {"old", "2024-01-01", R"("phase":"Succeeded")"},
        {"evicted", "2024-01-04", R"("phase":"Failed","reason":"Evicted")"},
        {"older-b", "2023-01-01", R"("phase":"Failed")"},
        {"older-a", "2023-01-01", R"("phase":"Failed")"}})
    all.push_back(pod_of(
        fmt::format(R"({{"metadata":{{"name":"{}","creationTimestamp":"{}T00:00:00Z"}},"status":{{{}}}}})",
                    name, time, status)));
  std::vector<std::string> names;
  for (const auto& pod : excess_pods(all, 1)) names.emplace_back(client::name_of(pod));
  CHECK(names == std::vector<std::string>{"evicted", "older-a", "older-b", "old"});
  CHECK(excess_pods(all, 5).empty());
}

TEST_CASE("a Pod is abandoned when it is being deleted and no kubelet will end it") {
  const auto abandoned = [](const std::string& pod_json, const std::string& node_json) {
    const Document pod = pod_of(pod_json);
    const Document node =
        node_json.empty() ? Document{} : client::ObjectBuilder::from_json(Node::schema_type(), node_json);
    return is_pod_abandoned(Pod(&pod.root()), Node(node ? &node.root() : nullptr));
  };
  const std::string deleted =
      R"("metadata":{"deletionTimestamp":"2024-01-01T00:00:00Z","deletionGracePeriodSeconds":30})";
  const std::string lost =
      R"({"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","effect":"NoExecute"}]},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})";
  const std::string tainted =
      R"({"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","effect":"NoExecute"}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}})";
  CHECK(abandoned("{" + deleted + "}", ""));
  CHECK_FALSE(abandoned("{}", ""));
  CHECK(abandoned("{" + deleted + R"(,"spec":{"nodeName":"n"}})", lost));
  CHECK_FALSE(abandoned("{" + deleted + R"(,"spec":{"nodeName":"n"}})", tainted));
  CHECK_FALSE(abandoned("{" + deleted + R"(,"spec":{"nodeName":"n"}})", "{}"));
  CHECK_FALSE(abandoned("{" + deleted + R"(,"spec":{"nodeName":"n"}})", ""));
  CHECK_FALSE(abandoned(
      R"({"metadata":{"deletionTimestamp":"2024-01-01T00:00:00Z","deletionGracePeriodSeconds":0},"status":{"phase":"Failed"}})",
      ""));
}

TEST_CASE("Pods of a node that is gone fail and go after the quarantine, and not before") {
  Collected world;
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.add_pod("orphan", "n", kept);
  world.start();
  world.add_pod("also", "n");
  world.set_phase("orphan", "Running");
  world.remove(nodes, "", "n");
  world.clock.advance(39s);
  world.add_pod("third", "n");
  world.wait(sleep_for(100ms));
  CHECK(world.count_calls("remove", "pods") == 0);
  CHECK(world.passes(
      "n", [&] { return !world.get(pods, "default", "also") && !world.get(pods, "default", "third"); }));
  CHECK(world.becomes(pods, "default", "orphan", [](const Document& pod) {
    const Pod view(&pod.root());
    for (const auto condition : view.status().conditions())
      if (condition.type() == "DisruptionTarget")
        return condition.reason() == "DeletionByPodGC" &&
               condition.message() == "PodGC: node no longer exists" && view.status().phase() == "Failed" &&
               view.metadata().has_deletionTimestamp() && view.status().observedGeneration() > 0;
    return false;
  }));
}

TEST_CASE("an orphan that cannot be ended keeps no other from its end") {
  Collected world;
  world.script.before = [](const Call& call) -> std::optional<Status> {
    if (call.resource == "pods" && call.name == "a-refused" && call.verb != "get")
      return Status(422, "Invalid", "refused");
    return std::nullopt;
  };
  world.start();
  world.add_pod("a-refused", "gone");
  world.add_pod("b", "gone");
  CHECK(world.passes("gone", [&] { return !world.get(pods, "default", "b"); }));
  CHECK(world.get(pods, "default", "a-refused"));
}

TEST_CASE("a node that comes back in time keeps its Pods") {
  Collected world;
  world.add_pod("early", "n");
  world.start();
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.add_pod("probe", "gone");
  CHECK(world.passes("gone", [&] { return !world.get(pods, "default", "probe"); }));
  CHECK(world.get(pods, "default", "early"));
}

TEST_CASE("a Pod that was never bound and is held by a finalizer fails when it is deleted") {
  Collected world;
  world.start();
  world.add_pod("unbound", "", kept);
  world.remove(pods, "default", "unbound");
  CHECK(world.becomes(pods, "default", "unbound",
                      [](const Document& pod) { return Pod(&pod.root()).status().phase() == "Failed"; }));
  world.patch(pods, "default", "unbound", R"({"metadata":{"finalizers":null}})");
  CHECK(world.goes(pods, "default", "unbound"));
}

TEST_CASE("a Pod that is being deleted on a node out of service goes without its kubelet") {
  Collected world;
  world.start();
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.patch(nodes, "", "n", R"({"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})", "status");
  world.add_pod("stuck", "n");
  world.set_phase("stuck", "Running");
  world.remove(pods, "default", "stuck");
  CHECK(world.get(pods, "default", "stuck"));
  world.patch(
      nodes, "", "n",
      R"({"spec":{"taints":[{"key":"node.kubernetes.io/out-of-service","value":"nodeshutdown","effect":"NoExecute"}]}})");
  CHECK(world.goes(pods, "default", "stuck"));
}
