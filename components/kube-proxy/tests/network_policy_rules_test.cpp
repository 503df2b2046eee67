// NetworkPolicies to rules, without a kernel.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "kube-proxy/transaction.h"
#include "network/names.h"
#include "objects.h"
#include "policy_objects.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::network_policy;
using namespace rusternetes::kube_proxy::testing;

namespace {

using Lines = std::vector<std::string>;
const PolicySettings settings{"test", "here", {}};

Policy read(const std::string& spec) { return read_policy(policy("p", spec)); }
Lines ingress_of(const std::string& rules) {
  return rules_of(read(R"("podSelector":{},"ingress":)" + rules), {}).chains.at("ingress/default/p");
}
Lines egress_of(const std::string& rules, const NameServers& servers = {}) {
  return rules_of(read(R"("podSelector":{},"policyTypes":["Egress"],"egress":)" + rules), servers)
      .chains.at("egress/default/p");
}
std::string id_of(const std::string& peer) {
  const Policy one = read(R"("podSelector":{},"ingress":[{"from":[)" + peer + "]}]");
  return std::get<PodSelection>(one.rules[0].at(0).peers.at(0)).id;
}

PolicyIndex index_of(const std::vector<Document>& policies) {
  PolicyIndex out;
  for (const auto& each : policies)
    out.set(client::object_key(each), std::make_shared<const Policy>(read_policy(each)));
  return out;
}
std::set<std::string> lines_of(const PolicyRules& rules) {
  std::set<std::string> out;
  for (const auto& each : rules.entries)
    out.insert(each.element.set + " " + each.element.key + (each.value.empty() ? "" : " : " + each.value));
  return out;
}
std::string link(const std::string& uid) {
  return '"' + network::interface_name("test", network::LinkPurpose::pod, uid) + '"';
}

}  // namespace

TEST_CASE("policyTypes that are not given are Ingress, and Egress where there are egress rules") {
  const auto isolates = [](const std::string& spec) {
    const Policy one = read(spec);
    return std::pair(one.isolates[0], one.isolates[1]);
  };
  CHECK(isolates(R"("podSelector":{})") == std::pair(true, false));
  CHECK(isolates(R"("podSelector":{},"egress":[])") == std::pair(true, false));
  CHECK(isolates(R"("podSelector":{},"egress":[{}])") == std::pair(true, true));
  CHECK(isolates(R"("podSelector":{},"policyTypes":["Egress"],"ingress":[{}])") == std::pair(false, true));
  CHECK(read(R"("podSelector":{},"policyTypes":["Egress"],"ingress":[{}])").rules[0].empty());
}

TEST_CASE("an empty rule allows everything, no rule nothing") {
  CHECK(ingress_of("[{}]") == Lines{"accept"});
  CHECK(ingress_of("[]").empty());
  CHECK(ingress_of(R"([{"from":[],"ports":[]}])") == Lines{"accept"});
  CHECK(ingress_of(R"([{"ports":[{"port":80}]}])") == Lines{"meta l4proto tcp th dport { 80 } accept"});
}

TEST_CASE("a peer is a set of addresses of each family, the same for the same selection") {
  const std::string id = id_of(R"({"podSelector":{"matchLabels":{"a":"1"}}})");
  CHECK(id.size() == 16);
  const auto rules = rules_of(
      read(R"("podSelector":{},"ingress":[{"from":[{"podSelector":{"matchLabels":{"a":"1"}}}]}])"), {});
  CHECK(rules.chains.at("ingress/default/p") ==
        Lines{"ip saddr @pods-" + id + "-4 accept", "ip6 saddr @pods-" + id + "-6 accept"});
  CHECK(rules.sets == std::map<std::string, std::string>{{"pods-" + id + "-4", "type ipv4_addr;"},
                                                         {"pods-" + id + "-6", "type ipv6_addr;"}});
  CHECK(id != id_of(R"({"podSelector":{"matchLabels":{"a":"1"}},"namespaceSelector":{}})"));
  CHECK(id != id_of(R"({"podSelector":{}})"));
  CHECK(id_of(R"({"podSelector":{}})") != id_of(R"({"namespaceSelector":{}})"));
}

