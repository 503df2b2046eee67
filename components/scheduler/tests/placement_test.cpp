#include "objects.h"

namespace {

std::string cpu_spec(const std::string& cpu) { return R"({"containers":[{"name":"c","resources":{"requests":{"cpu":")" + cpu + R"("}}}]})"; }

}  // namespace

TEST_CASE("a Pod goes where there is room, and the message says why it goes nowhere") {
  Cache cache;
  CHECK(place(pod("p"), cache).message == "no nodes available to schedule pods");
  cache.set_node(node("a", "", "1"));
  cache.set_node(node("b", "", "4"));
  CHECK(place(pod("p", cpu_spec("2")), cache).node == "b");
  CHECK(place(pod("p", cpu_spec("8")), cache).message == "0/2 nodes are available: 2 Insufficient cpu.");
}

TEST_CASE("an assumed Pod takes its room at once, and gives it back when it is forgotten") {
  Cache cache;
  cache.set_node(node("a", "", "1"));
  const Document first = pod("first", cpu_spec("800m")), second = pod("second", cpu_spec("800m"));
  cache.assume(first, "a");
  CHECK_FALSE(place(second, cache).node);
  cache.forget(first);
  CHECK(place(second, cache).node == "a");
}

TEST_CASE("taints keep Pods away that do not tolerate them") {
  Cache cache;
  cache.set_node(node("a", R"("spec":{"taints":[{"key":"dedicated","value":"db","effect":"NoSchedule"}]})"));
  CHECK(place(pod("p"), cache).message == "0/1 nodes are available: 1 node(s) had untolerated taint(s) {dedicated: db}.");
  CHECK(place(pod("p", R"({"containers":[{"name":"c"}],"tolerations":[{"key":"dedicated","operator":"Exists"}]})"), cache).node == "a");
}

TEST_CASE("a cordoned node, a node selector and required affinity are obeyed") {
  Cache cache;
  cache.set_node(node("a", R"("spec":{"unschedulable":true})"));
  CHECK(place(pod("p"), cache).message == "0/1 nodes are available: 1 node(s) were unschedulable.");
  cache.set_node(node("b"));
  CHECK(place(pod("p", R"({"containers":[{"name":"c"}],"nodeSelector":{"kubernetes.io/hostname":"c"}})"), cache).message.find("didn't match Pod's node affinity/selector") != std::string::npos);
  CHECK(place(pod("p", R"({"containers":[{"name":"c"}],"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"kubernetes.io/hostname","operator":"In","values":["b"]}]}]}}}})"), cache).node == "b");
}

TEST_CASE("requests are the containers' sum or the largest init container, sidecars counted throughout") {
  const Document document = pod("p", R"({"containers":[{"name":"a","resources":{"requests":{"cpu":"100m"}}},{"name":"b","resources":{"requests":{"cpu":"200m"}}}],
    "initContainers":[{"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"50m"}}},{"name":"i","resources":{"requests":{"cpu":"500m"}}}]})");
  CHECK(pod_requests(Pod(&document.root()))["cpu"] == 550);
}

TEST_CASE("among equals, nodes take turns") {
  Cache cache;
  cache.set_node(node("a"));
  cache.set_node(node("b"));
  const auto plugins = default_plugins();
  const Document document = pod("p");
  CHECK(place_pod(Pod(&document.root()), cache, plugins, 0).node != place_pod(Pod(&document.root()), cache, plugins, 1).node);
}
