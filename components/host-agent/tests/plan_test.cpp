// Decisions alone: flags to options, and what Nodes say to routes.
#include "host-agent/plan.h"

#include <catch2/catch.hpp>

#include "host-agent/flags.h"

using namespace rusternetes;
using namespace rusternetes::host_agent;
using network::ClusterRoute;

namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }
IpPrefix range(const char* text) { return *IpPrefix::parse(text); }

HostAgentOptions options() {
  HostAgentOptions out;
  out.gateways = {ip("10.214.3.1")};
  out.networks = {range("10.214.3.0/24")};
  out.pod_ranges = {range("10.244.0.0/16")};
  out.service_ranges = {range("10.96.0.0/16")};
  return out;
}

NodeState node(const char* name, const char* address, const char* pods, bool is_ready = true) {
  NodeState out{name, {ip(address)}, {}, is_ready};
  if (*pods) out.pod_cidrs = {range(pods)};
  return out;
}

std::vector<IpAddress> entries(const std::vector<NodeState>& nodes,
                               const std::vector<IpAddress>& present = {}) {
  return decide(options(), nodes, present).entries;
}

Flags good() {
  Flags out;
  out.network_cidrs = {"10.214.3.0/24"};
  out.gateways = {"10.214.3.1"};
  out.cluster_cidrs = {"10.244.0.0/16"};
  out.service_ranges = {"10.96.0.0/16"};
  return out;
}

std::string complaint(void (*change)(Flags&)) {
  Flags flags = good();
  change(flags);
  const auto made = options_of(flags);
  return made ? "" : made.error().message;
}

}  // namespace

TEST_CASE("each node's Pods are routed by its address on the bridge, whether it is Ready or not") {
  const auto plan = decide(options(),
                           {node("n2", "10.214.3.12", "10.244.2.0/24", false),
                            node("n1", "10.214.3.11", "10.244.1.7/24"), node("n3", "10.214.3.13", "")},
                           {});
  CHECK(plan.pod_routes == std::vector<ClusterRoute>{{range("10.244.1.0/24"), ip("10.214.3.11")},
                                                     {range("10.244.2.0/24"), ip("10.214.3.12")}});
  CHECK(plan.problems.empty());
  CHECK(plan.forward_to == std::vector{ip("10.214.3.11"), ip("10.214.3.13")});
}

TEST_CASE("a Node cannot take from the host what is not its own, and hears why") {
  auto stranger = node("n4", "192.0.2.9", "10.244.4.0/24");
  auto host = node("n5", "10.214.3.1", "10.244.5.0/24");
  const auto plan =
      decide(options(),
             {node("n1", "10.214.3.11", "10.244.1.0/24"), node("n2", "10.214.3.12", "10.244.1.128/25"),
              node("n3", "10.214.3.13", "0.0.0.0/0"), stranger, host},
             {});
  CHECK(plan.pod_routes == std::vector<ClusterRoute>{{range("10.244.1.0/24"), ip("10.214.3.11")}});
  REQUIRE(plan.problems.size() == 4);
  CHECK(plan.problems[0] ==
        Problem{"n2", "the host has no route to 10.244.1.128/25 by it: node n1 has 10.244.1.0/24"});
  CHECK(plan.problems[1] ==
        Problem{"n3", "the host has no route to 0.0.0.0/0: it is outside the cluster's Pod range"});
  CHECK(
      plan.problems[2] ==
      Problem{"n4",
              "the host has no route to 10.244.4.0/24: the node has no InternalIP in the cluster's network"});
  CHECK(plan.problems[3].object == "n5");
}

TEST_CASE("of two Nodes that claim a range the Ready one has it") {
  const auto plan = decide(
      options(),
      {node("a", "10.214.3.11", "10.244.1.0/24", false), node("b", "10.214.3.12", "10.244.1.0/24")}, {});
  CHECK(plan.pod_routes == std::vector<ClusterRoute>{{range("10.244.1.0/24"), ip("10.214.3.12")}});
  CHECK(plan.problems.size() == 1);
}

