#include <catch2/catch.hpp>

#include "controller-manager/endpoint_slice_order.h"
#include "controller-manager/endpoints_plan.h"
#include "controller-manager/endpoints_subsets.h"
#include "slice_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using namespace rusternetes::apimachinery;
using core_v1::Endpoints;
using core_v1::EndpointSubset;

namespace {

Document endpoints_of(const std::string& subsets) {
  return made(Endpoints::schema_type(),
              R"({"metadata":{"name":"web","namespace":"default"},"subsets":[)" + subsets + "]}");
}
std::vector<std::string> repacked(const std::string& subsets) {
  const Document object = endpoints_of(subsets);
  Arena arena;
  std::vector<std::string> out;
  for (const Value& subset : repack_subsets(arena, Endpoints(&object.root()).subsets()))
    out.push_back(order_text(EndpointSubset(&subset)));
  return out;
}
std::vector<std::string> texts(const std::string& subsets) {
  const Document object = endpoints_of(subsets);
  std::vector<std::string> out;
  for (const auto subset : Endpoints(&object.root()).subsets()) out.push_back(order_text(subset));
  return out;
}

const std::string one_port = R"("ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}])";

Document plan(const Document& service, std::vector<Document> pods, const Document& current = {}) {
  return plan_endpoints({service, std::move(pods), current, ""});
}
std::pair<std::size_t, std::size_t> counts(const Document& object) {
  std::size_t ready = 0, not_ready = 0;
  for (const auto subset : Endpoints(&object.root()).subsets())
    ready += subset.addresses().size(), not_ready += subset.notReadyAddresses().size();
  return {ready, not_ready};
}

}  // namespace

TEST_CASE("subsets are put in the order of Kubernetes' hashes") {
  // Texts' hashes as k8s.io/apimachinery v0.35 makes them.
  const auto whole = texts(
      R"({"addresses":[{"ip":"1.2.3.4","hostname":"h","nodeName":"n1","targetRef":{"kind":"Pod","namespace":"ns","name":"a","uid":"u-1"}},{"ip":"1.2.3.5"}],"ports":[{"name":"a","port":1,"protocol":"TCP"},{"name":"b","port":2,"protocol":"TCP"}]})");
  CHECK(fnv1a_128(whole[0]) == ((OrderHash{0x2d79b5806872aac2} << 64) | 0x58b1cf3717d9496a));
  const auto bare = texts(R"({"notReadyAddresses":[{"ip":"1.2.3.4"}]})");
  CHECK(fnv1a_128(bare[0]) == ((OrderHash{0x4b67fd63c52c2545} << 64) | 0x6f2bfe51caa99231));
  const Document object = endpoints_of(
      R"({"ports":[{"name":"http","port":80,"protocol":"TCP"},{"port":443,"protocol":"UDP","appProtocol":"x"}]})");
  const auto ports = Endpoints(&object.root()).subsets()[0].ports();
  CHECK(fnv1a_128(order_text(ports[0])) == ((OrderHash{0x754b003f50f133a5} << 64) | 0x39c60d18cfb30a55));
  CHECK(fnv1a_128(order_text(ports[1])) == ((OrderHash{0x62573bce63ea238c} << 64) | 0x8a101cd05065f1f7));
}

TEST_CASE("ports with the same addresses share a subset, others do not") {
  CHECK(
      repacked(
          R"({"addresses":[{"ip":"1.2.3.4"}],"ports":[{"port":1}]},{"addresses":[{"ip":"1.2.3.4"}],"ports":[{"port":2}]})") ==
      repacked(R"({"addresses":[{"ip":"1.2.3.4"}],"ports":[{"port":2},{"port":1}]})"));
  CHECK(
      repacked(
          R"({"addresses":[{"ip":"1.2.3.4"}],"ports":[{"port":1}]},{"addresses":[{"ip":"1.2.3.5"}],"ports":[{"port":2}]})")
          .size() == 2);
  CHECK(
      repacked(
          R"({"addresses":[{"ip":"1.2.3.4"}],"ports":[{"port":1}]},{"notReadyAddresses":[{"ip":"1.2.3.4"}],"ports":[{"port":2}]})")
          .size() == 2);
}

