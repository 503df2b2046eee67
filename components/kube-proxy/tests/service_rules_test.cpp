// The decision: Services and EndpointSlices to rules.
#include "kube-proxy/service_rules.h"

#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;

namespace {
const std::string address = "10.96.0.10";
const std::string reject = "goto reject-packet";

std::set<std::string> decided(const Document& service, const std::vector<Document>& slices,
                              const Settings& settings = node_settings()) {
  return lines(decide(service, slices, settings).rules);
}
using Lines = std::set<std::string>;
}  // namespace

TEST_CASE("a plain Service is elements of shared maps and one shared chain") {
  const auto rules =
      decide(web(address), {slice("web", {{"10.244.0.2"}, {"10.244.0.3", "here"}})}, node_settings()).rules;
  CHECK(lines(rules) == Lines{"cluster-ips-4 10.96.0.10",
                              "service-ips-4 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-2",
                              "service-endpoints-tcp-4 10.96.0.10 . 80 . 0 : 10.244.0.2 . 8080",
                              "service-endpoints-tcp-4 10.96.0.10 . 80 . 1 : 10.244.0.3 . 8080",
                              "hairpin-4 10.244.0.3 . 10.244.0.3"});
  REQUIRE(rules.chains.size() == 1);
  CHECK(rules.chains.at("pick-service-tcp-4-2") ==
        std::vector<std::string>{"meta l4proto tcp dnat ip to ip daddr . tcp dport . numgen random mod 2 map "
                                 "@service-endpoints-tcp-4",
                                 "meta l4proto tcp dnat ip to ip daddr . tcp dport . numgen random mod 1 map "
                                 "@service-endpoints-tcp-4",
                                 "drop"});
  CHECK(rules.sets.empty());
}

TEST_CASE("without endpoints every address of a Service refuses") {
  const auto out = decided(
      web(address, R"(nodePort":30080;,"type":"LoadBalancer","externalIPs":["192.0.2.7"])", "TCP",
          R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.8"},{"ip":"192.0.2.9","ipMode":"Proxy"}]}})"),
      {slice("web", {{"10.244.0.2", "other", R"("ready":false)"}})});
  CHECK(out == Lines{"cluster-ips-4 10.96.0.10", "no-endpoint-ips-4 10.96.0.10 . tcp . 80 : " + reject,
                     "no-endpoint-ips-4 192.0.2.7 . tcp . 80 : " + reject,
                     "no-endpoint-ips-4 192.0.2.8 . tcp . 80 : " + reject,
                     "no-endpoint-nodeports-4 tcp . 30080 : " + reject});
}

TEST_CASE("external addresses and NodePorts lead to the same endpoints and are masqueraded") {
  const auto out = decided(web(address, R"(nodePort":30080;,"type":"NodePort","externalIPs":["192.0.2.7"])"),
                           {slice("web", {{"10.244.0.2"}})});
  for (const char* line :
       {"service-ips-4 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-1",
        "masquerade-ips-4 192.0.2.7 . tcp . 80",
        "service-ips-4 192.0.2.7 . tcp . 80 : goto pick-service-tcp-4-1",
        "service-endpoints-tcp-4 192.0.2.7 . 80 . 0 : 10.244.0.2 . 8080",
        "masquerade-nodeports-4 tcp . 30080", "nodeports-4 tcp . 30080 : goto pick-nodeport-tcp-4-1",
        "nodeport-endpoints-tcp-4 30080 . 0 : 10.244.0.2 . 8080"})
    CHECK(out.contains(line));
  CHECK(out.size() == 9);
}

TEST_CASE("headless Services, ExternalNames and those of another proxy have no rules") {
  const std::vector<Document> slices{slice("web", {{"10.244.0.2"}})};
  CHECK(decided(service("web", R"("clusterIP":"None","ports":[{"name":"http","port":80}])"), slices).empty());
  CHECK(decided(service("web", R"("type":"ExternalName","externalName":"a.b")"), slices).empty());
  const std::string spec = R"("clusterIP":"10.96.0.10","ports":[{"name":"http","port":80}])";
  CHECK_FALSE(decided(service("web", spec), slices).empty());
  CHECK(decided(service("web", spec, "", R"(,"labels":{"service.kubernetes.io/service-proxy-name":"mesh"})"),
                slices)
            .empty());
  CHECK(decided(service("web", spec, "", R"(,"labels":{"service.kubernetes.io/headless":""})"), slices)
            .empty());
}

