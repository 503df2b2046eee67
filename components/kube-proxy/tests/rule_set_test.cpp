// All rules together, their differences, and the text of transactions.
#include "kube-proxy/rule_set.h"

#include <algorithm>

#include "kube-proxy/stale_flows.h"
#include "kube-proxy/whole_table.h"
#include "kube-proxy/transaction.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::testing;

namespace {
Rules rules_of(const std::string& address, const std::vector<Place>& places, const std::string& more = "") {
  return decide(web(address, more), {slice("web", places)}, node_settings()).rules;
}
std::vector<std::string> keys(const std::vector<Element>& elements) {
  std::vector<std::string> out;
  for (const auto& each : elements)
    out.push_back(container_name(each.container, each.family) + " " + each.key);
  return out;
}
using Texts = std::vector<std::string>;
}  // namespace

TEST_CASE("a changed endpoint is one element out and one in") {
  RuleSet set;
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}, {"10.244.0.3"}}));
  set.set("default/other", rules_of("10.96.0.11", {{"10.244.0.4"}, {"10.244.0.5"}}));
  CHECK_FALSE(set.take().is_empty());
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}, {"10.244.0.9"}}));
  const auto change = set.take();
  CHECK(keys(change.removed) == Texts{"service-endpoints-tcp-4 10.96.0.10 . 80 . 1"});
  REQUIRE(change.added.size() == 1);
  CHECK(change.added[0].value == "10.244.0.9 . 8080");
  CHECK(change.chains.empty());
  CHECK(set.take().is_empty());
}

TEST_CASE("what is set and set back in between is no change") {
  RuleSet set;
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}}));
  (void)set.take();
  set.set("default/web", {});
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}}));
  CHECK(set.take().is_empty());
}

TEST_CASE("a shared chain goes with the last Service that needs it") {
  RuleSet set;
  set.set("default/a", rules_of("10.96.0.10", {{"10.244.0.2"}}));
  set.set("default/b", rules_of("10.96.0.11", {{"10.244.0.3"}}));
  CHECK(set.take().chains.size() == 1);
  set.set("default/a", {});
  CHECK(set.take().stale_chains.empty());
  set.set("default/b", rules_of("10.96.0.11", {{"10.244.0.3"}, {"10.244.0.4"}}));
  const auto change = set.take();
  CHECK(change.stale_chains == Texts{"pick-service-tcp-4-1"});
  CHECK(change.chains.contains("pick-service-tcp-4-2"));
}

TEST_CASE("of two Services with one external address the first by name has it, then the other") {
  RuleSet set;
  const std::string more = R"(,"externalIPs":["192.0.2.7"])";
  set.set("default/b", rules_of("10.96.0.11", {{"10.244.0.3"}}, more));
  set.set("default/a", rules_of("10.96.0.10", {{"10.244.0.2"}}, more));
  const auto value = [&] {
    for (const auto& each : set.take_all().entries)
      if (each.element.key == "192.0.2.7 . 80 . 0") return each.value;
    return std::string();
  };
  CHECK(value() == "10.244.0.2 . 8080");
  set.set("default/a", {});
  const auto change = set.take();
  CHECK(std::ranges::count(keys(change.removed), std::string("service-endpoints-tcp-4 192.0.2.7 . 80 . 0")) ==
        1);
  CHECK(value() == "10.244.0.3 . 8080");
}

