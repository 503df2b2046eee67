// The folder of the container topologies, and that of all-in-one beside it.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "certs/file.h"
#include "certs/pki.h"
#include "support.h"

using namespace rusternetes;
using namespace rusternetes::certs;

namespace {

PkiOptions ha_options() {
  PkiOptions options;
  options.api_server_names = {"10.213.0.1", "api.example.test"};
  options.service_cidr = "10.96.0.0/16";
  options.nodes = {{"node-1", {"10.213.0.11", "fd00::11"}}, {"node-2", {"10.213.0.12"}}};
  options.api_servers = {{"1", {"10.213.0.21"}}, {"2", {"10.213.0.22"}}, {"3", {"10.213.0.23"}}};
  options.etcd_members = {{"etcd-1", {"10.213.0.31"}}, {"etcd-2", {"10.213.0.32"}}};
  options.has_separate_components = true;
  return options;
}

std::map<std::string, std::string> contents(const fs::path& dir) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file()) out[fs::relative(entry.path(), dir)] = read_text(entry.path()).value();
  return out;
}

}  // namespace

TEST_CASE("a cluster of containers has one identity for each component, node and server") {
  std::map<std::string, PkiLeaf> leaves;
  for (PkiLeaf& leaf : cluster_leaves(ha_options()).value()) leaves[leaf.file] = leaf;
  struct Expected {
    const char* file;
    const char* user;
    bool is_server, is_client;
  };
  const std::vector<Expected> all = {
      {"apiserver-1", "kube-apiserver", true, false},
      {"apiserver-2", "kube-apiserver", true, false},
      {"apiserver-3", "kube-apiserver", true, false},
      {"apiserver-kubelet-client", "kube-apiserver-kubelet-client", false, true},
      {"front-proxy-client", "front-proxy-client", false, true},
      {"controller-manager", "system:kube-controller-manager", false, true},
      {"scheduler", "system:kube-scheduler", false, true},
      {"admin", "kubernetes-admin", false, true},
      {"super-admin", "kubernetes-super-admin", false, true},
      {"kubelet-client-node-1", "system:node:node-1", false, true},
      {"kubelet-node-1", "system:node:node-1", true, false},
      {"kubelet-client-node-2", "system:node:node-2", false, true},
      {"kubelet-node-2", "system:node:node-2", true, false},
      {"kube-proxy", "system:kube-proxy", false, true},
      {"dns", "system:coredns", false, true},
      {"network-policy", "system:network-policy", false, true},
      {"host-agent", "system:host-agent", false, true},
      {"node-routes", "system:node-routes", false, true},
      {"api-proxy", "system:api-proxy", false, true},
      {"etcd/server-etcd-1", "etcd-1", true, true},
      {"etcd/peer-etcd-1", "etcd-1", true, true},
      {"etcd/server-etcd-2", "etcd-2", true, true},
      {"etcd/peer-etcd-2", "etcd-2", true, true},
      {"etcd/healthcheck-client", "kube-etcd-healthcheck-client", false, true},
      {"apiserver-etcd-client", "kube-apiserver-etcd-client", false, true}};
  CHECK(leaves.size() == all.size());
  for (const Expected& expected : all) {
    INFO(expected.file);
    REQUIRE(leaves.count(expected.file) == 1);
    const PkiLeaf& leaf = leaves.at(expected.file);
    CHECK(leaf.request.common_name == expected.user);
    CHECK(leaf.request.is_server == expected.is_server);
    CHECK(leaf.request.is_client == expected.is_client);
    const bool is_of_etcd = leaf.file.starts_with("etcd/") || leaf.file == "apiserver-etcd-client";
    CHECK(leaf.authority == (is_of_etcd                          ? "etcd/ca"
                             : leaf.file == "front-proxy-client" ? "front-proxy-ca"
                                                                 : "ca"));
    for (const std::string& group : leaf.request.organizations)
      if (group == "system:masters") CHECK(leaf.file == "super-admin");
  }
  CHECK(leaves.at("kubelet-client-node-2").request.organizations == std::vector<std::string>{"system:nodes"});
}

