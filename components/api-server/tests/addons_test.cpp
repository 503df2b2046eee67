// What a cluster of ours is given at its start, as the API takes it.
#include <boost/json.hpp>

#include "addons/addons.h"
#include "addons/manifest.h"
#include "server_test_support.h"

using namespace rusternetes;
namespace json = boost::json;
using api_server::InstanceOptions;
using api_server::testing::TestServer;

namespace {

constexpr const char* kDns = "/api/v1/namespaces/kube-system/services/kube-dns";
constexpr const char* kSlice = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns";

// As the launcher writes the file and the program reads it.
InstanceOptions given(const std::vector<std::string>& name_servers, bool is_left_alone) {
  addons::DnsOptions names;
  names.service_cluster_ip_range = "10.96.0.0/16";
  names.server_addresses = name_servers;
  const auto made = addons::container_cluster(names);
  REQUIRE(made);
  auto read = addons::parse_manifest(addons::print_manifest(*made));
  REQUIRE(read);
  InstanceOptions out;
  for (auto& object : *read) {
    const auto& kind = *object.kind;
    const client::Resource resource{kind.group_version.group, kind.group_version.version, kind.resource};
    out.addons.push_back({resource, std::move(object.document), is_left_alone});
  }
  return out;
}

std::string first_endpoint(TestServer& server) {
  const auto answer = server.send("GET", kSlice);
  REQUIRE(answer.code == 200);
  return std::string(json::parse(answer.body).at("endpoints").at(0).at("addresses").at(0).as_string());
}

// Whether such a user may, by the API's own word.
bool may(TestServer& server, const std::string& user, const std::string& verb, const std::string& group,
         const std::string& resource) {
  const auto answer =
      server.send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                  R"({"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":")" +
                      user + R"(","groups":["system:authenticated"],"resourceAttributes":{"verb":")" + verb +
                      R"(","group":")" + group + R"(","resource":")" + resource + R"("}}})");
  REQUIRE(answer.code == 201);
  return json::parse(answer.body).at("status").at("allowed").as_bool();
}

}  // namespace

TEST_CASE("the objects of a cluster of containers are all taken, and mean what they should") {
  TestServer server(given({"172.20.0.4", "172.20.0.5"}, true));
  const auto service = json::parse(server.send("GET", kDns).body);
  CHECK(service.at("spec").at("clusterIP") == "10.96.0.10");
  CHECK(first_endpoint(server) == "172.20.0.4");
  CHECK(server.send("GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm:cluster-admins")
            .code == 200);
  for (const auto* group : {"", "events.k8s.io"})
    CHECK(may(server, "system:host-agent", "create", group, "events"));
  CHECK(may(server, "system:host-agent", "watch", "networking.k8s.io", "servicecidrs"));
  CHECK(may(server, "system:host-agent", "list", "", "nodes"));
  CHECK_FALSE(may(server, "system:host-agent", "list", "", "pods"));
  CHECK(may(server, "system:node-routes", "watch", "", "nodes"));
  CHECK_FALSE(may(server, "system:node-routes", "update", "", "nodes"));
  for (const auto* user : {"system:coredns", "system:serviceaccount:kube-system:coredns"})
    CHECK(may(server, user, "watch", "discovery.k8s.io", "endpointslices"));
  for (const auto* user : {"system:network-policy", "system:serviceaccount:kube-system:network-policy"})
    CHECK(may(server, user, "list", "networking.k8s.io", "networkpolicies"));
  CHECK_FALSE(may(server, "system:coredns", "list", "", "secrets"));
}

TEST_CASE("an add-on that is there is left alone, or written over, as its owner wants") {
  for (const bool is_left_alone : {true, false}) {
    INFO("left alone: " << is_left_alone);
    auto options = given({"172.20.0.4"}, is_left_alone);
    TestServer server(options);
    const auto changed = server.send("PATCH", kSlice, R"({"endpoints":[{"addresses":["172.20.0.9"]}]})",
                                     "application/merge-patch+json");
    REQUIRE(changed.code == 200);
    server.restart();
    CHECK(first_endpoint(server) == (is_left_alone ? "172.20.0.9" : "172.20.0.4"));
    REQUIRE(server.send("DELETE", kSlice).code == 200);
    server.restart();
    CHECK(first_endpoint(server) == "172.20.0.4");
  }
}
