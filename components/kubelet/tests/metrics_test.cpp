#include "kubelet/server/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "certs/certificate.h"
#include "fake_api.h"
#include "fake_runtime.h"
#include "http/client.h"
#include "kubelet/container/resources.h"
#include "kubelet/server/server.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;
namespace fs = std::filesystem;

namespace {

// A folder in the place of /sys/fs/cgroup or /proc.
class Tree {
 public:
  explicit Tree(const std::string& first = {}) {
    char name[] = "/tmp/rusternetes-metrics-XXXXXX";
    root_ = ::mkdtemp(name);
    if (!first.empty()) write(first, "cpu memory\n");
  }
  ~Tree() { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const fs::path at = root_ / fs::path(path).relative_path();
    fs::create_directories(at.parent_path());
    std::ofstream(at) << text;
  }
  std::string path(const std::string& below = "") const { return (root_ / below).string(); }

 private:
  fs::path root_;
};

constexpr const char* kNetDev =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
    "    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0\n"
    "  eth0: 1234567    1000    3    0    0     0          0         0   7654321    2000    4    0    0     0       0          0\n";

void write_machine(Tree& proc) {
  proc.write("stat", "cpu  100 0 200 5000 10 3 4 5 0 0\nbtime 1700000000\n");
  proc.write("meminfo", "MemTotal:  1000 kB\nMemFree:  400 kB\nInactive(file):  100 kB\nAnonPages:  50 kB\nSwapTotal:  0 kB\nSwapFree:  0 kB\n");
  proc.write("vmstat", "pgfault 77\npgmajfault 8\n");
  proc.write("thread-self/net/dev", kNetDev);
}

void write_group(Tree& cgroups, const std::string& path, std::uint64_t cpu_usec) {
  cgroups.write(path + "/cpu.stat", "usage_usec " + std::to_string(cpu_usec) + "\nuser_usec 1\n");
  cgroups.write(path + "/memory.current", "5000000\n");
  cgroups.write(path + "/memory.stat", "anon 3000000\ninactive_file 1000000\npgfault 11\npgmajfault 2\n");
  cgroups.write(path + "/memory.max", "max\n");
}

// Pod default/web with container "a" (process 41) in its own network (sandbox process 40), on cgroup v2.
struct Node {
  Node() {
    options.node_name = "n1";
    options.root_dir = options.log_dir = "/tmp";
    write_machine(proc);
    pod = make_pod(R"({"containers":[{"name":"a","image":"i"}]})", R"({"startTime":"2026-01-02T03:04:05Z"})");
    pod_path = pod_cgroup("", pod_view(pod));
    write_group(cgroups, pod_path, 9'000'000);
    write_group(cgroups, pod_path + "/c1", 2'000'000);
    proc.write("41/cgroup", "0::" + pod_path + "/c1\n");
    proc.write("40/net/dev", kNetDev);
    engine::SandboxStatus sandbox = ready_sandbox();
    sandbox.name = "web";
    sandbox.namespace_name = "default";
    sandbox.uid = "u1";
    sandbox.pid = 40;
    runtime.sandboxes["s1"] = sandbox;
    engine::ContainerStatus running = container("a", ContainerState::running);
    running.id = "c1";
    running.pid = 41;
    runtime.containers["c1"] = running;
    engine::ContainerStatus ended = container("b", ContainerState::exited);
    ended.id = "c2";
    runtime.containers["c2"] = ended;
  }
  ~Node() { thread.stop(); }
  MetricsEndpoints::Answer get(std::vector<std::string> path, std::map<std::string, std::string> query = {}) {
    MetricsEndpoints::Answer out;
    run_blocking(thread.executor(), ask(std::move(path), std::move(query), out));
    return out;
  }
  Task<> ask(std::vector<std::string> path, std::map<std::string, std::string> query, MetricsEndpoints::Answer& out) {
    out = co_await endpoints.answer(std::move(path), std::move(query));
  }
  Task<> collect(Summary& out) {
    auto collected = co_await source.collect();
    REQUIRE(collected);
    out = *std::move(collected);
  }
  Summary summary() {
    Summary out;
    run_blocking(thread.executor(), collect(out));
    return out;
  }

  Tree cgroups{"cgroup.controllers"}, proc;
  KubeletOptions options;
  Document pod;
  std::string pod_path;
  EventThread thread{"metrics-test"};
  FakeRuntime runtime{thread.executor()};
  WorkerThread files{"files"};
  MetricsEndpoints::Parts parts{options, runtime, files, [this] { return std::vector<Document>{pod}; }, UsageReader(cgroups.path(), proc.path())};
  MetricsEndpoints endpoints{parts};
  SummarySource source{parts};
};

bool has(const std::string& text, const std::string& piece) { return text.find(piece) != std::string::npos; }

}  // namespace