TEST_CASE("an address is in a subset once, not ready if it is so anywhere, and sorted as text") {
  CHECK(
      repacked(
          R"({"addresses":[{"ip":"1.2.3.9"},{"ip":"1.2.3.10"}],"ports":[{"port":1}]},{"notReadyAddresses":[{"ip":"1.2.3.9"}],"ports":[{"port":1}]})") ==
      texts(
          R"({"addresses":[{"ip":"1.2.3.10"}],"notReadyAddresses":[{"ip":"1.2.3.9"}],"ports":[{"port":1}]})"));
  CHECK(repacked(R"({"addresses":[{"ip":"1.2.3.9"},{"ip":"1.2.3.10"}],"ports":[{"port":1}]})") ==
        texts(R"({"addresses":[{"ip":"1.2.3.10"},{"ip":"1.2.3.9"}],"ports":[{"port":1}]})"));
  // Two Pods on one address are two.
  CHECK(
      repacked(
          R"({"addresses":[{"ip":"1.2.3.4","targetRef":{"uid":"b"}},{"ip":"1.2.3.4","targetRef":{"uid":"a"}}]})") ==
      texts(
          R"({"addresses":[{"ip":"1.2.3.4","targetRef":{"uid":"a"}},{"ip":"1.2.3.4","targetRef":{"uid":"b"}}]})"));
}

TEST_CASE("Endpoints tell a Service's ready and unready Pods") {
  const Document service = service_of(one_port, R"("app":"web")");
  const Document object = plan(service, {pod_of("b", 2, R"("hostname":"b","subdomain":"web")"),
                                         pod_of("a", 1), pod_of("c", 3, "", false), ending_pod("d", 4)});
  const Endpoints view(&object.root());
  CHECK(view.metadata().name() == "web");
  CHECK(view.metadata().labels().size() == 2);
  CHECK(view.metadata().labels().get("endpoints.kubernetes.io/managed-by") == "endpoint-controller");
  REQUIRE(view.subsets().size() == 1);
  const auto subset = view.subsets()[0];
  REQUIRE(subset.addresses().size() == 2);
  CHECK(subset.addresses()[0].ip() == "10.1.0.1");
  CHECK(subset.addresses()[0].nodeName() == "n1");
  CHECK(subset.addresses()[0].targetRef().name() == "a");
  CHECK(subset.addresses()[1].hostname() == "b");
  REQUIRE(subset.notReadyAddresses().size() == 1);
  CHECK(subset.notReadyAddresses()[0].ip() == "10.1.0.3");
  CHECK(subset.ports()[0].port() == 8080);
  CHECK(subset.ports()[0].name() == "http");
}

TEST_CASE("what publishes unready addresses publishes those of ending Pods too") {
  const Document object = plan(service_of(R"("publishNotReadyAddresses":true,)" + one_port),
                               {pod_of("a", 1, "", false), ending_pod("b", 2)});
  CHECK(counts(object) == std::pair<std::size_t, std::size_t>{2, 0});
}

TEST_CASE("a headless Service without ports has addresses all the same") {
  const Document object = plan(service_of(R"("clusterIP":"None")"), {pod_of("a", 1)});
  CHECK(counts(object).first == 1);
  CHECK(Endpoints(&object.root()).subsets()[0].ports().empty());
  CHECK(metadata_of(object).labels().contains("service.kubernetes.io/headless"));
  CHECK(counts(plan(service_of(R"("ipFamilies":["IPv4"])"), {pod_of("a", 1)})).first == 0);
}

TEST_CASE("Endpoints that are right are not written, in whatever form they are") {
  const Document service = service_of(one_port);
  const std::vector<Document> pods = {pod_of("a", 1), pod_of("b", 2)};
  const Document current = plan(service, pods);
  CHECK_FALSE(plan(service, pods, current));
  client::ObjectBuilder other(current);
  Value& addresses = *other.root().get(Endpoints::f_subsets)->items[0].get(EndpointSubset::f_addresses);
  std::swap(addresses.items[0], addresses.items[1]);
  CHECK_FALSE(plan(service, pods, other.freeze()));
  CHECK(plan(service, {pods[0]}, current));
  CHECK(plan(service_of(one_port, R"("new":"label")"), pods, current));
  CHECK_FALSE(plan(service, {}, plan(service, {})));
}

