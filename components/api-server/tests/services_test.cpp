// Addresses and node ports of Services: claimed in the store, given back, never twice.

#include <fmt/format.h>

#include <set>
#include <thread>

#include "server_test_support.h"

using rusternetes::api_server::testing::Answer;
using rusternetes::api_server::testing::TestServer;

namespace {

const std::string services = "/api/v1/namespaces/default/services";
const std::string addresses = "/apis/networking.k8s.io/v1/ipaddresses";

std::string service(std::string_view name, std::string_view spec = "") {
  return fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"ports":[{{"port":80}}]{}{}}}}})", name, spec.empty() ? "" : ",", spec);
}

std::string text_after(const std::string& json, std::string_view start) {
  const auto at = json.find(start);
  if (at == std::string::npos) return {};
  const auto begin = at + start.size();
  return json.substr(begin, json.find_first_of("\",}]", begin) - begin);
}
const std::string merge = "application/merge-patch+json";
const std::string endpoints = "/api/v1/namespaces/default/endpoints";
bool contains(const Answer& answer, std::string_view text) { return answer.body.find(text) != std::string::npos; }
std::string cluster_ip(const Answer& answer) { return text_after(answer.body, R"("clusterIP":")"); }
int node_port(const Answer& answer) { return std::atoi(text_after(answer.body, R"("nodePort":)").c_str()); }

}  // namespace

TEST_CASE("a Service gets an address, which is an IPAddress object until the Service goes") {
  TestServer server;
  const Answer created = server.send("POST", services, service("a"));
  REQUIRE(created.code == 201);
  const std::string ip = cluster_ip(created);
  CHECK(ip.starts_with("10."));
  CHECK(created.body.find(R"("ipFamilies":["IPv4"])") != std::string::npos);
  CHECK(created.body.find(R"("ipFamilyPolicy":"SingleStack")") != std::string::npos);
  const Answer held = server.send("GET", addresses + "/" + ip);
  REQUIRE(held.code == 200);
  CHECK(held.body.find(R"("resource":"services","namespace":"default","name":"a")") != std::string::npos);
  CHECK(held.body.find(R"("ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io")") != std::string::npos);
  REQUIRE(server.send("DELETE", services + "/a").code == 200);
  CHECK(server.send("GET", addresses + "/" + ip).code == 404);
}

TEST_CASE("an address that is taken or outside of the range is refused, and nothing is written") {
  TestServer server;
  REQUIRE(server.send("POST", services, service("a", R"("clusterIP":"10.96.0.77")")).code == 201);
  const Answer taken = server.send("POST", services, service("b", R"("clusterIP":"10.96.0.77")"));
  CHECK(taken.code == 422);
  CHECK(taken.body.find("failed to allocate IP 10.96.0.77: provided IP is already allocated") != std::string::npos);
  const Answer outside = server.send("POST", services, service("b", R"("clusterIP":"192.168.1.1")"));
  CHECK(outside.code == 422);
  CHECK(outside.body.find("the provided network does not match the current range") != std::string::npos);
  CHECK(server.send("GET", services + "/b").code == 404);
}

TEST_CASE("a dry run claims nothing") {
  TestServer server;
  REQUIRE(server.send("POST", services + "?dryRun=All", service("a", R"("clusterIP":"10.96.0.78")")).code == 201);
  CHECK(server.send("GET", addresses + "/10.96.0.78").code == 404);
  CHECK(server.send("POST", services, service("b", R"("clusterIP":"10.96.0.78")")).code == 201);
}

TEST_CASE("node ports are claimed, kept by an update that does not name them, and given back") {
  TestServer server;
  const Answer created = server.send("POST", services, service("a", R"("type":"NodePort")"));
  REQUIRE(created.code == 201);
  const int port = node_port(created);
  CHECK(port >= 30086);  // the lower band is for those who ask by number
  CHECK(port <= 32767);
  const auto with_port = [&](std::string_view name) {
    return fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"type":"NodePort","ports":[{{"port":80,"nodePort":{}}}]}}}})", name, port);
  };
  const Answer taken = server.send("POST", services, with_port("b"));
  CHECK(taken.code == 422);
  CHECK(taken.body.find("provided port is already allocated") != std::string::npos);
  const Answer kept = server.send("PUT", services + "/a", service("a", R"("type":"NodePort")"));
  CHECK(kept.code == 200);
  CHECK(node_port(kept) == port);
  CHECK(cluster_ip(kept) == cluster_ip(created));
  const Answer plain = server.send("PUT", services + "/a", service("a"));
  CHECK(plain.code == 200);
  CHECK(node_port(plain) == 0);
  CHECK(server.send("POST", services, with_port("b")).code == 201);
  REQUIRE(server.send("DELETE", services + "/b").code == 200);
  CHECK(server.send("POST", services, with_port("c")).code == 201);
  server.restart();
  CHECK(server.send("POST", services, with_port("d")).code == 422);  // the store knows
}

