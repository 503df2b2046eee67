#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {
constexpr const char* name = "kube-root-ca.crt";
constexpr const char* authority = "-----BEGIN CERTIFICATE-----\nthe cluster's\n-----END CERTIFICATE-----\n";

ManagerOptions with_authority() {
  ManagerOptions options;
  options.root_ca_pem = authority;
  return options;
}
bool is_right(const Document& object) {
  if (!object) return false;
  const apimachinery::core_v1::ConfigMap map(&object.root());
  return map.data().size() == 1 && map.data().get("ca.crt") == authority &&
         map.metadata().annotations().get("kubernetes.io/description").starts_with("Contains a CA bundle");
}
}  // namespace

TEST_CASE("every namespace has the cluster's authority, and has it again when it is changed or taken away") {
  ControllerWorld world({"root-ca-certificate-publisher-controller"}, with_authority());
  world.create_namespace("early");
  world.start();
  CHECK(world.becomes(config_maps, "early", name, is_right));
  world.create_namespace("late");
  CHECK(world.becomes(config_maps, "late", name, is_right));
  world.patch(config_maps, "late", name, R"({"data":{"ca.crt":"another"}})");
  CHECK(world.becomes(config_maps, "late", name, is_right));
  world.patch(config_maps, "late", name, R"({"data":{"more":"x"}})");
  CHECK(world.becomes(config_maps, "late", name, is_right));
  world.patch(config_maps, "late", name, R"({"metadata":{"annotations":null}})");
  CHECK(world.becomes(config_maps, "late", name, is_right));
  world.remove(config_maps, "late", name);
  CHECK(world.becomes(config_maps, "late", name, is_right));
}

TEST_CASE("an annotation of the user's own and other maps stay as they are") {
  ControllerWorld world({"root-ca-certificate-publisher-controller"}, with_authority());
  world.start();
  REQUIRE(world.becomes(config_maps, "default", name, is_right));
  world.create_map("default", "mine");
  world.patch(config_maps, "default", name, R"({"metadata":{"annotations":{"a":"b"}},"data":{"more":"x"}})");
  CHECK(world.becomes(config_maps, "default", name, is_right));
  CHECK(metadata_of(world.get(config_maps, "default", name)).annotations().get("a") == "b");
  CHECK(apimachinery::core_v1::ConfigMap(&world.get(config_maps, "default", "mine").root()).data().empty());
}
