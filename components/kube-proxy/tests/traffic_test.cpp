// Rules in a real kernel, and packets through them.
#include "kube-proxy/kube_proxy.h"
#include "network/conntrack.h"
#include "network/netlink.h"
#include "network/service_drop.h"
#include "objects.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;

namespace {
constexpr const char* vip = "10.96.0.10";
constexpr const char* node_ip = "10.213.0.11";
const Place a{"10.244.1.2", "here"}, b{"10.244.1.3", "here"}, far{"10.244.9.2", "other"};

void serve_pods(World& world) {
  for (const auto& [name, address] :
       {std::pair{"a", "10.244.1.2"}, std::pair{"b", "10.244.1.3"}, std::pair{"far", "10.244.9.2"}}) {
    world.serve_tcp(name, world.pods.at(name), address);
    world.serve_udp(name, world.pods.at(name), address);
  }
}
std::set<std::string> servers_of(World& world, const NetworkNamespace& from, const char* address,
                                 std::uint16_t port, int tries = 24) {
  std::set<std::string> out;
  for (int i = 0; i < tries; ++i) {
    const Talk talk = world.tcp(from, address, port);
    REQUIRE(talk.outcome == "ok");
    out.insert(talk.server);
  }
  return out;
}
using Names = std::set<std::string>;
// What a server sees of a client that is masqueraded.
std::string own_address_towards(const std::string& server) {
  return server == "far" ? "10.244.9.1" : node_ip;
}
}  // namespace

TEST_CASE("Pods, the node and the host reach a ClusterIP, and Pods keep their address", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b, far})}});
  proxy.start();
  CHECK(servers_of(world, world.pods.at("a"), vip, 80) == Names{"b", "far"});
  CHECK(world.tcp(world.pods.at("a"), vip, 80).seen == "10.244.1.2");
  CHECK(servers_of(world, world.node, vip, 80) == Names{"b", "far"});
  CHECK(servers_of(world, world.host, vip, 80) == Names{"b", "far"});
  for (int i = 0; i < 8; ++i) {
    const Talk talk = world.tcp(world.host, vip, 80);
    CHECK(talk.seen == own_address_towards(talk.server));
  }
  proxy.set("endpointslices", slice("web", {far}));
  CHECK(servers_of(world, world.host, vip, 80, 6) == Names{"far"});
  // Not the host's own address: the answer would not come back this way from another node.
  CHECK(world.tcp(world.host, vip, 80).seen == "10.244.9.1");
  CHECK(world.dropped() == 0);
}

TEST_CASE("a Pod reaches itself through its Service", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {a})}});
  proxy.start();
  const Talk talk = world.tcp(world.pods.at("a"), vip, 80);
  CHECK(talk.outcome == "ok");
  CHECK(talk.server == "a");
  CHECK(talk.seen == node_ip);
  CHECK(talk.works());
}

TEST_CASE("a NodePort is served on the node's addresses from inside and outside, masqueraded", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                 {"endpointslices", slice("web", {b, far})}});
  proxy.start();
  for (const auto& from : {world.outside, world.host, world.pods.at("a"), world.node}) {
    CHECK(servers_of(world, from, node_ip, 30080) == Names{"b", "far"});
    const Talk talk = world.tcp(from, node_ip, 30080);
    CHECK(talk.seen == own_address_towards(talk.server));
  }
  CHECK(world.tcp(world.pods.at("a"), "10.244.9.1", 30080).outcome == "ok");
  CHECK(world.tcp(world.node, "127.0.0.1", 30080).outcome == "refused");
}

TEST_CASE("NodePorts are served on the chosen addresses alone", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node, [](KubeProxyOptions& options) { options.nodeport_addresses = {"10.244.9.0/24"}; });
  proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                 {"endpointslices", slice("web", {b})}});
  proxy.start();
  CHECK(world.tcp(world.pods.at("a"), "10.244.9.1", 30080).outcome == "ok");
  CHECK(world.tcp(world.outside, node_ip, 30080).outcome == "refused");
}