TEST_CASE("a random walk of changes ends where all at once would") {
  std::uint32_t state = 7;
  const auto random = [&](std::uint32_t below) {
    return (state = state * 1664525 + 1013904223, state >> 16) % below;
  };
  std::map<Element, std::string> kernel;
  std::map<std::string, std::vector<std::string>> chains;
  RuleSet set;
  for (int step = 0; step < 400; ++step) {
    const int changed = 1 + static_cast<int>(random(3));
    for (int i = 0; i < changed; ++i) {
      const int number = static_cast<int>(random(6));
      std::vector<Place> places;
      for (std::uint32_t p = 0, count = random(4); p < count; ++p)
        places.push_back({"10.244.0." + std::to_string(2 + random(9)), random(2) ? "here" : "other"});
      const char* mores[] = {"", R"(,"externalIPs":["192.0.2.7"])", R"(,"sessionAffinity":"ClientIP")",
                             R"(nodePort":30080;,"type":"NodePort","externalTrafficPolicy":"Local")"};
      // All are named "web": chains of their own belong to one Service at a time.
      Rules rules = random(5) == 0 ? Rules{}
                                   : rules_of("10.96.0.1" + std::to_string(number), places,
                                              mores[number == 0 ? random(4) : random(2)]);
      set.set("default/s" + std::to_string(number), std::move(rules));
    }
    const auto change = set.take();
    for (const auto& element : change.removed) REQUIRE(kernel.erase(element) == 1);
    for (const auto& entry : change.added) REQUIRE(kernel.emplace(entry.element, entry.value).second);
    for (const auto& [name, rules] : change.chains) REQUIRE(chains.emplace(name, rules).second);
    for (const auto& [name, rules] : change.changed_chains) {
      REQUIRE(chains.at(name) != rules);
      chains[name] = rules;
    }
    for (const auto& name : change.stale_chains) REQUIRE(chains.erase(name) == 1);
    if (step % 50 != 49) continue;
    const auto all = set.take_all();
    REQUIRE(all.entries.size() == kernel.size());
    for (const auto& entry : all.entries) REQUIRE(kernel.at(entry.element) == entry.value);
    REQUIRE(all.chains == chains);
  }
}

TEST_CASE("a change's transactions name only what changes, and take nothing that packets still look for") {
  RuleSet set;
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}, {"10.244.0.3"}}));
  (void)set.take();
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}}));
  const std::string start = "element inet test-proxy service-";
  CHECK(change_transactions("test-proxy", set.take()) ==
        Texts{"add chain inet test-proxy pick-service-tcp-4-1\n"
              "flush chain inet test-proxy pick-service-tcp-4-1\n"
              "add rule inet test-proxy pick-service-tcp-4-1 meta l4proto tcp dnat ip to ip daddr . tcp dport "
              ". numgen random mod 1 map @service-endpoints-tcp-4\n"
              "add rule inet test-proxy pick-service-tcp-4-1 drop\n",
              "delete " + start + "ips-4 { 10.96.0.10 . tcp . 80 }\nadd " + start +
                  "ips-4 { 10.96.0.10 . tcp . 80 : goto pick-service-tcp-4-1 }\n",
              "delete " + start + "endpoints-tcp-4 { 10.96.0.10 . 80 . 1 }\n" +
                  "flush chain inet test-proxy pick-service-tcp-4-2\n"});
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.4"}}));
  CHECK(change_transactions("test-proxy", set.take()) ==
        Texts{"delete " + start + "endpoints-tcp-4 { 10.96.0.10 . 80 . 0 }\nadd " + start +
              "endpoints-tcp-4 { 10.96.0.10 . 80 . 0 : 10.244.0.4 . 8080 }\n"});
}

TEST_CASE("a table that stands is filled anew, without its hooks, and what nobody wants is emptied") {
  RuleSet set;
  set.set("default/web", rules_of("10.96.0.10", {{"10.244.0.2"}}, R"(,"sessionAffinity":"ClientIP")"));
  set.set("default/other", rules_of("10.96.0.11", {{"10.244.0.3"}}));
  Base base = node_settings().base;
  base.table = "t";
  const auto table = services_table(base, set.take_all(), 2);
  const std::string kept = "affinity4/default/web/tcp/http/10.244.0.2/8080";
  REQUIRE(table.sets.contains(kept));
  Standing standing{{"services", "nat-prerouting", table.frame.layout_chain(), "loaded-1", "old"},
                    {kept, "older"},
                    {}};
  for (const auto& [name, unused] : table.chains) {
    standing.chains.insert(name);  // one of them is empty
    if (name != "pick-service-tcp-4-1") standing.filled_chains.insert(name);
  }
  const auto plan = replacement(table, standing);
  CHECK(plan.stale_chains == Texts{"loaded-1", "old"});
  CHECK(plan.stale_sets == Texts{"older"});
  REQUIRE(plan.transactions.size() == 2);
  CHECK(plan.transactions[0].starts_with("add chain inet t pick-service-tcp-4-1\n"));
  const std::string& text = plan.transactions[1];
  CHECK(text.starts_with("flush table inet t\n"));
  CHECK(text.find("delete ") == std::string::npos);
  CHECK(text.find("flush map inet t service-ips-4\n") != std::string::npos);
  CHECK(text.find("flush set inet t older\n") != std::string::npos);
  CHECK(text.find("flush set inet t " + kept) == std::string::npos);  // its clients stay
}

