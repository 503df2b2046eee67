#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

TEST_CASE("every namespace has a service account default, and gets it again") {
  ControllerWorld world({"serviceaccount-controller"});
  world.create_namespace("early");
  world.start();
  CHECK(world.appears(accounts, "early", "default"));
  world.create_namespace("late");
  CHECK(world.appears(accounts, "late", "default"));
  const std::string uid(client::uid_of(world.get(accounts, "late", "default")));
  world.remove(accounts, "late", "default");
  CHECK(world.becomes(accounts, "late", "default",
                      [&](const Document& account) { return account && client::uid_of(account) != uid; }));
}

TEST_CASE("a namespace that ends gets no service account any more, and is not asked again and again") {
  ControllerWorld world({"serviceaccount-controller"});
  world.script.is_held = [](const std::string& resource) { return resource == "namespaces"; };
  world.create_namespace("going");
  world.start();
  REQUIRE(world.appears(accounts, "going", "default"));
  REQUIRE(world.appears(accounts, "kube-system", "default"));
  world.remove(namespaces, "", "going");  // nobody empties it, and its mirror is behind
  world.remove(accounts, "going", "default");
  for (int i = 0; i < 10; ++i) {  // later than the other, and made again
    const std::string uid(client::uid_of(world.get(accounts, "kube-system", "default")));
    world.remove(accounts, "kube-system", "default");
    REQUIRE(world.becomes(accounts, "kube-system", "default", [&](const Document& account) {
      return account && client::uid_of(account) != uid;
    }));
  }
  CHECK_FALSE(world.get(accounts, "going", "default"));
  world.on_thread([&] {
    CHECK(std::count_if(world.script.calls.begin(), world.script.calls.end(), [](const Call& call) {
            return call.verb == "create" && call.name_space == "going";
          }) == 2);
  });
}
