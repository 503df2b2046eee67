#include "addons/addons.h"

#include <catch2/catch.hpp>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/api/rbac_v1.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;
using addons::Object;

namespace {

constexpr int kMetadataAt = 2;

std::string_view name_of(const Object& object) {
  return meta_v1::ObjectMeta(object.document.root().get(kMetadataAt)).name();
}

// Of the kind and name, which is there once.
const Value* find(const std::vector<Object>& objects, std::string_view kind, std::string_view name) {
  const Value* found = nullptr;
  for (const auto& object : objects) {
    if (object.kind->kind != kind || name_of(object) != name) continue;
    REQUIRE_FALSE(found);
    found = &object.document.root();
  }
  INFO(kind << " " << name);
  REQUIRE(found);
  return found;
}

// "get list" of a resource, as the role's rules grant them.
std::string verbs_of(const rbac_v1::ClusterRole& role, std::string_view group, std::string_view resource) {
  std::string out;
  for (const auto rule : role.rules()) {
    bool is_meant = false;
    for (const auto one : rule.apiGroups())
      for (const auto other : rule.resources()) is_meant |= one == group && other == resource;
    if (is_meant)
      for (const auto verb : rule.verbs()) out += (out.empty() ? "" : " ") + std::string(verb);
  }
  return out;
}

std::vector<std::string> subjects_of(const rbac_v1::ClusterRoleBinding& binding) {
  std::vector<std::string> out;
  for (const auto subject : binding.subjects())
    out.push_back(std::string(subject.apiGroup()) + " " + std::string(subject.kind()) + " " +
                  std::string(subject.namespace_()) + " " + std::string(subject.name()));
  return out;
}

addons::DnsOptions names() {
  addons::DnsOptions out;
  out.service_cluster_ip_range = "10.96.0.0/16";
  out.server_addresses = {"172.20.0.4", "172.20.0.5"};
  return out;
}

}  // namespace

TEST_CASE("the name server's Service has the tenth address of the range, in a small one the last") {
  CHECK(addons::dns_service_address("10.96.0.0/16").value() == "10.96.0.10");
  CHECK(addons::dns_service_address("10.96.0.0/16,fd00::/112").value() == "10.96.0.10");
  CHECK(addons::dns_service_address("fd00::/112").value() == "fd00::a");
  CHECK(addons::dns_service_address("10.96.0.0/29").value() == "10.96.0.6");
  const auto small = addons::dns_service_address("10.96.0.0/31");
  REQUIRE_FALSE(small);
  CHECK(small.error().message.find("10.96.0.0/31 has no room") != std::string::npos);
  CHECK_FALSE(addons::dns_service_address(""));
}

TEST_CASE("kube-dns leads to every name server") {
  auto options = names();
  options.port = 1053;
  options.node_name = "node \"1\"";
  const auto objects = addons::dns(options);
  REQUIRE(objects);
  const core_v1::Service service(find(*objects, "Service", "kube-dns"));
  CHECK(service.metadata().namespace_() == "kube-system");
  CHECK(service.metadata().labels().get("k8s-app") == "kube-dns");
  CHECK(service.spec().clusterIP() == "10.96.0.10");
  REQUIRE(service.spec().ports().size() == 2);
  for (const auto port : service.spec().ports()) CHECK(port.port() == 53);
  const discovery_v1::EndpointSlice slice(find(*objects, "EndpointSlice", "kube-dns"));
  CHECK(slice.addressType() == "IPv4");
  CHECK(slice.metadata().labels().get("kubernetes.io/service-name") == "kube-dns");
  REQUIRE(slice.endpoints().size() == 2);
  std::vector<std::string> addresses;
  for (const auto endpoint : slice.endpoints()) {
    for (const auto address : endpoint.addresses()) addresses.emplace_back(address);
    CHECK(endpoint.conditions().ready());
    CHECK(endpoint.nodeName() == "node \"1\"");
  }
  CHECK(addresses == options.server_addresses);
  REQUIRE(slice.ports().size() == 2);
  for (const auto port : slice.ports()) CHECK(port.port() == 1053);
}

