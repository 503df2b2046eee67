#include "kube-proxy/flags.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::kube_proxy;

TEST_CASE("flags become options, and what cannot be is said with the flag's name") {
  Flags flags;
  flags.node_name = "n1";
  flags.cluster_cidrs = {"10.244.3.1/16", "fd00:244::/56"};
  flags.healthz_bind_address = "[::]:10256";
  flags.metrics_bind_address = "";
  const auto options = options_of(flags);
  REQUIRE(options);
  CHECK(options->pod_cidrs[0].to_string() == "10.244.0.0/16");
  REQUIRE(options->healthz);
  CHECK(options->healthz->address == "::");
  CHECK(options->healthz->port == 10256);
  CHECK_FALSE(options->metrics);
  CHECK(options->min_sync_period == std::chrono::milliseconds(20));
  CHECK(options->network_policy);
  CHECK(options->nodeport_addresses == std::vector<std::string>{"primary"});
  CHECK(options->host_addresses.empty());
  flags.network_policy = false;
  CHECK_FALSE(options_of(flags)->network_policy);
  flags.host_addresses = {"172.20.0.1", "fd00::1"};
  flags.node_addresses = {"172.20.0.5"};
  const auto with_addresses = options_of(flags);
  REQUIRE(with_addresses);
  CHECK(with_addresses->host_addresses[1].to_string() == "fd00::1");
  CHECK(with_addresses->node_addresses[0].to_string() == "172.20.0.5");

  const auto refused = [](auto change) {
    Flags flags;
    flags.node_name = "n1";
    change(flags);
    const auto out = options_of(flags);
    return out ? std::string() : out.error().message;
  };
  CHECK(refused([](Flags&) {}).empty());
  CHECK(refused([](Flags& f) { f.proxy_mode = "ipvs"; }).find("--proxy-mode") == 0);
  CHECK(refused([](Flags& f) { f.detect_local_mode = "BridgeInterface"; }).find("--detect-local-mode") == 0);
  CHECK(refused([](Flags& f) { f.cluster_cidrs = {"10.244.0.0"}; }).find("--cluster-cidr") == 0);
  CHECK(refused([](Flags& f) {
          f.nodeport_addresses = {"primary", "10.0.0.0/8"};
        }).find("--nodeport-addresses") == 0);
  CHECK(refused([](Flags& f) { f.nodeport_addresses = {"primary"}; }).empty());
  CHECK(refused([](Flags& f) { f.host_addresses = {"172.20.0.0/16"}; }).find("--host-address") == 0);
  CHECK(refused([](Flags& f) { f.node_addresses = {"node-1"}; }).find("--node-address") == 0);
  CHECK(refused([](Flags& f) {
          f.network_policy = false;
          f.network_policy_kubeconfig = "/etc/kubernetes/network-policy.conf";
        }).find("--network-policy-kubeconfig") == 0);
  CHECK(refused([](Flags& f) { f.masquerade_bit = 32; }).find("--iptables-masquerade-bit") == 0);
  CHECK(refused([](Flags& f) { f.healthz_bind_address = "0.0.0.0:x"; }).find("--healthz-bind-address") == 0);
  CHECK(refused([](Flags& f) { f.metrics_bind_address = "localhost:1"; }).find("--metrics-bind-address") ==
        0);
}

TEST_CASE("a bind address may lack its port") {
  CHECK(BindAddress::parse("127.0.0.1", 7)->port == 7);
  CHECK(BindAddress::parse("::1", 7)->address == "::1");
  CHECK(BindAddress::parse("[::1]", 7)->port == 7);
  CHECK(BindAddress::parse("127.0.0.1:0", 7)->port == 0);
  CHECK_FALSE(BindAddress::parse("127.0.0.1:65536", 7));
  CHECK_FALSE(BindAddress::parse("", 7));
}