TEST_CASE("of more than a thousand addresses the ready ones stay") {
  const Document service = service_of(one_port);
  std::vector<Document> pods;
  for (int i = 0; i < 1100; ++i) pods.push_back(pod_of(pod_name(i), i, "", i < 900));
  Document object = plan(service, pods);
  CHECK(counts(object) == std::pair<std::size_t, std::size_t>{900, 100});
  CHECK(metadata_of(object).annotations().get("endpoints.kubernetes.io/over-capacity") == "truncated");
  CHECK_FALSE(plan(service, pods, object));
  pods.resize(1000);
  object = plan(service, pods, object);
  CHECK(counts(object) == std::pair<std::size_t, std::size_t>{900, 100});
  CHECK_FALSE(metadata_of(object).annotations().contains("endpoints.kubernetes.io/over-capacity"));
  for (int i = 1000; i < 1200; ++i) pods.push_back(pod_of(pod_name(i), i));
  for (int i = 900; i < 1000; ++i) pods[i] = pod_of(pod_name(i), i);
  CHECK(counts(plan(service, pods)) == std::pair<std::size_t, std::size_t>{1000, 0});
}

namespace {
struct EndpointsWorld : SliceWorld {
  EndpointsWorld() : SliceWorld({"endpoint"}) { add_service("web"); }
  bool has(std::size_t ready, std::size_t not_ready) {
    return becomes(endpoints, "default", "web", [&](const Document& object) {
      return object && counts(object) == std::pair<std::size_t, std::size_t>{ready, not_ready};
    });
  }
};
}  // namespace

TEST_CASE("Endpoints follow a Service's Pods and go with it") {
  EndpointsWorld world;
  REQUIRE(world.has(0, 0));
  world.add_pod("a", 1);
  REQUIRE(world.has(1, 0));
  CHECK(metadata_of(world.get(endpoints, "default", "web"))
            .annotations()
            .contains("endpoints.kubernetes.io/last-change-trigger-time"));
  world.set_ready("a", false, 1);
  REQUIRE(world.has(0, 1));
  world.remove_pod("a");
  REQUIRE(world.has(0, 0));
  world.remove(endpoints, "default", "web");  // they come back
  REQUIRE(world.has(0, 0));
  world.remove(services, "default", "web");
  REQUIRE(world.goes(endpoints, "default", "web"));
  CHECK_FALSE(world.count_calls("create", "events"));  // nothing failed
}

TEST_CASE("Endpoints of a Service without a selector are left as they are, until it goes") {
  EndpointsWorld world;
  world.add_service("own", R"("ports":[{"port":80}])");
  world.create(
      endpoints, "default",
      R"({"metadata":{"name":"own"},"subsets":[{"addresses":[{"ip":"10.9.0.1"}],"ports":[{"port":80}]}]})");
  world.add_pod("a", 1);
  REQUIRE(world.has(1, 0));
  CHECK(counts(world.get(endpoints, "default", "own")).first == 1);
  world.remove(services, "default", "own");
  REQUIRE(world.goes(endpoints, "default", "own"));
}

TEST_CASE("a mirror of Endpoints that lags behind is waited for") {
  EndpointsWorld world;
  REQUIRE(world.has(0, 0));
  world.on_thread(
      [&] { world.script.is_held = [](const std::string& resource) { return resource == "endpoints"; }; });
  world.add_pod("p0", 0);
  REQUIRE(world.has(1, 0));  // written, and not seen
  for (int i = 1; i < 10; ++i) world.add_pod("p" + std::to_string(i), i);
  world.on_thread([&] { world.script.release(); });
  REQUIRE(world.has(10, 0));
  world.on_thread([&] {
    const auto& refused = world.script.refused;
    CHECK(std::none_of(refused.begin(), refused.end(), [](const Call& call) { return call.resource == "endpoints" && call.verb == "update"; }));
  });
}