TEST_CASE("a table of another layout is not filled anew") {
  Base base = node_settings().base;
  base.table = "t";
  const auto table = services_table(base, {}, 1);
  const auto listing = [](const WholeTable& of, const std::string& without) {
    std::string out = R"({"nftables":[{"metainfo":{}})";
    const auto add = [&](const std::string& kind, const std::string& name) {
      if (name != without) out += fmt::format(R"(,{{"{}":{{"name":"{}"}}}})", kind, name);
    };
    for (const auto& [name, kind] : of.frame.containers()) add(kind, name);
    add("chain", of.frame.layout_chain());
    return out + "]}";
  };
  CHECK(read_standing(listing(table, ""), table));
  CHECK_FALSE(read_standing(listing(table, "service-ips-4"), table));
  CHECK_FALSE(read_standing(listing(table, table.frame.layout_chain()), table));
  CHECK_FALSE(read_standing("{", table));
  auto other = base;
  other.limits_nodeports[0] = !base.limits_nodeports[0];
  CHECK_FALSE(read_standing(listing(services_table(other, {}, 1), ""), table));
  other = base;  // which rules there are is no matter
  other.masquerade_all = !base.masquerade_all;
  CHECK(read_standing(listing(services_table(other, {}, 1), ""), table));
}

TEST_CASE("ranges of one set do not overlap") {
  const auto range = [](const char* text) { return *IpPrefix::parse(text); };
  CHECK(without_nested({range("10.1.0.0/16"), range("10.0.0.0/8"), range("fd00::/64"), range("10.1.2.3/32"),
                        range("192.0.2.7/24")},
                       Family::v4) == std::vector<IpPrefix>{range("10.0.0.0/8"), range("192.0.2.0/24")});
}

TEST_CASE("a UDP flow is stale when its endpoint went, and a NodePort's only at the node's own address") {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const auto decided = [&](const std::vector<Place>& places) {
    return decide(web("10.96.0.10", R"(nodePort":30053;,"type":"NodePort")", "UDP"),
                  {slice("web", places, "UDP")}, node_settings())
        .udp;
  };
  const auto flow = [&](const char* to, std::uint16_t port, const char* reply) {
    network::Flow out;
    out.destination = ip(to);
    out.destination_port = port;
    out.reply_source = ip(reply);
    out.reply_source_port = 8080;
    return out;
  };
  const std::vector<IpAddress> own{ip("10.213.0.11")};
  StaleFlows gone;
  gone.add(decided({{"10.244.0.2"}, {"10.244.0.3"}}), decided({{"10.244.0.3"}}));
  REQUIRE_FALSE(gone.is_empty(Family::v4));
  CHECK(gone.is_empty(Family::v6));
  CHECK(gone.is_stale(flow("10.96.0.10", 80, "10.244.0.2"), own));
  CHECK_FALSE(gone.is_stale(flow("10.96.0.10", 80, "10.244.0.3"), own));
  CHECK_FALSE(gone.is_stale(flow("10.96.0.10", 81, "10.244.0.2"), own));
  CHECK(gone.is_stale(flow("10.213.0.11", 30053, "10.244.0.2"), own));
  CHECK_FALSE(gone.is_stale(flow("192.0.2.1", 30053, "192.0.2.1"), own));

  StaleFlows more;
  more.add(decided({{"10.244.0.2"}}), decided({{"10.244.0.2"}, {"10.244.0.3"}}));
  CHECK(more.is_empty(Family::v4));
  StaleFlows first;
  first.add(decided({}), decided({{"10.244.0.2"}}));
  CHECK(first.is_stale(flow("10.96.0.10", 80, "10.96.0.10"), own));
  StaleFlows removed;
  removed.add(decided({{"10.244.0.2"}}), {});
  CHECK(removed.is_stale(flow("10.96.0.10", 80, "10.244.0.2"), own));
}