TEST_CASE("serving endpoints that end are used only when no other is ready") {
  const std::string leaving = R"("ready":false,"serving":true,"terminating":true)";
  auto out = decided(web(address), {slice("web", {{"10.244.0.2", "other", leaving}, {"10.244.0.3"}})});
  CHECK(out.contains("service-endpoints-tcp-4 10.96.0.10 . 80 . 0 : 10.244.0.3 . 8080"));
  CHECK(out.contains("service-ips-4 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-1"));
  out = decided(
      web(address),
      {slice("web", {{"10.244.0.2", "other", leaving}, {"10.244.0.3", "other", R"("ready":false)"}})});
  CHECK(out.contains("service-endpoints-tcp-4 10.96.0.10 . 80 . 0 : 10.244.0.2 . 8080"));
  out = decided(
      web(address),
      {slice("web", {{"10.244.0.2", "other", R"("ready":false,"serving":false,"terminating":true)"}})});
  CHECK(out.contains("no-endpoint-ips-4 10.96.0.10 . tcp . 80 : " + reject));
}

TEST_CASE("an endpoint in several slices counts once, and conditions that are not given mean ready") {
  const auto out =
      decided(web(address), {slice("web", {{"10.244.0.2", "", ""}}),
                             slice("web", {{"10.244.0.2", "here", ""}}, "TCP", 8080, "IPv4", "s2"),
                             slice("web", {{"10.244.0.9"}}, "UDP", 8080, "IPv4", "s3")});
  CHECK(out.contains("service-ips-4 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-1"));
  CHECK(out.contains("hairpin-4 10.244.0.2 . 10.244.0.2"));
}

TEST_CASE("internal policy Local uses this node's endpoints alone, and drops without") {
  const auto service = web(address, R"(,"internalTrafficPolicy":"Local")");
  auto out = decided(service, {slice("web", {{"10.244.0.2"}, {"10.244.0.3", "here"}})});
  CHECK(out.contains("service-endpoints-tcp-4 10.96.0.10 . 80 . 0 : 10.244.0.3 . 8080"));
  CHECK(out.contains("service-ips-4 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-1"));
  const auto none = decide(service, {slice("web", {{"10.244.0.2"}})}, node_settings());
  CHECK(lines(none.rules).contains("no-endpoint-ips-4 10.96.0.10 . tcp . 80 : drop"));
  CHECK(none.internal_without_local == 1);
  CHECK(none.external_without_local == 0);
}

TEST_CASE("external policy Local keeps addresses of those outside, and sends Pods and the node anywhere") {
  const auto service = web(
      address,
      R"(nodePort":30080;,"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":32000)");
  const auto out = decide(service, {slice("web", {{"10.244.0.2"}, {"10.244.0.3", "here"}})}, node_settings());
  CHECK(lines(out.rules).contains("nodeports-4 tcp . 30080 : goto external4/default/web/tcp/http"));
  CHECK_FALSE(lines(out.rules).contains("masquerade-nodeports-4 tcp . 30080"));
  CHECK(out.rules.chains.at("external4/default/web/tcp/http") ==
        std::vector<std::string>{"ip saddr 10.244.0.0/16 goto cluster4/default/web/tcp/http",
                                 "fib saddr type local meta mark set meta mark | 0x4000",
                                 "fib saddr type local goto cluster4/default/web/tcp/http",
                                 "goto local4/default/web/tcp/http"});
  CHECK(out.rules.chains.at("local4/default/web/tcp/http") ==
        std::vector<std::string>{
            "meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.244.0.3 . 8080 }",
            "meta l4proto tcp dnat ip to 10.244.0.3:8080"});
  CHECK(out.rules.chains.at("cluster4/default/web/tcp/http") ==
        std::vector<std::string>{"meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . "
                                 "8080, 1 : 10.244.0.3 . 8080 }",
                                 "meta l4proto tcp dnat ip to 10.244.0.2:8080"});
  CHECK(out.health_check_port == 32000);
  CHECK(out.local_ready_addresses == 1);

  const auto none = decide(service, {slice("web", {{"10.244.0.2"}})}, node_settings());
  CHECK(lines(none.rules).contains("no-endpoint-nodeports-4 tcp . 30080 : drop"));
  CHECK(lines(none.rules).contains("nodeports-4 tcp . 30080 : goto external4/default/web/tcp/http"));
  CHECK(none.rules.chains.at("external4/default/web/tcp/http").size() == 3);
  CHECK(none.external_without_local == 1);
  CHECK(none.local_ready_addresses == 0);
}

