#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>

#include "apimachinery/api/discovery_v1.h"
#include "controller-manager/endpoint_slice_endpoints.h"
#include "controller-manager/endpoint_slice_order.h"
#include "controller-manager/endpoint_slice_plan.h"
#include "controller-manager/endpoint_slice_tracker.h"
#include "slice_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using apimachinery::discovery_v1::EndpointPort;

namespace {

// A Service with its Pods and what is planned for it, over and over.
struct Case {
  Document service = service_of(R"("ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}])");
  std::vector<Document> pods, slices;
  std::map<std::string, Document, std::less<>> nodes = {{"n1", node_of("n1", "east")}};
  Topology topology;
  std::string trigger_time;
  std::size_t limit = endpoints_per_slice;

  SlicePlan plan() {
    return plan_endpoint_slices({service, pods, slices,
                                 [this](std::string_view name) {
                                   const auto it = nodes.find(name);
                                   return it == nodes.end() ? Document{} : it->second;
                                 },
                                 trigger_time},
                                topology, limit);
  }
  // Does it, as a server would.
  SlicePlan apply() {
    SlicePlan planned = plan();
    for (const auto& slice : planned.create) {
      client::ObjectBuilder builder(slice);
      auto& metadata = *builder.root().get(EndpointSlice::f_metadata);
      set_string(builder.arena(), metadata, ObjectMeta::f_name, "web-" + std::to_string(++made_));
      set_string(builder.arena(), metadata, ObjectMeta::f_uid, "slice-" + std::to_string(made_));
      slices.push_back(builder.freeze());
    }
    for (const auto& slice : planned.update)
      for (auto& old : slices)
        if (name_of(old) == name_of(slice)) old = slice;
    for (const auto& slice : planned.remove)
      std::erase_if(slices, [&](const Document& old) { return name_of(old) == name_of(slice); });
    return planned;
  }
  bool is_settled() {
    const SlicePlan again = plan();
    return again.create.empty() && again.update.empty() && again.remove.empty();
  }
  std::vector<std::size_t> sizes() const {
    std::vector<std::size_t> out;
    for (const auto& slice : slices) out.push_back(EndpointSlice(&slice.root()).endpoints().size());
    return out;
  }
  Endpoint endpoint(std::string_view pod) const {
    for (const auto& slice : slices)
      for (const auto one : EndpointSlice(&slice.root()).endpoints())
        if (one.targetRef().name() == pod) return one;
    return {};
  }

 private:
  int made_ = 0;
};

std::string port_text(const std::string& json) {
  const Document port = made(EndpointPort::schema_type(), json);
  return order_text(EndpointPort(&port.root()));
}

}  // namespace

TEST_CASE("ports are put in the order of Kubernetes' hashes") {
  // Text and hash as k8s.io/apimachinery v0.35 makes them.
  const std::string text = port_text(R"({"name":"http","port":80,"protocol":"TCP"})");
  CHECK(text ==
        "(v1.EndpointPort){Name:(*string)http Protocol:(*v1.Protocol)TCP Port:(*int32)80 "
        "AppProtocol:(*string)<nil>}");
  CHECK(fnv1a_128(text) == ((OrderHash{0xb6c4d325122a5ba6} << 64) | 0xf795b0bbffcebb6f));
  CHECK(fnv1a_128(port_text(R"({"name":"","protocol":"TCP","appProtocol":"h2c"})")) ==
        ((OrderHash{0x67fba1bfba9e6fa2} << 64) | 0x77e6011f4a74ad28));
}

