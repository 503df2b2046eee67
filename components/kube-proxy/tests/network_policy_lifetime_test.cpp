// What outlives what: connections, new Pods, flushed rules, the switch; and how long changes take.
#include <algorithm>

#include "network/netlink.h"
#include "network/pod_link.h"
#include "policy_world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;
using network_policy::PolicyLoader;
using std::chrono::steady_clock;

TEST_CASE("connections outlive the policy that forbids new ones, and the rules' replacement", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start();
  const auto open = p.world.tcp(p.world.pods.at("a"), address_b, 8080);
  REQUIRE(open.works());
  p.set(deny_ingress);
  CHECK(p.is_denied("a", address_b));
  CHECK(open.works());
  REQUIRE(nft(p.world.node, "flush ruleset"));
  CHECK(eventually([&] { return p.is_denied("a", address_b); }));
  CHECK(open.works());
}

TEST_CASE("a Pod's link is shut before its Pod is heard of, and open or protected from the first packet on",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({policy("deny", R"("podSelector":{"matchLabels":{"app":"new"}})")});
  auto made = NetworkNamespace::create();
  REQUIRE(made);
  REQUIRE(network::wire_pod(
      p.world.node, *made,
      {.cluster = "kube-proxy-test", .id = "new", .addresses = {ip("10.244.1.9")}, .gateway = ip(node_ip)}));
  p.world.serve_tcp("new", *made, "10.244.1.9");
  CHECK(p.is_denied("a", "10.244.1.9"));
  CHECK(p.is_denied(*made, address_a));
  CHECK(p.passes(p.world.node, "10.244.1.9"));  // the kubelet's probes
  // Bound to the node, before it has an address: its own packets pass, by its link.
  p.proxy.set_policies({{"pods", pod({"new", "", R"("app":"new")"})}});
  CHECK(p.is_denied("a", "10.244.1.9"));
  CHECK(p.passes(*made, address_a));
  p.proxy.set_policies({{"pods", pod({"new", "", R"("app":"old")"})}});
  CHECK(p.passes("a", "10.244.1.9"));
  const auto metrics = p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().text(); });
  CHECK(metrics.find("kubeproxy_network_policy_policies 1\n") != std::string::npos);
}

TEST_CASE("where no rules were yet, Pods are shut before the first policy is known", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  KubeProxyOptions options;
  options.cluster = "kube-proxy-test";
  options.network_policy = false;
  REQUIRE(KubeProxy::shut_pods(p.world.node, options));
  CHECK(p.passes("a", address_b));
  options.network_policy = true;
  REQUIRE(KubeProxy::shut_pods(p.world.node, options));
  CHECK(p.is_denied("a", address_b));
  CHECK(p.passes(p.world.node, address_b));  // the kubelet's probes
  p.start();
  CHECK(p.passes("a", address_b));
  REQUIRE(KubeProxy::shut_pods(p.world.node, options));  // what stands stays
  CHECK(p.passes("a", address_b));
}

TEST_CASE("rules of policies are back within five seconds after a flush, whoever did it", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({deny_ingress});
  for (const std::string& harm : {std::string("flush ruleset"), "delete table inet " + policy_table,
                                  "flush table inet " + policy_table}) {
    const auto begin = steady_clock::now();
    REQUIRE(nft(p.world.node, harm));
    CHECK(eventually(
        [&] { return p.world.tcp(p.world.pods.at("a"), address_b, 8080, 100).outcome == "silence"; }));
    const std::chrono::duration<double, std::milli> took = steady_clock::now() - begin;
    CHECK(took.count() < 5000);
    WARN(harm << ": denied again after " << took.count() << " ms");
  }
}

TEST_CASE("what is denied is counted, over replacements of the table", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p([](KubeProxyOptions& options) {
    options.check_period = std::chrono::milliseconds(100);
    options.metrics = BindAddress{"127.0.0.1", 0};
  });
  p.start({deny_ingress});
  CHECK(p.is_denied("a", address_b));
  const auto denied = [&] {
    return p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().denied[0]; });
  };
  CHECK(eventually([&] { return denied() >= 1; }));
  const auto before = denied();
  REQUIRE(nft(p.world.node,
              "flush chain inet " + policy_table + " ingress-forward\ndelete table inet " + policy_table));
  CHECK(eventually([&] { return p.is_denied("a", address_b); }));
  CHECK(eventually([&] { return denied() >= before; }));
  const auto port = p.proxy.read([](KubeProxy& proxy) { return proxy.metrics_port(); });
  const auto text = http_get(p.world.node, "127.0.0.1", port, "/metrics");
  CHECK(text.find("kubeproxy_network_policy_isolated_pods{direction=\"ingress\"} 2\n") != std::string::npos);
  CHECK(text.find("kubeproxy_network_policy_denied_packets_total{reason=\"ingress\"}") != std::string::npos);
}

