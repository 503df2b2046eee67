// NetworkPolicies in a real kernel, and packets through them.
#include "network/netlink.h"
#include "policy_world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;

TEST_CASE(
    "default deny of ingress: Pods are shut, the node and the host are not, and it ends with the policy",
    "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p([](KubeProxyOptions& options) { options.host_addresses = {ip("10.213.0.1")}; });
  p.start();
  CHECK(p.passes("a", address_b));
  CHECK(p.passes("far", address_b));
  p.set(deny_ingress);
  CHECK(p.is_denied("a", address_b));
  CHECK(p.is_denied("far", address_b));
  CHECK(p.is_denied_udp("a", address_b));
  CHECK(p.is_denied(p.world.far, address_a));
  CHECK(p.passes(p.world.node, address_b));
  CHECK(p.passes(p.world.host, address_b));
  CHECK(p.passes("a", address_far));  // another namespace's, and egress is open
  p.remove("deny");
  CHECK(p.passes("a", address_b));
  CHECK(p.passes("far", address_b));
  CHECK(p.passes_udp("a", address_b));
}

TEST_CASE("the host is not the node's unless it is said to be", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({deny_ingress});
  CHECK(p.is_denied(p.world.host, address_b));
  CHECK(p.passes(p.world.node, address_b));
}

TEST_CASE("ingress is allowed by Pods' labels, by Namespaces', by both, and policies add up", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({deny_ingress, allow_ingress(R"({"from":[)" + from_pods(R"("app":"web")") + "]}")});
  CHECK(p.passes("a", address_b));
  CHECK(p.is_denied("far", address_b));
  CHECK(p.is_denied("b", address_a));
  p.set(allow_ingress(R"({"from":[{"namespaceSelector":{"matchLabels":{"team":"red"}}}]})"));
  CHECK(p.is_denied("a", address_b));
  CHECK(p.passes("far", address_b));
  p.set(allow_ingress(
      R"({"from":[{"namespaceSelector":{"matchLabels":{"team":"red"}},"podSelector":{"matchLabels":{"app":"web"}}}]})"));
  CHECK(p.is_denied("far", address_b));
  p.set(allow_ingress(
      R"({"from":[{"namespaceSelector":{"matchLabels":{"team":"red"}},"podSelector":{"matchLabels":{"app":"far"}}}]})"));
  CHECK(p.passes("far", address_b));
  CHECK(p.is_denied("a", address_b));
  p.set(policy("more", R"("podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"from":[)" +
                           from_pods(R"("app":"web")") + "]}]"));
  CHECK(p.passes("a", address_b));
  CHECK(p.passes("far", address_b));
  CHECK(p.is_denied("b", address_a));

  // Labels that change move the Pod in and out.
  p.proxy.set_policies({{"pods", pod({"a", address_a, R"("app":"other")", "here", "default", http_port})}});
  CHECK(p.is_denied("a", address_b));
  p.proxy.set_policies({{"namespaces", name_space("away", R"("team":"blue")")}});
  CHECK(p.is_denied("far", address_b));
  p.proxy.set_policies({{"namespaces", name_space("away", R"("team":"red")")}});
  CHECK(p.passes("far", address_b));
  p.proxy.remove_policies({{"pods", "away/far"}});
  CHECK(p.is_denied("far", address_b));
}

TEST_CASE("ports: numbers, ranges, each Pod's own named ones, and protocols", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({deny_ingress, allow_ingress(R"({"ports":[{"port":8080}]})")});
  CHECK(p.passes("a", address_b, 8080));
  CHECK(p.is_denied("a", address_b, 9090));
  CHECK(p.is_denied_udp("a", address_b, 8080));
  p.set(allow_ingress(R"({"ports":[{"protocol":"UDP","port":9000,"endPort":9090}]})"));
  CHECK(p.passes_udp("a", address_b, 9090));
  CHECK(p.is_denied_udp("a", address_b, 8080));
  CHECK(p.is_denied("a", address_b, 9090));
  p.set(allow_ingress(R"({"ports":[{"port":"http"}]})"));
  CHECK(p.passes("a", address_b, 8080));
  CHECK(p.is_denied("a", address_b, 9090));
  // A Pod's ports never change; another Pod has others.
  p.proxy.remove_policies({{"pods", "default/b"}});
  p.proxy.set_policies({{"pods", pod({"b", address_b, R"("app":"db")", "here", "default",
                                      R"({"name":"http","containerPort":9090,"protocol":"TCP"})"})}});
  CHECK(p.passes("a", address_b, 9090));
  CHECK(p.is_denied("a", address_b, 8080));
  CHECK(p.passes("b", address_a, 8080));
}

