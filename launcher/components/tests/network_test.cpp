// The launcher's view of components/network, in namespaces that the test makes.
#include "launcher/components/network.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "launcher/components/engine.h"
#include "network/namespace.h"

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

TEST_CASE("a container belongs to the cluster that its owner label names, whole") {
  CHECK(is_owned_by("a", "a"));
  CHECK(is_owned_by("a/node-1", "a"));
  CHECK_FALSE(is_owned_by("ab", "a"));
  CHECK_FALSE(is_owned_by("a-b/node", "a"));
  CHECK_FALSE(is_owned_by("", "a"));
}