TEST_CASE("an ipBlock is matched without its exceptions") {
  CHECK(ingress_of(R"([{"from":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}])") ==
        Lines{"ip saddr 10.0.0.0/8 accept"});
  CHECK(
      egress_of(
          R"([{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.1.0.0/16","10.1.2.0/24","192.0.2.7/32"]}}]}])") ==
      Lines{"meta nfproto ipv4 ip daddr != { 10.1.0.0/16, 192.0.2.7/32 } accept"});
  CHECK(egress_of(R"([{"to":[{"ipBlock":{"cidr":"fd00::/8","except":["fd00:1::/32"]}}]}])") ==
        Lines{"ip6 daddr fd00::/8 ip6 daddr != { fd00:1::/32 } accept"});
  // Old forms, which the API takes, mean what they mean to it.
  CHECK(ingress_of(R"([{"from":[{"ipBlock":{"cidr":"010.0.0.1/8","except":["::ffff:10.1.0.0/112"]}}]}])") ==
        Lines{"ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } accept"});
  // Nothing is left of it, and what cannot be read matches nothing.
  CHECK(ingress_of(R"([{"from":[{"ipBlock":{"cidr":"10.1.0.0/16","except":["10.0.0.0/8"]}}]}])").empty());
  CHECK(ingress_of(R"([{"from":[{"ipBlock":{"cidr":"10.1.0.0"}}]}])").empty());
}

TEST_CASE("ports are numbers, ranges, names, or a protocol alone; overlapping ones are one") {
  CHECK(
      ingress_of(
          R"([{"ports":[{"port":80},{"port":8000,"endPort":8010},{"port":8005,"endPort":8020},{"port":81},{"protocol":"UDP","port":53},{"protocol":"SCTP"}]}])") ==
      Lines{"meta l4proto tcp th dport { 80-81, 8000-8020 } accept",
            "meta l4proto udp th dport { 53 } accept", "meta l4proto sctp accept"});
  const auto rules = rules_of(read(R"("podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8"}}],
                       "ports":[{"port":"http"}]}])"),
                              {});
  CHECK(rules.chains.at("ingress/default/p") ==
        Lines{"ip saddr 10.0.0.0/8 meta l4proto tcp ip daddr . th dport @port-tcp-http-4 accept"});
  CHECK(rules.sets.at("port-tcp-http-4") == "type ipv4_addr . inet_service;");
}

TEST_CASE("a Pod of the node is led by its link to a chain of the policies that select it") {
  const auto policies =
      index_of({policy("all", R"("podSelector":{})"),
                policy("web", R"("podSelector":{"matchLabels":{"app":"web"}},"egress":[{}])"),
                policy("other", R"("podSelector":{})", "other")});
  const auto web = rules_of(pod({"w", "10.244.1.2", R"("app":"web")"}), {}, policies, settings);
  REQUIRE(web.rules.chains.size() == 2);
  const auto& [in_name, in] = *std::next(web.rules.chains.begin());
  const auto& [out_name, out] = *web.rules.chains.begin();
  CHECK(in ==
        Lines{"jump ingress/default/all", "jump ingress/default/web", "counter name denied-ingress drop"});
  CHECK(out == Lines{"jump egress/default/web", "counter name denied-egress drop"});
  CHECK(lines_of(web.rules) == std::set<std::string>{"ingress-links " + link("w") + " : goto " + in_name,
                                                     "egress-links " + link("w") + " : goto " + out_name,
                                                     "own-links " + link("w") + " . " + link("w")});
  CHECK(web.is_isolated[0]);
  CHECK(web.is_isolated[1]);

  // Another one with the same policies has the same chain.
  const auto second = rules_of(pod({"x", "10.244.1.9", R"("app":"web")"}), {}, policies, settings);
  CHECK(second.rules.chains == web.rules.chains);
  const auto plain = rules_of(pod({"y", "10.244.1.4"}), {}, policies, settings);
  CHECK(plain.is_isolated[0]);
  CHECK_FALSE(plain.is_isolated[1]);
  CHECK(lines_of(plain.rules).contains("egress-links " + link("y") + " : accept"));
  // Before it has an address, too; and a Pod without policies is known all the same.
  CHECK(lines_of(rules_of(pod({"z", ""}), {}, policies, settings).rules).size() == 3);
  CHECK(lines_of(rules_of(pod({"z", ""}), {}, {}, settings).rules) ==
        std::set<std::string>{"ingress-links " + link("z") + " : accept",
                              "egress-links " + link("z") + " : accept"});
}