TEST_CASE("by default NodePorts are served on the addresses of the Node object", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node, [](KubeProxyOptions& options) {
    options.nodeport_addresses = KubeProxyOptions().nodeport_addresses;
  });
  proxy.set_node(client::ObjectBuilder::from_json(
      apimachinery::core_v1::Node::schema_type(),
      R"({"metadata":{"name":"here"},"status":{"addresses":[{"type":"InternalIP","address":"10.213.0.11"}]}})"));
  proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                 {"endpointslices", slice("web", {b})}});
  proxy.start();
  CHECK(world.tcp(world.outside, node_ip, 30080).outcome == "ok");
  CHECK(world.tcp(world.pods.at("a"), "10.244.9.1", 30080).outcome == "refused");
}

TEST_CASE("external addresses and a load balancer's lead to the endpoints; source ranges shut others out",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  const std::string status = R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.8"}]}})";
  proxy.set_all(
      {{"services", web(vip, R"(,"type":"LoadBalancer","externalIPs":["192.0.2.7"])", "TCP", status)},
       {"endpointslices", slice("web", {b})}});
  proxy.start();
  CHECK(world.tcp(world.outside, "192.0.2.7", 80).server == "b");
  CHECK(world.tcp(world.outside, "192.0.2.8", 80).server == "b");
  CHECK(world.tcp(world.pods.at("a"), "192.0.2.8", 80).server == "b");
  proxy.set("services", web(vip, R"(,"type":"LoadBalancer","loadBalancerSourceRanges":["10.244.0.0/16"])",
                            "TCP", status));
  CHECK(world.tcp(world.outside, "192.0.2.8", 80, 400).outcome == "silence");
  CHECK(world.tcp(world.pods.at("a"), "192.0.2.8", 80).server == "b");
}

TEST_CASE("client-IP affinity holds over changes and a new process, and ends with its timeout", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  const auto service = [](int timeout_s) {
    return web(vip,
               R"(,"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":)" +
                   std::to_string(timeout_s) + "}}");
  };
  std::string first;
  {
    Proxy proxy(world.node);
    proxy.set_all({{"services", service(600)}, {"endpointslices", slice("web", {a, b, far})}});
    proxy.start();
    first = world.tcp(world.host, vip, 80).server;
    CHECK(servers_of(world, world.host, vip, 80, 12) == Names{first});
    // Other clients choose for themselves, and each stays with its choice.
    Names chosen;
    for (int i = 0; i < 24; ++i) {
      const std::string client = "198.51.100." + std::to_string(10 + i);
      auto netlink = network::Netlink::open(world.outside);
      REQUIRE(netlink->ensure_address(
          {(*netlink->find_link("eth0"))->index, IpPrefix::host(ip(client.c_str())), std::nullopt}));
      const auto choice = [&] { return world.tcp(world.outside, vip, 80, 1500, client.c_str()).server; };
      const std::string server = choice();
      chosen.insert(server);
      CHECK(choice() == server);
    }
    CHECK(chosen == Names{"a", "b", "far"});
    proxy.set("endpointslices", slice("web", {a, b, far}, "TCP", 8080, "IPv4", "s1"));
    CHECK(servers_of(world, world.host, vip, 80, 12) == Names{first});
  }
  Proxy next(world.node);
  next.set_all({{"services", service(600)}, {"endpointslices", slice("web", {a, b, far})}});
  next.start();
  CHECK(servers_of(world, world.host, vip, 80, 12) == Names{first});
  // The endpoint goes: another one is chosen, and kept.
  std::vector<Place> rest;
  for (const auto& each : {std::pair{"a", a}, std::pair{"b", b}, std::pair{"far", far}})
    if (each.first != first) rest.push_back(each.second);
  next.set("endpointslices", slice("web", rest));
  const auto second = servers_of(world, world.host, vip, 80, 12);
  CHECK(second.size() == 1);
  CHECK_FALSE(second.contains(first));
  next.set_all({{"services", service(1)}, {"endpointslices", slice("web", {a, b, far})}});
  Names seen;
  CHECK(eventually([&] {
    if (const Talk talk = world.tcp(world.pods.at("b"), vip, 80); talk.outcome == "ok")
      seen.insert(talk.server);
    const auto listed = nft(world.node, "list table inet " + Loader::table("kube-proxy-test"));
    return listed && listed->find("timeout 1s") != std::string::npos && !seen.empty();
  }));
  // A second after the last connection the client is forgotten.
  CHECK(eventually(
      [&] {
        const auto listed = nft(world.node, "list table inet " + Loader::table("kube-proxy-test"));
        return listed && listed->find("timeout 1s expires") == std::string::npos;
      },
      std::chrono::seconds(4)));
}