TEST_CASE("an endpoint tells its Pod's address, node, zone and state") {
  Case world;
  world.pods = {pod_of("a", 1), pod_of("b", 2, R"("hostname":"b","subdomain":"web")", false)};
  world.trigger_time = "2024-01-01T00:00:00Z";
  REQUIRE(world.apply().create.size() == 1);
  const EndpointSlice slice(&world.slices[0].root());
  CHECK(slice.addressType() == "IPv4");
  CHECK(slice.metadata().generateName() == "web-");
  CHECK(slice.metadata().namespace_() == "default");
  CHECK(slice.metadata().annotations().get(trigger_time_annotation) == "2024-01-01T00:00:00Z");
  CHECK(slice.metadata().labels().get("kubernetes.io/service-name") == "web");
  CHECK(slice.metadata().labels().get("endpointslice.kubernetes.io/managed-by") ==
        "endpointslice-controller.k8s.io");
  CHECK(controller_of(slice.metadata()).uid() == "web-uid");
  CHECK(controller_of(slice.metadata()).blockOwnerDeletion());
  REQUIRE(slice.ports().size() == 1);
  CHECK(slice.ports()[0].port() == 8080);
  CHECK(slice.ports()[0].name() == "http");
  const Endpoint a = world.endpoint("a"), b = world.endpoint("b");
  CHECK(a.addresses()[0] == "10.1.0.1");
  CHECK(a.nodeName() == "n1");
  CHECK(a.zone() == "east");
  CHECK((a.conditions().ready() && a.conditions().serving() && !a.conditions().terminating()));
  CHECK((a.conditions().has_terminating() && !a.has_hostname()));
  CHECK(a.targetRef().uid() == "a-uid");
  CHECK(b.hostname() == "b");
  CHECK((!b.conditions().ready() && !b.conditions().serving()));
  CHECK(world.is_settled());
}

TEST_CASE("a Pod that ends serves but is not ready, unless unready ones are published") {
  Case world;
  world.pods = {ending_pod("a", 1)};
  world.apply();
  const auto is = world.endpoint("a").conditions();
  CHECK((!is.ready() && is.serving() && is.terminating()));
  world.service = service_of(
      R"("publishNotReadyAddresses":true,"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}])");
  CHECK(world.apply().update.size() == 1);
  CHECK(world.endpoint("a").conditions().ready());
}

TEST_CASE("Pods without address and Pods that have ended are left out") {
  Case world;
  world.pods = {
      made(Pod::schema_type(),
           R"({"metadata":{"name":"a","namespace":"default","uid":"a-uid"},"spec":{"nodeName":"n1"}})"),
      made(Pod::schema_type(),
           R"({"metadata":{"name":"b","namespace":"default","uid":"b-uid"},"spec":{"nodeName":"n1"},)"
           R"("status":{"phase":"Failed","podIP":"10.1.0.2","podIPs":[{"ip":"10.1.0.2"}]}})")};
  world.apply();
  CHECK(world.sizes() == std::vector<std::size_t>{0});
}

TEST_CASE("a Pod on a node that is not known waits for it") {
  Case world;
  world.pods = {pod_of("a", 1, R"("nodeName":"n2")"), pod_of("b", 2)};
  const SlicePlan plan = world.apply();
  REQUIRE(plan.homeless.size() == 1);
  CHECK((plan.homeless[0].pod == "a" && plan.homeless[0].node == "n2"));
  CHECK(world.sizes() == std::vector<std::size_t>{1});
  world.nodes.emplace("n2", node_of("n2", ""));
  CHECK(world.apply().homeless.empty());
  CHECK(world.endpoint("a").nodeName() == "n2");
  CHECK_FALSE(world.endpoint("a").has_zone());
}

TEST_CASE("a named target port is found in each Pod, and each list of ports has slices of its own") {
  Case world;
  world.service = service_of(R"("ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"web"}])");
  world.pods = {
      pod_of("a", 1, container("web", 8080)), pod_of("b", 2, container("web", 9090)),
      pod_of("c", 3, container("web", 8080)), pod_of("d", 4, container("other", 1)),
      pod_of(
          "e", 5,
          R"("initContainers":[{"name":"s","restartPolicy":"Always","ports":[{"name":"web","containerPort":8080,"protocol":"TCP"}]}])")};
  world.apply();
  std::map<std::int64_t, std::size_t> endpoints;  // by port; 0: none
  for (const auto& slice : world.slices) {
    const EndpointSlice view(&slice.root());
    endpoints[view.ports().empty() ? 0 : view.ports()[0].port()] = view.endpoints().size();
  }
  CHECK(endpoints == std::map<std::int64_t, std::size_t>{{0, 1}, {8080, 3}, {9090, 1}});
  CHECK(world.is_settled());
}