TEST_CASE("interfaces are read without the loopback") {
  const auto all = parse_interfaces(kNetDev);
  REQUIRE(all.size() == 1);
  CHECK(all[0].name == "eth0");
  CHECK(all[0].rx_bytes == 1234567);
  CHECK(all[0].rx_errors == 3);
  CHECK(all[0].tx_bytes == 7654321);
  CHECK(all[0].tx_errors == 4);
  CHECK(parse_interfaces("").empty());
  CHECK(parse_interfaces("eth0: 1 2").empty());  // cut off
}

TEST_CASE("a group of cgroup v2: what is not used lately is no part of the working set, and max is no limit") {
  Tree cgroups, proc;
  cgroups.write("cgroup.controllers", "cpu memory\n");
  write_group(cgroups, "kubepods/x", 12);
  const UsageReader reader(cgroups.path(), proc.path());
  const Usage usage = reader.group("/kubepods/x");
  CHECK(usage.cpu_ns == 12'000u);
  CHECK(usage.memory_bytes == 5'000'000u);
  CHECK(usage.working_set_bytes == 4'000'000u);
  CHECK(usage.rss_bytes == 3'000'000u);
  CHECK(usage.page_faults == 11u);
  CHECK(usage.major_page_faults == 2u);
  CHECK_FALSE(usage.memory_limit_bytes);
  CHECK_FALSE(usage.swap_bytes);
  cgroups.write("kubepods/x/memory.max", "6000000\n");
  CHECK(reader.group("/kubepods/x").memory_limit_bytes == 6'000'000u);
  CHECK_FALSE(reader.group("/absent").cpu_ns);
  CHECK_FALSE(reader.group("/absent").working_set_bytes);
}

TEST_CASE("a process' groups of cgroup v1 may have another path in every hierarchy") {
  Tree cgroups, proc;
  proc.write("7/cgroup", "9:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/u\n");
  cgroups.write("cpuacct/c/cpuacct.usage", "345\n");
  cgroups.write("memory/m/memory.usage_in_bytes", "4096\n");
  cgroups.write("memory/m/memory.stat", "inactive_file 1\ntotal_inactive_file 8192\ntotal_rss 9\ntotal_pgfault 3\ntotal_pgmajfault 1\n");
  cgroups.write("memory/m/memory.limit_in_bytes", "9223372036854771712\n");
  const Usage usage = UsageReader(cgroups.path(), proc.path()).process_group(7);
  CHECK(usage.cpu_ns == 345u);
  CHECK(usage.memory_bytes == 4096u);
  CHECK(usage.working_set_bytes == 0u);
  CHECK(usage.rss_bytes == 9u);
  CHECK(usage.page_faults == 3u);
  CHECK_FALSE(usage.memory_limit_bytes);
  CHECK_FALSE(UsageReader(cgroups.path(), proc.path()).process_group(8).cpu_ns);  // it has gone
}

TEST_CASE("the machine's own numbers come from /proc") {
  Tree cgroups, proc;
  write_machine(proc);
  const UsageReader reader(cgroups.path(), proc.path());
  const Usage usage = reader.machine();
  CHECK(usage.cpu_ns == 312ull * (1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK))));  // idle and iowait left away
  CHECK(usage.memory_bytes == 600u * 1024);
  CHECK(usage.working_set_bytes == 500u * 1024);
  CHECK(usage.memory_limit_bytes == 1000u * 1024);
  CHECK(usage.page_faults == 77u);
  CHECK(reader.boot_time_s() == 1'700'000'000);
}

