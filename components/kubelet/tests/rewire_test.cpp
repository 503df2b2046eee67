// A node container that is started anew has another network namespace; its Pods are those of before.

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <iostream>

#include "harness.h"
#include "http/listen.h"
#include "network/namespace.h"
#include "network/netlink.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using http::Descriptor;
using network::Netlink;
using network::NetworkNamespace;

namespace {

constexpr const char* kPodAddress = "10.99.0.2";

std::string path_of(const NetworkNamespace& name_space) {
  return "/proc/self/fd/" + std::to_string(name_space.fd());
}

std::optional<network::Link> link_of(const NetworkNamespace& where, const std::string& name) {
  auto netlink = Netlink::open(where);
  REQUIRE(netlink);
  auto found = netlink->find_link(name);
  REQUIRE(found);
  return *found;
}

// As text, those of eth0 within the Pod.
std::vector<std::string> addresses_of(const NetworkNamespace& pod) {
  auto netlink = Netlink::open(pod);
  REQUIRE(netlink);
  const auto link = netlink->find_link("eth0");
  const auto addresses = netlink->addresses();
  REQUIRE(link);
  REQUIRE(addresses);
  std::vector<std::string> out;
  for (const auto& one : *addresses)
    if (*link && one.index == (*link)->index && one.local.address().is_v4())
      out.push_back(one.local.address().to_string());
  return out;
}

sockaddr_in server_address() {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(8080);
  ::inet_pton(AF_INET, kPodAddress, &out.sin_addr);
  return out;
}

// A server of the Pod's that listens on the Pod's address.
Descriptor listen_in_pod(const NetworkNamespace& pod) {
  auto made = network::inside(pod, []() -> Result<Descriptor> {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = server_address();
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 8) != 0)
      return errno_error("listen in the Pod", errno);
    return socket;
  });
  REQUIRE(made);
  return *std::move(made);
}

Result<Descriptor> connect_from(const NetworkNamespace& node) {
  return network::inside(node, []() -> Result<Descriptor> {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{5, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const auto address = server_address();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return errno_error("connect to the Pod", errno);
    return socket;
  });
}

struct World {
  explicit World(NetworkNamespace p) : pod(std::move(p)) {
    renew();
    harness.emplace([this](KubeletOptions& options) {
      options.cluster = "rewire-test";
      options.netns_path = path_of(*node);
      options.uplink.clear();
    });
    harness->runtime.sandbox_netns = path_of(pod);
    harness->act([this] {
      harness->api.put(
          "nodes",
          R"({"metadata":{"name":"n1"},"spec":{"podCIDR":"10.99.0.0/24","podCIDRs":["10.99.0.0/24"]}})");
      harness->api.put("pods", R"({"metadata":{"name":"web","namespace":"default"},"spec":{"nodeName":"n1",
          "containers":[{"name":"a","image":"busybox"}]},
          "status":{"phase":"Pending","qosClass":"BestEffort"}})");
    });
  }
  // The node's namespace is another one from here on, with an address of the node's as its gateway.
  void renew() {
    auto made = NetworkNamespace::create();
    REQUIRE(made);
    node.emplace(*std::move(made));
    auto netlink = Netlink::open(*node);
    REQUIRE(netlink);
    const auto lo = netlink->find_link("lo");
    REQUIRE((lo && *lo));
    REQUIRE(
        netlink->ensure_address({(*lo)->index, *network::IpPrefix::parse("10.213.0.2/32"), std::nullopt}));
  }
  bool is_wired() {
    return harness->eventually(
        [&] { return link_of(pod, "eth0").has_value() && connect_from(*node).has_value(); });
  }
  void restart_in_new_namespace() {
    harness->stop();
    renew();
    harness->options.netns_path = path_of(*node);
    harness->start();
  }
  NetworkNamespace pod;
  std::optional<NetworkNamespace> node;
  std::optional<Harness> harness;
};

std::optional<NetworkNamespace> a_pod() {
  auto pod = NetworkNamespace::create();
  if (pod) return *std::move(pod);
  std::cout << "SKIPPED: no network namespace can be made here\n";
  return std::nullopt;
}

// The old namespace goes, and the Pod's eth0 with it; or it stays for as long as something else is in it.
void replace_node(bool stays) {
  auto pod = a_pod();
  if (!pod) return;
  World world(*std::move(pod));
  Harness& harness = *world.harness;
  REQUIRE(harness.eventually([&] { return harness.phase("web") == "Running"; }));
  REQUIRE(addresses_of(world.pod) == std::vector<std::string>{kPodAddress});
  const Descriptor server = listen_in_pod(world.pod);
  REQUIRE(world.is_wired());
  const auto held = stays ? world.node : std::nullopt;
  const auto calls = harness.runtime.calls;

  world.restart_in_new_namespace();
  REQUIRE(world.is_wired());  // the server that listened all the time answers at its address
  CHECK(addresses_of(world.pod) == std::vector<std::string>{kPodAddress});
  harness.touch("web");
  REQUIRE(harness.eventually([&] { return harness.status("web").podIP() == kPodAddress; }));
  CHECK(harness.runtime.calls == calls);
  harness.act([&] {
    CHECK(harness.phase("web") == "Running");
    CHECK(harness.status("web").containerStatuses()[0].restartCount() == 0);
  });
  const auto eth0 = link_of(world.pod, "eth0");
  REQUIRE(eth0);
  world.harness->stop();
  harness.start();  // once more in the same namespace: nothing is made again
  REQUIRE(world.is_wired());
  CHECK(link_of(world.pod, "eth0")->index == eth0->index);
}

}  // namespace

TEST_CASE("Pods are wired again when their node's namespace has gone, and run on") { replace_node(false); }
TEST_CASE("Pods are wired again while their node's old namespace is still there") { replace_node(true); }
