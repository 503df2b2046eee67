#include <chrono>

#include "base/log.h"
#include "slice_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;

namespace {

// With the one Service "web".
struct Web : SliceWorld {
  explicit Web(std::vector<std::string> controllers = {"endpointslice"})
      : SliceWorld(std::move(controllers)) {
    add_service("web");
  }
  Document slice() {
    Document found;
    REQUIRE(comes(endpoint_slices, "default", [&](const Objects& all) {
      if (all.empty()) return false;
      found = all.begin()->second;
      return true;
    }));
    return found;
  }
};

}  // namespace

TEST_CASE("the endpoints of a Service follow the readiness of its Pods") {
  Web world;
  world.add_pod("a", 1);
  REQUIRE(world.has_ready("web", 1));
  const EndpointSlice slice(&world.slice().root());
  CHECK(slice.metadata().annotations().contains("endpoints.kubernetes.io/last-change-trigger-time"));
  CHECK(slice.endpoints()[0].zone() == "east");
  CHECK(slice.metadata().generateName() == "web-");
  world.add_pod("b", 2, false);
  REQUIRE(world.comes(endpoint_slices, "default",
                      [](const auto& all) { return SliceWorld::count_endpoints(all, "web", false) == 2; }));
  world.set_ready("b", true, 2);
  REQUIRE(world.has_ready("web", 2));
  world.set_ready("a", false, 1);
  REQUIRE(world.has_ready("web", 1));
  world.remove_pod("a");
  world.patch(pods, "default", "b", R"({"metadata":{"labels":{"app":"other"}}})");
  REQUIRE(world.has_ready("web", 0));
  CHECK(world.count_calls("create", "endpointslices") == 1);
  CHECK_FALSE(world.count_calls("create", "events"));  // nothing failed
}

TEST_CASE("a Service without a selector and one that is a name elsewhere are left alone") {
  SliceWorld world({"endpointslice"});
  world.add_pod("a", 1);
  world.add_service("plain", R"("ports":[{"port":80}])");
  world.add_service("name", R"("type":"ExternalName","externalName":"example.com","selector":{"app":"web"})");
  world.add_service("web");
  REQUIRE(world.has_ready("web", 1));
  CHECK(world.count_calls("create", "endpointslices") == 1);
}

TEST_CASE("a mirror that lags behind makes no endpoint twice") {
  Web world;
  REQUIRE(world.slice());
  world.on_thread([&] {
    world.script.is_held = [](const std::string& resource) { return resource == "endpointslices"; };
  });
  // More than one slice holds, so that a plan made of the mirror would have a slice to create.
  for (int i = 0; i < 150; ++i) world.add_pod("p" + std::to_string(i), i);
  REQUIRE(world.comes(endpoint_slices, "default",
                      [](const auto& all) { return SliceWorld::count_endpoints(all, "web") > 0; }));
  world.on_thread([&] { world.script.release(); });
  REQUIRE(world.has_ready("web", 150));
  const auto all = world.wait(world.admin().list(endpoint_slices, "default", {}));
  REQUIRE(all);
  CHECK(all->items.size() == 2);
  std::multiset<std::string> addresses;
  for (const auto& slice : all->items)
    for (const auto endpoint : EndpointSlice(&slice.root()).endpoints())
      for (const auto address : endpoint.addresses()) addresses.emplace(address);
  CHECK(addresses.size() == 150);
  CHECK(std::set<std::string>(addresses.begin(), addresses.end()).size() == 150);
}

TEST_CASE("a slice that somebody takes away or changes is put right") {
  Web world;
  world.add_pod("a", 1);
  REQUIRE(world.has_ready("web", 1));
  const std::string first = name_of(world.slice());
  world.remove(endpoint_slices, "default", first);
  REQUIRE(world.comes(endpoint_slices, "default", [&](const auto& all) {
    return !all.contains(first) && SliceWorld::count_endpoints(all, "web") == 1;
  }));
  world.patch(endpoint_slices, "default", name_of(world.slice()), R"({"endpoints":null})");
  REQUIRE(world.has_ready("web", 1));
}

TEST_CASE("a Service that goes leaves its slices to the garbage collector") {
  Web world({"endpointslice", "garbagecollector"});
  world.add_pod("a", 1);
  REQUIRE(world.has_ready("web", 1));
  world.remove(services, "default", "web");
  REQUIRE(world.comes(endpoint_slices, "default", [](const auto& all) { return all.empty(); }));
}