TEST_CASE("a Service without Pods has one slice that says so, and its first Pod moves into it") {
  Case world;
  world.apply();
  REQUIRE(world.slices.size() == 1);
  CHECK(EndpointSlice(&world.slices[0].root()).ports().empty());
  CHECK(world.is_settled());
  world.pods = {pod_of("a", 1)};
  const SlicePlan first = world.apply();
  CHECK((first.create.empty() && first.remove.empty() && first.update.size() == 1));
  CHECK(EndpointSlice(&world.slices[0].root()).ports().size() == 1);
  world.pods.clear();
  const SlicePlan last = world.apply();
  CHECK((last.create.empty() && last.remove.empty() && last.update.size() == 1));
  CHECK(world.sizes() == std::vector<std::size_t>{0});
  CHECK(world.is_settled());
}

TEST_CASE("a headless Service without ports has no write but the first, however its mirror shows no ports") {
  // kube-controller-manager v1.35 writes such a slice in every round (kubernetes/kubernetes#133474).
  Case world;
  world.service = service_of(R"("clusterIP":"None")");
  world.pods = {pod_of("a", 1)};
  world.trigger_time = "2024-01-01T00:00:00Z";
  REQUIRE(world.apply().create.size() == 1);
  world.trigger_time.clear();
  CHECK(world.is_settled());
  client::ObjectBuilder builder(world.slices[0]);  // as protobuf brings it, which has no empty lists
  erase_field(builder.root(), EndpointSlice::f_ports);
  world.slices[0] = builder.freeze();
  REQUIRE(world.slices[0].root().get(EndpointSlice::f_ports) == nullptr);
  CHECK(world.is_settled());
}

TEST_CASE("a change of one Pod among a thousand writes one slice") {
  Case world;
  for (int i = 0; i < 1000; ++i) world.pods.push_back(pod_of(pod_name(i), i));
  CHECK(world.apply().create.size() == 10);
  CHECK(world.sizes() == std::vector<std::size_t>(10, 100));
  world.pods[555] = pod_of(pod_name(555), 555, "", false);
  SlicePlan plan = world.apply();
  CHECK((plan.update.size() == 1 && plan.create.empty() && plan.remove.empty()));
  CHECK_FALSE(world.endpoint(pod_name(555)).conditions().ready());
  world.pods.erase(world.pods.begin() + 17);
  plan = world.apply();
  CHECK((plan.update.size() == 1 && plan.create.empty() && plan.remove.empty()));
  world.pods.push_back(pod_of("new", 2000));  // there is room where one has gone
  plan = world.apply();
  CHECK((plan.update.size() == 1 && plan.create.empty() && plan.remove.empty()));
  CHECK(world.is_settled());
}

TEST_CASE("what comes goes first into slices that change anyway") {
  Case world;
  world.limit = 4;
  for (int i = 0; i < 7; ++i) world.pods.push_back(pod_of(pod_name(i), i));
  world.apply();
  CHECK(world.sizes() == std::vector<std::size_t>{4, 3});
  world.pods.erase(world.pods.begin());    // of the first slice
  world.pods.push_back(pod_of("z", 100));  // the second has room, but need not be touched
  const SlicePlan plan = world.apply();
  CHECK((plan.update.size() == 1 && plan.create.empty()));
  CHECK(world.sizes() == std::vector<std::size_t>{4, 3});
  world.pods.erase(world.pods.begin() + 3, world.pods.begin() + 6);  // all of the second
  const SlicePlan last = world.apply();
  CHECK((last.update.empty() && last.remove.size() == 1));
}