TEST_CASE("each server is reached under the names of all and its own, and under no other's") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, ha_options(), now).has_value());
  const auto check = [&](const char* authority, const char* leaf, int purpose, const char* host,
                         const char* address) {
    return chain_error(read_pair(folder.path, authority).value(), read_pair(folder.path, leaf).value(),
                       purpose, host, address, now);
  };
  constexpr int server = X509_PURPOSE_SSL_SERVER, client = X509_PURPOSE_SSL_CLIENT;
  for (const char* address : {"10.213.0.1", "10.96.0.1", "127.0.0.1", "::1", "10.213.0.22"})
    CHECK(check("ca", "apiserver-2", server, nullptr, address) == X509_V_OK);
  for (const char* name : {"kubernetes.default.svc", "localhost", "api.example.test"})
    CHECK(check("ca", "apiserver-2", server, name, nullptr) == X509_V_OK);
  CHECK(check("ca", "apiserver-2", server, nullptr, "10.213.0.21") == X509_V_ERR_IP_ADDRESS_MISMATCH);
  CHECK(check("ca", "kubelet-node-1", server, "node-1", nullptr) == X509_V_OK);
  CHECK(check("ca", "kubelet-node-1", server, nullptr, "fd00::11") == X509_V_OK);
  CHECK(check("ca", "kubelet-node-1", server, nullptr, "10.213.0.12") == X509_V_ERR_IP_ADDRESS_MISMATCH);
  for (const char* leaf : {"etcd/server-etcd-1", "etcd/peer-etcd-1"}) {
    CHECK(check("etcd/ca", leaf, server, nullptr, "10.213.0.31") == X509_V_OK);
    CHECK(check("etcd/ca", leaf, server, "localhost", nullptr) == X509_V_OK);
    CHECK(check("etcd/ca", leaf, server, "etcd-1", nullptr) == X509_V_OK);
    CHECK(check("etcd/ca", leaf, client, nullptr, nullptr) == X509_V_OK);
    CHECK(check("etcd/ca", leaf, server, nullptr, "10.213.0.32") == X509_V_ERR_IP_ADDRESS_MISMATCH);
  }
  // No certificate of the cluster opens its store but the api-server's own.
  CHECK(check("etcd/ca", "apiserver-etcd-client", client, nullptr, nullptr) == X509_V_OK);
  CHECK(check("etcd/ca", "admin", client, nullptr, nullptr) != X509_V_OK);
  CHECK(check("ca", "apiserver-etcd-client", client, nullptr, nullptr) != X509_V_OK);
}

TEST_CASE("etcd's files are in a folder of their own, private as the other") {
  TemporaryFolder folder;
  const fs::path dir = folder.path / "pki";
  const auto written = ensure_cluster_pki(dir, ha_options(), now).value();
  CHECK(std::count(written.begin(), written.end(), "etcd/ca.key") == 1);
  CHECK(std::count(written.begin(), written.end(), "etcd/peer-etcd-2.crt") == 1);
  CHECK(mode_of(dir / "etcd") == 0700);
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_directory()) continue;
    ++files;
    CHECK(mode_of(entry.path()) == (entry.path().extension() == ".key" ? 0600u : 0644u));
  }
  CHECK(files == written.size());
  CHECK(files == 2 * 3 + 2 + 2 * 25);
  CHECK(ensure_cluster_pki(dir, ha_options(), now).value().empty());

  const KeyPair before = read_pair(dir, "etcd/peer-etcd-1").value();
  REQUIRE(rotate_leaf(dir, ha_options(), "etcd/peer-etcd-1", now - std::chrono::minutes(1)).has_value());
  CHECK(read_pair(dir, "etcd/peer-etcd-1").value().key_pem != before.key_pem);
  const auto list = expiries(dir).value();
  CHECK(list.size() == 3 + 25);
  CHECK(list.front().file == "etcd/peer-etcd-1.crt");
  CHECK(rotate_leaf(dir, ha_options(), "etcd/ca", now).error().is("NotFound"));
}