TEST_CASE("name servers on no node say none") {
  const auto objects = addons::dns(names());
  REQUIRE(objects);
  const discovery_v1::EndpointSlice slice(find(*objects, "EndpointSlice", "kube-dns"));
  for (const auto endpoint : slice.endpoints()) CHECK_FALSE(endpoint.has_nodeName());
}

TEST_CASE("a name server that its Service could not lead to is refused") {
  auto options = names();
  options.server_addresses.push_back("fd00::4");
  CHECK_FALSE(addons::dns(options));
  options.server_addresses = {"not an address"};
  CHECK_FALSE(addons::dns(options));
  options.server_addresses.clear();
  CHECK_FALSE(addons::dns(options));
  options.service_cluster_ip_range = "fd00::/112";
  options.server_addresses = {"fd00::1:4"};
  const auto objects = addons::dns(options);
  REQUIRE(objects);
  CHECK(discovery_v1::EndpointSlice(find(*objects, "EndpointSlice", "kube-dns")).addressType() == "IPv6");
}

TEST_CASE("a program may read the same with a certificate as with a service account") {
  const auto objects = addons::container_cluster(names());
  REQUIRE(objects);
  const std::string group = "rbac.authorization.k8s.io";
  for (const auto& [name, account] :
       {std::pair{"system:coredns", "coredns"}, {"system:network-policy", "network-policy"}}) {
    const rbac_v1::ClusterRoleBinding binding(find(*objects, "ClusterRoleBinding", name));
    CHECK(binding.roleRef().name() == name);
    CHECK(subjects_of(binding) ==
          std::vector<std::string>{std::string(" ServiceAccount kube-system ") + account,
                                   group + " User  " + name});
    find(*objects, "ClusterRole", name);
  }
  const rbac_v1::ClusterRole dns(find(*objects, "ClusterRole", "system:coredns"));
  CHECK(verbs_of(dns, "discovery.k8s.io", "endpointslices") == "list watch");
  const rbac_v1::ClusterRole policies(find(*objects, "ClusterRole", "system:network-policy"));
  CHECK(verbs_of(policies, "networking.k8s.io", "networkpolicies") == "list watch");
}

TEST_CASE("the host's agent and the kubelets' second identity may do what they need and no more") {
  const auto objects = addons::container_cluster(names());
  REQUIRE(objects);
  const std::string group = "rbac.authorization.k8s.io";
  for (const std::string name : {"system:host-agent", "system:node-routes"})
    CHECK(subjects_of(rbac_v1::ClusterRoleBinding(find(*objects, "ClusterRoleBinding", name))) ==
          std::vector<std::string>{group + " User  " + name});
  const rbac_v1::ClusterRole agent(find(*objects, "ClusterRole", "system:host-agent"));
  CHECK(verbs_of(agent, "", "nodes") == "get list watch");
  CHECK(verbs_of(agent, "networking.k8s.io", "servicecidrs") == "get list watch");
  CHECK(verbs_of(agent, "networking.k8s.io", "servicecidrs/status") == "patch");
  CHECK(verbs_of(agent, "", "events") == "create patch update");
  CHECK(verbs_of(agent, "events.k8s.io", "events") == "create patch update");
  CHECK(verbs_of(agent, "", "secrets").empty());
  const rbac_v1::ClusterRole routes(find(*objects, "ClusterRole", "system:node-routes"));
  CHECK(verbs_of(routes, "", "nodes") == "get list watch");
  CHECK(routes.rules().size() == 1);
}

TEST_CASE("kubeadm's group of administrators may do everything") {
  const auto objects = addons::container_cluster(names());
  REQUIRE(objects);
  const rbac_v1::ClusterRoleBinding binding(find(*objects, "ClusterRoleBinding", "kubeadm:cluster-admins"));
  CHECK(binding.roleRef().name() == "cluster-admin");
  CHECK(subjects_of(binding) ==
        std::vector<std::string>{"rbac.authorization.k8s.io Group  kubeadm:cluster-admins"});
}
