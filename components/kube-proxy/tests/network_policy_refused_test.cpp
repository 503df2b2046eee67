// Which owners' rules are left out where a table is not taken, against a kernel of few words.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "kube-proxy/network_policy/refused_rules.h"

using namespace rusternetes;
using namespace rusternetes::kube_proxy;
using namespace rusternetes::kube_proxy::network_policy;

namespace {

using Owners = std::map<std::string, PolicyRules>;

// Takes no word "bad", no element of a set that is not declared, no jump to a chain that is not there.
struct Kernel {
  int tries = 0;
  std::size_t most = 100'000;  // elements and chains
  Result<void> operator()(const PolicyRules& rules) {
    ++tries;
    const auto no = [](const std::string& what) { return Status{500, "InternalError", what}; };
    if (rules.entries.size() + rules.chains.size() > most) return no("no buffer space");
    for (const auto& [name, inside] : rules.sets)
      if ((name + inside).find("bad") != std::string::npos) return no("set " + name);
    for (const auto& [name, lines] : rules.chains) {
      if (name.find("bad") != std::string::npos) return no("chain " + name);
      for (const auto& line : lines) {
        if (line.find("bad") != std::string::npos) return no("line " + line);
        if (line.starts_with("jump ") && !rules.chains.contains(line.substr(5))) return no(line);
      }
    }
    for (const auto& [element, value] : rules.entries) {
      if (element.key.find("bad") != std::string::npos) return no("element " + element.key);
      const bool is_link = element.set.ends_with("-links");
      if (!is_link && !rules.sets.contains(element.set)) return no("no set " + element.set);
      if (value.starts_with("goto ") && !rules.chains.contains(value.substr(5)))
        return no("no chain " + value);
    }
    return {};
  }
};

PolicyRules policy(const std::string& chain, const std::string& line, const std::string& set = "",
                   const std::string& inside = "type ipv4_addr;") {
  PolicyRules out;
  out.chains[chain] = {line};
  if (!set.empty()) out.sets[set] = inside;
  return out;
}

// Selected by the policies with these chains, and in these sets.
PolicyRules pod(const std::string& link, const std::vector<std::string>& jumps,
                const std::vector<std::string>& sets) {
  PolicyRules out;
  const std::string chain = "isolated-" + link;
  for (const auto& each : jumps) out.chains[chain].push_back("jump " + each);
  out.add({"ingress-links", link}, jumps.empty() ? "accept" : "goto " + chain);
  for (const auto& each : sets) out.add({each, "10.0.0.1-" + link});
  out.normalise();
  return out;
}

Refused find(Kernel& kernel, const Owners& owners) {
  return find_refused(owners, [&](const PolicyRules& rules) { return kernel(rules); });
}

}  // namespace

TEST_CASE("a policy with a rule that is refused isolates and allows nothing, and Pods keep their place") {
  Kernel kernel;
  const Owners owners{{"policy/n/p", policy("ingress/p", "bad accept", "pods-1")},
                      {"policy/n/q", policy("ingress/q", "accept", "pods-2")},
                      {"pod/n/a", pod("a", {"ingress/p", "ingress/q"}, {"pods-1", "pods-2"})}};
  const auto refused = find(kernel, owners);
  REQUIRE(refused.owners.size() == 1);
  const auto& [owner, stand_in] = *refused.owners.begin();
  CHECK(owner == "policy/n/p");
  CHECK(stand_in.why == "line bad accept");
  CHECK(stand_in.rules.chains == std::map<std::string, std::vector<std::string>>{{"ingress/p", {}}});
  CHECK(stand_in.rules.sets.contains("pods-1"));
  CHECK(refused.absent.empty());
}

