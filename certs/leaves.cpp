// Which certificates a cluster has, and what each says: pure.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "certs/pki.h"

namespace rusternetes::certs {
namespace {

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

void add_name(LeafRequest& request, const std::string& name) {
  auto& list = is_address(name) ? request.ip_addresses : request.dns_names;
  if (!name.empty() && std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

void add_names(LeafRequest& request, const std::vector<std::string>& names) {
  for (const std::string& name : names) add_name(request, name);
}

// The first usable address of a range: the network's own plus one (that of the Service `kubernetes`).
Result<std::string> first_service_address(std::string_view cidr) {
  const std::string address(cidr.substr(0, cidr.find('/')));
  std::array<unsigned char, 16> bytes{};
  const int family = address.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const std::size_t size = family == AF_INET ? 4 : 16;
  if (cidr.find('/') == std::string_view::npos || inet_pton(family, address.c_str(), bytes.data()) != 1)
    return Status(400, "BadRequest", fmt::format("service range \"{}\" is not a CIDR", cidr));
  for (std::size_t i = size; i-- > 0;)
    if (++bytes[i] != 0) break;
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, bytes.data(), text.data(), text.size());
  return std::string(text.data());
}

// What every api-server of the cluster is called.
Result<LeafRequest> api_server_request(const PkiOptions& options) {
  LeafRequest request{.common_name = "kube-apiserver", .is_server = true, .algorithm = options.algorithm};
  add_names(request, {"kubernetes", "kubernetes.default", "kubernetes.default.svc",
                      "kubernetes.default.svc." + options.cluster_domain, "localhost", "127.0.0.1", "::1",
                      options.node_name});
  std::string_view rest = options.service_cidr;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    RN_TRY(const std::string address, first_service_address(rest.substr(0, comma)));
    add_name(request, address);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  add_names(request, options.api_server_names);
  return request;
}

class Leaves {
 public:
  explicit Leaves(const PkiOptions& options) : options_(options) {}

  void add(std::string file, std::string authority, LeafRequest request) {
    leaves_.push_back({std::move(file), std::move(authority), std::move(request)});
  }
  void client(std::string file, std::string authority, std::string user,
              std::vector<std::string> groups = {}) {
    add(std::move(file), std::move(authority),
        LeafRequest{.common_name = std::move(user),
                    .organizations = std::move(groups),
                    .is_client = true,
                    .algorithm = options_.algorithm});
  }
  // `suffix` is empty for the one node of all-in-one, else "-NAME".
  void node(const std::string& suffix, const std::string& name, const std::vector<std::string>& addresses) {
    client("kubelet-client" + suffix, "ca", "system:node:" + name, {"system:nodes"});
    LeafRequest kubelet{.common_name = "system:node:" + name,
                        .organizations = {"system:nodes"},
                        .is_server = true,
                        .algorithm = options_.algorithm};
    add_name(kubelet, name);
    add_names(kubelet, addresses);
    add("kubelet" + suffix, "ca", std::move(kubelet));
  }
  // kubeadm's etcd/server and etcd/peer. Each is a client, too: etcd's gateway dials its own server with the
  // serving certificate, and a peer dials peers.
  void etcd_member(const PkiHost& member) {
    LeafRequest request{
        .common_name = member.name, .is_server = true, .is_client = true, .algorithm = options_.algorithm};
    add_names(request, {member.name, "localhost", "127.0.0.1", "::1"});
    add_names(request, member.addresses);
    add("etcd/server-" + member.name, "etcd/ca", request);
    add("etcd/peer-" + member.name, "etcd/ca", std::move(request));
  }

  std::vector<PkiLeaf> take() { return std::move(leaves_); }

 private:
  const PkiOptions& options_;
  std::vector<PkiLeaf> leaves_;
};

Result<> check_host_names(const PkiOptions& options) {
  for (const auto* hosts : {&options.nodes, &options.api_servers, &options.etcd_members})
    for (const PkiHost& host : *hosts)
      if (host.name.empty() || host.name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
        return Status(400, "BadRequest",
                      fmt::format("\"{}\" cannot be part of a certificate's file name", host.name));
  return {};
}

Result<> check_files_differ(const std::vector<PkiLeaf>& leaves) {
  std::set<std::string_view> seen = {"ca", "front-proxy-ca", "etcd/ca"};
  for (const PkiLeaf& leaf : leaves)
    if (!seen.insert(leaf.file).second)
      return Status(400, "BadRequest", fmt::format("two certificates would be named \"{}\"", leaf.file));
  return {};
}

}  // namespace

std::vector<PkiAuthority> cluster_authorities(const PkiOptions& options) {
  std::vector<PkiAuthority> out = {{"ca", "kubernetes"}, {"front-proxy-ca", "front-proxy-ca"}};
  if (!options.etcd_members.empty()) out.push_back({"etcd/ca", "etcd-ca"});
  return out;
}

Result<std::vector<PkiLeaf>> cluster_leaves(const PkiOptions& options) {
  RN_CHECK(check_host_names(options));
  Leaves leaves(options);
  RN_TRY(LeafRequest api_server, api_server_request(options));
  for (const PkiHost& host : options.api_servers) {
    LeafRequest own = api_server;
    add_name(own, host.name);
    add_names(own, host.addresses);
    leaves.add("apiserver-" + host.name, "ca", std::move(own));
  }
  if (options.api_servers.empty()) leaves.add("apiserver", "ca", std::move(api_server));
  const std::string admins(cluster_admins_group);
  leaves.client("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", {admins});
  leaves.client("front-proxy-client", "front-proxy-ca", "front-proxy-client");
  leaves.client("controller-manager", "ca", "system:kube-controller-manager");
  leaves.client("scheduler", "ca", "system:kube-scheduler");
  leaves.client("admin", "ca", "kubernetes-admin", {admins});
  leaves.client("super-admin", "ca", "kubernetes-super-admin", {"system:masters"});
  if (!options.node_name.empty()) leaves.node("", options.node_name, options.node_addresses);
  for (const PkiHost& node : options.nodes) leaves.node("-" + node.name, node.name, node.addresses);
  if (options.has_separate_components) {
    leaves.client("kube-proxy", "ca", "system:kube-proxy");
    leaves.client("dns", "ca", "system:coredns");
    for (const char* name : {"network-policy", "host-agent", "node-routes", "api-proxy"})
      leaves.client(name, "ca", fmt::format("system:{}", name));
  }
  for (const PkiHost& member : options.etcd_members) leaves.etcd_member(member);
  if (!options.etcd_members.empty()) {
    leaves.client("etcd/healthcheck-client", "etcd/ca", "kube-etcd-healthcheck-client");
    leaves.client("apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client");
  }
  std::vector<PkiLeaf> out = leaves.take();
  RN_CHECK(check_files_differ(out));
  return out;
}

}  // namespace rusternetes::certs
