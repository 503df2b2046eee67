// Health, readiness and metrics, as those see them who watch a CoreDNS.

#include "dns/status_server.h"

#include "dns_world.h"

using namespace rusternetes;
using namespace rusternetes::dns;
using namespace rusternetes::dns::testing;

namespace {

struct StatusWorld : DnsWorld {
  // Once the server is started.
  void serve() {
    auto sockets = listen({{*network::IpAddress::parse("127.0.0.1")}, 0, {}});
    REQUIRE(sockets);
    status_port = sockets->port;
    on_thread([&] {
      std::vector<Socket> list;
      list.push_back(std::move(sockets->pairs[0].tcp));
      auto made = StatusServer::make(api->executor(), *server, std::move(list));
      REQUIRE(made);
      status = *std::move(made);
      status->start();
    });
  }
  ~StatusWorld() {
    if (!status) return;
    run_blocking(api->executor(), status->stop());
    on_thread([this] { status.reset(); });
  }
  std::string get(const std::string& path, const std::string& method = "GET") {
    ClientSocket socket(SOCK_STREAM, status_port);
    socket.send(method + " " + path + " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    std::string all;
    for (std::string more = socket.receive(); !more.empty(); more = socket.receive()) all += more;
    return all;
  }
  std::uint16_t status_port = 0;
  std::unique_ptr<StatusServer> status;
};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a server that has not heard of the API is healthy and not ready, and says so") {
  StatusWorld world;
  world.on_thread([&] { world.api->is_down = true; });
  world.start();
  world.serve();
  for (const char* path : {"/health", "/healthz", "/livez"}) CHECK(contains(world.get(path), " 200 "));
  const auto ready = world.get("/ready");
  CHECK(contains(ready, " 503 "));
  CHECK(contains(ready, "kubernetes"));
  world.on_thread([&] { world.api->is_down = false; });
  REQUIRE(world.comes([&] { return world.server->is_ready(); }));
  CHECK(contains(world.get("/ready"), " 200 "));
  CHECK(contains(world.get("/other"), " 404 "));
  CHECK(contains(world.get("/health", "DELETE"), " 405 "));
}

TEST_CASE("what was asked and answered is counted under the names that CoreDNS has for it") {
  StatusWorld world;
  world.service("web", R"("clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10"],"ports":[{"port":80}])");
  world.service("db", R"("clusterIP":"None","ports":[{"port":80}])");
  world.start();
  world.serve();
  for (int i = 0; i < 3; ++i) world.ask("web.default.svc.cluster.local", type_a);
  world.ask_tcp("other.default.svc.cluster.local", type_aaaa, {.edns_size = 1232, .wants_dnssec = true});
  world.ask("www.example.com", type_a);
  // Three seconds ago by the server's clock, which stands at 1700000000.
  world.put("discovery.k8s.io", "endpointslices",
            R"({"metadata":{"name":"db-1","namespace":"default","labels":{"kubernetes.io/service-name":"db"},
               "annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2023-11-14T22:13:17Z"}},
               "addressType":"IPv4","ports":[{"port":80,"protocol":"TCP"}],"endpoints":[{"addresses":["10.0.0.1"]}]})");
  REQUIRE(world.becomes("db.default.svc.cluster.local", type_a,
                        [](const Answer& answer) { return answer.answer.size() == 1; }));
  const auto text = world.get("/metrics");
  const std::string server = "server=\"dns://:" + std::to_string(world.port) + "\",zone=\".\",view=\"\"";
  INFO(text);
  CHECK(contains(text,
                 "coredns_dns_requests_total{" + server + ",proto=\"tcp\",family=\"1\",type=\"AAAA\"} 1\n"));
  CHECK(contains(text, "coredns_dns_do_requests_total{" + server + "} 1\n"));
  CHECK(contains(text,
                 "coredns_dns_responses_total{" + server + ",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"} "));
  CHECK(contains(text, "coredns_dns_responses_total{" + server + ",rcode=\"REFUSED\",plugin=\"\"} 1\n"));
  CHECK(contains(text, "coredns_dns_request_size_bytes_count{" + server + ",proto=\"tcp\"} 1\n"));
  CHECK(contains(text, "coredns_dns_response_size_bytes_count{" + server + ",proto=\"tcp\"} 1\n"));
  CHECK(contains(text, "coredns_dns_request_duration_seconds_bucket{" + server + ",le=\"+Inf\"} "));
  CHECK(contains(text,
                 "coredns_kubernetes_dns_programming_duration_seconds_bucket{service_kind=\"headless_with_"
                 "selector\",le=\"2.048\"} 0\n"));
  CHECK(contains(text,
                 "coredns_kubernetes_dns_programming_duration_seconds_bucket{service_kind=\"headless_with_"
                 "selector\",le=\"4.096\"} 1\n"));
  CHECK(contains(text, "rusternetes_dns_services 2\n"));
}