TEST_CASE("the slices bear the Service's labels, but not its words about slices") {
  Case world;
  world.pods = {pod_of("a", 1)};
  world.apply();
  world.service = service_of(
      R"("clusterIP":"None","ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}])",
      R"("app":"web","kubernetes.io/service-name":"evil","endpointslice.kubernetes.io/managed-by":"evil")");
  CHECK(world.apply().update.size() == 1);
  const auto labels = metadata_of(world.slices[0]).labels();
  CHECK(labels.size() == 4);
  CHECK(labels.get("app") == "web");
  CHECK(labels.get("kubernetes.io/service-name") == "web");
  CHECK(labels.contains("service.kubernetes.io/headless"));
  CHECK(world.is_settled());
}

TEST_CASE("a slice of an earlier Service of the same name goes") {
  Case world;
  world.pods = {pod_of("a", 1)};
  world.apply();
  world.service = service_of(R"("ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}])", "",
                             "later-uid");
  const SlicePlan plan = world.apply();
  CHECK((plan.create.size() == 1 && plan.remove.size() == 1 && plan.update.empty()));
}

TEST_CASE("a Service of two families has slices of both, and loses those of a family it gives up") {
  Case world;
  const std::string ports = R"("ports":[{"name":"","protocol":"TCP","port":80,"targetPort":8080}])";
  world.service = service_of(R"("ipFamilies":["IPv4","IPv6"],)" + ports);
  world.pods = {
      made(
          Pod::schema_type(),
          R"({"metadata":{"name":"a","namespace":"default","uid":"a-uid"},"spec":{"nodeName":"n1"},"status":{)"
          R"("podIP":"10.1.0.1","podIPs":[{"ip":"10.1.0.1"},{"ip":"fd00:0::0A"}]}})"),
      pod_of("b", 2)};
  world.apply();
  REQUIRE(world.slices.size() == 2);
  CHECK(world.sizes() == std::vector<std::size_t>{2, 1});
  const EndpointSlice v6(&world.slices[1].root());
  CHECK(v6.addressType() == "IPv6");
  CHECK(v6.endpoints()[0].addresses()[0] == "fd00::a");
  CHECK(world.is_settled());
  world.service = service_of(R"("ipFamilies":["IPv4"],)" + ports);
  CHECK(world.apply().remove.size() == 1);
  CHECK(world.is_settled());
}

TEST_CASE("trafficDistribution says for whom an endpoint is") {
  Case world;
  const std::string ports = R"("ports":[{"name":"","protocol":"TCP","port":80,"targetPort":8080}])";
  world.pods = {pod_of("a", 1), pod_of("b", 2, "", false)};
  world.service = service_of(ports);
  world.apply();
  CHECK_FALSE(world.endpoint("a").has_hints());
  for (const std::string wish : {"PreferClose", "PreferSameZone", "PreferSameNode"}) {
    world.service = service_of(R"("trafficDistribution":")" + wish + "\"," + ports);
    world.apply();
    const auto hints = world.endpoint("a").hints();
    REQUIRE(hints.forZones().size() == 1);
    CHECK(hints.forZones()[0].name() == "east");
    CHECK(hints.forNodes().size() == (wish == "PreferSameNode" ? 1 : 0));
    CHECK_FALSE(world.endpoint("b").has_hints());  // nobody should come
    CHECK(world.is_settled());
  }
  world.service = service_of(ports);
  CHECK(world.apply().update.size() == 1);
  CHECK_FALSE(world.endpoint("a").has_hints());
}

