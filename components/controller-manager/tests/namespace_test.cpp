#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {
constexpr Resource secrets{"", "v1", "secrets"};
std::string phase_of(const Document& name_space) {
  return std::string(apimachinery::core_v1::Namespace(&name_space.root()).status().phase());
}
}  // namespace

TEST_CASE("a namespace that is deleted goes with all it holds, and nothing else does") {
  ControllerWorld world({"namespace-controller"});
  world.start();
  world.create_namespace("going");
  world.create_map("going", "a");
  world.create(secrets, "going", R"({"metadata":{"name":"s"}})");
  world.create_map("default", "a");
  world.remove(namespaces, "", "going");
  CHECK(world.goes(namespaces, "", "going"));
  CHECK_FALSE(world.get(config_maps, "going", "a"));
  CHECK_FALSE(world.get(secrets, "going", "s"));
  CHECK(world.get(config_maps, "default", "a"));
}

TEST_CASE("a namespace waits for what cannot go yet") {
  ControllerWorld world({"namespace-controller"});
  world.start();
  world.create_namespace("going");
  world.create_map("going", "kept", R"(,"finalizers":["example.com/hold"])");
  world.remove(namespaces, "", "going");
  REQUIRE(world.becomes(config_maps, "going", "kept",
                        [](const Document& map) { return map && metadata_of(map).has_deletionTimestamp(); }));
  world.create_namespace("later");  // is deleted after it, and has gone before it
  world.remove(namespaces, "", "later");
  REQUIRE(world.goes(namespaces, "", "later"));
  const Document waiting = world.get(namespaces, "", "going");
  REQUIRE(waiting);
  CHECK(phase_of(waiting) == "Terminating");
  world.patch(config_maps, "going", "kept", R"({"metadata":{"finalizers":null}})");
  CHECK(world.goes(namespaces, "", "going"));
}
