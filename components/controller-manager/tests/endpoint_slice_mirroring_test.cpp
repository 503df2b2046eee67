#include <catch2/catch.hpp>

#include "controller-manager/endpoint_slice_mirroring_plan.h"
#include "slice_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using apimachinery::core_v1::Endpoints;

namespace {

Document own_endpoints(const std::string& subsets, const std::string& metadata = "",
                       const std::string& uid = "own-uid") {
  return made(Endpoints::schema_type(), R"({"metadata":{"name":"own","namespace":"default","uid":")" + uid +
                                            "\"" + metadata + R"(},"subsets":[)" + subsets + "]}");
}
Document stored(const Document& slice, const std::string& name) {
  client::ObjectBuilder builder(slice);
  set_string(builder.arena(), *builder.root().get(EndpointSlice::f_metadata), ObjectMeta::f_name, name);
  return builder.freeze();
}
const std::string two =
    R"({"addresses":[{"ip":"10.9.0.1","hostname":"h","nodeName":"n1"}],"notReadyAddresses":[{"ip":"10.9.0.2"}],"ports":[{"name":"http","port":80,"protocol":"TCP","appProtocol":"h2c"}]})";

}  // namespace

TEST_CASE("a mirrored slice says what the Endpoints say") {
  const Document object = own_endpoints(
      two,
      R"(,"labels":{"app":"own"},"annotations":{"note":"x","endpoints.kubernetes.io/last-change-trigger-time":"t","kubectl.kubernetes.io/last-applied-configuration":"{}"})");
  const MirrorPlan plan = plan_mirrored_slices(object, {});
  REQUIRE(plan.create.size() == 1);
  const EndpointSlice slice(&plan.create[0].root());
  CHECK(slice.metadata().generateName() == "own-");
  CHECK(slice.metadata().labels().size() == 3);
  CHECK(slice.metadata().labels().get("app") == "own");
  CHECK(slice.metadata().labels().get("kubernetes.io/service-name") == "own");
  CHECK(slice.metadata().labels().get("endpointslice.kubernetes.io/managed-by") ==
        "endpointslicemirroring-controller.k8s.io");
  CHECK(slice.metadata().annotations().size() == 1);
  CHECK(controller_of(slice.metadata()).kind() == "Endpoints");
  REQUIRE(slice.endpoints().size() == 2);
  const auto first = slice.endpoints()[0];
  CHECK(first.addresses()[0] == "10.9.0.1");
  CHECK(first.hostname() == "h");
  CHECK(first.nodeName() == "n1");
  CHECK((first.conditions().ready() && !first.conditions().has_serving()));
  CHECK((slice.endpoints()[1].conditions().has_ready() && !slice.endpoints()[1].conditions().ready()));
  CHECK(slice.ports()[0].appProtocol() == "h2c");

  const Document there = stored(plan.create[0], "own-1");
  auto is_nothing = [](const MirrorPlan& again) {
    return again.create.empty() && again.update.empty() && again.remove.empty();
  };
  CHECK(is_nothing(plan_mirrored_slices(object, {there})));
  SECTION("a change of Endpoints is written to the slice that is there") {
    const MirrorPlan again = plan_mirrored_slices(
        own_endpoints(R"({"addresses":[{"ip":"10.9.0.1"}],"ports":[{"port":81,"protocol":"TCP"}]})"),
        {there});
    REQUIRE((again.update.size() == 1 && again.create.empty() && again.remove.empty()));
    CHECK(name_of(again.update[0]) == "own-1");
  }
  SECTION("Endpoints of the same name that were made anew own the slice") {
    CHECK(plan_mirrored_slices(
              own_endpoints(two, R"(,"labels":{"app":"own"},"annotations":{"note":"x"})", "later"), {there})
              .update.size() == 1);
  }
  SECTION("without addresses there is no slice") {
    CHECK(plan_mirrored_slices(own_endpoints(""), {there}).remove.size() == 1);
  }
  SECTION("of two slices of the same kind one is enough") {
    CHECK(plan_mirrored_slices(object, {there, stored(there, "own-2")}).remove.size() == 1);
  }
}

