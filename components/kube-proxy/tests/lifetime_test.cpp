// What outlives what: flushed rules, restarts, cleanup; and how long changes take.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "kube-proxy/kube_proxy.h"
#include "network/service_drop.h"
#include "objects.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;
using std::chrono::steady_clock;

namespace {
constexpr const char* vip = "10.96.0.10";
constexpr const char* node_ip = "10.213.0.11";
const Place b{"10.244.1.3", "here"}, far{"10.244.9.2", "other"};
const std::string table = Loader::table("kube-proxy-test");

double ms_since(steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

Document numbered_service(int i) {
  const std::string address = fmt::format("10.96.{}.{}", 1 + i / 250, 1 + i % 250);
  return service(
      fmt::format("s{}", i),
      fmt::format(
          R"("clusterIP":"{0}","clusterIPs":["{0}"],"ports":[{{"name":"http","protocol":"TCP","port":80}}])",
          address));
}
Document numbered_slice(int i, int from = 0, int count = 10) {
  std::vector<Place> places;
  for (int e = from; e < from + count; ++e)
    places.push_back({fmt::format("10.{}.{}.{}", 128 + i / 250, i % 250, 1 + e), e % 3 ? "other" : "here"});
  return slice(fmt::format("s{}", i), places);
}
}  // namespace

TEST_CASE("the drop rule needs no API, and keeps what it has had", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  KubeProxyOptions options;
  options.cluster = "kube-proxy-test";
  options.service_ranges = {*IpPrefix::parse("10.96.0.0/16")};
  REQUIRE(nft(world.node, "flush ruleset"));
  REQUIRE(KubeProxy::drop_untranslated(world.node, options));
  CHECK(network::check_service_drop(world.node, options.cluster, options.service_ranges));
  // A range of the API's, of which only the running proxy hears, stays when it is started anew.
  const auto added = *IpPrefix::parse("10.97.0.0/24");
  REQUIRE(network::widen_service_drop(world.node, {options.cluster, {added}, {}}));
  REQUIRE(KubeProxy::drop_untranslated(world.node, options));
  CHECK(network::check_service_drop(world.node, options.cluster, {options.service_ranges[0], added}));
  options.service_ranges.clear();
  REQUIRE(nft(world.node, "flush ruleset"));
  REQUIRE(KubeProxy::drop_untranslated(world.node, options));
  CHECK_FALSE(network::read_service_drop(world.node, options.cluster));
}

TEST_CASE("after a flush by anybody the rules and the drop rule are back within five seconds", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), "10.244.1.3");
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b})}});
  proxy.start();
  REQUIRE(world.tcp(world.pods.at("a"), vip, 80).outcome == "ok");
  for (const std::string& harm :
       {std::string("flush ruleset"), "flush table inet " + table, "delete table inet " + table}) {
    const auto begin = steady_clock::now();
    REQUIRE(nft(world.node, harm));
    CHECK(eventually([&] { return world.tcp(world.pods.at("a"), vip, 80, 50).outcome == "ok"; }));
    CHECK(ms_since(begin) < 5000);
    WARN(harm << ": served again after " << ms_since(begin) << " ms");
    CHECK(eventually([&] {
      return network::check_service_drop(world.node, "kube-proxy-test", {*IpPrefix::parse("10.96.0.0/16")})
          .has_value();
    }));
  }
}

TEST_CASE("a service range that its owner has taken from the drop rule stays away, the others come back",
          "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  Loader loader(world.node, "kube-proxy-test");
  const auto usual = *IpPrefix::parse("10.96.0.0/16"), more = *IpPrefix::parse("172.30.0.0/24");
  const auto is_dropped = [&](const IpPrefix& range) {
    return network::check_service_drop(world.node, "kube-proxy-test", {range}).has_value();
  };
  REQUIRE(loader.sync(node_settings(), {}));
  REQUIRE(loader.check({usual, more}));
  CHECK(is_dropped(usual));
  CHECK(is_dropped(more));
  REQUIRE(network::load_service_drop(world.node, {"kube-proxy-test", {usual}, {}}));
  REQUIRE(loader.check({usual}));
  CHECK(is_dropped(usual));
  CHECK_FALSE(is_dropped(more));
  REQUIRE(nft(world.node, "flush ruleset"));
  REQUIRE(loader.check({usual}));
  CHECK(is_dropped(usual));
  CHECK_FALSE(is_dropped(more));
}