TEST_CASE("two protocols of one port share a node port, and a balancer's health check has its own") {
  TestServer server;
  const Answer both = server.send("POST", services, R"({"metadata":{"name":"dns"},"spec":{"type":"NodePort","ports":[
    {"name":"u","port":53,"protocol":"UDP"},{"name":"t","port":53,"protocol":"TCP"}]}})");
  REQUIRE(both.code == 201);
  const int first = node_port(both);
  const std::string rest = both.body.substr(both.body.find("nodePort") + 8);
  CHECK(std::atoi(text_after(rest, R"("nodePort":)").c_str()) == first);
  const Answer balanced = server.send("POST", services, service("lb", R"("type":"LoadBalancer","externalTrafficPolicy":"Local")"));
  REQUIRE(balanced.code == 201);
  const int health = std::atoi(text_after(balanced.body, R"("healthCheckNodePort":)").c_str());
  CHECK(health >= 30000);
  CHECK(health != node_port(balanced));
}

TEST_CASE("a Service that becomes an ExternalName gives its address back, and gets one again") {
  TestServer server;
  const std::string ip = cluster_ip(server.send("POST", services, service("a")));
  REQUIRE_FALSE(ip.empty());
  const Answer named = server.send("PUT", services + "/a", R"({"metadata":{"name":"a"},"spec":{"type":"ExternalName","externalName":"example.com"}})");
  CHECK(named.code == 200);
  CHECK(cluster_ip(named).empty());
  CHECK(server.send("GET", addresses + "/" + ip).code == 404);
  const Answer again = server.send("PUT", services + "/a", service("a"));
  CHECK(again.code == 200);
  CHECK(server.send("GET", addresses + "/" + cluster_ip(again)).code == 200);
  const Answer headless = server.send("POST", services, service("h", R"("clusterIP":"None","selector":{"a":"b"})"));
  CHECK(headless.code == 201);
  CHECK(cluster_ip(headless) == "None");
}

TEST_CASE("Services made at once by many clients never share an address or a port") {
  TestServer server;
  constexpr int clients = 8, each = 20;
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (int c = 0; c < clients; ++c)
    threads.emplace_back([&, c] {
      rusternetes::EventThread thread("client");
      rusternetes::run_blocking(thread.executor(), [](TestServer& server, rusternetes::asio::any_io_executor executor, int c, std::atomic<int>& made) -> rusternetes::Task<> {
        auto client = rusternetes::http::Client::create(executor, {"http://127.0.0.1:" + std::to_string(server.instance().port()), {}});
        for (int i = 0; i < each; ++i) {
          rusternetes::http::ClientRequest request;
          request.method = "POST";
          request.target = services;
          request.body = service(fmt::format("s-{}-{}", c, i), R"("type":"NodePort")");
          request.headers.set("content-type", "application/json");
          request.headers.set("authorization", "Bearer admin-token");
          auto response = co_await (*client)->send(std::move(request));
          if (response && (*response)->head().status == 201) ++made;
          if (response) (void)co_await (*response)->read_all(1 << 20);
        }
      }(server, thread.executor(), c, made));
    });
  for (auto& thread : threads) thread.join();
  CHECK(made == clients * each);
  const Answer all = server.send("GET", services);
  std::set<std::string> ips, ports;
  std::size_t at = 0;
  const auto next = [&](std::string_view start) {
    at = all.body.find(start, at);
    if (at == std::string::npos) return std::string{};
    at += start.size();
    return all.body.substr(at, all.body.find_first_of("\",}]", at) - at);
  };
  for (std::string ip; !(ip = next(R"("clusterIP":")")).empty();) ips.insert(ip);
  at = 0;
  for (std::string port; !(port = next(R"("nodePort":)")).empty();) ports.insert(port);
  CHECK(ips.size() >= clients * each);
  CHECK(ports.size() == clients * each);
}

TEST_CASE("a Service that prefers both families gets a second address only when somebody asks for it") {
  TestServer server;
  REQUIRE(server.send("POST", services, service("a", R"("ipFamilyPolicy":"PreferDualStack")")).code == 201);
  REQUIRE(server.send("PATCH", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes", R"({"spec":{"cidrs":["10.96.0.0/16","fd00:10:96::/112"]}})", merge).code == 200);
  const Answer touched = server.send("PATCH", services + "/a", R"({"metadata":{"labels":{"a":"b"}}})", merge);
  CHECK(contains(touched, R"("ipFamilies":["IPv4"])"));
  const Answer asked = server.send("PATCH", services + "/a", R"({"spec":{"ipFamilyPolicy":"RequireDualStack"}})", merge);
  REQUIRE(contains(asked, R"("ipFamilies":["IPv4","IPv6"])"));
  const std::string second = text_after(asked.body, R"("clusterIPs":[")" + cluster_ip(asked) + "\",\"");
  CHECK(second.starts_with("fd00:10:96::"));
  CHECK(server.send("GET", addresses + "/" + second).code == 200);
  const Answer kept = server.send("PATCH", services + "/a", fmt::format(R"({{"spec":{{"clusterIPs":["{}"]}}}})", cluster_ip(asked)), merge);
  CHECK(kept.code == 422);
  CHECK(contains(kept, "must be 'SingleStack' to release the secondary cluster IP"));
  REQUIRE(server.send("PATCH", services + "/a", R"({"spec":{"ipFamilyPolicy":"SingleStack"}})", merge).code == 200);
  CHECK(server.send("GET", addresses + "/" + second).code == 404);
}

TEST_CASE("a balancer that wants no node ports gives back the one that an update does not name") {
  TestServer server;
  const std::string balanced = R"({"metadata":{"name":"a"},"spec":{"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80%}]}})";
  const auto with = [&](const std::string& more) { return std::string(balanced).replace(balanced.find('%'), 1, more); };
  const Answer created = server.send("POST", services, with(R"(,"nodePort":30001)"));
  REQUIRE(created.code == 201);
  CHECK(node_port(created) == 30001);
  const Answer updated = server.send("PUT", services + "/a", with(""));
  CHECK(updated.code == 200);
  CHECK(node_port(updated) == 0);
  CHECK(server.send("POST", services, R"({"metadata":{"name":"b"},"spec":{"type":"NodePort","ports":[{"port":80,"nodePort":30001}]}})").code == 201);
}

