#include "objects.h"

namespace {

const std::string web = R"("app":"web")";

std::string constraint(const std::string& rest = "", int max_skew = 1, const std::string& key = "zone",
                       const std::string& action = "DoNotSchedule", const std::string& labels = web) {
  return R"({"maxSkew":)" + std::to_string(max_skew) + R"(,"topologyKey":")" + key +
         R"(","whenUnsatisfiable":")" + action + R"(","labelSelector":{"matchLabels":{)" + labels + "}}" +
         rest + "}";
}
Document spread(const std::string& constraints, const std::string& labels = web,
                const std::string& fields = "") {
  return pod_with("p", fields + R"("topologySpreadConstraints":[)" + constraints + "]", labels);
}

struct Zones {
  Cache cache;
  int count = 0;
  Zones() {
    cache.set_node(labelled_node("a1", R"("zone":"a")"));
    cache.set_node(labelled_node("b1", R"("zone":"b")"));
  }
  void put(const std::string& node, const std::string& labels = web,
           const std::string& name_space = "default", const std::string& metadata = "") {
    cache.assume(labelled_pod("web" + std::to_string(count++), labels, name_space, metadata), node);
  }
};

const std::string refused = "node(s) didn't match pod topology spread constraints";

}  // namespace

TEST_CASE("no domain gets further ahead of the emptiest than maxSkew") {
  Zones zones;
  zones.put("a1");
  CHECK(place(spread(constraint()), zones.cache).node == "b1");
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  CHECK(message_of(spread(constraint()), zones.cache) ==
        "0/2 nodes are available: 1 " + refused + ", 1 node(s) were unschedulable.");
  CHECK(place(spread(constraint()), zones.cache).heeds_pods);
  CHECK(place(spread(constraint("", 2)), zones.cache).node == "a1");
  CHECK(place(spread(constraint("", 1, "zone", "ScheduleAnyway")), zones.cache).node == "a1");
  zones.put("b1");
  CHECK(place(spread(constraint()), zones.cache).node == "a1");
}

TEST_CASE("a Pod that its own constraint does not count adds nothing to the skew") {
  Zones zones;
  zones.put("a1");
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  CHECK(place(spread(constraint(), R"("app":"other")"), zones.cache).node == "a1");
  zones.put("a1");
  CHECK_FALSE(place(spread(constraint(), R"("app":"other")"), zones.cache).node);
}

TEST_CASE("only Pods of the same namespace that are not being deleted count") {
  Zones zones;
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  zones.put("a1", web, "elsewhere");
  zones.put("a1", R"("app":"other")");
  zones.put("a1", web, "default", R"("deletionTimestamp":"2026-01-01T00:00:00Z")");
  CHECK(place(spread(constraint()), zones.cache).node == "a1");
  zones.put("a1");
  CHECK_FALSE(place(spread(constraint()), zones.cache).node);
}

TEST_CASE("a selector that takes everything counts nothing, an absent one nobody") {
  Zones zones;
  zones.put("a1");
  zones.put("a1");
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  CHECK(place(spread(constraint("", 1, "zone", "DoNotSchedule", "")), zones.cache).node == "a1");
  const std::string none = R"({"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"})";
  CHECK(place(spread(none), zones.cache).node == "a1");
}

TEST_CASE("a node without the topology key is no place, and does not count as a domain") {
  Zones zones;
  zones.cache.set_node(node("c1"));
  zones.put("a1");
  zones.put("b1");
  zones.put("a1");
  CHECK(place(spread(constraint()), zones.cache).node == "b1");
  zones.put("c1");
  zones.put("c1");
  CHECK(place(spread(constraint()), zones.cache).node == "b1");
  CHECK(message_of(spread(constraint("", 1, "rack")), zones.cache) ==
        "0/3 nodes are available: 3 " + refused + " (missing required label).");
}

TEST_CASE("with fewer domains than minDomains, the missing ones count as empty") {
  Zones zones;
  zones.put("a1");
  zones.put("b1");
  CHECK(place(spread(constraint(R"(,"minDomains":2)")), zones.cache).node);
  CHECK(message_of(spread(constraint(R"(,"minDomains":3)")), zones.cache) ==
        "0/2 nodes are available: 2 " + refused + ".");
}

TEST_CASE("nodes that the Pod may not choose count only when the affinity policy is Ignore") {
  Zones zones;  // zone b is empty, but the Pod wants zone a
  zones.put("a1");
  const std::string wants_a = R"("nodeSelector":{"zone":"a"},)";
  CHECK(place(spread(constraint(), web, wants_a), zones.cache).node == "a1");
  CHECK(place(spread(constraint(R"(,"nodeAffinityPolicy":"Honor")"), web, wants_a), zones.cache).node ==
        "a1");
  CHECK_FALSE(place(spread(constraint(R"(,"nodeAffinityPolicy":"Ignore")"), web, wants_a), zones.cache).node);
}

TEST_CASE("nodes with taints that the Pod does not tolerate count unless the taints policy is Honor") {
  Zones zones;
  zones.put("a1");
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")",
                                     R"("spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})"));
  CHECK_FALSE(place(spread(constraint()), zones.cache).node);
  CHECK_FALSE(place(spread(constraint(R"(,"nodeTaintsPolicy":"Ignore")")), zones.cache).node);
  CHECK(place(spread(constraint(R"(,"nodeTaintsPolicy":"Honor")")), zones.cache).node == "a1");
}

TEST_CASE("matchLabelKeys spread each revision by itself") {
  Zones zones;
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  zones.put("a1", web + R"(,"rev":"1")");
  const std::string keys = R"(,"matchLabelKeys":["rev"])";
  CHECK(place(spread(constraint(keys), web + R"(,"rev":"2")"), zones.cache).node == "a1");
  CHECK_FALSE(place(spread(constraint(keys), web + R"(,"rev":"1")"), zones.cache).node);
}

TEST_CASE("several constraints hold all at once") {
  Zones zones;
  zones.cache.set_node(labelled_node("a2", R"("zone":"a")"));
  zones.put("a1");
  zones.put("b1");
  const std::string both = constraint() + "," + constraint("", 1, "kubernetes.io/hostname");
  CHECK(place(spread(both), zones.cache).node == "a2");
}