TEST_CASE("a change after a flush that nobody heard of loads everything", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  Loader loader(world.node, "kube-proxy-test");
  const auto settings = node_settings();
  REQUIRE(loader.sync(settings, {{"default/web", web(vip), {slice("web", {b, far})}}}));
  CHECK(loader.check({})->is_intact);
  REQUIRE(nft(world.node, "flush ruleset"));
  CHECK_FALSE(loader.check({})->is_intact);
  CHECK_FALSE(loader.sync(settings, {{"default/web", web(vip), {slice("web", {b})}}}));
  const auto again = loader.sync(settings, {});
  REQUIRE(again);
  CHECK(again->is_whole);
  CHECK(loader.check({})->is_intact);
  const auto listed = nft(world.node, "list map inet " + table + " service-endpoints-tcp-4");
  REQUIRE(listed);
  CHECK(listed->find("10.244.1.3") != std::string::npos);
  CHECK(listed->find("10.244.9.2") == std::string::npos);
}

TEST_CASE("what is loaded in steps is what would be loaded at once, and nothing unused stays", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  const auto settings = node_settings();
  const std::string affinity = R"(,"sessionAffinity":"ClientIP")";
  const std::string local =
      R"(nodePort":30080;,"type":"LoadBalancer","externalTrafficPolicy":"Local","loadBalancerSourceRanges":["198.51.100.0/24"])";
  const std::string ingress = R"(,"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.8"}]}})";
  Loader steps(world.node, "kube-proxy-test");
  REQUIRE(steps.sync(settings, {}));
  const std::vector<std::pair<Document, std::vector<Place>>> states = {
      {web(vip), {b}},
      {web(vip), {b, far}},
      {web(vip, affinity), {b, far}},
      {web(vip, affinity), {far}},
      {web(vip, local, "TCP", ingress), {b, far}},
      {web(vip, local, "TCP", ingress), {far}},
      {web(vip, "", "UDP"), {}},
      {web(vip, local, "TCP", ingress), {}},
      {web(vip, affinity), {b}},
      {web(vip), {far, b}},
  };
  for (const auto& [service, places] : states) {
    const auto done = steps.sync(
        settings,
        {{"default/web", service, {slice("web", places), slice("web", places, "UDP", 53, "IPv4", "u")}}});
    REQUIRE(done);
    CHECK_FALSE(done->is_whole);
    REQUIRE(steps.sweep(steady_clock::now() + kSweepDelay));
    const auto text = [&] {
      auto listed = *nft(world.node, "list table inet " + table);
      const auto at = listed.find("chain loaded-");
      return at == std::string::npos ? listed : listed.erase(at, listed.find('\n', at) - at);
    };
    std::multiset<std::string> in_steps, at_once;
    const auto split = [](const std::string& all, std::multiset<std::string>& out) {
      for (std::size_t at = 0; at < all.size();) {
        const auto end = std::min(all.find('\n', at), all.size());
        out.insert(all.substr(at, end - at));
        at = end + 1;
      }
    };
    split(text(), in_steps);
    {
      Loader whole(world.node, "kube-proxy-test");
      REQUIRE(whole.sync(
          settings,
          {{"default/web", service, {slice("web", places), slice("web", places, "UDP", 53, "IPv4", "u")}}}));
      REQUIRE(whole.sweep(steady_clock::now() + kSweepDelay));
      split(text(), at_once);
    }
    CHECK(in_steps == at_once);
  }
  REQUIRE(Loader::cleanup(world.node, "kube-proxy-test"));
  REQUIRE(Loader::cleanup(world.node, "kube-proxy-test"));
  CHECK_FALSE(nft(world.node, "list table inet " + table));
}

TEST_CASE("each chain that nothing leads to any more is taken away by its own age", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  Loader loader(world.node, "kube-proxy-test");
  const auto settings = node_settings();
  const auto endpoints = [&](std::vector<Place> places) {
    return loader.sync(settings, {{"default/web", web(vip), {slice("web", std::move(places))}}});
  };
  const auto has_chain = [&](int count) {
    return nft(world.node, fmt::format("list chain inet {} pick-service-tcp-4-{}", table, count)).has_value();
  };
  REQUIRE(endpoints({b, far, {"10.244.9.3", "other"}}));
  const auto first = endpoints({b, far});  // the chain for three goes stale
  REQUIRE(first);
  REQUIRE(first->sweep_at);
  const auto second = endpoints({b});  // and that for two
  REQUIRE(second);
  CHECK(second->sweep_at == first->sweep_at);
  const auto too_early = loader.sweep(*first->sweep_at - std::chrono::milliseconds(1));
  REQUIRE(too_early);
  CHECK(*too_early == first->sweep_at);
  CHECK(has_chain(3));
  const auto rest = loader.sweep(*first->sweep_at);
  REQUIRE(rest);
  REQUIRE(*rest);
  CHECK(*rest > first->sweep_at);
  CHECK_FALSE(has_chain(3));
  CHECK(has_chain(2));
  // Wanted again: it is no leftover any more.
  REQUIRE(endpoints({b, far}));
  const auto none = loader.sweep(**rest);
  REQUIRE(none);
  CHECK(has_chain(2));
  REQUIRE(*none);  // that for one, which has just gone stale
  CHECK_FALSE(*loader.sweep(**none));
  CHECK_FALSE(has_chain(1));
}