TEST_CASE("client-IP affinity has a set with the timeout for each endpoint") {
  const auto rules =
      decide(
          web(address,
              R"(,"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}})"),
          {slice("web", {{"10.244.0.2"}, {"10.244.0.3"}})}, node_settings())
          .rules;
  CHECK(lines(rules).contains("service-ips-4 10.96.0.10 . tcp . 80 : goto cluster4/default/web/tcp/http"));
  const std::string kept = "type ipv4_addr; flags dynamic,timeout;";
  CHECK(rules.sets ==
        std::map<std::string, std::string>{{"affinity4/default/web/tcp/http/10.244.0.2/8080", kept},
                                           {"affinity4/default/web/tcp/http/10.244.0.3/8080", kept}});
  const auto& choice = rules.chains.at("cluster4/default/web/tcp/http");
  REQUIRE(choice.size() == 4);
  CHECK(choice[3] == "goto endpoint4/default/web/tcp/http/10.244.0.2/8080");
  CHECK(choice[0] ==
        "ip saddr @affinity4/default/web/tcp/http/10.244.0.2/8080 goto "
        "endpoint4/default/web/tcp/http/10.244.0.2/8080");
  CHECK(rules.chains.at("endpoint4/default/web/tcp/http/10.244.0.2/8080") ==
        std::vector<std::string>{
            "update @affinity4/default/web/tcp/http/10.244.0.2/8080 { ip saddr timeout 60s }",
            "meta l4proto tcp dnat ip to 10.244.0.2:8080"});
}

TEST_CASE("hints count when every ready endpoint has one and one is for here") {
  const std::string zone_a = R"("forZones":[{"name":"a"}])", zone_b = R"("forZones":[{"name":"b"}])",
                    ready = R"("ready":true)";
  const auto first = [&](const std::vector<Place>& places, const std::string& zone) {
    const auto all = decided(web(address), {slice("web", places)}, node_settings(zone));
    std::string out;
    for (const auto& line : all)
      if (line.starts_with("service-endpoints-tcp-4")) out += line.substr(line.find(" : ") + 3, 10) + " ";
    return out;
  };
  CHECK(first({{"10.244.0.2", "x", ready, zone_a}, {"10.244.0.3", "y", ready, zone_b}}, "a") ==
        "10.244.0.2 ");
  CHECK(first({{"10.244.0.2", "x", ready, zone_a}, {"10.244.0.3", "y", ready, zone_b}}, "c") ==
        "10.244.0.2 10.244.0.3 ");
  CHECK(first({{"10.244.0.2", "x", ready, zone_a}, {"10.244.0.3", "y", ready}}, "a") ==
        "10.244.0.2 10.244.0.3 ");
  const std::string here = R"("forZones":[{"name":"a"}],"forNodes":[{"name":"here"}])",
                    there = R"("forZones":[{"name":"a"}],"forNodes":[{"name":"x"}])";
  CHECK(first({{"10.244.0.2", "x", ready, here}, {"10.244.0.3", "y", ready, there}}, "a") == "10.244.0.2 ");
  CHECK(first({{"10.244.0.2", "x", ready, there}, {"10.244.0.3", "y", ready, there}}, "a") ==
        "10.244.0.2 10.244.0.3 ");
}