TEST_CASE("where a policy's set or chain cannot be there at all, Pods do without, and stay isolated") {
  Kernel kernel;
  const Owners owners{{"policy/n/p", policy("ingress/p", "accept", "pods-bad")},
                      {"policy/n/q", policy("ingress/bad", "accept", "pods-2")},
                      {"pod/n/a", pod("a", {"ingress/p", "ingress/bad"}, {"pods-bad", "pods-2"})},
                      {"pod/n/b", pod("b", {}, {})}};
  const auto refused = find(kernel, owners);
  CHECK(refused.owners.size() == 2);
  CHECK(refused.owners.at("policy/n/p").rules.chains.contains("ingress/p"));
  CHECK(refused.owners.at("policy/n/q").rules.is_empty());
  CHECK(refused.absent == std::set<std::string>{"ingress/bad", "pods-2", "pods-bad"});
  const auto left = without(owners.at("pod/n/a"), refused.absent);
  CHECK(left.entries.size() == 1);  // its link
  CHECK(left.chains.begin()->second == std::vector<std::string>{"jump ingress/p"});
  CHECK(without(owners.at("pod/n/b"), refused.absent) == owners.at("pod/n/b"));
}

TEST_CASE("a set that another policy declares is not missed") {
  Kernel kernel;
  const Owners owners{{"policy/n/p", policy("ingress/bad", "accept", "pods-1")},
                      {"policy/n/q", policy("ingress/q", "accept", "pods-1")},
                      {"pod/n/a", pod("a", {"ingress/q"}, {"pods-1"})}};
  const auto refused = find(kernel, owners);
  CHECK(refused.owners.size() == 1);
  CHECK(refused.absent == std::set<std::string>{"ingress/bad"});
}

TEST_CASE("a Pod whose elements are refused is shut") {
  Kernel kernel;
  const Owners owners{{"policy/n/p", policy("ingress/p", "accept", "pods-1")},
                      {"pod/n/a", pod("a-bad", {}, {})},
                      {"pod/n/b", pod("b", {}, {"pods-1"})},
                      {"pod/n/c", pod("c", {}, {"pods-9"})}};
  const auto refused = find(kernel, owners);
  CHECK(refused.owners.size() == 2);
  CHECK(refused.owners.at("pod/n/a").rules.is_empty());
  const auto& shut = refused.owners.at("pod/n/c").rules;
  REQUIRE(shut.entries.size() == 1);
  CHECK(shut.entries[0].element.set == "ingress-links");
  CHECK(shut.entries[0].value == "drop");
}

TEST_CASE("few of many are found with few tries, and none where no owner is at fault") {
  Owners owners;
  for (int i = 0; i < 256; ++i)
    owners[fmt::format("policy/n/p{}", i)] =
        policy(fmt::format("ingress/p{}", i), i == 17 || i == 200 ? "bad" : "accept",
               fmt::format("pods-{}", i));
  for (int i = 0; i < 1000; ++i)
    owners[fmt::format("pod/n/w{}", i)] =
        pod(fmt::format("w{}{}", i, i == 512 ? "-bad" : ""), {fmt::format("ingress/p{}", i % 256)},
            {fmt::format("pods-{}", i % 256)});
  Kernel kernel;
  auto refused = find(kernel, owners);
  CHECK(refused.owners.size() == 3);
  CHECK(refused.owners.contains("policy/n/p17"));
  CHECK(refused.owners.contains("policy/n/p200"));
  CHECK(refused.owners.contains("pod/n/w512"));
  CHECK(kernel.tries < 70);

  owners["policy/n/p17"] = policy("ingress/p17", "accept", "pods-17");
  owners["policy/n/p200"] = policy("ingress/p200", "accept", "pods-200");
  owners.erase("pod/n/w512");
  Kernel full;
  full.most = 2000;  // all of them are too many, no half is
  refused = find(full, owners);
  CHECK(refused.owners.empty());
  CHECK(find_refused(owners, [](const PolicyRules&) -> Result<void> {
          return Status{500, "InternalError", "not permitted"};
        }).owners.empty());
}