TEST_CASE("IPv6 and SCTP load as rules", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  Loader loader(world.node, "kube-proxy-test");
  const auto both = [](const std::string& more) {
    return service(
        "web",
        R"("clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10","fd00:96::a"],"ports":[{"name":"http","protocol":"SCTP","port":80,"nodePort":30080},{"name":"","protocol":"UDP","port":53}])" +
            more);
  };
  auto settings = node_settings();
  settings.base.pod_cidrs.push_back(*IpPrefix::parse("fd00:244::/56"));
  for (
      const auto& more :
      {R"(,"type":"NodePort","externalIPs":["192.0.2.7","2001:db8::7"])",
       R"(,"type":"NodePort","sessionAffinity":"ClientIP")",
       R"(,"type":"NodePort","externalTrafficPolicy":"Local","internalTrafficPolicy":"Local","sessionAffinity":"ClientIP")"}) {
    const auto done = loader.sync(
        settings,
        {{"default/web",
          both(more),
          {slice("web", {b, far}, "SCTP"),
           slice("web", {{"fd00:244::2", "here"}, {"fd00:244::3", "other"}}, "SCTP", 8080, "IPv6", "s6")}}});
    REQUIRE(done);
  }
  const auto listed = nft(world.node, "list table inet " + table);
  REQUIRE(listed);
  CHECK(listed->find("dnat ip6 to [fd00:244::2]:8080") != std::string::npos);
}

TEST_CASE("a restart loses no connection and leaves no gap", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), "10.244.1.3");
  world.serve_tcp("far", world.far, "10.244.9.2");
  auto first = std::make_unique<Proxy>(world.node);
  first->set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b, far})}});
  first->start();
  std::vector<Talk> open;
  for (int i = 0; i < 4; ++i) open.push_back(world.tcp(i % 2 ? world.host : world.pods.at("a"), vip, 80));
  first.reset();
  REQUIRE(world.tcp(world.pods.at("a"), vip, 80).outcome == "ok");  // the rules stay
  Proxy second(world.node);
  second.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b, far})}});
  std::atomic<bool> is_over = false;
  std::map<std::string, int> outcomes;
  std::thread client([&] {
    while (!is_over) ++outcomes[world.tcp(world.pods.at("a"), vip, 80).outcome];
  });
  second.start();
  for (int i = 0; i < 5; ++i)
    second.set("endpointslices", slice("web", i % 2 ? std::vector<Place>{b, far} : std::vector<Place>{far}));
  is_over = true;
  client.join();
  CHECK(outcomes["ok"] > 5);
  for (const auto& [outcome, times] : outcomes) {
    CAPTURE(outcome, times);
    CHECK(outcome == "ok");
  }
  for (const auto& each : open) CHECK(each.works());
}

TEST_CASE("health and numbers are served in the node's namespace", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  Proxy proxy(world.node, [](KubeProxyOptions& options) {
    options.healthz = BindAddress{"0.0.0.0", 0};
    options.metrics = BindAddress{"127.0.0.1", 0};
  });
  proxy.start();
  const auto healthz = proxy.read([](KubeProxy& p) { return p.healthz_port(); });
  const auto metrics = proxy.read([](KubeProxy& p) { return p.metrics_port(); });
  // No Node: nobody should send here.
  CHECK(http_get(world.host, node_ip, healthz, "/healthz").find("HTTP/1.1 503") == 0);
  const auto live = http_get(world.host, node_ip, healthz, "/livez");
  CHECK(live.find("HTTP/1.1 200") == 0);
  CHECK(live.find("\"lastUpdated\"") != std::string::npos);
  // 0.0.0.0 is all addresses of both families.
  CHECK(http_get(world.node, "::1", healthz, "/livez").find("HTTP/1.1 200") == 0);
  proxy.set_node(client::ObjectBuilder::from_json(apimachinery::core_v1::Node::schema_type(),
                                                  R"({"metadata":{"name":"here"}})"));
  CHECK(eventually(
      [&] { return http_get(world.host, node_ip, healthz, "/healthz").find("HTTP/1.1 200") == 0; }));
  const auto text = http_get(world.node, "127.0.0.1", metrics, "/metrics");
  CHECK(text.find("kubeproxy_sync_proxy_rules_duration_seconds_count") != std::string::npos);
  CHECK(text.find("kubeproxy_proxy_healthz_total{code=\"503\"} 1") != std::string::npos);
  CHECK(http_get(world.node, "127.0.0.1", metrics, "/proxyMode").ends_with("nftables"));
}

