#include "rusternetes/settings.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using network::IpPrefix;

namespace {

ProcessOptions by_hand() {
  ProcessOptions options;
  options.data_dir = "/data/one";
  return options;
}

HostFacts host(std::vector<const char*> used = {}) {
  HostFacts out{"Big-Host", "192.0.2.7", {}};
  for (const char* text : used) out.used_ranges.push_back(*IpPrefix::parse(text));
  return out;
}

std::string refusal(const Result<ClusterSettings>& result) { return result ? "" : result.error().message; }

}  // namespace

TEST_CASE("a first start by hand takes the usual ranges and a name of its folder") {
  const auto one = choose_settings(by_hand(), std::nullopt, host({"0.0.0.0/0", "172.17.0.0/16"}));
  REQUIRE(one);
  CHECK(one->pod_cidr == "10.244.0.0/16");
  CHECK(one->service_cluster_ip_range == "10.96.0.0/16");
  CHECK(one->host_address == "10.213.0.1");
  CHECK(one->node_address == "10.213.0.2");
  CHECK(one->node_name == "big-host");
  auto other = by_hand();
  other.data_dir = "/data/two";
  CHECK(choose_settings(other, std::nullopt, host())->cluster_name != one->cluster_name);
  CHECK(choose_settings(by_hand(), std::nullopt, host())->cluster_name == one->cluster_name);
}

TEST_CASE("a first start beside another cluster takes other ranges") {
  const auto used = host({"10.244.0.0/16", "10.96.0.0/16", "10.213.0.2/32"});
  const auto chosen = choose_settings(by_hand(), std::nullopt, used);
  REQUIRE(chosen);
  for (const auto& text : {chosen->pod_cidr, chosen->service_cluster_ip_range, chosen->node_address + "/32",
                           chosen->host_address + "/32"})
    for (const auto& range : used.used_ranges) CHECK_FALSE(range.overlaps(*IpPrefix::parse(text)));
}

TEST_CASE("what was chosen once stays, through its file") {
  const auto first = choose_settings(by_hand(), std::nullopt, host({"10.244.0.0/16"}));
  REQUIRE(first);
  const auto kept = settings_from_json(to_json(*first));
  REQUIRE(kept);
  CHECK(*kept == *first);
  auto renamed = host();
  renamed.host_name = "another";
  const auto second = choose_settings(by_hand(), *kept, renamed);
  REQUIRE(second);
  CHECK(*second == *first);
}

TEST_CASE("a flag that contradicts the data is refused") {
  const auto first = choose_settings(by_hand(), std::nullopt, host());
  auto flags = by_hand();
  flags.pod_cidr = "10.50.0.0/16";
  const auto text = refusal(choose_settings(flags, *first, host()));
  CHECK(text.find("--pod-cidr 10.50.0.0/16") != std::string::npos);
  CHECK(text.find("10.244.0.0/16") != std::string::npos);
  flags.pod_cidr = first->pod_cidr;
  CHECK(choose_settings(flags, *first, host()));
}

TEST_CASE("a range that the host uses is refused, named by flag or kept") {
  auto flags = by_hand();
  flags.service_cluster_ip_range = "192.0.2.0/25";
  CHECK(refusal(choose_settings(flags, std::nullopt, host({"192.0.2.0/24"})))
            .find("--service-cluster-ip-range 192.0.2.0/25 overlaps 192.0.2.0/24") == 0);
  const auto first = choose_settings(by_hand(), std::nullopt, host());
  CHECK(refusal(choose_settings(by_hand(), *first, host({"10.244.3.0/24"})))
            .find("--pod-cidr 10.244.0.0/16 overlaps 10.244.3.0/24") == 0);
}

TEST_CASE("when the host is the node, the node has the host's address") {
  auto flags = by_hand();
  flags.node_network = "host";
  const auto chosen = choose_settings(flags, std::nullopt, host());
  REQUIRE(chosen);
  CHECK(chosen->node_address == "192.0.2.7");
  auto lonely = host();
  lonely.address.clear();
  CHECK(refusal(choose_settings(flags, std::nullopt, lonely)).find("--node-address") != std::string::npos);
}

TEST_CASE("a name that cannot be a node's is replaced") {
  auto facts = host();
  facts.host_name = "under_score";
  CHECK(choose_settings(by_hand(), std::nullopt, facts)->node_name == "node");
}

TEST_CASE("a cluster has one process") {
  auto first = ClusterClaim::take("settings-test");
  REQUIRE(first);
  const auto second = ClusterClaim::take("settings-test");
  REQUIRE_FALSE(second);
  CHECK(second.error().is("AlreadyExists"));
  CHECK(ClusterClaim::take("settings-test-other"));
  first->reset();
  CHECK(ClusterClaim::take("settings-test"));
}

TEST_CASE("plain HTTP is for loopback addresses only") {
  auto flags = by_hand();
  flags.tls = false;
  for (const char* address : {"127.0.0.1", "127.3.2.1", "::1"}) {
    flags.bind_address = address;
    CHECK(complete(flags));
  }
  for (const char* address : {"0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "localhost", ""}) {
    flags.bind_address = address;
    CHECK_FALSE(complete(flags));
  }
  flags.tls = true;
  flags.bind_address = "0.0.0.0";
  CHECK(complete(flags));
}

TEST_CASE("flags are checked before anything is made") {
  for (const auto& [member, text] : std::vector<std::pair<std::string ProcessOptions::*, const char*>>{
           {&ProcessOptions::cluster_name, "Two_Words"},
           {&ProcessOptions::node_name, "-"},
           {&ProcessOptions::node_network, "bridge"},
           {&ProcessOptions::engine, "crio"},
           {&ProcessOptions::pod_cidr, "10.244.0.0"},
           {&ProcessOptions::service_cluster_ip_range, "10.96.0.0/16,x"},
           {&ProcessOptions::node_address, "10.0.0.256"}}) {
    auto flags = by_hand();
    flags.*member = text;
    const auto result = complete(flags);
    REQUIRE_FALSE(result);
    CHECK(result.error().message.starts_with("--"));
  }
}

TEST_CASE("a new cluster of two address families is refused, and the data of one stay usable") {
  auto flags = by_hand();
  flags.pod_cidr = "10.200.0.0/16,fd00:1::/56";
  CHECK(refusal(choose_settings(flags, std::nullopt, host())) ==
        "--pod-cidr 10.200.0.0/16,fd00:1::/56 has ranges of two address families: a cluster has one, IPv4 or "
        "IPv6, so name one range");
  auto services = by_hand();
  services.service_cluster_ip_range = "10.99.0.0/16,fd00:2::/112";
  CHECK(refusal(choose_settings(services, std::nullopt, host()))
            .starts_with("--service-cluster-ip-range 10.99.0.0/16,fd00:2::/112 has"));
  auto kept = choose_settings(by_hand(), std::nullopt, host());
  REQUIRE(kept);
  kept->pod_cidr = flags.pod_cidr;
  CHECK(refusal(choose_settings(flags, *kept, host())).empty());
}