TEST_CASE("UDP flows to an address or port that a Service gains or loses are stale, its others are not") {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const auto decided = [&](const std::string& more) {
    return decide(web("10.96.0.10", more, "UDP"), {slice("web", {{"10.244.0.2"}}, "UDP")}, node_settings())
        .udp;
  };
  const auto flow = [&](const char* to, std::uint16_t port, const char* reply) {
    network::Flow out;
    out.destination = ip(to);
    out.destination_port = port;
    out.reply_source = ip(reply);
    out.reply_source_port = reply == std::string("10.244.0.2") ? 8080 : port;
    return out;
  };
  const std::vector<IpAddress> own{ip("10.213.0.11")};
  const auto plain = decided(""), port = decided(R"(nodePort":30053;,"type":"NodePort")"),
             other_port = decided(R"(nodePort":30054;,"type":"NodePort")"),
             outer = decided(R"(,"externalIPs":["192.0.2.7"])");

  StaleFlows gained;
  gained.add(plain, port);
  REQUIRE_FALSE(gained.is_empty(Family::v4));
  CHECK(gained.is_stale(flow("10.213.0.11", 30053, "10.213.0.11"), own));
  CHECK_FALSE(gained.is_stale(flow("10.213.0.11", 30053, "10.244.0.2"), own));
  CHECK_FALSE(gained.is_stale(flow("192.0.2.1", 30053, "192.0.2.1"), own));
  CHECK_FALSE(gained.is_stale(flow("10.96.0.10", 80, "10.244.0.9"), own));
  StaleFlows lost;
  lost.add(port, plain);
  CHECK(lost.is_stale(flow("10.213.0.11", 30053, "10.244.0.2"), own));
  CHECK_FALSE(lost.is_stale(flow("10.96.0.10", 80, "10.244.0.2"), own));
  StaleFlows changed;
  changed.add(port, other_port);
  CHECK(changed.is_stale(flow("10.213.0.11", 30053, "10.244.0.2"), own));
  CHECK(changed.is_stale(flow("10.213.0.11", 30054, "10.213.0.11"), own));
  StaleFlows address;
  address.add(plain, outer);
  CHECK(address.is_stale(flow("192.0.2.7", 80, "192.0.2.7"), own));
  CHECK_FALSE(address.is_stale(flow("192.0.2.7", 80, "10.244.0.2"), own));
  // From one Service to another, in whichever order they are looked at.
  for (const bool is_lost_first : {true, false}) {
    StaleFlows moved;
    if (is_lost_first) moved.add(outer, plain);
    moved.add(plain, outer);
    if (!is_lost_first) moved.add(outer, plain);
    CHECK_FALSE(moved.is_stale(flow("192.0.2.7", 80, "10.244.0.2"), own));
    CHECK(moved.is_stale(flow("192.0.2.7", 80, "10.244.0.9"), own));
  }
  StaleFlows same;
  same.add(port, port);
  CHECK(same.is_empty(Family::v4));
}

TEST_CASE("what comes by another cluster's link is not translated") {
  Base base = node_settings().base;
  CHECK(whole_transaction(services_table(base, {}, 1)).find("rn*") == std::string::npos);
  base.own_links = "rnabcdef";
  const auto text = whole_transaction(services_table(base, {}, 1));
  CHECK(text.find("hook prerouting priority -105; policy accept;\n    iifname \"rn*\" iifname != "
                  "\"rnabcdef*\" return\n"
                  "    jump services\n") != std::string::npos);
}