TEST_CASE("Pods elsewhere, on their node's network, or over have no link here") {
  const auto policies = index_of({policy("all", R"("podSelector":{})")});
  CHECK(rules_of(pod({"w", "10.244.1.2", "", "other"}), {}, policies, settings).rules.is_empty());
  CHECK(rules_of(pod({"w", "10.213.0.11", "", "here", "default", "", R"("hostNetwork":true,)"}), {}, policies,
                 settings)
            .rules.is_empty());
  CHECK(rules_of(pod({"w", "10.244.1.2", "", ""}), {}, policies, settings).rules.is_empty());
}

TEST_CASE("a Pod is a peer by its labels and its Namespace's, until it is over") {
  const std::string
      by_pod = R"({"podSelector":{"matchLabels":{"app":"web"}}})",
      by_namespace = R"({"namespaceSelector":{"matchLabels":{"team":"red"}}})",
      by_both =
          R"({"podSelector":{"matchLabels":{"app":"web"}},"namespaceSelector":{"matchLabels":{"team":"red"}}})";
  const auto policies = index_of({policy("p", R"("podSelector":{},"ingress":[{"from":[)" + by_pod + "," +
                                                  by_namespace + "," + by_both + "]}]")});
  const auto sets_of = [&](const PodWords& words, const std::string& team) {
    std::set<std::string> out;
    const auto rules =
        rules_of(pod(words), name_space(words.name_space, team.empty() ? "" : R"("team":")" + team + "\""),
                 policies, settings);
    for (const auto& each : rules.rules.entries)
      if (each.element.set.starts_with("pods-")) out.insert(each.element.set + " " + each.element.key);
    return out;
  };
  const auto element = [](const std::string& peer, const std::string& address) {
    return "pods-" + id_of(peer) + (address.find(':') == std::string::npos ? "-4 " : "-6 ") + address;
  };
  using Set = std::set<std::string>;
  CHECK(sets_of({"w", "10.244.2.2", R"("app":"web")", "other"}, "") == Set{element(by_pod, "10.244.2.2")});
  CHECK(sets_of({"w", "10.244.2.2", R"("app":"web")", "other", "red"}, "red") ==
        Set{element(by_namespace, "10.244.2.2"), element(by_both, "10.244.2.2")});
  CHECK(sets_of({"w", "10.244.2.2", "", "other", "red"}, "red") == Set{element(by_namespace, "10.244.2.2")});
  CHECK(sets_of({"w", "fd00:244::2", "", "other", "red"}, "red") ==
        Set{element(by_namespace, "fd00:244::2")});
  CHECK(sets_of({"w", "10.244.2.2", R"("app":"web")", "other", "blue"}, "blue").empty());
  CHECK(sets_of({"w", "10.244.2.2", R"("app":"web")", "other", "red", "", "", "Succeeded"}, "red").empty());
}

TEST_CASE("a named port is each Pod's own number") {
  const auto policies = index_of({policy(
      "p", R"("podSelector":{},"ingress":[{"ports":[{"port":"http"},{"protocol":"UDP","port":"dns"}]}])")});
  const auto ports_of = [&](const PolicyIndex& of, const PodWords& words) {
    std::set<std::string> out;
    for (const auto& each : rules_of(pod(words), {}, of, settings).rules.entries)
      if (each.element.set.starts_with("port-")) out.insert(each.element.set + " " + each.element.key);
    return out;
  };
  const std::string ports =
      R"({"name":"http","containerPort":8080,"protocol":"TCP"},{"name":"dns","containerPort":5353,"protocol":"UDP"},{"name":"http","containerPort":9,"protocol":"TCP"})";
  using Set = std::set<std::string>;
  CHECK(ports_of(policies, {"w", "10.244.1.2", "", "here", "default", ports}) ==
        Set{"port-tcp-http-4 10.244.1.2 . 8080", "port-udp-dns-4 10.244.1.2 . 5353"});
  CHECK(ports_of(policies, {"w", "10.244.1.2", "", "here", "default",
                            R"({"name":"dns","containerPort":5353,"protocol":"TCP"})"})
            .empty());
  // Ingress rules' names are asked for in the policy's namespace, egress rules' everywhere.
  CHECK(ports_of(policies, {"w", "10.244.1.2", "", "here", "other", ports}).empty());
  const auto wide = index_of({policy("p", R"("podSelector":{},"egress":[{"ports":[{"port":"http"}]}])")});
  CHECK(ports_of(wide, {"w", "10.244.9.2", "", "far", "other", ports}) ==
        Set{"port-tcp-http-4 10.244.9.2 . 8080"});
}