TEST_CASE("families and lists of ports have slices of their own") {
  const MirrorPlan plan = plan_mirrored_slices(
      own_endpoints(
          R"({"addresses":[{"ip":"10.9.0.1"},{"ip":"fd00::1"}],"ports":[{"port":80,"protocol":"TCP"}]},{"addresses":[{"ip":"10.9.0.2"}],"ports":[{"port":81,"protocol":"TCP"}]})"),
      {});
  CHECK(plan.create.size() == 3);
}

TEST_CASE("addresses that are none and addresses beyond the limit are left out, and events say so") {
  const MirrorPlan plan = plan_mirrored_slices(
      own_endpoints(
          R"({"addresses":[{"ip":"0bad"},{"ip":"10.9.0.1"},{"ip":"10.9.0.2"},{"ip":"10.9.0.3"}],"ports":[{"port":80,"protocol":"TCP"}]})"),
      {}, 2);
  REQUIRE(plan.create.size() == 1);
  CHECK(EndpointSlice(&plan.create[0].root()).endpoints().size() == 2);
  REQUIRE(plan.events.size() == 2);
  CHECK(plan.events[0].reason == "InvalidIPAddress");
  CHECK(plan.events[1].reason == "TooManyAddressesToMirror");
}

TEST_CASE("locks and what says so are not mirrored") {
  CHECK(should_mirror(own_endpoints(two)));
  CHECK_FALSE(
      should_mirror(own_endpoints(two, R"(,"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"})")));
  CHECK_FALSE(should_mirror(
      own_endpoints(two, R"(,"annotations":{"control-plane.alpha.kubernetes.io/leader":"{}"})")));
}

namespace {
const std::string body =
    R"({"metadata":{"name":"own"},"subsets":[{"addresses":[{"ip":"10.9.0.1"},{"ip":"10.9.0.2"}],"ports":[{"port":80}]}]})";
struct MirrorWorld : SliceWorld {
  MirrorWorld() : SliceWorld({"endpointslice", "endpoint", "endpointslicemirroring"}) {
    add_service("own", R"("ports":[{"port":80}])");
    create(endpoints, "default", body);
    REQUIRE(has_ready("own", 2));
  }
};
}  // namespace

TEST_CASE("hand-made Endpoints are mirrored and their slices go with them") {
  MirrorWorld world;
  world.patch(endpoints, "default", "own",
              R"({"subsets":[{"addresses":[{"ip":"10.9.0.3"}],"ports":[{"port":80}]}]})");
  REQUIRE(world.has_ready("own", 1));
  CHECK(world.count_calls("create", "endpointslices") == 1);
  world.remove(endpoints, "default", "own");
  REQUIRE(world.comes(endpoint_slices, "default", [](const auto& all) { return all.empty(); }));
  CHECK_FALSE(world.count_calls("create", "events"));
}

TEST_CASE("a mirror ends when its Endpoints ask for it, and when their Service gets a selector") {
  MirrorWorld world;
  SECTION("by label") {
    world.patch(endpoints, "default", "own",
                R"({"metadata":{"labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}})");
    REQUIRE(world.comes(endpoint_slices, "default", [](const auto& all) { return all.empty(); }));
  }
  SECTION("by selector") {
    world.add_pod("a", 1);
    world.patch(services, "default", "own", R"({"spec":{"selector":{"app":"web"}}})");
    REQUIRE(world.comes(endpoint_slices, "default", [](const auto& all) {
      return all.size() == 1 && SliceWorld::count_endpoints(all, "own") == 1 &&
             metadata_of(all.begin()->second).labels().get("endpointslice.kubernetes.io/managed-by") ==
                 "endpointslice-controller.k8s.io";
    }));
  }
}
