#include "controller-manager/service_load_balancer_plan.h"

#include "controller_world.h"

using namespace rusternetes;
using namespace rusternetes::controller_manager;
using namespace rusternetes::controller_manager::testing;
using apimachinery::core_v1::Service;

namespace {

constexpr Resource services{"", "v1", "services"};

Document service_of(const std::string& name, const std::string& created, int port, const std::string& more = "") {
  return client::ObjectBuilder::from_json(
      Service::schema_type(), R"({"metadata":{"namespace":"default","name":")" + name + R"(","creationTimestamp":")" + created +
                                  R"("},"spec":{"type":"LoadBalancer","ipFamilies":["IPv4"],"ports":[{"protocol":"TCP","port":)" + std::to_string(port) + "}]" + more + "}}");
}
Document node_of(const std::string& name, const std::string& address, bool is_ready, const std::string& labels = "") {
  return client::ObjectBuilder::from_json(apimachinery::core_v1::Node::schema_type(),
                                          R"({"metadata":{"name":")" + name + R"(","labels":{)" + labels +
                                              R"(}},"status":{"conditions":[{"type":"Ready","status":")" + (is_ready ? "True" : "False") +
                                              R"("}],"addresses":[{"type":"Hostname","address":"h"},{"type":"InternalIP","address":")" + address + "\"}]}}");
}
const std::string early = "2026-01-01T00:00:00Z", late = "2026-01-01T00:00:01Z";

std::vector<std::string> taken_by(const Document& service, const std::vector<Document>& all, const std::set<NodePortKey>& reserved = {}) {
  std::vector<std::string> out;
  for (const auto& one : taken_ports(service, all, reserved)) out.push_back(one.by);
  return out;
}

}  // namespace

TEST_CASE("a node's port serves the oldest Service that wants it, and none that the node needs itself") {
  const Document first = service_of("first", early, 80), second = service_of("second", late, 80), other = service_of("other", late, 81);
  CHECK(taken_by(first, {first, second, other}).empty());
  CHECK(taken_by(second, {first, second, other}) == std::vector<std::string>{"default/first"});
  CHECK(taken_by(other, {first, second, other}).empty());
  CHECK(taken_by(first, {first}, {{"TCP", 80}}) == std::vector<std::string>{"the node"});
  CHECK(taken_by(first, {first}, {{"UDP", 80}}).empty());
  // Of the same second, the first by name.
  const Document twin = service_of("atwin", early, 80);
  CHECK(taken_by(first, {first, twin}) == std::vector<std::string>{"default/atwin"});
  CHECK(taken_by(twin, {first, twin}).empty());
}

TEST_CASE("a Service with a class of its own or of another type is left alone") {
  CHECK(wants_node_balancer(Service(&service_of("a", early, 80).root())));
  const Document classed = service_of("a", early, 80, R"(,"loadBalancerClass":"example.com/other")");
  CHECK_FALSE(wants_node_balancer(Service(&classed.root())));
}

TEST_CASE("ready nodes that are not excluded give their internal addresses, of the Service's families") {
  const std::vector<Document> nodes{node_of("b", "10.0.0.2", true), node_of("a", "10.0.0.1", true), node_of("c", "10.0.0.3", false), node_of("d", "fd00::1", true),
                                    node_of("e", "10.0.0.5", true, R"("node.kubernetes.io/exclude-from-external-load-balancers":"")")};
  const auto addresses = balancer_addresses(nodes);
  CHECK(addresses == std::vector<std::string>{"10.0.0.1", "10.0.0.2", "fd00::1"});
  const Document service = service_of("a", early, 80);
  CHECK(addresses_for(Service(&service.root()), addresses) == std::vector<std::string>{"10.0.0.1", "10.0.0.2"});
}

TEST_CASE("Services get the node's address, and the one that came second when the first has gone") {
  ManagerOptions options;
  options.has_node_balancer = true;
  ControllerWorld world({"service-lb-controller"}, options);
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  world.patch(nodes, "", "n", R"({"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.1.2.3"}]}})", "status");
  world.start();
  const auto make = [&](const char* name) {
    world.create(services, "default", std::string(R"({"metadata":{"name":")") + name + R"("},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}})");
  };
  const auto has = [&](const char* name, const std::string& address) {
    return world.becomes(services, "default", name, [&](const Document& service) {
      const auto ingress = Service(&service.root()).status().loadBalancer().ingress();
      return address.empty() ? ingress.empty() : ingress.size() == 1 && ingress[0].ip() == address;
    });
  };
  make("first");
  CHECK(has("first", "10.1.2.3"));
  make("second");
  CHECK(world.has_event("default", "SyncLoadBalancerFailed",
                        "Error syncing load balancer: failed to ensure load balancer: port 80/TCP of the node is taken by default/first"));
  CHECK(has("second", ""));
  world.remove(services, "default", "first");
  CHECK(has("second", "10.1.2.3"));

  // What another implementation gives stays, and the node's port is free again.
  world.patch(services, "default", "second", R"({"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}})", "status");
  make("third");
  CHECK(has("third", "10.1.2.3"));
  CHECK(has("second", "203.0.113.9"));
  // A type that needs none loses it.
  world.patch(services, "default", "third", R"({"spec":{"type":"ClusterIP"}})");
  CHECK(has("third", ""));
}

TEST_CASE("a Service follows its node to another address") {
  ManagerOptions options;
  options.has_node_balancer = true;
  ControllerWorld world({"service-lb-controller"}, options);
  const auto lives_at = [&](const std::string& address) {
    world.patch(nodes, "", "n",
                R"({"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"$patch":"replace"},{"type":"InternalIP","address":")" + address + "\"}]}}",
                "status");
  };
  const auto has = [&](const char* name, const std::string& address) {
    return world.becomes(services, "default", name, [&](const Document& service) {
      const auto ingress = Service(&service.root()).status().loadBalancer().ingress();
      return ingress.size() == 1 && ingress[0].ip() == address;
    });
  };
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  lives_at("10.1.2.3");
  world.start();
  for (const char* name : {"first", "strange"})
    world.create(services, "default", std::string(R"({"metadata":{"name":")") + name + R"("},"spec":{"type":"LoadBalancer","ports":[{"port":)" + (*name == 'f' ? "80" : "81") + "}]}}");
  REQUIRE(has("first", "10.1.2.3"));
  REQUIRE(has("strange", "10.1.2.3"));
  world.patch(services, "default", "strange", R"({"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.9"}]}}})", "status");
  lives_at("10.1.2.4");
  CHECK(has("first", "10.1.2.4"));
  CHECK(has("strange", "203.0.113.9"));  // by somebody else meanwhile
  // And to the next one, when the node of before is gone and another is there.
  world.remove(nodes, "", "n");
  world.create(nodes, "", R"({"metadata":{"name":"n"}})");
  lives_at("10.1.2.5");
  CHECK(has("first", "10.1.2.5"));
}
