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