TEST_CASE(
    "source ranges guard a load balancer's address; nested ones and the node's own address do no harm") {
  const auto service = [&](const std::string& ranges) {
    return web(address, R"(,"type":"LoadBalancer","loadBalancerSourceRanges":)" + ranges, "TCP",
               R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.8"}]}})");
  };
  const std::vector<Document> slices{slice("web", {{"10.244.0.2"}})};
  auto rules =
      decide(service(R"([" 198.51.100.0/24","198.51.100.8/32","203.0.113.0/24"])"), slices, node_settings())
          .rules;
  CHECK(lines(rules).contains("firewall-ips-4 192.0.2.8 . tcp . 80 : goto firewall4/default/web/tcp/http"));
  CHECK(rules.chains.at("firewall4/default/web/tcp/http") ==
        std::vector<std::string>{"ip saddr != { 198.51.100.0/24, 203.0.113.0/24 } drop"});
  rules = decide(service(R"(["10.213.0.0/24"])"), slices, node_settings()).rules;
  CHECK(rules.chains.at("firewall4/default/web/tcp/http") ==
        std::vector<std::string>{"ip saddr != { 10.213.0.0/24, 192.0.2.8/32 } drop"});
  rules = decide(service(R"(["10.213.0.0/24","0.0.0.0/0"])"), slices, node_settings()).rules;
  CHECK_FALSE(rules.chains.contains("firewall4/default/web/tcp/http"));
}

TEST_CASE("source ranges in old forms hold, and one that cannot be read lets nobody in") {
  const auto rules_with = [&](const std::string& ranges) {
    return decide(web(address,
                      R"(,"type":"LoadBalancer","externalIPs":["192.000.2.7"],"loadBalancerSourceRanges":)" +
                          ranges,
                      "TCP", R"(,"status":{"loadBalancer":{"ingress":[{"ip":"::ffff:192.0.2.8"}]}})"),
                  {slice("web", {{"10.244.0.2"}})}, node_settings())
        .rules;
  };
  const std::string chain = "firewall4/default/web/tcp/http",
                    entry = "firewall-ips-4 192.0.2.8 . tcp . 80 : goto " + chain;
  using Lines = std::vector<std::string>;
  auto rules = rules_with(R"(["203.000.113.7/24"])");
  CHECK(lines(rules).contains(entry));
  CHECK(lines(rules).contains("masquerade-ips-4 192.0.2.7 . tcp . 80"));
  CHECK(rules.chains.at(chain) == Lines{"ip saddr != { 203.0.113.0/24 } drop"});
  CHECK(rules_with(R"(["::ffff:198.51.100.0/120"])").chains.at(chain) ==
        Lines{"ip saddr != { 198.51.100.0/24 } drop"});
  rules = rules_with(R"(["10.0.0.0/33"])");
  CHECK(lines(rules).contains(entry));
  CHECK(rules.chains.at(chain) == Lines{"drop"});
  CHECK_FALSE(rules_with(R"(["fd00::/8"])").chains.contains(chain));  // of the other family: as in Kubernetes
}

TEST_CASE("families are apart: each has its address and its endpoints") {
  const auto out = decided(
      service(
          "web",
          R"("clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10","fd00:96::a"],"ports":[{"name":"http","protocol":"SCTP","port":80}])"),
      {slice("web", {{"10.244.0.2"}}, "SCTP"),
       slice("web", {{"fd00:244::2", "here"}}, "SCTP", 8080, "IPv6", "s6")});
  CHECK(out == Lines{"cluster-ips-4 10.96.0.10", "cluster-ips-6 fd00:96::a",
                     "service-ips-4 10.96.0.10 . sctp . 80 : goto pick-service-sctp-4-1",
                     "service-endpoints-sctp-4 10.96.0.10 . 80 . 0 : 10.244.0.2 . 8080",
                     "service-ips-6 fd00:96::a . sctp . 80 : goto pick-service-sctp-6-1",
                     "service-endpoints-sctp-6 fd00:96::a . 80 . 0 : fd00:244::2 . 8080",
                     "hairpin-6 fd00:244::2 . fd00:244::2"});
}

TEST_CASE("only UDP ports tell of flows, with every endpoint that serves") {
  const auto out = decide(
      web(address, R"(nodePort":30053;,"type":"NodePort")", "UDP"),
      {slice("web", {{"10.244.0.2"}, {"10.244.0.3", "here", R"("ready":false,"serving":false)"}}, "UDP")},
      node_settings());
  REQUIRE(out.udp.size() == 1);
  CHECK(out.udp[0].addresses == std::set<AddressPort>{{*IpAddress::parse(address), 80}});
  CHECK(out.udp[0].node_port == 30053);
  CHECK(out.udp[0].serving == std::set<AddressPort>{{*IpAddress::parse("10.244.0.2"), 8080}});
  CHECK(decide(web(address), {slice("web", {{"10.244.0.2"}})}, node_settings()).udp.empty());
}
