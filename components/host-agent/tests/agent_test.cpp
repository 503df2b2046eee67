// The loop over an API in memory and a real kernel: what is heard is there soon, and what is taken away is
// back.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "bridge_world.h"
#include "network/host_side.h"
#include "network/names.h"
#include "network/netlink.h"
#include "network/service_drop.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using namespace rusternetes::host_agent::testing;
using network::Netlink;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

struct Cluster {
  BridgeWorld world;
  HostAgentOptions options = world.options();
  client::Document n1 = node_object("n1", world.network.address(11), "10.244.1.0/24");
  client::Document n2 = node_object("n2", world.network.address(12), "10.244.2.0/24");
  client::Document n1_not_ready = node_object("n1", world.network.address(11), "10.244.1.0/24", false);
};

double ms_since(steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

// A connection from one namespace to `address`; what the server at `at` in `node` answers with. Empty: it is
// refused.
std::string ask(const NetworkNamespace& node, const IpAddress& at, const NetworkNamespace& from,
                const char* address) {
  const auto open = [](const NetworkNamespace& where) {
    return *network::inside(where,
                            []() -> Result<int> { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); });
  };
  const auto place = [](const std::string& text, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    ::inet_pton(AF_INET, text.c_str(), &out.sin_addr);
    return out;
  };
  const int listener = open(node), client = open(from), on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto here = place(at.to_string(), 30080), there = place(address, 8080);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  std::string out;
  pollfd ready{listener, POLLIN, 0};
  if (::connect(client, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0 &&
      ::poll(&ready, 1, 2000) == 1) {
    const int accepted = ::accept(listener, nullptr, nullptr);
    CHECK(::write(accepted, "hello", 5) == 5);
    ::close(accepted);
    char buffer[16];
    const auto got = ::read(client, buffer, sizeof buffer);
    if (got > 0) out.assign(buffer, static_cast<std::size_t>(got));
  }
  ::close(client);
  ::close(listener);
  return out;
}

}  // namespace