TEST_CASE("a failed load is tried again until it works", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  world.serve_tcp("b", world.pods.at("b"), "10.244.1.3");
  Proxy proxy(world.node);
  proxy.set_all({{"services", web(vip)}, {"endpointslices", slice("web", {b})}});
  proxy.start();
  // An element that is gone makes the next transaction fail, not those that follow.
  REQUIRE(
      nft(world.node, "delete element inet " + table + " service-endpoints-tcp-4 { 10.96.0.10 . 80 . 0 }"));
  proxy.set("endpointslices", slice("web", {{"10.244.1.3", "here"}, {"10.244.1.3", "here"}}, "TCP", 8081));
  CHECK(eventually([&] { return proxy.read([](KubeProxy& p) { return p.is_up_to_date(); }); }));
  CHECK(proxy.read([](KubeProxy& p) { return p.metrics().sync_failures; }) == 1);
  world.serve_tcp("b81", world.pods.at("b"), "10.244.1.3", 8081);
  CHECK(world.tcp(world.pods.at("a"), vip, 80).server == "b81");
}

TEST_CASE("1,000 Services with 10,000 endpoints: how long the whole takes, and one change", "[world]") {
  RN_NEEDS_NAMESPACES();
  World world;
  constexpr int kServices = 1000;
  Proxy proxy(world.node,
              [](KubeProxyOptions& options) { options.min_sync_period = std::chrono::milliseconds(0); });
  std::vector<std::pair<std::string, Document>> all;
  for (int i = 0; i < kServices; ++i) {
    all.push_back({"services", numbered_service(i)});
    all.push_back({"endpointslices", numbered_slice(i)});
  }
  auto begin = steady_clock::now();
  proxy.set_all(all);
  proxy.start();
  const double started = ms_since(begin);
  std::vector<double> changes;
  for (int i = 0; i < 40; ++i) {
    begin = steady_clock::now();
    proxy.set("endpointslices", numbered_slice(500 + i, i % 2, i % 4 < 2 ? 10 : 9));
    changes.push_back(ms_since(begin));
  }
  std::ranges::sort(changes);
  const auto listed = nft(world.node, "list map inet " + table + " service-endpoints-tcp-4");
  REQUIRE(listed);
  CHECK(std::ranges::count(*listed, '\n') >= 9980);
  CHECK(proxy.read([](KubeProxy& p) { return p.metrics().sync_failures; }) == 0);
  WARN(
      fmt::format("start to all rules {:.0f} ms; one EndpointSlice to its rule: median {:.2f} ms, worst "
                  "{:.2f} ms (polled each 2 ms)",
                  started, changes[20], changes.back()));
  Loader loader(world.node, "kube-proxy-scale");
  std::vector<ServiceChange> whole;
  for (int i = 0; i < kServices; ++i)
    whole.push_back({fmt::format("default/s{}", i), numbered_service(i), {numbered_slice(i)}});
  begin = steady_clock::now();
  REQUIRE(loader.sync(node_settings(), std::move(whole)));
  const double loaded = ms_since(begin);
  begin = steady_clock::now();
  for (int i = 0; i < 50; ++i)
    REQUIRE(
        loader.sync(node_settings(),
                    {{fmt::format("default/s{}", i), numbered_service(i), {numbered_slice(i, i % 2, 9)}}}));
  const double one = ms_since(begin) / 50;
  begin = steady_clock::now();
  for (int i = 0; i < 50; ++i) REQUIRE(loader.check({})->is_intact);
  WARN(fmt::format("loader: whole table {:.0f} ms, one Service {:.3f} ms, check {:.3f} ms", loaded, one,
                   ms_since(begin) / 50));
}
