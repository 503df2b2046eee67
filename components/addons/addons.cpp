#include "addons/addons.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apimachinery/cidr.h"
#include "apimachinery/json.h"
#include "apimachinery/json_text.h"

namespace rusternetes::addons {

using namespace apimachinery;

namespace {

constexpr std::string_view kRbac = "rbac.authorization.k8s.io/v1";

// As kubeadm has it.
constexpr std::string_view kDnsRules = R"([
    {"apiGroups":[""],"resources":["endpoints","services","pods","namespaces"],"verbs":["list","watch"]},
    {"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["list","watch"]}])";
constexpr std::string_view kPolicyRules = R"([
    {"apiGroups":[""],"resources":["pods","namespaces"],"verbs":["list","watch"]},
    {"apiGroups":["networking.k8s.io"],"resources":["networkpolicies"],"verbs":["list","watch"]}])";
constexpr std::string_view kHostAgentRules = R"([
    {"apiGroups":[""],"resources":["nodes"],"verbs":["get","list","watch"]},
    {"apiGroups":["networking.k8s.io"],"resources":["servicecidrs"],"verbs":["get","list","watch"]},
    {"apiGroups":["networking.k8s.io"],"resources":["servicecidrs/status"],"verbs":["patch"]},
    {"apiGroups":["","events.k8s.io"],"resources":["events"],"verbs":["create","patch","update"]}])";
constexpr std::string_view kNodeRoutesRules = R"([
    {"apiGroups":[""],"resources":["nodes"],"verbs":["get","list","watch"]}])";

// From JSON written here; a mistake in it is one of this program.
Object make(std::string_view api_version, std::string_view kind_name, std::string_view json) {
  const Kind* kind = Registry::builtin()->find_kind(api_version, kind_name);
  RN_ASSERT(kind, "no such kind");
  Arena arena;
  DecodeIssues issues;
  auto value = decode_json(arena, json, *kind->type, &issues);
  RN_ASSERT(value && issues.messages.empty(), "a JSON text in the program does not fit its type");
  return {kind, Document::freeze(*value, *kind->type)};
}

std::string user_subject(std::string_view name) {
  return fmt::format(R"({{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"{}"}})", name);
}

std::string account_subject(std::string_view name) {
  return fmt::format(R"({{"kind":"ServiceAccount","name":"{}","namespace":"kube-system"}})", name);
}

Object binding(std::string_view name, std::string_view role, std::string_view subjects) {
  return make(kRbac, "ClusterRoleBinding",
              fmt::format(R"({{"metadata":{{"name":"{}"}},
                  "roleRef":{{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"{}"}},
                  "subjects":[{}]}})",
                          name, role, subjects));
}

// A role, and the binding of the same name. `account` is of kube-system and may be empty.
std::vector<Object> role_of(std::string_view name, std::string_view rules, std::string_view account) {
  std::string subjects = account.empty() ? std::string() : account_subject(account) + ",";
  subjects += user_subject(name);
  return {
      make(kRbac, "ClusterRole", fmt::format(R"({{"metadata":{{"name":"{}"}},"rules":{}}})", name, rules)),
      binding(name, name, subjects)};
}

void append(std::vector<Object>& to, std::vector<Object> more) {
  for (Object& object : more) to.push_back(std::move(object));
}

Object dns_service(const std::string& address, std::uint16_t port) {
  return make("v1", "Service",
              fmt::format(R"({{"metadata":{{"name":"kube-dns","namespace":"kube-system",
          "labels":{{"k8s-app":"kube-dns","kubernetes.io/cluster-service":"true",
                     "kubernetes.io/name":"CoreDNS"}}}},
          "spec":{{"type":"ClusterIP","clusterIP":"{0}","ports":[
            {{"name":"dns","protocol":"UDP","port":53,"targetPort":{1}}},
            {{"name":"dns-tcp","protocol":"TCP","port":53,"targetPort":{1}}}]}}}})",
                          address, port));
}

// `node_name` goes through the JSON printer: nobody has checked it.
Object dns_slice(const DnsOptions& options, std::string_view address_type) {
  std::string node;
  if (!options.node_name.empty()) {
    node = R"(,"nodeName":)";
    append_json_string(node, options.node_name);
  }
  std::vector<std::string> endpoints;
  for (const auto& address : options.server_addresses)
    endpoints.push_back(
        fmt::format(R"({{"addresses":["{}"],"conditions":{{"ready":true}}{}}})", address, node));
  return make("discovery.k8s.io/v1", "EndpointSlice",
              fmt::format(R"({{"metadata":{{"name":"kube-dns",
          "namespace":"kube-system","labels":{{"kubernetes.io/service-name":"kube-dns",
          "endpointslice.kubernetes.io/managed-by":"rusternetes"}}}},
          "addressType":"{0}","endpoints":[{1}],"ports":[{{"name":"dns","port":{2},"protocol":"UDP"}},
            {{"name":"dns-tcp","port":{2},"protocol":"TCP"}}]}})",
                          address_type, fmt::join(endpoints, ","), options.port));
}

}  // namespace

Result<std::string> dns_service_address(std::string_view service_cluster_ip_range) {
  RN_TRY(const Cidr range,
         Cidr::parse(service_cluster_ip_range.substr(0, service_cluster_ip_range.find(','))));
  if (range.size() < 4)
    return Status{
        400, "BadRequest",
        fmt::format("--service-cluster-ip-range {} has no room for the Services kubernetes and kube-dns",
                    service_cluster_ip_range)};
  return range.at(std::min<std::uint64_t>(10, range.size() - 2)).to_string();
}

Result<std::vector<Object>> dns(const DnsOptions& options) {
  RN_TRY(const std::string service_address, dns_service_address(options.service_cluster_ip_range));
  RN_TRY(const IpAddress service, IpAddress::parse(service_address));
  if (options.server_addresses.empty())
    return Status{400, "BadRequest", "the cluster's name server has no address"};
  for (const auto& text : options.server_addresses) {
    RN_TRY(const IpAddress address, IpAddress::parse(text));
    if (address.is_v4() != service.is_v4())
      return Status{400, "BadRequest",
                    fmt::format("the name server's address {} and its Service's, {}, are not of one family",
                                text, service_address)};
  }
  std::vector<Object> out = role_of("system:coredns", kDnsRules, "coredns");
  out.push_back(dns_service(service_address, options.port));
  out.push_back(dns_slice(options, service.is_v4() ? "IPv4" : "IPv6"));
  return out;
}

std::vector<Object> network_policy() {
  return role_of("system:network-policy", kPolicyRules, "network-policy");
}

std::vector<Object> container_programs() {
  std::vector<Object> out = role_of("system:host-agent", kHostAgentRules, "");
  append(out, role_of("system:node-routes", kNodeRoutesRules, ""));
  return out;
}

Object cluster_admins() {
  return binding(
      "kubeadm:cluster-admins", "cluster-admin",
      R"({"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"kubeadm:cluster-admins"})");
}

Result<std::vector<Object>> container_cluster(const DnsOptions& options) {
  std::vector<Object> out{cluster_admins()};
  append(out, container_programs());
  append(out, network_policy());
  RN_TRY(std::vector<Object> names, dns(options));
  append(out, std::move(names));
  return out;
}

}  // namespace rusternetes::addons