TEST_CASE("switched off, the table goes and all is open; cleanup takes it away, too", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  p.start({deny_ingress});
  CHECK(p.is_denied("a", address_b));
  p.proxy.stop();
  CHECK(p.is_denied("a", address_b));  // the rules stay while nobody is there
  Proxy off(
      p.world.node, [](KubeProxyOptions& options) { options.network_policy = false; }, true);
  off.start();
  CHECK(eventually([&] { return !nft(p.world.node, "list table inet " + policy_table).has_value(); }));
  CHECK(p.passes("a", address_b));
  off.stop();
  p.proxy.start();
  CHECK(p.is_denied("a", address_b));
  p.proxy.stop();
  REQUIRE(KubeProxy::cleanup(p.world.node, "kube-proxy-test"));
  CHECK_FALSE(nft(p.world.node, "list table inet " + policy_table).has_value());
  CHECK(p.passes("a", address_b));
}

TEST_CASE("an identity that may not read policies is told of at the Node and in numbers, until it may",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p([](KubeProxyOptions& options) { options.check_period = std::chrono::milliseconds(50); });
  p.proxy.set_policies({{"networkpolicies", deny_ingress}});
  p.proxy.set_node(client::ObjectBuilder::from_json(apimachinery::core_v1::Node::schema_type(),
                                                    R"({"metadata":{"name":"here"}})"));
  p.proxy.read_api([](MemoryApi::Shared& api) { api.forbidden = {"networkpolicies"}; });
  p.proxy.begin();
  const auto text = [&] {
    return p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().text(); });
  };
  const auto told = [&] {
    std::string out;
    p.proxy.read_api([&](MemoryApi::Shared& api) {
      for (const auto& each : api.events) {
        const apimachinery::core_v1::Event event(&each.root());
        if (event.reason() == "NetworkPoliciesNotServed")
          out += fmt::format("{} {}: {}", event.involvedObject().kind(), event.involvedObject().name(),
                             event.message());
      }
    });
    return out;
  };
  CHECK(eventually([&] { return !told().empty(); }));
  CHECK(told() == "Node here: node here does not serve NetworkPolicies: networkpolicies is forbidden");
  CHECK(text().find("kubeproxy_network_policy_synced 0\n") != std::string::npos);
  CHECK(p.passes("a", address_b));
  p.proxy.read_api([](MemoryApi::Shared& api) { api.forbidden.clear(); });
  CHECK(eventually([&] { return text().find("kubeproxy_network_policy_synced 1\n") != std::string::npos; }));
  CHECK(p.is_denied("a", address_b));
  CHECK(eventually([&] {
    return p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->refusal().empty(); });
  }));
}

TEST_CASE("a policy that the kernel does not take shuts the Pods it selects, and nobody else", "[world]") {
  RN_NEEDS_NAMESPACES();
  Policies p;
  // Selected as b is: they share a chain.
  p.world.add_pod("c", {ip("10.244.1.9")});
  p.world.serve_tcp("c", p.world.pods.at("c"), "10.244.1.9");
  p.proxy.set_policies({{"pods", pod({"c", "10.244.1.9", R"("app":"db")"})}});
  const auto refused = [&] {
    return p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().refused; });
  };
  // A name that no API would let through stands for what nobody has foreseen.
  const Document bad = policy(
      "no name", R"("podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"from":[{"podSelector":{}}]}])");
  const Document other = policy(
      "other",
      R"("podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"from":[{"namespaceSelector":{}}],"ports":[{"port":9090}]}])");
  p.start({bad, other});
  CHECK(refused() == 1);
  CHECK(p.is_denied("a", address_b));     // only `bad` would allow it
  CHECK(p.is_denied("a", "10.244.1.9"));
  CHECK(p.passes("a", address_b, 9090));  // the other policy does
  CHECK(p.passes("b", address_a));
  // Others' changes go on, also those of Pods among its peers.
  p.proxy.set_policies({{"pods", pod({"c", "10.244.1.9", R"("app":"new")"})}});
  CHECK(p.passes("a", "10.244.1.9"));
  p.proxy.set_policies({{"pods", pod({"c", "10.244.1.9", R"("app":"db","is":"back")"})}});
  CHECK(p.is_denied("a", "10.244.1.9"));
  CHECK(p.proxy.read([](KubeProxy& proxy) { return proxy.policies()->metrics().sync_failures; }) == 0);
  p.set(deny_ingress);
  CHECK(p.is_denied("b", address_a));
  CHECK(refused() == 1);
  p.remove("deny");
  CHECK(p.passes("b", address_a));
  // Mended.
  p.remove("no name");
  CHECK(refused() == 0);
  p.set(policy("name",
               R"("podSelector":{"matchLabels":{"app":"db"}},"ingress":[{"from":[{"podSelector":{}}]}])"));
  CHECK(p.passes("a", address_b));
  CHECK(p.passes("a", "10.244.1.9"));
  // One that comes later fails once, and then is left out alone.
  p.set(bad);
  CHECK(refused() == 1);
  CHECK(p.passes("a", address_b));
  CHECK(p.passes("c", address_b));
}