TEST_CASE("without endpoints a Service refuses at once, whoever asks", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                 {"endpointslices", slice("web", {})}});
  proxy.start();
  for (const auto& from : {world.pods.at("a"), world.node, world.host, world.outside}) {
    CHECK(world.tcp(from, vip, 80).outcome == "refused");
    CHECK(world.tcp(from, node_ip, 30080).outcome == "refused");
  }
  proxy.set("services", web(vip, "", "UDP"));
  proxy.set("endpointslices", slice("web", {}, "UDP"));
  for (const auto& from : {world.pods.at("a"), world.node, world.host}) {
    Socket socket = world.udp_socket(from);
    CHECK(world.udp(socket, vip, 80).outcome == "refused");
  }
}

TEST_CASE("an unknown port of a ClusterIP refuses, an unknown ClusterIP is dropped and counted", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b})}});
  proxy.start();
  CHECK(world.tcp(world.pods.at("a"), vip, 81).outcome == "refused");
  CHECK(world.tcp(world.node, vip, 81).outcome == "refused");
  CHECK(world.dropped() == 0);
  CHECK(world.tcp(world.pods.at("a"), "10.96.0.99", 80, 300).outcome == "silence");
  CHECK(world.dropped() > 0);
}

TEST_CASE("UDP goes through, and a flow whose endpoint went finds another", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  const auto service = web(vip, R"(nodePort":30053;,"type":"NodePort")", "UDP");
  proxy.set_all({{"services", service}, {"endpointslices", slice("web", {a}, "UDP")}});
  proxy.start();
  Socket inside = world.udp_socket(world.pods.at("b")), outside = world.udp_socket(world.outside);
  CHECK(world.udp(inside, vip, 80).server == "a");
  CHECK(world.udp(inside, vip, 80).outcome == "ok");
  CHECK(world.udp(outside, node_ip, 30053).server == "a");
  proxy.set("endpointslices", slice("web", {far}, "UDP"));
  CHECK(world.udp(inside, vip, 80).server == "far");
  CHECK(world.udp(inside, vip, 80).outcome == "ok");
  CHECK(world.udp(outside, node_ip, 30053).server == "far");
  CHECK(proxy.read([](KubeProxy& p) { return p.metrics().conntrack_deleted; }) == 2);
  // None left: refused instead of sent to where nobody is.
  proxy.set("endpointslices", slice("web", {}, "UDP"));
  CHECK(world.udp(inside, vip, 80).outcome == "refused");
  proxy.set("endpointslices", slice("web", {a}, "UDP"));
  CHECK(world.udp(inside, vip, 80).server == "a");
  // Another endpoint beside it leaves the flow where it is.
  proxy.set("endpointslices", slice("web", {a, far}, "UDP"));
  for (int i = 0; i < 5; ++i) CHECK(world.udp(inside, vip, 80).server == "a");
}