TEST_CASE("this host's own processes have numbers, whichever cgroup version it has") {
  const UsageReader reader;
  const Usage machine = reader.machine();
  REQUIRE(machine.cpu_ns);
  CHECK(*machine.cpu_ns > 0);
  REQUIRE(machine.working_set_bytes);
  CHECK(*machine.working_set_bytes > 0);
  CHECK(*machine.working_set_bytes <= *machine.memory_limit_bytes);
  CHECK(reader.boot_time_s() > 1'000'000'000);
}

TEST_CASE("the summary tells what Pods and their running containers use") {
  Node node;
  const auto answer = node.get({"stats", "summary"});
  CHECK(answer.status == 200);
  CHECK(answer.type == "application/json");
  CAPTURE(answer.body);
  CHECK(has(answer.body, R"("nodeName":"n1")"));
  CHECK(has(answer.body, R"("podRef":{"name":"web","namespace":"default","uid":"u1"},"startTime":"2026-01-02T03:04:05Z")"));
  CHECK(has(answer.body, R"("containers":[{"name":"a","startTime":"2023-11-14T22:13:20Z","cpu":{)"));
  CHECK(has(answer.body, R"("usageCoreNanoSeconds":2000000000})"));
  CHECK(has(answer.body, R"("usageCoreNanoSeconds":9000000000})"));
  CHECK(has(answer.body, R"("usageBytes":5000000,"workingSetBytes":4000000,"rssBytes":3000000,"pageFaults":11,"majorPageFaults":2})"));
  CHECK(has(answer.body, R"("name":"eth0","rxBytes":1234567,"rxErrors":3,"txBytes":7654321,"txErrors":4,"interfaces":[{"name":"eth0")"));
  CHECK_FALSE(has(answer.body, R"("name":"b")"));
  const auto brief = node.get({"stats", "summary"}, {{"only_cpu_and_memory", "true"}});
  CHECK(has(brief.body, R"("workingSetBytes":4000000)"));
  CHECK_FALSE(has(brief.body, R"("network")"));
  CHECK_FALSE(has(brief.body, R"("fs")"));
}

TEST_CASE("the rate of processor time is that since the look before") {
  Node node;
  CHECK_FALSE(node.summary().pods.at(0).containers.at(0).consumption.cpu_nano_cores);  // there was none
  const auto began = std::chrono::steady_clock::now();
  write_group(node.cgroups, node.pod_path + "/c1", 4'000'000);  // 2 s of processor time more
  std::optional<std::uint64_t> rate;
  while (!rate && std::chrono::steady_clock::now() - began < std::chrono::seconds(20)) {
    rate = node.summary().pods.at(0).containers.at(0).consumption.cpu_nano_cores;
    if (!rate) run_blocking(node.thread.executor(), sleep_for(std::chrono::milliseconds(50)));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  REQUIRE(rate);
  CHECK(static_cast<double>(*rate) >= 2e9 / (seconds + 0.5));
  CHECK(static_cast<double>(*rate) <= 2e9);  // the rate of one second
  // Started anew: a rate below zero is none.
  write_group(node.cgroups, node.pod_path + "/c1", 1'000);
  CHECK_FALSE(node.summary().pods.at(0).containers.at(0).consumption.cpu_nano_cores);
}

TEST_CASE("what has ended leaves the summary") {
  Node node;
  CHECK(node.summary().pods.at(0).containers.size() == 1);
  node.runtime.containers["c1"].state = ContainerState::exited;
  CHECK(node.summary().pods.at(0).containers.empty());
  node.runtime.sandboxes["s1"].state = engine::SandboxState::not_ready;
  CHECK(node.summary().pods.empty());
}

TEST_CASE("a Pod with the node's network has none of its own in the summary") {
  Node node;
  node.runtime.sandboxes["s1"].network = engine::SandboxNetwork::host;
  CHECK_FALSE(node.summary().pods.at(0).interfaces);
}

TEST_CASE("/metrics/resource has the stable names of Kubernetes, with the time of the look") {
  Node node;
  const auto answer = node.get({"metrics", "resource"});
  CHECK(answer.status == 200);
  CAPTURE(answer.body);
  CHECK(has(answer.body, "\ncontainer_cpu_usage_seconds_total{container=\"a\",namespace=\"default\",pod=\"web\"} 2 1"));
  CHECK(has(answer.body, "\ncontainer_memory_working_set_bytes{container=\"a\",namespace=\"default\",pod=\"web\"} 4000000 1"));
  CHECK(has(answer.body, "\ncontainer_start_time_seconds{container=\"a\",namespace=\"default\",pod=\"web\"} 1700000000\n"));
  CHECK(has(answer.body, "\npod_cpu_usage_seconds_total{namespace=\"default\",pod=\"web\"} 9 1"));
  CHECK(has(answer.body, "\npod_memory_working_set_bytes{namespace=\"default\",pod=\"web\"} 4000000 1"));
  CHECK(has(answer.body, "\nnode_cpu_usage_seconds_total 3.12 1"));
  CHECK(has(answer.body, "\nnode_memory_working_set_bytes 512000 1"));
  CHECK(has(answer.body, "# TYPE node_cpu_usage_seconds_total counter\n"));
  CHECK(has(answer.body, "\nresource_scrape_error 0\n"));
  CHECK(has(failed_resource_metrics(), "\nresource_scrape_error 1\n"));
}

TEST_CASE("/runningpods shows what runs, whatever the API says") {
  Node node;
  const auto answer = node.get({"runningpods"});
  CHECK(answer.body == R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"web","namespace":"default","uid":"u1"},)"
                       R"("spec":{"containers":[{"name":"a","image":"sha256:1","resources":{}}]},"status":{}}]})");
}

TEST_CASE("the kubelet counts what it runs and what it is asked") {
  Node node;
  {
    ServerMetrics::Mark first(node.endpoints.server(), "GET", "/containerLogs/ns/pod/c?follow=true");
    CHECK(has(node.get({"metrics"}).body, "kubelet_http_inflight_requests{long_running=\"false\",method=\"GET\",path=\"containerLogs\",server_type=\"readwrite\"} 1\n"));
  }
  const auto answer = node.get({"metrics"});
  CAPTURE(answer.body);
  CHECK(has(answer.body, "\nkubelet_running_pods 1\n"));
  CHECK(has(answer.body, "\nkubelet_running_containers{container_state=\"running\"} 1\n"));
  CHECK(has(answer.body, "\nkubelet_running_containers{container_state=\"exited\"} 1\n"));
  CHECK(has(answer.body, "\nkubelet_node_name{node=\"n1\"} 1\n"));
  CHECK(has(answer.body, "kubelet_http_inflight_requests{long_running=\"false\",method=\"GET\",path=\"containerLogs\",server_type=\"readwrite\"} 0\n"));
  CHECK(has(answer.body, "kubelet_http_requests_total{long_running=\"false\",method=\"GET\",path=\"containerLogs\",server_type=\"readwrite\"} 1\n"));
  CHECK(has(answer.body, "\nprocess_resident_memory_bytes "));
  CHECK(counted_path("/metrics/resource") == "metrics/resource");
  CHECK(counted_path("/exec/a/b/c") == "exec");
  CHECK(counted_path("/what/ever") == "other");
}

namespace {

// The whole server, for who may ask what.
struct Served : Node {
  Served() {
    options.serving_certificate_pem = server_pair.certificate_pem;
    options.serving_key_pem = server_pair.key_pem;
    options.client_ca_pem = authority.certificate_pem;
    server = std::make_unique<KubeletServer>(KubeletServer::Parts{options, api, runtime, files, [](std::string_view, std::string_view) { return Document{}; },
                                                                  [this] { return std::vector<Document>{pod}; }, [] { return std::string("ok"); }});
    run_blocking(thread.executor(), begin());
  }
  ~Served() {
    run_blocking(thread.executor(), server->stop());
    server.reset();
  }
  Task<> begin() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(fd, 16) == 0);
    REQUIRE(server->start(fd));
    co_return;
  }
  int status(const std::string& target) {
    int out = 0;
    run_blocking(thread.executor(), fetch(target, out));
    return out;
  }
  Task<> fetch(std::string target, int& out) {
    http::Endpoint endpoint;
    endpoint.url = "https://127.0.0.1:" + std::to_string(server->port());
    endpoint.tls.ca_pem = authority.certificate_pem;
    endpoint.tls.certificate_chain_pem = client_pair.certificate_pem;
    endpoint.tls.private_key_pem = client_pair.key_pem;
    auto client = *http::Client::create(thread.executor(), endpoint);
    http::ClientRequest request;
    request.target = target;
    auto response = co_await client->send(request);
    REQUIRE(response);
    out = (*response)->head().status;
    body.clear();
    auto read = co_await (*response)->read_all(1 << 20);
    if (read) body = *read;
    client->close();
  }
  certs::KeyPair issue(const std::string& name, bool is_server) {
    certs::LeafRequest request;
    request.common_name = name;
    request.ip_addresses = {"127.0.0.1"};
    request.is_server = is_server;
    request.is_client = !is_server;
    return *certs::issue(authority, request, Clock::system().now());
  }
  certs::KeyPair authority = *certs::make_authority({.common_name = "ca"}, Clock::system().now());
  certs::KeyPair server_pair = issue("n1", true), client_pair = issue("scraper", false);
  FakeApi api{thread.executor()};
  std::unique_ptr<KubeletServer> server;
  std::string body;
};

}  // namespace

TEST_CASE("who may ask for nodes/metrics gets metrics and nothing else") {
  Served served;
  served.api.allowed_subresources = {"metrics"};
  CHECK(served.status("/metrics/resource") == 200);
  CHECK(has(served.body, "resource_scrape_error 0"));
  CHECK(served.status("/metrics") == 200);
  CHECK(served.status("/stats/summary") == 403);
  CHECK(served.status("/runningpods") == 403);
}

TEST_CASE("who may ask for nodes/stats gets the summary and nothing else") {
  Served served;
  served.api.allowed_subresources = {"stats"};
  CHECK(served.status("/stats/summary") == 200);
  CHECK(has(served.body, R"("podRef")"));
  CHECK(served.status("/stats/other") == 404);
  CHECK(served.status("/metrics") == 403);
}

TEST_CASE("nodes/pods and nodes/proxy both let ask for what runs") {
  for (const char* subresource : {"pods", "proxy"}) {
    Served served;
    served.api.allowed_subresources = {subresource};
    CHECK(served.status("/runningpods") == 200);
    CHECK(served.status("/pods") == 200);
    CHECK(served.status("/metrics") == 403);
  }
}
