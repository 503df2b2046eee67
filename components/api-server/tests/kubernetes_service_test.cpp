// The Service by which Pods find the API, and the servers behind it.
#include <boost/json.hpp>
#include <future>
#include <thread>

#include "server_test_support.h"

using namespace rusternetes;
namespace json = boost::json;
using api_server::InstanceOptions;
using api_server::testing::TestServer;

namespace {

constexpr const char* kService = "/api/v1/namespaces/default/services/kubernetes";
constexpr const char* kEndpoints = "/api/v1/namespaces/default/endpoints/kubernetes";
constexpr const char* kSlice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";

InstanceOptions advertising(const std::string& address) {
  InstanceOptions options;
  options.advertise_address = address;
  return options;
}

std::vector<std::string> addresses(TestServer& server) {
  const auto answer = server.send("GET", kSlice);
  if (answer.code != 200) return {};
  std::vector<std::string> out;
  const auto slice = json::parse(answer.body);
  for (const auto& one : slice.at("endpoints").as_array()) out.emplace_back(one.at("addresses").at(0).as_string());
  const auto endpoints = json::parse(server.send("GET", kEndpoints).body);
  std::vector<std::string> same;
  for (const auto& one : endpoints.at("subsets").at(0).at("addresses").as_array()) same.emplace_back(one.at("ip").as_string());
  CHECK(same == out);
  return out;
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace

TEST_CASE("the Service kubernetes has the range's first address and leads to the advertised one") {
  TestServer server(advertising("198.51.100.7"));
  const auto service = json::parse(server.send("GET", kService).body);
  CHECK(service.at("spec").at("clusterIP") == "10.96.0.1");
  CHECK(service.at("spec").at("ports").at(0).at("port") == 443);
  CHECK(service.at("metadata").at("labels").at("component") == "apiserver");
  CHECK(addresses(server) == std::vector<std::string>{"198.51.100.7"});
  const auto slice = json::parse(server.send("GET", kSlice).body);
  CHECK(slice.at("ports").at(0).at("port") == service.at("spec").at("ports").at(0).at("targetPort"));
  CHECK(slice.at("metadata").at("labels").at("kubernetes.io/service-name") == "kubernetes");
  CHECK(json::parse(server.send("GET", kEndpoints).body).at("metadata").at("labels").at("endpointslice.kubernetes.io/skip-mirror") == "true");
}

TEST_CASE("a server on loopback alone has the Service, and nobody behind it") {
  TestServer server(advertising("127.0.0.1"));
  CHECK(server.send("GET", kService).code == 200);
  CHECK(server.send("GET", kSlice).code == 404);
  CHECK(server.send("GET", kEndpoints).code == 404);
}

TEST_CASE("servers over one store stand side by side, and one that ends leaves the list") {
  TestServer server(advertising("198.51.100.7"));
  {
    InstanceOptions options = advertising("198.51.100.8");
    options.bind_address = "127.0.0.1";
    options.secure_port = 0;
    api_server::Instance second(server.store(), options);
    REQUIRE(second.start());
    CHECK(eventually([&] { return addresses(server) == std::vector<std::string>{"198.51.100.7", "198.51.100.8"}; }));
  }
  CHECK(eventually([&] { return addresses(server) == std::vector<std::string>{"198.51.100.7"}; }));
}

TEST_CASE("a server whose key is taken away while its lease lives is listed again") {
  TestServer server(advertising("198.51.100.7"));
  const std::string key = "/registry/masterleases/198.51.100.7";
  const auto is_there = [&] {
    const auto found = server.store().range({.key = key});
    return found && !found->kvs.empty();
  };
  REQUIRE(is_there());
  storage::DeleteRequest remove;
  remove.key = key;
  storage::TxnRequest request;
  request.success.emplace_back(std::move(remove));
  std::promise<bool> done;
  server.store().txn(std::move(request), [&](Result<storage::TxnResponse> response) { done.set_value(response && response->succeeded); });
  REQUIRE(done.get_future().get());
  CHECK(eventually(is_there));
}

TEST_CASE("what somebody made of the endpoints is put right when a server starts, and its ports follow") {
  TestServer server(advertising("198.51.100.7"));
  REQUIRE(server.send("PATCH", kSlice, R"({"endpoints":[]})", "application/merge-patch+json").code == 200);
  REQUIRE(server.send("DELETE", kEndpoints).code == 200);
  REQUIRE(server.send("PATCH", kService, R"([{"op":"replace","path":"/spec/ports/0/targetPort","value":1}])", "application/json-patch+json").code == 200);
  server.restart();
  CHECK(eventually([&] { return addresses(server) == std::vector<std::string>{"198.51.100.7"}; }));
  const auto service = json::parse(server.send("GET", kService).body), slice = json::parse(server.send("GET", kSlice).body);
  CHECK(service.at("spec").at("ports").at(0).at("targetPort") == slice.at("ports").at(0).at("port"));
}