TEST_CASE("egress: default deny, Pods, ipBlocks with exceptions, and the node's own address", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.world.serve_tcp("api", p.world.node, node_ip, 6443);
  p.start({deny_egress});
  CHECK(p.is_denied("a", address_b));
  CHECK(p.is_denied("a", address_far));
  CHECK(p.is_denied("a", node_ip, 6443));
  CHECK(p.passes("far", address_a));  // answers go out
  CHECK(p.passes(p.world.node, address_a));
  p.set(allow_egress(R"({"to":[)" + from_pods(R"("app":"db")") + "]}"));
  CHECK(p.passes("a", address_b));
  CHECK(p.is_denied("a", address_far));
  CHECK(p.is_denied("b", address_a));
  p.set(allow_egress(R"({"to":[{"ipBlock":{"cidr":"10.244.0.0/16","except":["10.244.1.0/24"]}}]})"));
  CHECK(p.is_denied("a", address_b));
  CHECK(p.passes("a", address_far));
  CHECK(p.is_denied("a", node_ip, 6443));
  p.set(allow_egress(R"({"to":[{"ipBlock":{"cidr":"10.213.0.11/32"}}],"ports":[{"port":6443}]})"));
  CHECK(p.passes("a", node_ip, 6443));
  CHECK(p.is_denied("a", address_far));
  p.set(allow_egress("{}"));
  CHECK(p.passes("a", node_ip, 6443));
  CHECK(p.passes("a", address_far));
}

TEST_CASE("through a Service the policy sees both Pods' own addresses", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                   {"endpointslices", slice("web", {{address_b, "here"}})}});
  p.start(
      {deny_ingress,
       allow_ingress(R"({"from":[)" + from_pods(R"("app":"web")") + R"(],"ports":[{"port":8080}]})"),
       policy("out",
              R"("podSelector":{"matchLabels":{"app":"web"}},"policyTypes":["Egress"],"egress":[{"to":[)" +
                  from_pods(R"("app":"db")") + R"(],"ports":[{"port":8080}]}])")});
  CHECK(p.passes("a", vip, 80));
  // From outside by a NodePort: masqueraded afterwards only.
  CHECK(p.is_denied(p.world.outside, node_ip, 30080));
  p.set(allow_ingress(R"({"from":[{"ipBlock":{"cidr":"198.51.100.0/24"}}]})"));
  CHECK(p.passes(p.world.outside, node_ip, 30080));
  CHECK(p.is_denied("a", vip, 80));
}

