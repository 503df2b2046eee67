#include "kubelet/server/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <filesystem>
#include <fstream>

#include "certs/certificate.h"
#include "fake_api.h"
#include "fake_runtime.h"
#include "http/client.h"
#include "objects.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;

namespace {

const char* kRunning = R"({"containerStatuses":[{"name":"a","image":"i","imageID":"","ready":true,"restartCount":1,"containerID":"fake://c1",
    "state":{"running":{}},"lastState":{"terminated":{"exitCode":1,"containerID":"fake://c0"}}}]})";
const char* kSpec = R"({"containers":[{"name":"a","image":"i"}]})";

std::string waiting(const std::string& reason) {
  return R"({"containerStatuses":[{"name":"a","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{"reason":")" + reason + R"("}}}]})";
}

int listen_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(fd, 16) == 0);
  socklen_t length = sizeof name;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
  port = ntohs(name.sin_port);
  return fd;
}

struct Answer {
  int status = 0;
  std::string body;
};

// A kubelet's server with one Pod, and clients with and without a certificate.
struct Harness {
  Harness() {
    options.node_name = "n1";
    options.serving_certificate_pem = server_pair.certificate_pem;
    options.serving_key_pem = server_pair.key_pem;
    options.client_ca_pem = authority.certificate_pem;
    folder = std::filesystem::temp_directory_path() / ("kubelet-server-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    log = (folder / "0.log").string();
    pod = make_pod(kSpec, kRunning);
    engine::ContainerStatus live = container("a", ContainerState::running);
    live.id = "c1";
    live.log_path = log;
    runtime.containers["c1"] = live;
    run(begin());
  }
  ~Harness() {
    run(server.stop());
    thread.stop();
    std::filesystem::remove_all(folder);
  }

  void run(Task<> task) { run_blocking(thread.executor(), std::move(task)); }
  Task<> begin() {
    REQUIRE(server.start(listen_on_loopback(port)));
    co_return;
  }
  void write_log(const std::string& line) {
    std::ofstream(log, std::ios::app) << "2023-11-14T22:13:20.000000000Z stdout F " << line << "\n";
  }
  std::unique_ptr<http::Client> connect(bool has_certificate) {
    http::Endpoint endpoint;
    endpoint.url = "https://127.0.0.1:" + std::to_string(port);
    endpoint.tls.ca_pem = authority.certificate_pem;
    if (has_certificate) {
      endpoint.tls.certificate_chain_pem = client_pair.certificate_pem;
      endpoint.tls.private_key_pem = client_pair.key_pem;
    }
    return *http::Client::create(thread.executor(), endpoint);
  }
  Answer get(const std::string& target, bool has_certificate = true, const std::string& token = {}) {
    Answer out;
    run(fetch(target, has_certificate, token, out));
    return out;
  }
  Task<> fetch(std::string target, bool has_certificate, std::string token, Answer& out) {
    auto client = connect(has_certificate);
    http::ClientRequest request;
    request.target = target;
    if (!token.empty()) request.headers.add("authorization", "Bearer " + token);
    auto response = co_await client->send(request);
    REQUIRE(response);
    out.status = (*response)->head().status;
    auto body = co_await (*response)->read_all(1 << 20);
    if (body) out.body = *body;
    client->close();
  }

  certs::KeyPair authority = *certs::make_authority({.common_name = "ca"}, Clock::system().now());
  certs::KeyPair server_pair = issue("n1", true), client_pair = issue("kube-apiserver", false);
  certs::KeyPair issue(const std::string& name, bool is_server) {
    certs::LeafRequest request;
    request.common_name = name;
    request.organizations = {"masters"};
    request.ip_addresses = {"127.0.0.1"};
    request.is_server = is_server;
    request.is_client = !is_server;
    return *certs::issue(authority, request, Clock::system().now());
  }
  std::filesystem::path folder;
  std::string log;
  KubeletOptions options;
  EventThread thread{"kubelet-test"};
  FakeApi api{thread.executor()};
  FakeRuntime runtime{thread.executor()};
  WorkerThread files{"files"};
  Document pod;
  std::string health = "ok";
  KubeletServer server{{options, api, runtime, files,
                        [this](std::string_view name_space, std::string_view name) {
                          return name_space == "default" && name == "web" ? pod : Document{};
                        },
                        [this] { return std::vector<Document>{pod}; }, [this] { return health; }}};
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("targets are split and decoded") {
  const auto target = parse_target("/containerLogs/ns/p%20d/c?follow=true&tailLines=5&x=a%2Bb+c");
  CHECK(target.parts == std::vector<std::string>{"containerLogs", "ns", "p d", "c"});
  CHECK(target.query.at("follow") == "true");
  CHECK(target.query.at("x") == "a+b c");
}

TEST_CASE("log options are read, and bad numbers refused") {
  const SystemTime now{std::chrono::seconds{1000}};
  const auto options = log_options({{"follow", "true"}, {"tailLines", "5"}, {"sinceSeconds", "10"}, {"limitBytes", "7"}, {"timestamps", "true"}}, now);
  REQUIRE(options);
  CHECK(options->follow);
  CHECK(options->has_timestamps);
  CHECK(options->tail_lines == 5);
  CHECK(options->limit_bytes == 7);
  CHECK(options->since_ns == 990'000'000'000);
  CHECK_FALSE(log_options({{"tailLines", "x"}}, now));
  CHECK(*log_options({{"sinceTime", "1970-01-01T00:00:05Z"}}, now)->since_ns == 5'000'000'000);
}

TEST_CASE("the log that is asked for is the running container's, or the one's before") {
  const auto running = make_pod(kSpec, kRunning);
  CHECK(*container_to_log(pod_view(running), "a", false) == "c1");
  CHECK(*container_to_log(pod_view(running), "a", true) == "c0");
  const auto pulling = make_pod(kSpec, waiting("ErrImagePull"));
  CHECK(container_to_log(pod_view(pulling), "a", false).error().message == "container \"a\" in pod \"web\" is waiting to start: image can't be pulled");
  const auto creating = make_pod(kSpec, waiting("ContainerCreating"));
  CHECK(container_to_log(pod_view(creating), "a", false).error().message == "container \"a\" in pod \"web\" is waiting to start: ContainerCreating");
  CHECK(container_to_log(pod_view(creating), "a", true).error().message == "previous terminated container \"a\" in pod \"web\" not found");
}

TEST_CASE("paths ask for the Node's fine-grained subresources first") {
  using Names = std::vector<std::string>;
  CHECK(node_subresources("/healthz") == Names{"healthz", "proxy"});
  CHECK(node_subresources("/healthz/ping") == Names{"healthz", "proxy"});
  CHECK(node_subresources("/healthzz") == Names{"proxy"});
  CHECK(node_subresources("/pods") == Names{"pods", "proxy"});
  CHECK(node_subresources("/containerLogs/a/b/c") == Names{"proxy"});
  CHECK(node_subresources("/logs/x") == Names{"log"});
  CHECK(node_subresources("/stats/summary") == Names{"stats"});
  CHECK(api_verb("POST") == "create");
}

TEST_CASE("nobody without a name is served, and nobody who may not") {
  Harness harness;
  CHECK(harness.get("/healthz", false).status == 401);
  CHECK(harness.get("/healthz", false, "no such token").status == 401);
  const auto refused = harness.get("/healthz");
  CHECK(refused.status == 403);
  CHECK(refused.body == "Forbidden (user=kube-apiserver, verb=get, resource=nodes, subresource(s)=[healthz proxy])");
}

TEST_CASE("a certificate or a token that may gets an answer") {
  Harness harness;
  harness.api.allowed_subresources = {"proxy"};
  harness.api.tokens["secret"] = "system:serviceaccount:monitoring:p";
  const auto by_certificate = harness.get("/healthz");
  CHECK(by_certificate.status == 200);
  CHECK(by_certificate.body == "ok");
  CHECK(harness.get("/healthz", false, "secret").status == 200);
  CHECK(harness.get("/pods").body.find("\"name\":\"web\"") != std::string::npos);
  CHECK(harness.get("/nothing").status == 404);
}

TEST_CASE("a container's log is served") {
  Harness harness;
  harness.api.allowed_subresources = {"proxy"};
  for (const char* line : {"one", "two", "three"}) harness.write_log(line);
  CHECK(harness.get("/containerLogs/default/web/a").body == "one\ntwo\nthree\n");
  CHECK(harness.get("/containerLogs/default/web/a?tailLines=1").body == "three\n");
  CHECK(harness.get("/containerLogs/default/web/a?tailLines=1&timestamps=true").body == "2023-11-14T22:13:20.000000000Z three\n");
  CHECK(harness.get("/containerLogs/default/none/a").status == 404);
  CHECK(harness.get("/containerLogs/default/web/none").status == 404);
  CHECK(harness.get("/containerLogs/default/web/a?tailLines=x").status == 400);
}

namespace {
// Reads a followed log while it grows and until the container's end.
Task<> follow(Harness& harness, std::string& first, std::string& rest) {
  auto client = harness.connect(true);
  http::ClientRequest request;
  request.target = "/containerLogs/default/web/a?follow=true";
  auto response = co_await client->send(request);
  REQUIRE(response);
  while (first.size() < 4) {
    auto piece = co_await (*response)->read_some();
    REQUIRE(piece);
    first += *piece;
  }
  harness.write_log("two");
  while (rest.size() < 4) {
    auto piece = co_await (*response)->read_some();
    REQUIRE(piece);
    rest += *piece;
  }
  harness.write_log("last words");
  harness.runtime.containers["c1"].state = ContainerState::exited;
  harness.server.container_ended("c1");
  auto end = co_await (*response)->read_all(1 << 20);
  REQUIRE(end);
  rest += *end;
  client->close();
}
}  // namespace

TEST_CASE("a followed log ends with its container, after its last words") {
  Harness harness;
  harness.api.allowed_subresources = {"proxy"};
  harness.write_log("one");
  std::string first, rest;
  harness.run(follow(harness, first, rest));
  CHECK(first == "one\n");
  CHECK(rest == "two\nlast words\n");
}