TEST_CASE("the name server on a node's address is allowed as the Pods it is elsewhere, by its ports") {
  const Document service = client::ObjectBuilder::from_json(
      apimachinery::core_v1::Service::schema_type(),
      R"({"metadata":{"name":"kube-dns","namespace":"kube-system"},"spec":{"ports":[{"name":"dns","port":53,"protocol":"UDP"}]}})");
  const Document slice_of_port = client::ObjectBuilder::from_json(
      apimachinery::discovery_v1::EndpointSlice::schema_type(),
      R"({"metadata":{"name":"kube-dns","namespace":"kube-system"},"addressType":"IPv4",
          "endpoints":[{"addresses":["10.213.0.11"]},{"addresses":["10.244.0.9"],"targetRef":{"kind":"Pod","name":"x"}}],
          "ports":[{"name":"dns","port":5353,"protocol":"UDP"}]})");
  const auto servers = read_name_servers(service, {slice_of_port}, name_space("kube-system"));
  REQUIRE(servers.ports.size() == 1);
  CHECK(servers.ports[0].service_port == 53);
  const std::string line = "ip daddr . meta l4proto . th dport { 10.213.0.11 . udp . 5353 } accept";
  const auto allows = [&](const std::string& rule) {
    const auto lines = egress_of("[" + rule + "]", servers);
    return std::ranges::find(lines, line) != lines.end();
  };
  const std::string ports = R"("ports":[{"protocol":"UDP","port":53},{"protocol":"TCP","port":53}])";
  const std::string system =
      R"("namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"kube-system"}})";
  CHECK(allows(R"({"to":[{)" + system + "}]," + ports + "}"));
  CHECK(allows(R"({"to":[{)" + system + R"(,"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}],)" +
               ports + "}"));
  CHECK(allows(R"({"to":[{"namespaceSelector":{},"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}}}]})"));
  CHECK(allows("{" + ports + "}"));
  CHECK(allows(R"({"to":[{"ipBlock":{"cidr":"10.213.0.0/16"}}],)" + ports + "}"));
  CHECK(allows(R"({"ports":[{"protocol":"UDP","port":"dns"}]})"));
  CHECK_FALSE(
      allows(R"({"to":[{)" + system + R"(,"podSelector":{"matchLabels":{"app":"web"}}}],)" + ports + "}"));
  CHECK_FALSE(allows(R"({"to":[{)" + system + R"(}],"ports":[{"protocol":"TCP","port":53}]})"));
  CHECK_FALSE(allows(R"({"to":[{"podSelector":{}}],)" + ports + "}"));
  CHECK_FALSE(
      allows(R"({"to":[{"ipBlock":{"cidr":"10.213.0.0/16","except":["10.213.0.11/32"]}}],)" + ports + "}"));
}

TEST_CASE("a Pod that comes is elements; a policy that goes takes its chain and sets along") {
  PolicyRuleSet set;
  const auto one = policy("p", R"("podSelector":{},"ingress":[{"from":[{"podSelector":{}}]}])");
  auto policies = index_of({one});
  const auto put = [&](const std::string& name, const std::string& address) {
    set.set("pod/default/" + name, rules_of(pod({name, address}), {}, policies, settings).rules);
  };
  set.set("policy/default/p", rules_of(*policies.get("default/p"), {}));
  put("a", "10.244.1.2");
  (void)set.take();
  put("b", "10.244.1.3");
  const auto change = set.take();
  CHECK(change.chains.empty());
  CHECK(change.sets.empty());
  CHECK(change.removed.empty());
  const std::string id = id_of(R"({"podSelector":{}})");
  const auto transactions = change_transactions("t", change);
  REQUIRE(transactions.size() == 1);
  CHECK(transactions[0].find("add element inet t pods-" + id + "-4 { 10.244.1.3 }\n") != std::string::npos);
  CHECK(change.added.size() == 4);

  policies.set("default/p", nullptr);
  set.set("policy/default/p", {});
  put("a", "10.244.1.2");
  put("b", "10.244.1.3");
  const auto gone = set.take();
  CHECK(gone.stale_chains.size() == 2);
  CHECK(gone.stale_sets == Lines{"pods-" + id + "-4", "pods-" + id + "-6"});
  CHECK(set.take_all().sets.empty());
}