TEST_CASE("before any api-server answers, the host holds what the flags say", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  Agent agent(world.host, cluster.options);
  agent.forbid(true);
  agent.set("nodes", cluster.n1);
  agent.start();
  REQUIRE(eventually([&] { return agent.report().bridge == "podman1"; }));
  CHECK(world.is_dropped("10.96.0.0/16"));
  CHECK(agent.report().is_whole());
  CHECK(world.route("10.96.0.0/16") == "");
  agent.forbid(false);
  CHECK(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.11"; }));
  CHECK(world.route("10.244.1.0/24") == "10.214.3.11");
}

TEST_CASE("services and published ports follow the nodes within a second", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  cluster.options.published = {{8080, 30080}};
  Agent agent(world.host, cluster.options);
  agent.set("nodes", cluster.n1);
  agent.set("nodes", cluster.n2);
  agent.start();
  REQUIRE(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.11"; }));
  const auto a = world.network.address(11), b = world.network.address(12);
  for (const char* loopback_or_host : {"127.0.0.1", "198.51.100.1", "10.214.3.1"})
    CHECK(ask(world.node1, a, world.host, loopback_or_host) == "hello");
  CHECK(ask(world.node1, a, world.outside, "198.51.100.1") == "hello");
  CHECK(ask(world.node1, a, world.node2, "198.51.100.1") == "hello");  // by the forwarder
  auto begin = steady_clock::now();
  agent.set("nodes", cluster.n1_not_ready);
  CHECK(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.12"; }, milliseconds(1000)));
  WARN("a node that is not Ready: services go elsewhere after " << ms_since(begin) << " ms");
  CHECK(eventually([&] { return agent.report().forward_to == std::vector{b}; }));
  for (const char* loopback_or_host : {"127.0.0.1", "198.51.100.1"})
    CHECK(ask(world.node2, b, world.host, loopback_or_host) == "hello");
  CHECK(ask(world.node2, b, world.outside, "198.51.100.1") == "hello");
  CHECK(ask(world.node2, b, world.node1, "198.51.100.1") == "hello");
  agent.set("nodes", cluster.n1);
  begin = steady_clock::now();
  agent.remove("nodes", "n2");
  CHECK(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.11"; }, milliseconds(1000)));
  CHECK(eventually([&] { return world.route("10.244.2.0/24") == ""; }));
  WARN("a node that is gone: services go elsewhere after " << ms_since(begin) << " ms");
  CHECK(ask(world.node1, a, world.outside, "198.51.100.1") == "hello");
}

TEST_CASE("what anybody takes from the host is back within a second", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  cluster.options.published = {{8080, 30080}};
  Agent agent(world.host, cluster.options);
  agent.set("nodes", cluster.n1);
  agent.set("nodes", cluster.n2);
  agent.start();
  REQUIRE(eventually([&] { return world.route("10.244.2.0/24") == "10.214.3.12"; }));
  REQUIRE(eventually([&] { return agent.report().changed.empty(); }));
  const auto standing = host_lines(world.host);
  const auto is_back = [&](const char* harm) {
    INFO(harm);
    const auto begin = steady_clock::now();
    CHECK(eventually([&] { return host_lines(world.host) == standing; }, milliseconds(3000)));
    WARN(harm << ": back after " << ms_since(begin) << " ms");
  };
  REQUIRE(nft(world.host, "flush ruleset"));
  is_back("flush ruleset");
  auto netlink = Netlink::open(world.host);
  for (const auto& route : *netlink->routes())
    if (network::is_cluster_route(route, "demo")) REQUIRE(netlink->delete_route(route));
  is_back("every route of the cluster deleted");
  REQUIRE(netlink->set_group("podman1", 0));
  is_back("the bridge's mark");
}

TEST_CASE("the routes are there again when the engine has made its bridge anew", "[world]") {
  RN_NEEDS_NAMESPACES();
  const auto host = new_namespace();
  auto network = std::make_unique<BridgeNetwork>(host, "podman1", "10.214.3");
  HostAgentOptions options;
  options.cluster = "demo";
  options.gateways = {ip("10.214.3.1")};
  options.networks = {range("10.214.3.0/24")};
  options.pod_ranges = {range("10.244.0.0/16")};
  options.service_ranges = {range("10.96.0.0/16")};
  Agent agent(host, options);
  agent.set("nodes", node_object("n1", ip("10.214.3.11"), "10.244.1.0/24"));
  agent.start();
  const auto routes = [&] {
    auto netlink = Netlink::open(host);
    return network::cluster_routes(*netlink, "demo")->size();
  };
  const auto allowed = [&] { return network::read_service_drop(host, "demo")->allowed_interfaces; };
  REQUIRE(eventually([&] { return routes() == 2; }));
  // All containers stop: Podman takes the bridge away, and with it the kernel its routes.
  REQUIRE(Netlink::open(host)->delete_link("podman1"));
  REQUIRE(eventually([&] { return agent.report().bridge.empty(); }));
  CHECK(routes() == 0);
  CHECK(network::check_service_drop(host, "demo", options.service_ranges));
  network = std::make_unique<BridgeNetwork>(host, "podman3", "10.214.3");
  CHECK(eventually([&] { return routes() == 2; }));
  CHECK(eventually([&] { return allowed() == std::vector<std::string>{"podman3"}; }));
}

TEST_CASE("a start over takes nothing away and changes nothing, and loses no connection", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  world.masquerade_as_netavark();
  cluster.options.published = {{8080, 30080}};
  Agent first(world.host, cluster.options);
  first.set("nodes", cluster.n1);
  first.set("nodes", cluster.n2);
  first.set("servicecidrs", service_cidr("more", "172.30.0.0/24"));
  first.start();
  REQUIRE(eventually([&] { return world.route("172.30.0.0/24") == "10.214.3.11"; }));
  REQUIRE(eventually([&] { return first.report().changed.empty(); }));
  const auto standing = host_lines(world.host);
  const Connection published(world.node1, world.network.address(11), 30080, world.outside, ip("198.51.100.1"),
                             8080);
  const Connection pod(world.node2, ip("10.244.2.2"), world.api);
  first.stop();
  CHECK(host_lines(world.host) == standing);
  CHECK(published.works());
  Agent second(world.host, cluster.options);
  second.forbid(true);
  second.set("nodes", cluster.n1);
  second.set("nodes", cluster.n2);
  second.set("servicecidrs", service_cidr("more", "172.30.0.0/24"));
  second.start();
  REQUIRE(eventually([&] { return second.report().bridge == "podman1"; }));
  CHECK(host_lines(world.host) == standing);
  second.forbid(false);
  REQUIRE(eventually([&] { return second.report().forward_to.size() == 2; }));
  CHECK(host_lines(world.host) == standing);
  CHECK(published.works());
  CHECK(pod.works());
}

TEST_CASE("a ServiceCIDR of a user is confirmed once its drop rule stands, and no other is", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  cluster.options.service_cidr_condition = "example.com/Safe";
  Agent agent(world.host, cluster.options);
  agent.set("nodes", cluster.n1);
  agent.set("servicecidrs", service_cidr("kubernetes", "10.96.0.0/16"));
  agent.set("servicecidrs", service_cidr("taken", "198.51.100.0/28"));
  agent.start();
  REQUIRE(eventually([&] { return world.route("10.96.0.0/16") == "10.214.3.11"; }));
  agent.set("servicecidrs", service_cidr("more", "172.30.0.0/24"));
  // The first one was refused, and nobody has to wake it for the second.
  CHECK(eventually([&] { return agent.confirmed().size() == 2; }));
  agent.set("servicecidrs", service_cidr("third", "172.31.0.0/24"));
  CHECK(eventually([&] { return agent.confirmed().size() == 3; }));
  CHECK(agent.confirmed() == std::vector<std::string>{"more dropped", "more dropped", "third dropped"});
}

TEST_CASE("a ServiceCIDR and a Node that cannot have what they ask for hear why, once", "[world]") {
  RN_NEEDS_NAMESPACES();
  Cluster cluster;
  const auto& world = cluster.world;
  Agent agent(world.host, cluster.options);
  agent.set("nodes", cluster.n1);
  agent.start();
  agent.set("servicecidrs", service_cidr("more", "172.30.0.0/24"));
  agent.set("servicecidrs", service_cidr("taken", "198.51.100.0/28"));
  agent.set("nodes", node_object("n3", ip("192.0.2.7"), "10.244.3.0/24"));
  CHECK(eventually([&] { return world.is_dropped("172.30.0.0/24"); }));
  CHECK(eventually([&] { return agent.events().size() >= 2; }));
  agent.set("servicecidrs", service_cidr("third", "172.31.0.0/24"));
  CHECK(eventually([&] { return world.route("172.31.0.0/24") == "10.214.3.11"; }));
  auto events = agent.events();
  std::ranges::sort(events);
  CHECK(events == std::vector<std::string>{"HostRouteRefused", "ServiceRangeRefused"});
  CHECK_FALSE(world.is_dropped("198.51.100.0/28"));
  agent.remove("servicecidrs", "more");
  CHECK(eventually([&] { return !world.is_dropped("172.30.0.0/24"); }));
  CHECK(world.route("172.30.0.0/24") == "");
  CHECK(world.route("172.31.0.0/24") == "10.214.3.11");
}