TEST_CASE("a folder of all-in-one keeps every byte when its cluster is looked at again") {
  TemporaryFolder folder;
  PkiOptions options;
  options.node_name = "node-1";
  options.node_addresses = {"10.213.0.2"};
  options.service_cidr = "10.96.0.0/16";
  REQUIRE(ensure_cluster_pki(folder.path, options, now).has_value());
  const auto before = contents(folder.path);
  CHECK(before.count("apiserver.crt") == 1);
  CHECK(before.count("kubelet-client.key") == 1);
  CHECK_FALSE(fs::exists(folder.path / "etcd"));
  CHECK(ensure_cluster_pki(folder.path, options, now).value().empty());
  CHECK(contents(folder.path) == before);

  SECTION("and what a topology of containers has comes beside it") {
    options.nodes = {{"node-2", {"10.213.0.3"}}};
    options.etcd_members = {{"1", {}}};
    const auto written = ensure_cluster_pki(folder.path, options, now).value();
    CHECK(written.size() == 2 + 2 * 2 + 2 * 4);
    const auto after = contents(folder.path);
    for (const auto& [file, text] : before) CHECK(after.at(file) == text);
  }
}

TEST_CASE("a leaf that lacks a usage now asked for is issued anew") {
  TemporaryFolder folder;
  REQUIRE(ensure_cluster_pki(folder.path, ha_options(), now).has_value());
  const KeyPair ca = read_pair(folder.path, "etcd/ca").value();
  LeafRequest request{.common_name = "etcd-1",
                      .dns_names = {"etcd-1", "localhost"},
                      .ip_addresses = {"127.0.0.1", "::1", "10.213.0.31"},
                      .is_server = true};
  const KeyPair narrow = issue(ca, request, now).value();
  std::ofstream(folder.path / "etcd/server-etcd-1.crt") << narrow.certificate_pem;
  std::ofstream(folder.path / "etcd/server-etcd-1.key") << narrow.key_pem;
  CHECK(ensure_cluster_pki(folder.path, ha_options(), now).value() ==
        std::vector<std::string>{"etcd/server-etcd-1.crt", "etcd/server-etcd-1.key"});
}

TEST_CASE("names that cannot be files, or would share one, are refused") {
  const auto refuses = [](PkiOptions options) {
    const auto leaves = cluster_leaves(options);
    return !leaves && leaves.error().is("BadRequest");
  };
  CHECK(refuses({.nodes = {{"", {}}}}));
  CHECK(refuses({.nodes = {{"../evil", {}}}}));
  CHECK(refuses({.etcd_members = {{"a/b", {}}}}));
  CHECK(refuses({.api_servers = {{std::string("a\0b", 3), {}}}}));
  CHECK(refuses({.nodes = {{"same", {}}, {"same", {}}}}));
  CHECK(refuses({.nodes = {{"x", {}}, {"client-x", {}}}}));  // kubelet-client-x
  CHECK(refuses({.api_servers = {{"kubelet-client", {}}}}));
  CHECK_FALSE(refuses({.nodes = {{"x", {}}, {"y.example.test", {}}}}));
}

TEST_CASE("a text of PEM is taken apart into its blocks") {
  CHECK(pem_blocks("").empty());
  CHECK(pem_blocks("-----BEGIN X-----\nhalf").empty());
  CHECK(pem_blocks("-----BEGIN X-----\nA\n-----END X").empty());
  CHECK(pem_blocks("# before\n-----BEGIN X-----\nA\n-----END X-----\nbetween\n-----BEGIN Y-----\nB\n-----END "
                   "Y-----") == std::vector<std::string>{"-----BEGIN X-----\nA\n-----END X-----\n",
                                                         "-----BEGIN Y-----\nB\n-----END Y-----\n"});
  const KeyPair one = make_authority({.common_name = "a"}, now).value();
  const KeyPair two = make_authority({.common_name = "a"}, now).value();
  const KeyPair leaf = issue(two, {.common_name = "x"}, now).value();
  CHECK(pem_blocks(one.certificate_pem) == std::vector<std::string>{one.certificate_pem});
  CHECK(verify(leaf.certificate_pem, one.certificate_pem + two.certificate_pem, now).has_value());
  CHECK_FALSE(verify(leaf.certificate_pem, one.certificate_pem, now).has_value());
  CHECK_FALSE(verify(leaf.certificate_pem, "garbage", now).has_value());
}
