#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/task.h"

#include "kubelet/node/cgroups.h"
#include "kubelet/node/housekeeping.h"
#include "kubelet/node/ip_pool.h"
#include "kubelet/node/node_status.h"
#include "kubelet/node/pod_network.h"
#include "kubelet/node/routes.h"
#include "network/masquerade.h"
#include "network/netlink.h"
#include "network/pod_link.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
namespace fs = std::filesystem;

namespace {

NodeInput input() {
  NodeInput out;
  out.machine.cpus = 4;
  out.machine.memory_bytes = 16LL << 30;
  out.machine.architecture = "amd64";
  out.load.memory_available_bytes = 8LL << 30;
  out.load.disk_capacity_bytes = 100LL << 30;
  out.load.disk_available_bytes = 50LL << 30;
  out.runtime_version = "podman://4.3.1";
  out.kubelet_port = 10250;
  out.now_us = 1'700'000'000'000'000;
  return out;
}

KubeletOptions options() {
  KubeletOptions out;
  out.node_name = "n1";
  out.node_ip = "10.213.0.2";
  out.labels = {{"zone", "a"}};
  return out;
}

core_v1::NodeCondition condition(const Document& node, std::string_view type) {
  for (const auto one : core_v1::Node(&node.root()).status().conditions())
    if (one.type() == type) return one;
  return {};
}

struct Folder {
  fs::path path = fs::temp_directory_path() / ("kubelet-node-test-" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a new Node says what it is and what it has") {
  const auto node = new_node(options(), input());
  const core_v1::Node view(&node.root());
  CHECK(view.metadata().labels().get("kubernetes.io/hostname") == "n1");
  CHECK(view.metadata().labels().get("zone") == "a");
  CHECK(view.status().capacity().get("cpu") == "4");
  CHECK(view.status().capacity().get("memory") == "16Gi");
  CHECK(view.status().capacity().get("pods") == "110");
  CHECK(view.status().addresses()[0].address() == "10.213.0.2");
  CHECK(view.status().nodeInfo().kubeletVersion() == "v1.35.4");
  CHECK(view.status().nodeInfo().containerRuntimeVersion() == "podman://4.3.1");
  CHECK(view.status().daemonEndpoints().kubeletEndpoint().Port() == 10250);
  CHECK(condition(node, "Ready").status() == "True");
  CHECK(condition(node, "DiskPressure").status() == "False");
}

TEST_CASE("allocatable is capacity without what is reserved") {
  auto given = options();
  given.reserved = {{"cpu", "500m"}, {"memory", "1Gi"}};
  const auto allocatable = node_allocatable(given, input());
  CHECK(allocatable.at("cpu") == "3500m");
  CHECK(allocatable.at("memory") == "15Gi");
}

TEST_CASE("a heartbeat alone is no change; a condition keeps its transition time until it turns") {
  const auto before = new_node(options(), input());
  auto later = input();
  later.now_us += 60'000'000;
  const auto same = with_status(before, options(), later);
  CHECK(is_same_but_heartbeats(before, same));
  CHECK(condition(same, "Ready").lastHeartbeatTime() == later.now_us);
  CHECK(condition(same, "Ready").lastTransitionTime() == input().now_us);
  later.not_ready = "container runtime is down";
  const auto down = with_status(same, options(), later);
  CHECK_FALSE(is_same_but_heartbeats(same, down));
  CHECK(condition(down, "Ready").status() == "False");
  CHECK(condition(down, "Ready").reason() == "KubeletNotReady");
  CHECK(condition(down, "Ready").lastTransitionTime() == later.now_us);
}

TEST_CASE("scarce memory and disk are pressure") {
  auto scarce = input();
  scarce.load.memory_available_bytes = 50 << 20;
  scarce.load.disk_available_bytes = 1LL << 30;
  const auto node = new_node(options(), scarce);
  CHECK(condition(node, "MemoryPressure").status() == "True");
  CHECK(condition(node, "DiskPressure").status() == "True");
  CHECK(condition(node, "PIDPressure").status() == "False");
}

TEST_CASE("labels that somebody removed come back, others stay") {
  const auto node = client::ObjectBuilder::from_json(core_v1::Node::schema_type(),
      R"({"metadata":{"name":"n1","labels":{"mine":"x"},"annotations":{"volumes.kubernetes.io/controller-managed-attach-detach":"true"}}})");
  const auto fixed = with_labels(node, options(), input().machine);
  const core_v1::Node view(&fixed.root());
  CHECK(view.metadata().labels().get("mine") == "x");
  CHECK(view.metadata().labels().get("kubernetes.io/os") == "linux");
  CHECK(with_labels(fixed, options(), input().machine).is_same(fixed));
}

TEST_CASE("Pods get different addresses, and a freed one is not given out at once") {
  IpPool pool;
  CHECK_FALSE(pool.allocate("a"));
  REQUIRE(pool.set_cidrs({"10.0.0.0/29"}));
  CHECK(pool.allocate("a")->front() == "10.0.0.2");
  CHECK(pool.allocate("a")->front() == "10.0.0.2");
  CHECK(pool.allocate("b")->front() == "10.0.0.3");
  pool.release("a");
  CHECK(pool.allocate("c")->front() == "10.0.0.4");
  CHECK(pool.allocate("d")->front() == "10.0.0.5");
  CHECK(pool.allocate("e")->front() == "10.0.0.6");
  CHECK(pool.allocate("f")->front() == "10.0.0.2");
  const auto full = pool.allocate("g");
  REQUIRE_FALSE(full);
  CHECK(full.error().message == "no IP addresses available in range 10.0.0.0/29");
}

TEST_CASE("addresses of running sandboxes are taken, and one address has one Pod") {
  IpPool pool;
  REQUIRE(pool.adopt("a", {"10.0.0.2"}));
  REQUIRE(pool.adopt("a", {"10.0.0.2"}));
  CHECK_FALSE(pool.adopt("b", {"10.0.0.2"}));
  REQUIRE(pool.set_cidrs({"10.0.0.0/24"}));
  CHECK(pool.allocate("c")->front() == "10.0.0.3");
  CHECK(pool.addresses_of("a") == std::vector<std::string>{"10.0.0.2"});
}

TEST_CASE("a node has a route to each other node's Pods of the same family") {
  const auto node = [](const std::string& name, const std::string& ip, const std::string& cidrs) {
    return client::ObjectBuilder::from_json(core_v1::Node::schema_type(),
        R"({"metadata":{"name":")" + name + R"("},"spec":{"podCIDRs":[)" + cidrs + R"(]},"status":{"addresses":[{"type":"InternalIP","address":")" + ip + R"("}]}})");
  };
  const auto routes = routes_to({node("n1", "10.213.0.2", R"("10.1.0.0/24")"), node("n2", "10.213.0.3", R"("10.1.1.0/24","fd00:1::/64")"),
                                 node("n3", "10.213.0.4", "")}, "n1");
  REQUIRE(routes.size() == 1);
  CHECK(routes[0].destination.to_string() == "10.1.1.0/24");
  CHECK(routes[0].gateway.to_string() == "10.213.0.3");
}

TEST_CASE("a long log is rotated and its writer goes on in the same file") {
  Folder folder;
  const auto log = (folder.path / "0.log").string();
  const int writer = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0640);
  const auto write = [&](const std::string& text) { REQUIRE(::write(writer, text.data(), text.size()) == static_cast<ssize_t>(text.size())); };
  write("first\n");
  CHECK_FALSE(*rotate_log(log, 100, 3));
  write(std::string(200, 'a'));
  CHECK(*rotate_log(log, 100, 3));
  CHECK(text_of(log + ".1") == "first\n" + std::string(200, 'a'));
  CHECK(text_of(log).empty());
  write(std::string(200, 'b'));
  CHECK(*rotate_log(log, 100, 3));
  write(std::string(200, 'c'));
  CHECK(*rotate_log(log, 100, 3));
  CHECK(text_of(log + ".1") == std::string(200, 'c'));
  CHECK(text_of(log + ".2") == std::string(200, 'b'));
  CHECK_FALSE(fs::exists(log + ".3"));
  write("end\n");
  CHECK(text_of(log) == "end\n");
  ::close(writer);
}

TEST_CASE("cgroups of v2 get the Pod's limits, and children are listed") {
  Folder folder;
  std::ofstream(folder.path / "cgroup.controllers") << "cpu memory pids\n";
  const Cgroups cgroups(folder.path.string());
  CHECK(cgroups.is_v2());
  PodResources resources;
  resources.milli_cpu_request = 500;
  resources.milli_cpu_limit = 1000;
  resources.memory_limit_bytes = 1 << 20;
  REQUIRE(cgroups.ensure_pod("/kubepods/burstable/podu1", resources));
  const auto group = folder.path / "kubepods/burstable/podu1";
  CHECK(text_of(group / "cpu.max") == "100000 100000");
  CHECK(text_of(group / "memory.max") == "1048576");
  CHECK(text_of(group / "cpu.weight") == "20");
  CHECK(cgroups.children("/kubepods/burstable") == std::vector<std::string>{"podu1"});
}

namespace {
Task<> wire_and_unwire(PodNetwork& pods, std::string pod_path, Result<void>& started, Result<void>& wired, std::vector<std::string>& ids,
                       std::string& address) {
  started = co_await pods.start();
  if (!started) co_return;
  CHECK(pods.not_ready() == "the node has no Pod CIDR yet");
  started = co_await pods.set_pod_cidrs({"10.99.0.0/24"});
  if (!started) co_return;
  CHECK(pods.not_ready().empty());
  auto addresses = pods.pool().allocate("u1");
  address = addresses->front();
  wired = co_await pods.wire("u1", *addresses, pod_path);
  if (!wired) co_return;
  auto again = co_await pods.wire("u1", *addresses, pod_path);
  CHECK(again);
  auto present = co_await pods.wired();
  if (present) ids = *present;
  auto unwired = co_await pods.unwire("u1");
  CHECK(unwired);
  auto left = co_await pods.wired();
  CHECK((left && left->empty()));
}
}  // namespace

TEST_CASE("a Pod is wired to the node's namespace and unwired again (needs root)") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: needs root to make network namespaces");
    return;
  }
  const auto node = network::NetworkNamespace::create();
  const auto pod = network::NetworkNamespace::create();
  REQUIRE(node);
  REQUIRE(pod);
  auto given = options();
  given.cluster = "kubelet-test";
  given.netns_path = "/proc/self/fd/" + std::to_string(node->fd());
  given.uplink = "lo";
  given.cluster_cidrs = {"10.99.0.0/16"};
  EventThread thread("network-test");
  PodNetwork pods(given);
  Result<void> started = internal_error("not run"), wired = internal_error("not run");
  std::vector<std::string> ids;
  std::string address;
  run_blocking(thread.executor(), wire_and_unwire(pods, "/proc/self/fd/" + std::to_string(pod->fd()), started, wired, ids, address));
  REQUIRE(started);
  REQUIRE(wired);
  CHECK(ids == std::vector<std::string>{"u1"});
  CHECK(address == "10.99.0.2");
  CHECK(*network::has_masquerade(*node, "kubelet-test"));
  CHECK(port_of(-1) == 0);
}