TEST_CASE("a Pod whose node is not there comes in with the node, and an event says why it waits") {
  Web world;
  world.remove(nodes, "", "n1");
  world.add_pod("a", 1);
  REQUIRE(world.has_event(
      "default", "FailedToUpdateEndpointSlices",
      "Error updating Endpoint Slices for Service default/web: skipping Pod a for Service default/web: "
      "Node n1 Not Found"));
  world.create(nodes, "", R"({"metadata":{"name":"n1"}})");
  REQUIRE(world.has_ready("web", 1));
}

TEST_CASE("a slice of an earlier controller is taken over as it is") {
  SliceWorld world({"endpointslice"}, false);
  const std::string service(client::uid_of(world.add_service("web")));
  world.add_pod("a", 1);
  const std::string pod(client::uid_of(world.get(pods, "default", "a")));
  world.create(endpoint_slices, "default",
               R"({"metadata":{"name":"web-old","labels":{"kubernetes.io/service-name":"web",
          "endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"},
          "ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"web","uid":")" +
                   service + R"(","controller":true}]},
          "addressType":"IPv4","ports":[{"name":"","port":8080,"protocol":"TCP"}],
          "endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true,"serving":true,"terminating":false},
          "nodeName":"n1","zone":"east","targetRef":{"kind":"Pod","namespace":"default","name":"a","uid":")" +
                   pod + R"("}}]})");
  world.start();
  world.add_service("later");
  REQUIRE(world.comes(endpoint_slices, "default", [](const auto& all) { return all.size() == 2; }));
  CHECK(world.count_calls("create", "endpointslices") == 1);
  CHECK(world.count_calls("update", "endpointslices") == 0);
  world.set_ready("a", false, 1);
  REQUIRE(world.has_ready("web", 0));
  world.remove(endpoint_slices, "default", "web-old");
  REQUIRE(world.comes(endpoint_slices, "default",
                      [](const auto& all) { return all.size() == 2 && !all.contains("web-old"); }));
}

TEST_CASE("a change of one Pod of a thousand is written within milliseconds, as one slice") {
  using Time = std::chrono::steady_clock::time_point;
  std::vector<Time> written;  // of the controllers' thread; lives longer than they
  SliceWorld world({"endpointslice"}, false);
  constexpr int count = 1000, rounds = 20;
  world.script.after = [&](const Call& call) -> std::optional<Status> {
    if (call.resource == "endpointslices") written.push_back(std::chrono::steady_clock::now());
    return std::nullopt;
  };
  world.start();
  world.add_service("web");
  // Who watches may see a write before who wrote has the answer.
  auto await_answers = [&] {
    const Time until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    std::size_t asked = 1, answered = 0;
    while (asked != answered && std::chrono::steady_clock::now() < until)
      world.on_thread([&] {
        asked = 0, answered = written.size();
        for (const auto& call : world.script.calls) asked += call.resource == "endpointslices";
      });
    REQUIRE(asked == answered);
  };
  for (int i = 0; i < count; ++i) world.add_pod(pod_name(i), i);
  REQUIRE(world.has_ready("web", count));
  await_answers();
  const std::size_t writes_before = written.size();
  std::vector<double> from_call_ms, from_answer_ms;
  auto ms = [](Time from, Time to) { return std::chrono::duration<double, std::milli>(to - from).count(); };
  for (int i = 0; i < rounds; ++i) {
    const Time begin = std::chrono::steady_clock::now();
    world.set_ready(pod_name(i * 37), false, i * 37);
    const Time answered = std::chrono::steady_clock::now();
    REQUIRE(world.has_ready("web", count - i - 1));
    await_answers();
    from_call_ms.push_back(ms(begin, written.back()));
    from_answer_ms.push_back(ms(answered, written.back()));
  }
  CHECK(written.size() == writes_before + rounds);
  std::sort(from_call_ms.begin(), from_call_ms.end());
  std::sort(from_answer_ms.begin(), from_answer_ms.end());
  WARN("1000 Pods, one becomes unready; its slice is stored after p50 "
       << from_call_ms[rounds / 2] << " ms, at most " << from_call_ms.back() << " ms of the call, p50 "
       << from_answer_ms[rounds / 2] << " ms of its answer");
  CHECK(from_call_ms[rounds / 2] < 500);  // also where everything is checked and nothing optimized
}
