#include "objects.h"

namespace {

std::string affinity(const std::string& kind, const std::string& terms) {
  return R"("affinity":{")" + kind + R"(":{"requiredDuringSchedulingIgnoredDuringExecution":[)" + terms +
         "]}}";
}
std::string term(const std::string& labels, const std::string& key, const std::string& rest = "") {
  return R"({"labelSelector":{"matchLabels":{)" + labels + R"(}},"topologyKey":")" + key + '"' + rest + "}";
}
std::string near(const std::string& labels, const std::string& key = "zone", const std::string& rest = "") {
  return affinity("podAffinity", term(labels, key, rest));
}
std::string away_from(const std::string& labels, const std::string& key = "zone",
                      const std::string& rest = "") {
  return affinity("podAntiAffinity", term(labels, key, rest));
}

const std::string web = R"("app":"web")", db = R"("app":"db")";
const std::string no_affinity = "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.";

// Two nodes in zone a, one in zone b.
struct Zones {
  Cache cache;
  Zones() {
    cache.set_node(labelled_node("a1", R"("zone":"a")"));
    cache.set_node(labelled_node("a2", R"("zone":"a")"));
    cache.set_node(labelled_node("b1", R"("zone":"b")"));
  }
};

}  // namespace

TEST_CASE("required affinity goes where a matching Pod's topology domain is") {
  Zones zones;
  CHECK(message_of(pod_with("p", near(db)), zones.cache) == no_affinity);
  zones.cache.assume(labelled_pod("db", db), "b1");
  CHECK(place(pod_with("p", near(db)), zones.cache).node == "b1");
  // A domain is more than the matching Pod's own node.
  zones.cache.remove_pod(labelled_pod("db", db));
  zones.cache.assume(labelled_pod("db", db), "a1");
  zones.cache.set_node(labelled_node("a1", R"("zone":"a")", R"("spec":{"unschedulable":true})"));
  CHECK(place(pod_with("p", near(db)), zones.cache).node == "a2");
}

TEST_CASE("all terms of affinity are to be matched by one and the same Pod") {
  Zones zones;
  zones.cache.assume(labelled_pod("db", db), "a1");
  zones.cache.assume(labelled_pod("fast", R"("disk":"fast")"), "a1");
  const std::string both = affinity("podAffinity", term(db, "zone") + "," + term(R"("disk":"fast")", "zone"));
  CHECK(message_of(pod_with("p", both), zones.cache) == no_affinity);
  zones.cache.assume(labelled_pod("fast-db", db + R"(,"disk":"fast")"), "b1");
  CHECK(place(pod_with("p", both), zones.cache).node == "b1");
}

TEST_CASE("the first Pod of a group that wants to be together may begin anywhere with the topology key") {
  Zones zones;
  CHECK(place(pod_with("p", near(web, "rack"), web), zones.cache).message == no_affinity);
  CHECK(place(pod_with("p", near(web), web), zones.cache).node);
  CHECK(message_of(pod_with("p", near(web), db), zones.cache) == no_affinity);  // it is not one of them
  zones.cache.assume(labelled_pod("web", web), "b1");
  CHECK(place(pod_with("p", near(web), web), zones.cache).node == "b1");  // nor the first any more
}