TEST_CASE("a UDP client that was there before the NodePort is served, and no longer once it is gone",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip, "", "UDP")}, {"endpointslices", slice("web", {a}, "UDP")}});
  proxy.start();
  Socket client = world.udp_socket(world.outside);
  CHECK(world.udp(client, node_ip, 30053).outcome == "refused");
  CHECK(world.udp(client, node_ip, 30053).outcome == "refused");
  proxy.set("services", web(vip, R"(nodePort":30053;,"type":"NodePort")", "UDP"));
  CHECK(world.udp(client, node_ip, 30053).server == "a");
  CHECK(world.udp(client, node_ip, 30053).outcome == "ok");
  proxy.set("services", web(vip, R"(nodePort":30054;,"type":"NodePort")", "UDP"));
  CHECK(world.udp(client, node_ip, 30053).server == "");
  CHECK(world.udp(client, node_ip, 30054).server == "a");
}

TEST_CASE("external policy Local keeps the client's address and serves its health check", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  const auto service = web(
      vip,
      R"(nodePort":30080;,"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":32000)");
  proxy.set_all({{"services", service}, {"endpointslices", slice("web", {b, far})}});
  proxy.start();
  CHECK(servers_of(world, world.outside, node_ip, 30080, 8) == Names{"b"});
  CHECK(world.tcp(world.outside, node_ip, 30080).seen == "198.51.100.2");
  CHECK(servers_of(world, world.pods.at("a"), node_ip, 30080) == Names{"b", "far"});
  CHECK(servers_of(world, world.node, node_ip, 30080) == Names{"b", "far"});
  CHECK(servers_of(world, world.pods.at("a"), vip, 80) == Names{"b", "far"});
  auto answer = http_get(world.outside, node_ip, 32000, "/");
  CHECK(answer.find("HTTP/1.1 200") == 0);
  CHECK(answer.find("\"localEndpoints\": 1,") != std::string::npos);
  CHECK(answer.find("\"serviceProxyHealthy\": true") != std::string::npos);
  CHECK(answer.find("x-load-balancing-endpoint-weight: 1") != std::string::npos);

  proxy.set("endpointslices", slice("web", {far}));
  CHECK(world.tcp(world.outside, node_ip, 30080, 400).outcome == "silence");
  CHECK(world.tcp(world.pods.at("a"), node_ip, 30080).server == "far");
  CHECK(eventually([&] { return http_get(world.outside, node_ip, 32000, "/").find("HTTP/1.1 503") == 0; }));
  proxy.remove("services", "default/web");
  CHECK(eventually([&] { return http_get(world.outside, node_ip, 32000, "/").empty(); }));
}

TEST_CASE("a health-check port that is taken is served once it is free, and told of once", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  world.serve_tcp("taken", world.node, "0.0.0.0", 32000);
  Proxy proxy(world.node, [](KubeProxyOptions& options) {
    options.health_retry_period = std::chrono::milliseconds(50);
  });
  proxy.set_all(
      {{"services",
        web(vip, R"(,"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":32000)")},
       {"endpointslices", slice("web", {b, far})}});
  proxy.start();
  const auto events = [&] {
    return proxy.read([&](KubeProxy&) {
      return std::ranges::count_if(proxy.api->events, [](const Document& each) {
        return apimachinery::core_v1::Event(&each.root()).reason() == "FailedToStartServiceHealthcheck";
      });
    });
  };
  CHECK(eventually([&] { return events() == 1; }));
  world.stop_serving("taken");
  CHECK(eventually([&] { return http_get(world.outside, node_ip, 32000, "/").find("HTTP/1.1 200") == 0; }));
  CHECK(events() == 1);
}

TEST_CASE("internal policy Local stays on the node", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  serve_pods(world);
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip, R"(,"internalTrafficPolicy":"Local")")},
                 {"endpointslices", slice("web", {b, far})}});
  proxy.start();
  CHECK(servers_of(world, world.pods.at("a"), vip, 80, 8) == Names{"b"});
  proxy.set("endpointslices", slice("web", {far}));
  CHECK(world.tcp(world.pods.at("a"), vip, 80, 300).outcome == "silence");
}
