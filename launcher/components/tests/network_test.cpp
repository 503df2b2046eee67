// The launcher's view of components/network, in namespaces that the test makes.
#include "launcher/components/network.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "launcher/components/engine.h"
#include "network/bridge/cluster_routes.h"
#include "network/isolation.h"
#include "network/namespace.h"
#include "network/netlink.h"

using namespace rusternetes;
using namespace rusternetes::launcher;

namespace {

// A process that does nothing but hold a new network namespace.
class Holder {
 public:
  Holder() {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      auto made = network::NetworkNamespace::create();
      const bool is_in = made && network::enter(*made).has_value();
      (void)!::write(ready[1], is_in ? "y" : "n", 1);
      for (;;) ::pause();
    }
    char answer = 'n';
    REQUIRE(::read(ready[0], &answer, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
    REQUIRE(answer == 'y');
  }
  ~Holder() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string path() const { return "/proc/" + std::to_string(pid_) + "/ns/net"; }

 private:
  pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("a cluster's traces on the host are its rule and its link, and removal takes both") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: network namespaces need root");
    return;
  }
  const auto host = network::NetworkNamespace::create().value();
  const Holder node;
  LinuxNetwork port;
  const auto result = network::inside_thread(host, [&]() -> Result<> {
    const NodeNetwork wanted{
        "a", "a", node.path(), {"10.213.0.1"}, {"10.213.0.2"}, {"10.244.0.0/16"}, {"10.96.0.0/16"}};
    const auto traces = [&] { return port.has_traces("a").value(); };
    CHECK(port.host_ranges().value().empty());
    CHECK_FALSE(traces());
    CHECK_FALSE(port.check_drop_rules(wanted).has_value());
    CHECK_FALSE(port.link_node(wanted).has_value());  // no drop rule yet
    RN_CHECK(port.load_drop_rules(wanted));
    RN_CHECK(port.check_drop_rules(wanted));
    RN_CHECK(port.link_node(wanted));
    RN_CHECK(port.link_node(wanted));
    CHECK(traces());
    CHECK_FALSE(port.has_traces("b").value());
    CHECK_FALSE(port.host_ranges().value().empty());
    RN_CHECK(port.unlink_node(wanted));
    RN_CHECK(port.unlink_node(wanted));
    CHECK(traces());  // the rule
    RN_CHECK(port.link_node(wanted));
    RN_CHECK(port.remove_all("a"));
    RN_CHECK(port.remove_all("a"));
    CHECK_FALSE(traces());
    CHECK(port.host_ranges().value().empty());
    return {};
  });
  if (!result) FAIL(result.error().message);
}

TEST_CASE("what a host lacks of a cluster of containers is named, and what it has is described") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: network namespaces need root");
    return;
  }
  const auto host = network::NetworkNamespace::create().value();
  LinuxNetwork port;
  const auto result = network::inside_thread(host, [&]() -> Result<> {
    NodeNetwork wanted{"a", "", "", {"10.220.0.1"}, {}, {"10.244.0.0/16"}, {"10.96.0.0/16"}};
    wanted.bridge = port.bridge_name("a");
    const auto lacks = [&](std::size_t count, const std::string& first) {
      const auto missing = port.missing_host_rules(wanted).value();
      CHECK(missing.size() == count);
      if (!missing.empty()) CHECK(missing[0].starts_with(first));
    };
    lacks(3, "the drop rule of its services");
    CHECK(port.describe("a").value().empty());
    RN_CHECK(port.load_drop_rules(wanted));
    lacks(2, "the rules that keep other clusters out");
    RN_CHECK(network::load_isolation(host, "a"));
    lacks(1, "the route to its services 10.96.0.0/16");
    RN_TRY(auto netlink, network::Netlink::open(host));
    RN_CHECK(netlink.create_bridge(wanted.bridge, "a's"));
    RN_CHECK(netlink.set_up(wanted.bridge));
    RN_TRY(const auto link, netlink.find_link(wanted.bridge));
    RN_TRY(const auto address, network::IpPrefix::parse("10.220.0.1/24"));
    RN_CHECK(netlink.ensure_address({link->index, address, {}}));
    RN_TRY(const auto services, network::IpPrefix::parse("10.96.0.0/16"));
    RN_TRY(const auto entry, network::IpAddress::parse("10.220.0.16"));
    RN_TRY([[maybe_unused]] const bool is_new,
           network::sync_cluster_routes(netlink, "a", link->index, {{services, entry}},
                                        [](const auto&) { return true; }));
    lacks(0, "");
    const std::string text = port.describe("a").value();
    INFO(text);
    for (const std::string& part :
         {"link " + wanted.bridge + " (bridge", std::string("route 10.96.0.0/16 via 10.220.0.16"),
          std::string("table inet rusternetes-"), std::string("10.96.0.0/16")})
      CHECK(text.find(part) != std::string::npos);
    CHECK(port.describe("b").value().empty());  // another's, beside it
    wanted.bridge.clear();
    lacks(0, "");  // of a cluster of one process the rule alone
    return {};
  });
  if (!result) FAIL(result.error().message);
}

TEST_CASE("a container belongs to the cluster that its owner label names, whole") {
  CHECK(is_owned_by("a", "a"));
  CHECK(is_owned_by("a/node-1", "a"));
  CHECK_FALSE(is_owned_by("ab", "a"));
  CHECK_FALSE(is_owned_by("a-b/node", "a"));
  CHECK_FALSE(is_owned_by("", "a"));
}