TEST_CASE("with a Service go its Endpoints, and nobody else's") {
  TestServer server;
  const auto made = [](std::string_view name) { return fmt::format(R"({{"metadata":{{"name":"{}"}},"subsets":[{{"addresses":[{{"ip":"10.1.0.1"}}]}}]}})", name); };
  for (const char* name : {"a", "b"}) {
    REQUIRE(server.send("POST", services, service(name)).code == 201);
    REQUIRE(server.send("POST", endpoints, made(name)).code == 201);
  }
  REQUIRE(server.send("DELETE", services + "/a?dryRun=All").code == 200);
  CHECK(server.send("GET", endpoints + "/a").code == 200);
  REQUIRE(server.send("DELETE", services + "/a").code == 200);
  CHECK(server.send("GET", endpoints + "/a").code == 404);
  CHECK(server.send("GET", endpoints + "/b").code == 200);
}

TEST_CASE("what a Service says in vain is answered with a warning, and what is refused is not") {
  TestServer server;
  const auto warnings = [](const Answer& answer) {
    std::string all;
    for (const auto text : answer.headers.all("warning")) (all += text) += '\n';
    return all;
  };
  const Answer headless = server.send("POST", services, service("a", R"("clusterIP":"None","sessionAffinity":"ClientIP","externalIPs":["192.0.2.1"])"));
  REQUIRE(headless.code == 201);
  CHECK(warnings(headless).find("spec.externalIPs is ignored for headless services") != std::string::npos);
  CHECK(warnings(headless).find("spec.SessionAffinity is ignored for headless services") != std::string::npos);
  const Answer external = server.send("POST", services, service("b", R"("externalIPs":["2001:DB8::1"])"));
  CHECK(warnings(external).find("spec.externalIPs[0]: IPv6 address") != std::string::npos);
  const Answer refused = server.send("POST", services, service("c", R"("trafficDistribution":"PreferClose","sessionAffinity":"Wrong")"));
  CHECK(refused.code == 422);
  CHECK(warnings(refused).empty());
}

TEST_CASE("a Service that is a name elsewhere has no internal traffic policy, but none that is wrong") {
  TestServer server;
  const auto named = [](std::string_view policy) {
    return fmt::format(R"({{"metadata":{{"name":"a"}},"spec":{{"type":"ExternalName","externalName":"a.example","internalTrafficPolicy":"{}"}}}})", policy);
  };
  CHECK(server.send("POST", services, named("Wrong")).code == 422);
  const Answer created = server.send("POST", services, named("Local"));
  REQUIRE(created.code == 201);
  CHECK_FALSE(contains(created, R"("internalTrafficPolicy":)"));
  CHECK(contains(server.send("PUT", services + "/a", service("a")), R"("internalTrafficPolicy":"Cluster")"));
}

TEST_CASE("addresses of a ServiceCIDR that was added are given out while it is ready") {
  TestServer server;
  const std::string cidrs = "/apis/networking.k8s.io/v1/servicecidrs";
  const auto says = [&](std::string_view status) {
    return server
        .send(
            "PATCH", cidrs + "/more/status",
            fmt::format(
                R"({{"status":{{"conditions":[{{"type":"Ready","status":"{}","reason":"","message":"","lastTransitionTime":"2024-01-01T00:00:00Z"}}]}}}})",
                status),
            merge)
        .code;
  };
  REQUIRE(
      server.send("POST", cidrs, R"({"metadata":{"name":"more"},"spec":{"cidrs":["172.30.0.0/24"]}})").code ==
      201);
  const std::string wanted = service("a", R"("clusterIP":"172.30.0.5")");
  const Answer early = server.send("POST", services, wanted);
  CHECK(early.code == 422);  // whatever its addresses need may not be there yet
  CHECK(contains(early, "the provided network does not match the current range"));
  REQUIRE(says("False") == 200);
  CHECK(server.send("POST", services, wanted).code == 422);
  REQUIRE(says("True") == 200);
  CHECK(server.send("POST", services, wanted).code == 201);
  CHECK(server.send("POST", services, service("b")).code ==
        201);  // of the default one, which needs nobody's word
}
