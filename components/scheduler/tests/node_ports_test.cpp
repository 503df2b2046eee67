#include "objects.h"

namespace {

Document with_port(const std::string& name, const std::string& port) {
  return pod(name, R"({"containers":[{"name":"c","ports":[{"containerPort":80,)" + port + "}]}]}");
}

const std::string refused =
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";

bool fit_together(const std::string& one, const std::string& other) {
  Cache cache;
  cache.set_node(node("a"));
  cache.assume(with_port("one", one), "a");
  return place(with_port("other", other), cache).node.has_value();
}

}  // namespace

TEST_CASE("a host port is one Pod's on a node, until it goes") {
  Cache cache;
  cache.set_node(node("a"));
  const Document first = with_port("first", R"("hostPort":8080)"),
                 second = with_port("second", R"("hostPort":8080)");
  cache.assume(first, "a");
  CHECK(message_of(second, cache) == refused);
  CHECK(place(with_port("none", R"("name":"http")"), cache).node == "a");
  cache.set_node(node("b"));
  CHECK(place(second, cache).node == "b");
  cache.remove_node("b");
  cache.remove_pod(first);
  CHECK(place(second, cache).node == "a");
}

TEST_CASE("host ports conflict by number, protocol and address, where no address is every address") {
  CHECK_FALSE(fit_together(R"("hostPort":80)", R"("hostPort":80,"protocol":"TCP")"));
  CHECK(fit_together(R"("hostPort":80)", R"("hostPort":81)"));
  CHECK(fit_together(R"("hostPort":80)", R"("hostPort":80,"protocol":"UDP")"));
  CHECK(fit_together(R"("hostPort":80,"hostIP":"127.0.0.1")", R"("hostPort":80,"hostIP":"127.0.0.2")"));
  CHECK_FALSE(fit_together(R"("hostPort":80,"hostIP":"127.0.0.1")", R"("hostPort":80,"hostIP":"127.0.0.1")"));
  CHECK_FALSE(fit_together(R"("hostPort":80,"hostIP":"127.0.0.1")", R"("hostPort":80)"));
  CHECK_FALSE(fit_together(R"("hostPort":80,"hostIP":"0.0.0.0")", R"("hostPort":80,"hostIP":"127.0.0.1")"));
}

TEST_CASE("a sidecar's host port counts, an ordinary init container's does not") {
  Cache cache;
  cache.set_node(node("a"));
  auto with_init = [](const std::string& name, const std::string& rest) {
    return pod(name, R"({"containers":[{"name":"c"}],"initContainers":[{"name":"i",)" + rest +
                         R"("ports":[{"containerPort":80,"hostPort":80}]}]})");
  };
  cache.assume(with_init("init", ""), "a");
  const Document sidecar = with_init("sidecar", R"("restartPolicy":"Always",)");
  CHECK(place(sidecar, cache).node == "a");
  cache.assume(sidecar, "a");
  CHECK(message_of(with_port("p", R"("hostPort":80)"), cache) == refused);
}

TEST_CASE("of two Pods that were put on one port by others, one that goes leaves it taken") {
  Cache cache;
  cache.set_node(node("a"));
  const Document first = with_port("first", R"("hostPort":80)");
  cache.assume(first, "a");
  cache.assume(with_port("second", R"("hostPort":80)"), "a");
  cache.remove_pod(first);
  CHECK(message_of(with_port("third", R"("hostPort":80)"), cache) == refused);
}
