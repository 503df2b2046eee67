#include "rusternetes/addons.h"

#include <fmt/format.h>

#include <algorithm>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/discovery_v1.h"
#include "apimachinery/api/rbac_v1.h"
#include "apimachinery/cidr.h"
#include "client/object_builder.h"

namespace rusternetes {

using namespace apimachinery;
using client::ObjectBuilder;

namespace {
constexpr client::Resource services{"", "v1", "services"}, slices{"discovery.k8s.io", "v1", "endpointslices"},
    roles{"rbac.authorization.k8s.io", "v1", "clusterroles"}, bindings{"rbac.authorization.k8s.io", "v1", "clusterrolebindings"};

// As kubeadm has them.
constexpr const char* kRole = R"({"metadata":{"name":"system:coredns"},"rules":[
    {"apiGroups":[""],"resources":["endpoints","services","pods","namespaces"],"verbs":["list","watch"]},
    {"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list","watch"]}]})";
constexpr const char* kPolicyRole = R"({"metadata":{"name":"system:network-policy"},"rules":[
    {"apiGroups":[""],"resources":["pods","namespaces"],"verbs":["list","watch"]},
    {"apiGroups":["networking.k8s.io"],"resources":["networkpolicies"],"verbs":["list","watch"]}]})";

// A role, and who in kube-system has it.
std::vector<api_server::InstanceOptions::Addon> role_of(const char* role, std::string_view name, std::string_view account) {
  return {{roles, ObjectBuilder::from_json(rbac_v1::ClusterRole::schema_type(), role)},
          {bindings, ObjectBuilder::from_json(rbac_v1::ClusterRoleBinding::schema_type(),
                                              fmt::format(R"({{"metadata":{{"name":"{0}"}},"roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"{0}"}},
                                                  "subjects":[{{"kind":"ServiceAccount","name":"{1}","namespace":"kube-system"}}]}})",
                                                          name, account))}};
}

}  // namespace

Result<std::string> dns_service_address(const ProcessOptions& options) {
  const auto ranges = split_list(options.service_cluster_ip_range);
  RN_TRY(const Cidr range, Cidr::parse(ranges.empty() ? std::string() : ranges.front()));
  if (range.size() < 4)
    return Status{400, "BadRequest", fmt::format("--service-cluster-ip-range {} has no room for the Services kubernetes and kube-dns",
                                                 options.service_cluster_ip_range)};
  return range.at(std::min<std::uint64_t>(10, range.size() - 2)).to_string();
}

Result<std::vector<api_server::InstanceOptions::Addon>> dns_addon(const ProcessOptions& options, std::uint16_t port) {
  RN_TRY(const std::string address, dns_service_address(options));
  const auto nodes = split_list(options.node_address);
  if (nodes.empty()) return internal_error("the node has no address");
  const bool is_v6 = nodes.front().find(':') != std::string::npos;
  const Document service = ObjectBuilder::from_json(
      core_v1::Service::schema_type(),
      fmt::format(R"({{"metadata":{{"name":"kube-dns","namespace":"kube-system",
          "labels":{{"k8s-app":"kube-dns","kubernetes.io/cluster-service":"true","kubernetes.io/name":"CoreDNS"}}}},
          "spec":{{"type":"ClusterIP","clusterIP":"{}","ports":[
            {{"name":"dns","protocol":"UDP","port":53,"targetPort":{}}},{{"name":"dns-tcp","protocol":"TCP","port":53,"targetPort":{}}}]}}}})",
                  address, port, port));
  const Document slice = ObjectBuilder::from_json(
      discovery_v1::EndpointSlice::schema_type(),
      fmt::format(R"({{"metadata":{{"name":"kube-dns","namespace":"kube-system",
          "labels":{{"kubernetes.io/service-name":"kube-dns","endpointslice.kubernetes.io/managed-by":"rusternetes"}}}},
          "addressType":"{}","endpoints":[{{"addresses":["{}"],"conditions":{{"ready":true}},"nodeName":"{}"}}],
          "ports":[{{"name":"dns","port":{},"protocol":"UDP"}},{{"name":"dns-tcp","port":{},"protocol":"TCP"}}]}})",
                  is_v6 ? "IPv6" : "IPv4", nodes.front(), options.node_name, port, port));
  auto out = role_of(kRole, "system:coredns", "coredns");
  out.push_back({services, service});
  out.push_back({slices, slice});
  return out;
}

std::vector<api_server::InstanceOptions::Addon> network_policy_addon() { return role_of(kPolicyRole, "system:network-policy", "network-policy"); }

}  // namespace rusternetes
