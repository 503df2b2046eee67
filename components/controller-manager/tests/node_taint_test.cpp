#include "controller-manager/node_taint_plan.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

// "key=effect", in order of the key.
std::set<std::string> taints_of(const Document& node) {
  std::set<std::string> out;
  for (const auto taint : apimachinery::core_v1::Node(&node.root()).spec().taints())
    out.insert(std::string(taint.key()) + "=" + std::string(taint.effect()));
  return out;
}
// What the plan makes of a node; nothing when it changes nothing.
std::optional<std::set<std::string>> planned(const std::string& json) {
  client::ObjectBuilder builder(
      client::ObjectBuilder::from_json(apimachinery::core_v1::Node::schema_type(), json));
  if (!set_condition_taints(builder.arena(), builder.root(), 0)) return std::nullopt;
  return taints_of(builder.freeze());
}
using Taints = std::set<std::string>;

}  // namespace

TEST_CASE("conditions become NoSchedule taints, and taints of others stay") {
  CHECK(planned(R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})") ==
        Taints{"node.kubernetes.io/not-ready=NoSchedule"});
  CHECK(planned(R"({"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})") ==
        Taints{"node.kubernetes.io/unreachable=NoSchedule"});
  CHECK(planned(R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})") == std::nullopt);
  CHECK(planned(R"({"spec":{"unschedulable":true}})") ==
        Taints{"node.kubernetes.io/unschedulable=NoSchedule"});
  CHECK(planned(R"({"spec":{"taints":[{"key":"mine","effect":"NoSchedule"},
                    {"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"},
                    {"key":"node.kubernetes.io/not-ready","effect":"NoExecute"}]},
                    "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"DiskPressure","status":"True"},
                    {"type":"MemoryPressure","status":"True"},{"type":"PIDPressure","status":"True"},
                    {"type":"NetworkUnavailable","status":"True"}]}})") ==
        Taints{"mine=NoSchedule", "node.kubernetes.io/not-ready=NoExecute",
               "node.kubernetes.io/disk-pressure=NoSchedule", "node.kubernetes.io/memory-pressure=NoSchedule",
               "node.kubernetes.io/pid-pressure=NoSchedule",
               "node.kubernetes.io/network-unavailable=NoSchedule"});
}

TEST_CASE("a node's taints follow its conditions") {
  ControllerWorld world({"node-lifecycle-controller"});
  world.start();
  world.create(nodes, "",
               R"({"metadata":{"name":"n"},"spec":{"taints":[{"key":"mine","effect":"NoSchedule"}]}})");
  auto has = [&](const Taints& wanted) {
    return world.becomes(nodes, "", "n",
                         [&](const Document& node) { return node && taints_of(node) == wanted; });
  };
  world.patch(nodes, "", "n", R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})", "status");
  CHECK(has({"mine=NoSchedule", "node.kubernetes.io/not-ready=NoSchedule"}));
  world.patch(nodes, "", "n", R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})", "status");
  CHECK(has({"mine=NoSchedule"}));
  world.patch(nodes, "", "n", R"({"spec":{"unschedulable":true}})");
  CHECK(has({"mine=NoSchedule", "node.kubernetes.io/unschedulable=NoSchedule"}));
  world.patch(nodes, "", "n", R"({"spec":{"unschedulable":null}})");
  CHECK(has({"mine=NoSchedule"}));
}