TEST_CASE("IPv6 and SCTP policies load", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  auto session = std::make_shared<NftSession>(world.node);
  PolicyLoader loader(session, {"kube-proxy-test", "here", {ip("10.213.0.1"), ip("fd00:213::1")}});
  network_policy::Changes changes;
  changes.policies.push_back(
      {"default/p",
       policy(
           "p",
           R"("podSelector":{},"ingress":[{"from":[{"podSelector":{}},{"ipBlock":{"cidr":"fd00::/8","except":["fd00:1::/32"]}},
          {"ipBlock":{"cidr":"::/0"}}],"ports":[{"protocol":"SCTP","port":5000,"endPort":6000},{"protocol":"SCTP","port":"sig"}]}],
          "egress":[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.0.0.0/8","10.1.0.0/16"]}}]}])")});
  changes.pods.push_back({"default/w",
                          pod({"w", "fd00:244::2", "", "here", "default",
                               R"({"name":"sig","containerPort":2905,"protocol":"SCTP"})"}),
                          {}});
  const auto done = loader.sync(std::move(changes));
  REQUIRE(done);
  CHECK(done->isolated[0] == 1);
  CHECK(done->isolated[1] == 1);
  const auto listed = nft(world.node, "list table inet " + policy_table);
  REQUIRE(listed);
  CHECK(listed->find("fd00:244::2 . 2905") != std::string::npos);
  CHECK(listed->find("ip6 saddr fd00::/8") != std::string::npos);
  CHECK(*loader.is_intact());
}

TEST_CASE("1,000 policies and 10,000 Pods: the whole, and one Pod that comes", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  auto session = std::make_shared<NftSession>(world.node);
  PolicyLoader loader(session, {"kube-proxy-test", "here", {}});
  network_policy::Changes changes;
  for (int i = 0; i < 1000; ++i) {
    const std::string space = fmt::format("n{}", i % 200);
    changes.policies.push_back(
        {fmt::format("{}/p{}", space, i),
         policy(
             fmt::format("p{}", i),
             fmt::format(
                 R"("podSelector":{{"matchLabels":{{"app":"a{}"}}}},"ingress":[{{"from":[{{"podSelector":{{"matchLabels":{{"app":"a{}"}}}}}}],"ports":[{{"port":8080}}]}}])",
                 i / 200, (i / 200 + 1) % 5),
             space)});
  }
  const auto numbered = [&](int i) {
    PodWords words{
        fmt::format("w{}", i), fmt::format("10.{}.{}.{}", 128 + i / 62500, i / 250 % 250, 1 + i % 250),
        fmt::format(R"("app":"a{}")", i / 200 % 5), i % 100 ? "other" : "here", fmt::format("n{}", i % 200)};
    return network_policy::PodChange{fmt::format("{}/{}", words.name_space, words.name), pod(words), {}};
  };
  for (int i = 0; i < 10000; ++i) changes.pods.push_back(numbered(i));
  const auto ms_since = [](steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
  };
  auto begin = steady_clock::now();
  REQUIRE(loader.sync(std::move(changes)));
  const double whole = ms_since(begin);
  begin = steady_clock::now();
  for (int i = 0; i < 50; ++i) {
    network_policy::Changes one;
    one.pods.push_back(numbered(10000 + i));
    const auto done = loader.sync(std::move(one));
    REQUIRE(done);
    CHECK(done->has_changed);
  }
  const double each = ms_since(begin) / 50;
  begin = steady_clock::now();
  for (int i = 0; i < 50; ++i) REQUIRE(loader.denied());
  WARN(fmt::format("whole table {:.0f} ms, one Pod {:.2f} ms, counters {:.2f} ms", whole, each,
                   ms_since(begin) / 50));
}