TEST_CASE("each set that a Pod is put into is declared, also by a rule of which no peer can be read") {
  for (const char* direction : {R"("ingress":[{"from")", R"("egress":[{"to")"})
    for (const char* peer : {"{}", R"({"ipBlock":{"cidr":"10.0.0.0/33"}})",
                             R"({"ipBlock":{"cidr":"10.1.0.0/16","except":["10.0.0.0/8"]}})",
                             R"({"podSelector":{"matchLabels":{"a":"1"}}})"}) {
      INFO(direction << peer);
      const auto one = policy(
          "p", fmt::format(R"("podSelector":{{}},{}:[{}],"ports":[{{"port":"http"}}]}}])", direction, peer));
      const auto policies = index_of({one});
      PolicyRuleSet set;
      set.set("policy/default/p", rules_of(*policies.get("default/p"), {}));
      set.set("pod/default/w", rules_of(pod({"w", "10.244.1.2", R"("a":"1")", "here", "default",
                                             R"({"name":"http","containerPort":80,"protocol":"TCP"})"}),
                                        {}, policies, settings)
                                   .rules);
      const auto all = set.take_all();
      CHECK(lines_of(all).contains("port-tcp-http-4 10.244.1.2 . 80"));
      for (const auto& each : all.entries)
        CHECK((each.element.set.ends_with("-links") || all.sets.contains(each.element.set)));
    }
}

TEST_CASE("a policy whose podSelector cannot be read selects every Pod of its namespace") {
  const auto policies = index_of(
      {policy("p", R"("podSelector":{"matchExpressions":[{"key":"a","operator":"in","values":["b"]}]})")});
  CHECK(rules_of(pod({"w", "10.244.1.2"}), {}, policies, settings).is_isolated[0]);
  CHECK_FALSE(rules_of(pod({"w", "10.244.1.2", "", "here", "other"}), {}, policies, settings).is_isolated[0]);
}

TEST_CASE("a Pod that claims to be another's mirror gets nothing of its link") {
  const auto annotated = client::ObjectBuilder::from_json(
      apimachinery::core_v1::Pod::schema_type(),
      R"({"metadata":{"name":"x","namespace":"aaa","uid":"x","annotations":{"kubernetes.io/config.mirror":"v"}},
          "spec":{"nodeName":"here"}})");
  CHECK(link_of(annotated, "test") == network::interface_name("test", network::LinkPurpose::pod, "x"));
}

TEST_CASE("a link over which two Pods differ is shut, and open again when one is gone") {
  const auto policies = index_of({policy("p", R"("podSelector":{})", "victim")});
  PolicyRuleSet set;
  const auto put = [&](const std::string& space) {
    set.set("pod/" + space + "/w", rules_of(pod({"w", "", "", "here", space}), {}, policies, settings).rules);
  };
  put("victim");
  put("aaa");
  const auto lines = lines_of(set.take_all());
  CHECK(lines.contains("ingress-links " + link("w") + " : drop"));
  CHECK(lines.contains("egress-links " + link("w") + " : accept"));  // both say so
  set.set("pod/victim/w", {});
  const auto change = set.take();
  CHECK(std::ranges::any_of(change.added, [](const auto& each) { return each.value == "accept"; }));
}

TEST_CASE("names of chains fit the kernel and stay different") {
  Policy one, two;
  one.name_space = two.name_space = std::string(63, 'n');
  one.name = std::string(253, 'p');
  two.name = std::string(252, 'p') + 'q';
  CHECK(one.chain(Direction::ingress).size() <= 255);
  CHECK(one.chain(Direction::ingress) != two.chain(Direction::ingress));
}

TEST_CASE("a Pod's status that policies do not read is no change") {
  const auto before = pod({"w", "10.244.1.2", R"("app":"web")"});
  CHECK(is_same_to_policies(
      before, pod({"w", "10.244.1.2", R"("app":"web")", "here", "default", "", "", "Pending"})));
  CHECK_FALSE(is_same_to_policies(before, pod({"w", "10.244.1.3", R"("app":"web")"})));
  CHECK_FALSE(is_same_to_policies(before, pod({"w", "10.244.1.2", R"("app":"db")"})));
  CHECK_FALSE(is_same_to_policies(before, pod({"w", "10.244.1.2", R"("app":"web")", "other"})));
  CHECK_FALSE(is_same_to_policies(
      before, pod({"w", "10.244.1.2", R"("app":"web")", "here", "default", "", "", "Failed"})));
  CHECK_FALSE(is_same_to_policies(before, {}));
}