TEST_CASE("services lead to the first Ready node by name, and stay there as long as it is Ready") {
  const auto n1 = node("n1", "10.214.3.11", ""), n2 = node("n2", "10.214.3.12", "");
  const auto n1_not = node("n1", "10.214.3.11", "", false), n2_not = node("n2", "10.214.3.12", "", false);
  CHECK(entries({}).empty());
  CHECK(entries({n2, n1}) == std::vector{ip("10.214.3.11")});
  CHECK(entries({n1_not, n2}) == std::vector{ip("10.214.3.12")});
  CHECK(entries({n1_not, n2}, {ip("10.214.3.11")}) == std::vector{ip("10.214.3.12")});
  CHECK(entries({n1, n2}, {ip("10.214.3.12")}) == std::vector{ip("10.214.3.12")});
  CHECK(entries({n1}, {ip("10.214.3.12")}) == std::vector{ip("10.214.3.11")});
  // Nobody is Ready: the node of before may work all the same.
  CHECK(entries({n1_not, n2_not}, {ip("10.214.3.12")}) == std::vector{ip("10.214.3.12")});
  CHECK(entries({n2_not, n1_not}) == std::vector{ip("10.214.3.11")});
  CHECK(decide(options(), {n1_not}, {}).forward_to == std::vector{ip("10.214.3.11")});
}

TEST_CASE("each family has an entry of its own") {
  auto both = options();
  both.networks.push_back(range("fd00:214:3::/64"));
  both.gateways.push_back(ip("fd00:214:3::1"));
  both.pod_ranges.push_back(range("fd00:244::/48"));
  auto n1 = node("n1", "10.214.3.11", "10.244.1.0/24"), n2 = node("n2", "10.214.3.12", "10.244.2.0/24");
  n2.addresses.push_back(ip("fd00:214:3::12"));
  n2.pod_cidrs.push_back(range("fd00:244:0:2::/64"));
  const auto plan = decide(both, {n1, n2}, {});
  CHECK(plan.entries == std::vector{ip("10.214.3.11"), ip("fd00:214:3::12")});
  CHECK(plan.pod_routes == std::vector<ClusterRoute>{{range("10.244.1.0/24"), ip("10.214.3.11")},
                                                     {range("10.244.2.0/24"), ip("10.214.3.12")},
                                                     {range("fd00:244:0:2::/64"), ip("fd00:214:3::12")}});
  CHECK(plan.forward_to == std::vector{ip("10.214.3.11"), ip("fd00:214:3::12"), ip("10.214.3.12")});
}

TEST_CASE("what is wrong with a flag is said in one sentence that names it") {
  CHECK(complaint([](Flags&) {}) == "");
  CHECK(complaint([](Flags& f) { f.cluster_name = "a b"; }) == "--cluster-name: \"a b\" is no name");
  CHECK(complaint([](Flags& f) { f.bridge = "a;b"; }) == "--bridge: \"a;b\" is no link's name");
  CHECK(complaint([](Flags& f) { f.network_cidrs.clear(); }) ==
        "--network-cidr is missing: the range of the engine's network on which the nodes are");
  CHECK(complaint([](Flags& f) { f.gateways.clear(); }) ==
        "--gateway is missing: the host's address in the cluster's network");
  CHECK(complaint([](Flags& f) { f.gateways = {"here"}; }) == "--gateway: \"here\" is no IP address");
  CHECK(complaint([](Flags& f) { f.gateways = {"10.0.0.1"}; }) ==
        "--gateway: 10.0.0.1 is outside --network-cidr");
  CHECK(complaint([](Flags& f) {
          f.gateways = {"10.214.3.1", "10.214.3.2"};
        }) == "--gateway: one address of each family is enough");
  CHECK(complaint([](Flags& f) { f.cluster_cidrs = {"10.244"}; }) ==
        "--cluster-cidr: \"10.244\" is no range such as 10.244.0.0/16");
  CHECK(complaint([](Flags& f) { f.cluster_cidrs.clear(); }).starts_with("--cluster-cidr is missing"));
  CHECK(complaint([](Flags& f) { f.service_ranges = {"10.244.128.0/24"}; }) ==
        "--service-cluster-ip-range 10.244.128.0/24 overlaps --cluster-cidr 10.244.0.0/16");
  CHECK(complaint([](Flags& f) { f.publish = {"8080"}; }) ==
        "--publish: \"8080\" is not HOST:NODEPORT, two port numbers such as 8080:30080");
  CHECK(complaint([](Flags& f) {
          f.publish = {"8080:30080", "8080:30081"};
        }) == "--publish: the host's port 8080 is named twice");
}
