// IPv6 packets through Services and NetworkPolicies, in a world of both families.
#include <set>

#include "network/netlink.h"
#include "objects.h"
#include "policy_objects.h"
#include "policy_world.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;

namespace {

constexpr const char* vip6 = "fd00:96::a";
constexpr const char* node6 = "fd00:213::11";
constexpr const char* a6 = "fd00:244:0:1::2";
constexpr const char* b6 = "fd00:244:0:1::3";
constexpr const char* far6 = "fd00:244:0:9::2";
const Place place_a{a6, "here"}, place_b{b6, "here"}, place_far{far6, "other"};

using Names = std::set<std::string>;
// The kernel takes the one that is most like the other side's.
const Names own_addresses{node6, "fd00:244:0:9::1"};

struct World6 {
  explicit World6(bool has_policies = false)
      : proxy(
            world.node,
            [](KubeProxyOptions& options) {
              options.pod_cidrs.push_back(*IpPrefix::parse("fd00:244::/56"));
              options.service_ranges.push_back(*IpPrefix::parse("fd00:96::/112"));
            },
            has_policies) {
    for (const auto& [name, address] : {std::pair{"a", a6}, std::pair{"b", b6}, std::pair{"far", far6}}) {
      world.serve_tcp(name, world.pods.at(name), address);
      world.serve_udp(name, world.pods.at(name), address);
    }
  }
  void serve(const Document& service, const std::vector<Place>& places, const std::string& protocol = "TCP") {
    proxy.set_all({{"services", service}, {"endpointslices", slice("web", places, protocol, 8080, "IPv6")}});
  }
  Names servers(const NetworkNamespace& from, const char* address, std::uint16_t port, int tries = 24) {
    Names out;
    for (int i = 0; i < tries; ++i) out.insert(world.tcp(from, address, port).server);
    return out;
  }
  bool passes(const char* from, const char* to, std::uint16_t port = 8080) {
    return world.tcp(world.pods.at(from), to, port, 3000).outcome == "ok";
  }
  bool is_denied(const NetworkNamespace& from, const char* to, std::uint16_t port = 8080) {
    return world.tcp(from, to, port, 300).outcome == "silence";
  }
  World world{true};
  Proxy proxy;
};

}  // namespace

TEST_CASE("over IPv6 a ClusterIP and a NodePort lead to the endpoints, from inside and outside", "[world]") {
  RN_NEEDS_NAMESPACES();
  World6 w;
  w.serve(web(vip6, R"(nodePort":30080;,"type":"NodePort")"), {place_b, place_far});
  w.proxy.start();
  for (const auto& from : {w.world.pods.at("a"), w.world.node, w.world.host, w.world.outside}) {
    CHECK(w.servers(from, vip6, 80) == Names{"b", "far"});
    CHECK(w.servers(from, node6, 30080) == Names{"b", "far"});
    CHECK(w.world.tcp(from, vip6, 81).outcome == "refused");
  }
  CHECK(w.world.tcp(w.world.pods.at("a"), vip6, 80).seen == a6);
  // Others than Pods are masqueraded, and so is what comes to a NodePort.
  for (const auto& [from, address, port] :
       {std::tuple{w.world.host, vip6, 80}, std::tuple{w.world.outside, vip6, 80},
        std::tuple{w.world.outside, node6, 30080}, std::tuple{w.world.pods.at("a"), node6, 30080}}) {
    const Talk talk = w.world.tcp(from, address, static_cast<std::uint16_t>(port));
    CHECK(own_addresses.contains(talk.seen));
  }
  CHECK(w.is_denied(w.world.pods.at("a"), "fd00:96::99", 80));  // unknown: dropped
  CHECK(w.world.dropped() > 0);

  w.proxy.set("endpointslices", slice("web", {place_a}, "TCP", 8080, "IPv6"));
  const Talk self = w.world.tcp(w.world.pods.at("a"), vip6, 80);
  CHECK(self.server == "a");
  CHECK(own_addresses.contains(self.seen));
  CHECK(self.works());
  w.proxy.set("endpointslices", slice("web", {}, "TCP", 8080, "IPv6"));
  CHECK(w.world.tcp(w.world.pods.at("b"), vip6, 80).outcome == "refused");
  CHECK(w.world.tcp(w.world.outside, node6, 30080).outcome == "refused");
}

TEST_CASE("an IPv6 UDP flow whose endpoint went finds another", "[world]") {
  RN_NEEDS_NAMESPACES();
  World6 w;
  w.serve(web(vip6, "", "UDP"), {place_a}, "UDP");
  w.proxy.start();
  Socket client = w.world.udp_socket(w.world.pods.at("b"), b6);
  CHECK(w.world.udp(client, vip6, 80).server == "a");
  w.proxy.set("endpointslices", slice("web", {place_far}, "UDP", 8080, "IPv6"));
  CHECK(w.world.udp(client, vip6, 80).server == "far");
  CHECK(w.world.udp(client, vip6, 80).outcome == "ok");
}

TEST_CASE("IPv6 packets pass as policies say, by the address that is their Pod's own", "[world]") {
  RN_NEEDS_NAMESPACES();
  World6 w(true);
  w.world.add_pod("c", {ip("10.244.1.4"), ip("fd00:244:0:1::4")});
  w.proxy.set_policies({{"namespaces", name_space("default")},
                        {"pods", pod({"a", a6, R"("app":"web")", "here", "default", http_port})},
                        {"pods", pod({"b", b6, R"("app":"db")", "here", "default", http_port})},
                        {"pods", pod({"c", "fd00:244:0:1::4", R"("app":"else")"})}});
  w.serve(web(vip6), {place_b});
  w.proxy.start();
  CHECK(w.passes("a", b6));
  CHECK(w.passes("c", b6));
  CHECK(w.passes("far", b6));
  w.proxy.set_policies({{"networkpolicies", deny_ingress}});
  CHECK(w.is_denied(w.world.pods.at("a"), b6));
  CHECK(w.is_denied(w.world.pods.at("a"), vip6, 80));
  CHECK(w.is_denied(w.world.far, b6));
  CHECK(w.world.tcp(w.world.node, b6, 8080).outcome == "ok");  // the kubelet's probes
  CHECK(w.passes("a", far6));                                  // another namespace's, and egress is open
  w.proxy.set_policies(
      {{"networkpolicies",
        allow_ingress(R"({"from":[)" + from_pods(R"("app":"web")") + R"(],"ports":[{"port":"http"}]})")}});
  CHECK(w.passes("a", b6));
  CHECK(w.passes("a", vip6, 80));
  CHECK(w.is_denied(w.world.pods.at("c"), b6));
  w.proxy.set_policies(
      {{"networkpolicies", allow_ingress(R"({"from":[{"ipBlock":{"cidr":"fd00:244:0:9::/64"}}]})")}});
  CHECK(w.passes("far", b6));
  CHECK(w.is_denied(w.world.pods.at("a"), b6));

  w.proxy.set_policies({{"networkpolicies", allow_ingress(R"({"from":[)" + from_pods(R"("app":"web")") + "]}")}});
  auto netlink = network::Netlink::open(w.world.pods.at("c"));
  REQUIRE(netlink->ensure_address(
      {(*netlink->find_link("eth0"))->index, IpPrefix::host(ip(a6)), std::nullopt}));
  const auto arrives = [&] {
    auto socket = w.world.udp_socket(w.world.pods.at("c"), a6);
    return w.world.udp(socket, b6, 8080, 300).server == "b";
  };
  CHECK_FALSE(arrives());
  REQUIRE(nft(w.world.node, "flush chain inet " + policy_table + " sources"));
  CHECK(arrives());
}