TEST_CASE("at a NodePort the host is like anybody else: who connects to its published ports comes there",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p([](KubeProxyOptions& options) {
    options.host_addresses = {ip("10.213.0.1")};
    options.node_addresses = {ip(node_ip)};
  });
  p.proxy.set_all({{"services", web(vip, R"(nodePort":30080;,"type":"NodePort")")},
                   {"endpointslices", slice("web", {{address_b, "here"}})}});
  p.start();
  CHECK(p.passes(p.world.host, node_ip, 30080));
  p.set(deny_ingress);
  CHECK(p.is_denied(p.world.host, node_ip, 30080));
  CHECK(p.passes(p.world.host, vip, 80));    // as the api-server calls webhooks
  CHECK(p.passes(p.world.host, address_b));  // as its proxy does
}

TEST_CASE("what a Pod sends under another address than its own is dropped and counted", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p([](KubeProxyOptions& options) { options.check_period = std::chrono::milliseconds(100); });
  p.world.add_pod("c", {ip("10.244.1.4")});
  p.world.serve_udp("api", p.world.node, node_ip, 6443);
  p.proxy.set_policies({{"pods", pod({"c", "10.244.1.4", R"("app":"else")"})}});
  p.start({deny_ingress, allow_ingress(R"({"from":[)" + from_pods(R"("app":"web")") + "]}")});
  auto netlink = network::Netlink::open(p.world.pods.at("c"));
  for (const char* other : {address_a, "203.0.113.9"})
    REQUIRE(netlink->ensure_address(
        {(*netlink->find_link("eth0"))->index, IpPrefix::host(ip(other)), std::nullopt}));
  const auto arrives = [&](const char* source, const char* to, std::uint16_t port) {
    auto socket = p.world.udp_socket(p.world.pods.at("c"), source);
    return !p.world.udp(socket, to, port, 300).server.empty();
  };
  CHECK(p.passes_udp("a", address_b));
  CHECK_FALSE(arrives("10.244.1.4", address_b, 8080));
  CHECK_FALSE(arrives(address_a, address_b, 8080));
  CHECK_FALSE(arrives("203.0.113.9", node_ip, 6443));
  CHECK(arrives("10.244.1.4", node_ip, 6443));
  const auto denied = [&] {
    return p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().denied[3]; });
  };
  CHECK(eventually([&] { return denied() == 2; }));
  // It is this rule that does it, and nothing else.
  REQUIRE(nft(p.world.node, "flush chain inet " + policy_table + " sources"));
  CHECK(arrives(address_a, address_b, 8080));
}

TEST_CASE("a Pod reaches itself through its Service whatever policies say", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {{address_a, "here"}})}});
  p.start({policy("deny", R"("podSelector":{},"policyTypes":["Ingress","Egress"])")});
  CHECK(p.passes("a", vip, 80));
  CHECK(p.is_denied("b", vip, 80));
}

TEST_CASE("the usual policy for names reaches the name server on the node, and nothing else there",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.world.serve_udp("dns", p.world.node, node_ip, 53);
  p.world.serve_tcp("dns-tcp", p.world.node, node_ip, 53);
  p.world.serve_tcp("api", p.world.node, node_ip, 6443);
  const Document service = client::ObjectBuilder::from_json(
      apimachinery::core_v1::Service::schema_type(),
      R"({"metadata":{"name":"kube-dns","namespace":"kube-system"},"spec":{"clusterIP":"10.96.0.53","clusterIPs":["10.96.0.53"],
          "ports":[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]}})");
  const Document endpoints = client::ObjectBuilder::from_json(
      apimachinery::discovery_v1::EndpointSlice::schema_type(),
      R"({"metadata":{"name":"kube-dns","namespace":"kube-system","labels":{"kubernetes.io/service-name":"kube-dns"}},
          "addressType":"IPv4","endpoints":[{"addresses":["10.213.0.11"],"conditions":{"ready":true}}],
          "ports":[{"name":"dns","port":53,"protocol":"UDP"},{"name":"dns-tcp","port":53,"protocol":"TCP"}]})");
  p.proxy.set_all({{"services", service}, {"endpointslices", endpoints}});
  p.start({deny_egress});
  const auto asks = [&] { return p.passes_udp("a", "10.96.0.53", 53); };
  CHECK(p.is_denied_udp("a", "10.96.0.53", 53));
  p.set(allow_egress(
      R"({"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}},
           "podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],
          "ports":[{"protocol":"UDP","port":53},{"protocol":"TCP","port":53}]})"));
  CHECK(asks());
  CHECK(p.passes("a", "10.96.0.53", 53));
  CHECK(p.is_denied("a", node_ip, 6443));
  CHECK(p.is_denied("a", address_b));
  p.set(allow_egress(
      R"({"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}}}]})"));
  CHECK(asks());
  CHECK(p.is_denied("a", node_ip, 6443));
  // The server moves: the policy follows.
  p.proxy.remove("endpointslices", "kube-system/kube-dns");
  CHECK(eventually([&] { return p.world.tcp(p.world.pods.at("a"), node_ip, 53, 100).outcome == "silence"; }));
}
