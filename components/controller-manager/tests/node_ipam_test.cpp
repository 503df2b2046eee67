#include "apimachinery/errors.h"
#include "controller-manager/node_ranges.h"
#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

ManagerOptions cidrs(const std::string& cluster) {
  ManagerOptions options;
  options.cluster_cidr = cluster;
  options.node_cidr_mask_size = 24;
  return options;
}

class Ranges : public ControllerWorld {
 public:
  explicit Ranges(const std::string& cluster) : ControllerWorld({"node-ipam-controller"}, cidrs(cluster)) {}
  void add(const std::string& name, const std::string& range = "") {
    const std::string spec =
        range.empty() ? "" : R"(,"spec":{"podCIDR":")" + range + R"(","podCIDRs":[")" + range + "\"]}";
    create(nodes, "", R"({"metadata":{"name":")" + name + "\"}" + spec + "}");
  }
  // The node's, once it has one.
  std::string range_of(const std::string& name) {
    std::string range;
    CHECK(becomes(nodes, "", name, [&](const Document& node) {
      if (node) range = apimachinery::core_v1::Node(&node.root()).spec().podCIDR();
      return !range.empty();
    }));
    return range;
  }
};

}  // namespace

TEST_CASE("each node gets a range of its own, around those that nodes came with") {
  Ranges world("10.0.0.0/16");
  world.add("first", "10.0.1.0/24");
  world.start();
  world.add("second");
  CHECK(world.range_of("second") == "10.0.0.0/24");
  world.add("third");
  CHECK(world.range_of("third") == "10.0.2.0/24");
  CHECK(world.range_of("first") == "10.0.1.0/24");
}

TEST_CASE("a node that is deleted gives its range back, also to one that waits for it") {
  Ranges world("10.0.0.0/23");
  world.start();
  world.add("a");
  const std::string freed = world.range_of("a");
  world.add("b");
  world.range_of("b");
  const bool is_waiting = GENERATE(false, true);
  if (is_waiting) world.add("c");
  world.remove(nodes, "", "a");
  if (!is_waiting) world.add("c");
  CHECK(world.range_of("c") == freed);
}

TEST_CASE("a range whose write was not answered stays its node's") {
  Ranges world("10.0.0.0/16");
  int failures = 0;
  // The write happens but the answer is lost, and the mirror is behind: nobody can see who has the range.
  world.script.after = [&](const Call& call) -> std::optional<Status> {
    if (call.verb != "patch" || call.name != "a" || ++failures > 1) return std::nullopt;
    return apimachinery::timeout("the answer is lost", 0);
  };
  world.script.is_held = [](const std::string& resource) { return resource == "nodes"; };
  world.add("a");
  world.add("b");
  world.start();
  const std::string a = world.range_of("a"), b = world.range_of("b");
  CHECK(a != b);
  world.on_thread([&] { world.script.release(); });
  world.add("c");
  const std::string c = world.range_of("c");
  CHECK(c == "10.0.2.0/24");
  CHECK(world.range_of("a") == a);
  world.on_thread([&] { CHECK(failures > 0); });
}

TEST_CASE("ranges overlap when one holds the other") {
  CHECK(is_free_range("10.0.1.0/24", {"10.0.0.0/24", "10.0.2.0/23", "none"}));
  CHECK_FALSE(is_free_range("10.0.1.0/24", {"10.0.0.0/16"}));
  CHECK_FALSE(is_free_range("10.0.0.0/16", {"10.0.7.0/24"}));
  CHECK_FALSE(is_free_range("nonsense", {}));
}
