// What begins while rules change goes by the rules before or after, never by neither.
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>

#include "policy_world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;
using network_policy::PolicyLoader;

namespace {
const std::string table = Loader::table("kube-proxy-test");
const Place b{address_b, "here"}, far{address_far, "other"};
constexpr int kTurns = 300;  // a gap of a microsecond is met by about one in a hundred

// What Pod a is told, how often, while `turn` is called.
std::map<std::string, int> outcomes_during(World& world, const std::function<void(int)>& turn) {
  std::map<std::string, int> out;
  std::atomic<bool> is_over = false;
  std::thread client([&] {
    while (!is_over) ++out[world.tcp(world.pods.at("a"), vip, 80).outcome];
  });
  try {
    for (int i = 0; i < kTurns; ++i) turn(i);
  } catch (...) {
    is_over = true;
    client.join();
    throw;
  }
  is_over = true;
  client.join();
  return out;
}

void check_all_ok(const std::map<std::string, int>& outcomes) {
  for (const auto& [outcome, times] : outcomes) {
    CAPTURE(outcome, times);
    CHECK(outcome == "ok");
  }
  CHECK(outcomes.contains("ok"));
}
}  // namespace

TEST_CASE("no connection is lost that begins while a Service's rules change", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), address_b);
  world.serve_tcp("far", world.far, address_far);
  Loader loader(world.node, "kube-proxy-test");
  const auto sync = [&](std::vector<Place> places, const std::string& more = "") {
    const auto slices = std::vector{slice("web", std::move(places))};
    REQUIRE(loader.sync(node_settings(), {{"default/web", web(vip, more), slices}}));
  };
  const std::string affinity = R"(,"sessionAffinity":"ClientIP")";
  sync({b, far});
  SECTION("the number of endpoints") {
    check_all_ok(outcomes_during(
        world, [&](int i) { sync(i % 2 ? std::vector<Place>{b, far} : std::vector<Place>{far}); }));
  }
  SECTION("one endpoint for another") {
    check_all_ok(outcomes_during(
        world, [&](int i) { sync(i % 2 ? std::vector<Place>{b} : std::vector<Place>{far}); }));
  }
  SECTION("the affinity") {
    check_all_ok(outcomes_during(world, [&](int i) { sync({b, far}, i % 2 ? "" : affinity); }));
  }
  SECTION("endpoints of a Service with affinity") {
    check_all_ok(outcomes_during(
        world, [&](int i) { sync(i % 2 ? std::vector<Place>{b, far} : std::vector<Place>{far}, affinity); }));
  }
}

TEST_CASE("no connection is lost that begins while the table is replaced, and nothing stays behind",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), address_b);
  world.serve_tcp("far", world.far, address_far);
  const auto chains = [&] {
    const auto listed = *nft(world.node, "list table inet " + table);
    int out = 0;
    for (auto at = listed.find("chain "); at != std::string::npos; at = listed.find("chain ", at + 1)) ++out;
    return out;
  };
  const auto replace = [&](int) {
    Loader loader(world.node, "kube-proxy-test");  // as another process's
    const auto done = loader.sync(node_settings(), {{"default/web", web(vip), {slice("web", {b, far})}}});
    REQUIRE(done);
    REQUIRE(done->is_whole);
    REQUIRE(loader.sweep(std::chrono::steady_clock::now() + kSweepDelay));
    CHECK(loader.check({})->is_intact);
  };
  replace(1);
  const int before = chains();
  check_all_ok(outcomes_during(world, replace));
  replace(1);
  CHECK(chains() == before);
}

TEST_CASE("a table that has been tampered with is made anew where it cannot be filled", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), address_b);
  Loader loader(world.node, "kube-proxy-test");
  const auto load = [&] {
    loader.forget();
    return loader.sync(node_settings(), {{"default/web", web(vip), {slice("web", {b})}}});
  };
  const auto lists = [&](const std::string& text) {
    return nft(world.node, "list table inet " + table)->find(text) != std::string::npos;
  };
  REQUIRE(load());
  const std::string hooked = "type nat hook prerouting priority dstnat - 5";
  REQUIRE(lists(hooked));
  for (const std::string& harm :
       {fmt::format("flush chain inet {0} nat-prerouting\ndelete chain inet {0} nat-prerouting\n"
                    "add chain inet {0} nat-prerouting {{ type filter hook prerouting priority 7; }}\n",
                    table),
        fmt::format("flush table inet {0}\ndelete map inet {0} service-ips-4\n"
                    "add map inet {0} service-ips-4 {{ type ipv4_addr : verdict; }}\n",
                    table),
        fmt::format("flush table inet {0}\ndelete set inet {0} masquerade-ips-4\n", table),
        fmt::format("delete table inet {0}\nadd table inet {0}\nadd chain inet {0} nat-prerouting\n", table),
        fmt::format("add chain inet {0} foreign {{ type filter hook forward priority 5; policy drop; }}\n",
                    table)}) {
    CAPTURE(harm);
    REQUIRE(nft(world.node, harm));
    REQUIRE(load());
    CHECK(lists(hooked));
    CHECK(world.tcp(world.pods.at("a"), vip, 80).outcome == "ok");
    REQUIRE(loader.sweep(std::chrono::steady_clock::now() + kSweepDelay));
    CHECK(world.tcp(world.pods.at("a"), vip, 80).outcome == "ok");
  }
}

TEST_CASE("no packet passes to an isolated Pod while policies' rules change or are replaced", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  PolicyLoader loader(std::make_shared<NftSession>(world.node), {"kube-proxy-test", "here", {}, {}});
  const auto deny = policy("deny", R"("podSelector":{"matchLabels":{"app":"db"}})");
  const auto more = policy("more", R"("podSelector":{"matchLabels":{"app":"db"}},)"
                                   R"("ingress":[{"from":[{"ipBlock":{"cidr":"192.0.2.0/24"}}]}])");
  const auto sync = [&](bool has_more) {
    network_policy::Changes changes;
    changes.policies = {{"default/deny", deny}, {"default/more", has_more ? more : Document()}};
    changes.pods = {{"default/a", pod({"a", address_a, R"("app":"web")"}), {}},
                    {"default/b", pod({"b", address_b, R"("app":"db")"}), {}}};
    REQUIRE(loader.sync(std::move(changes)));
  };
  sync(false);
  Socket server = world.udp_socket(world.pods.at("b"), address_b);
  sockaddr_in place{};
  socklen_t size = sizeof place;
  REQUIRE(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&place), &size) == 0);
  std::atomic<bool> is_over = false;
  std::atomic<int> sent = 0;
  // Each is the first of its flow, since none before it has passed.
  std::thread client([&, socket = world.udp_socket(world.pods.at("a"), address_a)] {
    while (!is_over)
      if (::sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&place), size) == 1) ++sent;
  });
  const auto passed = [&] {
    char buffer[16];
    int out = 0;
    while (::recv(server.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) ++out;
    return out;
  };
  int changed = 0, replaced = 0;
  try {
    for (int i = 0; i < kTurns; ++i) sync(i % 2);
    changed = passed();
    for (int i = 0; i < kTurns; ++i) {
      loader.forget();
      sync(i % 2);
      REQUIRE(loader.sweep(std::chrono::steady_clock::now() + kSweepDelay));
    }
    replaced = passed();
  } catch (...) {
    is_over = true;
    client.join();
    throw;
  }
  is_over = true;
  client.join();
  CHECK(sent > kTurns);
  CHECK(changed == 0);
  CHECK(replaced == 0);
}