TEST_CASE(
    "required anti-affinity stays out of a matching Pod's topology domain, and a node without the key is in "
    "none") {
  Zones zones;
  zones.cache.assume(labelled_pod("web", web), "a1");
  CHECK(place(pod_with("p", away_from(web)), zones.cache).node == "b1");
  CHECK(place(pod_with("p", away_from(web, "kubernetes.io/hostname")), zones.cache).node != "a1");
  zones.cache.assume(labelled_pod("web2", web), "b1");
  CHECK(message_of(pod_with("p", away_from(web)), zones.cache) ==
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.");
  CHECK(place(pod_with("p", away_from(web)), zones.cache).heeds_pods);
  zones.cache.set_node(node("c1"));
  CHECK(place(pod_with("p", away_from(web)), zones.cache).node == "c1");
}

TEST_CASE("a Pod's anti-affinity keeps away those that come later, until it goes") {
  Zones zones;
  const Document loner = pod_with("loner", away_from(web), R"("app":"loner")");
  zones.cache.assume(loner, "a1");
  CHECK(place(labelled_pod("p", web), zones.cache).node == "b1");
  CHECK(place(labelled_pod("p", db), zones.cache).node);
  zones.cache.assume(pod_with("loner2", away_from(web)), "b1");
  CHECK(message_of(labelled_pod("p", web), zones.cache) ==
        "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.");
  zones.cache.remove_pod(loner);
  CHECK(place(labelled_pod("p", web), zones.cache).node->starts_with("a"));
}

TEST_CASE("a term without namespaces means the Pod's own, one with names or a selector those") {
  Zones zones;
  zones.cache.set_namespace(name_space("default", ""));
  zones.cache.set_namespace(name_space("prod", R"("stage":"prod")"));
  zones.cache.assume(labelled_pod("db", db, "prod"), "b1");
  auto goes = [&](const std::string& rest) {
    return place(pod_with("p", near(db, "zone", rest)), zones.cache).node == "b1";
  };
  CHECK_FALSE(goes(""));
  CHECK(goes(R"(,"namespaces":["prod"])"));
  CHECK_FALSE(goes(R"(,"namespaces":["test"])"));
  CHECK(goes(R"(,"namespaceSelector":{})"));
  CHECK(goes(R"(,"namespaceSelector":{"matchLabels":{"stage":"prod"}})"));
  CHECK_FALSE(goes(R"(,"namespaceSelector":{"matchLabels":{"stage":"test"}})"));
  CHECK(goes(R"(,"namespaces":["prod"],"namespaceSelector":{"matchLabels":{"stage":"test"}})"));
  zones.cache.set_namespace(name_space("prod", R"("stage":"test")"));
  CHECK(goes(R"(,"namespaceSelector":{"matchLabels":{"stage":"test"}})"));
  zones.cache.remove_namespace("prod");
  CHECK_FALSE(goes(R"(,"namespaceSelector":{"matchLabels":{"stage":"test"}})"));
  // The same for a Pod that is there and keeps others away.
  zones.cache.set_namespace(name_space("prod", R"("stage":"prod")"));
  zones.cache.assume(
      pod_with("loner", away_from(web, "zone", R"(,"namespaceSelector":{"matchLabels":{"stage":"prod"}})")),
      "a1");
  CHECK(place(labelled_pod("p", web, "prod"), zones.cache).node == "b1");
  zones.cache.set_node(labelled_node("b1", R"("zone":"b")", R"("spec":{"unschedulable":true})"));
  CHECK_FALSE(place(labelled_pod("p", web, "prod"), zones.cache).node);
  CHECK(place(labelled_pod("p", web), zones.cache).node);
}

TEST_CASE("matchLabelKeys and mismatchLabelKeys compare with the Pod's own labels") {
  Zones zones;
  zones.cache.assume(labelled_pod("old", web + R"(,"rev":"1")"), "b1");
  const std::string same = R"(,"matchLabelKeys":["rev"])", other = R"(,"mismatchLabelKeys":["rev"])";
  CHECK(place(pod_with("p", near(web, "zone", same), R"("rev":"1")"), zones.cache).node == "b1");
  CHECK_FALSE(place(pod_with("p", near(web, "zone", same), R"("rev":"2")"), zones.cache).node);
  CHECK_FALSE(place(pod_with("p", near(web, "zone", other), R"("rev":"1")"), zones.cache).node);
  CHECK(place(pod_with("p", near(web, "zone", other), R"("rev":"2")"), zones.cache).node == "b1");
}

TEST_CASE("preferred terms keep no Pod away") {
  Zones zones;
  const std::string wish =
      R"("affinity":{"podAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":)" +
      term(db, "zone") + "}]}}";
  CHECK(place(pod_with("p", wish), zones.cache).node);
}