TEST_CASE("topology-mode Auto shares endpoints out by the zones' CPUs") {
  Case world;
  world.service = service_of(R"("ports":[{"name":"","protocol":"TCP","port":80,"targetPort":8080}])", "",
                             "web-uid", R"("service.kubernetes.io/topology-mode":"Auto")");
  world.nodes = {{"n1", node_of("n1", "east", "4")}, {"n2", node_of("n2", "west", "4")}};
  for (int i = 0; i < 6; ++i) world.pods.push_back(pod_of(pod_name(i), i, i < 5 ? "" : R"("nodeName":"n2")"));
  SECTION("with enough of both") {
    world.topology.set_nodes({world.nodes["n1"], world.nodes["n2"]});
    const SlicePlan plan = world.apply();
    REQUIRE(plan.events.size() == 1);
    CHECK(plan.events[0].reason == "TopologyAwareHintsEnabled");
    std::map<std::string, int> counts;
    for (int i = 0; i < 6; ++i)
      ++counts[std::string(world.endpoint(pod_name(i)).hints().forZones()[0].name())];
    CHECK(counts == std::map<std::string, int>{{"east", 3}, {"west", 3}});
    CHECK(world.is_settled());
    CHECK(world.topology.overloaded().empty());
    world.nodes["n2"] = node_of("n2", "west", "40");
    world.topology.set_nodes({world.nodes["n1"], world.nodes["n2"]});
    CHECK(world.topology.overloaded() == std::vector<std::string>{"default/web"});
    world.service = service_of(R"("ports":[{"name":"","protocol":"TCP","port":80,"targetPort":8080}])");
    const SlicePlan off = world.apply();
    REQUIRE(off.events.size() == 1);
    CHECK(off.events[0].message == "Topology Aware Hints has been disabled, addressType: IPv4");
    CHECK_FALSE(world.endpoint(pod_name(0)).has_hints());
  }
  SECTION("of one zone alone nothing is to be shared") {
    world.topology.set_nodes({world.nodes["n1"]});
    const SlicePlan plan = world.apply();
    REQUIRE(plan.events.size() == 1);
    CHECK(plan.events[0].reason == "TopologyAwareHintsDisabled");
    CHECK_FALSE(world.endpoint(pod_name(0)).has_hints());
  }
}

TEST_CASE("a mirror is behind until it shows what was written, or patience ends") {
  ManualClock clock;
  SliceTracker tracker;
  auto slice = [](int generation) {
    return made(EndpointSlice::schema_type(),
                R"({"metadata":{"name":"s","uid":"u","generation":)" + std::to_string(generation) + "}}");
  };
  auto is_stale = [&](const std::vector<Document>& shown) {
    return tracker.stale_for("k", shown, clock.steady_now()).count() > 0;
  };
  CHECK_FALSE(is_stale({slice(1)}));
  tracker.wrote("k", slice(2), clock.steady_now());
  CHECK(is_stale({}));
  CHECK(is_stale({slice(1)}));
  CHECK_FALSE(is_stale({slice(2)}));
  CHECK_FALSE(tracker.is_foreign("k", slice(2)));
  CHECK(tracker.is_foreign("k", slice(3)));
  tracker.removed("k", slice(2), clock.steady_now());
  CHECK(is_stale({slice(2)}));
  CHECK_FALSE(is_stale({}));
  CHECK(tracker.settle_removed("k", slice(2)));
  CHECK_FALSE(tracker.settle_removed("k", slice(2)));
  CHECK(tracker.size() == 0);
  tracker.wrote("k", slice(2), clock.steady_now());
  clock.advance(SliceTracker::patience);
  CHECK_FALSE(is_stale({}));
  CHECK(tracker.size() == 0);
}

TEST_CASE("the trigger time is the earliest change that was not told yet") {
  TriggerTimes times;
  const Document service = made(Service::schema_type(),
                                R"({"metadata":{"name":"web","creationTimestamp":"2024-01-01T00:00:00Z"}})");
  auto ready_since = [](const std::string& name, const std::string& time) {
    return made(Pod::schema_type(),
                R"({"metadata":{"name":")" + name +
                    R"("},"status":{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":")" +
                    time + R"("}]}})");
  };
  const Document a = ready_since("a", "2024-01-02T00:00:00Z"),
                 later_a = ready_since("a", "2024-01-05T00:00:00Z"),
                 b = ready_since("b", "2024-01-04T00:00:00Z");
  CHECK(times.of("k", service, {a}) == "2024-01-01T00:00:00Z");
  CHECK(times.of("k", service, {a}).empty());
  CHECK(times.of("k", service, {later_a, b}) == "2024-01-04T00:00:00Z");
  CHECK(times.of("k", service, {b}).empty());
}
