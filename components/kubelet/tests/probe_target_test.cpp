// Probes of each kind against servers on the loopback.

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include "certs/certificate.h"
#include "fake_runtime.h"
#include "kubelet/probe/grpc_health.h"
#include "kubelet/probe/http_get.h"
#include "kubelet/probe/prober.h"
#include "objects.h"
#include "probe_target.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using Kind = ProbeOutcome::Kind;

namespace {

struct Scene {
  ~Scene() { thread.stop(); }
  // Of a container with `handler` as its liveness probe.
  ProbeOutcome probe(const std::string& handler, const std::string& container_more = "") {
    const auto pod = make_pod(R"({"containers":[{"name":"a","image":"busybox",)" + container_more + R"("livenessProbe":{"timeoutSeconds":1,)" +
                              handler + "}}]}");
    ProbeOutcome out;
    run_blocking(thread.executor(), ask(pod, out));
    return out;
  }
  Task<> ask(Document pod, ProbeOutcome& out) { out = co_await prober.probe(pod, {false, 0}, ProbeKind::liveness, "c1", "127.0.0.1"); }
  void act(const std::function<void()>& work) { run_blocking(thread.executor(), call(work)); }
  static Task<> call(std::function<void()> work) {
    work();
    co_return;
  }

  EventThread thread{"probe-test"};
  FakeRuntime runtime{thread.executor()};
  Prober prober{runtime};
};

std::string get_of(std::uint16_t port, const std::string& more = "") {
  return R"("httpGet":{"port":)" + std::to_string(port) + more + "}";
}

}  // namespace

TEST_CASE("an HTTP probe succeeds from 200 to 399 and says no more than the code of a failure") {
  Scene scene;
  HttpTarget target(scene.thread);
  for (const auto& [status, kind] : {std::pair(200, Kind::success), {204, Kind::success}, {399, Kind::warning}, {304, Kind::warning},
                                     {400, Kind::failure}, {500, Kind::failure}}) {
    scene.act([&, status = status] { target.answer = [status](const auto&) { return HttpTarget::Reply{status, "secret", ""}; }; });
    const auto outcome = scene.probe(get_of(target.port));
    CHECK(outcome.kind == kind);
    CHECK(outcome.error.empty());
    if (kind == Kind::failure) CHECK(outcome.output == "HTTP probe failed with statuscode: " + std::to_string(status));
  }
}

TEST_CASE("an HTTP probe names itself, and headers of its own win") {
  Scene scene;
  HttpTarget target(scene.thread);
  const std::string authority = "127.0.0.1:" + std::to_string(target.port);
  CHECK(scene.probe(get_of(target.port, R"(,"path":"/a b?q=1#part")")).kind == Kind::success);
  CHECK(scene.probe(get_of(target.port, R"(,"path":"no-slash","httpHeaders":[{"name":"Host","value":"example.com"},{"name":"User-Agent","value":"me"},
      {"name":"Accept","value":""},{"name":"X-A","value":"1"},{"name":"X-A","value":"2"}])")).kind == Kind::success);
  scene.act([&] {
    REQUIRE(target.requests.size() == 2);
    const auto& first = target.requests[0];
    CHECK(first.method == "GET");
    CHECK(first.target == "/a%20b?q=1");
    CHECK(first.authority == authority);
    CHECK(first.headers.get("user-agent") == "kube-probe/1.35");
    CHECK(first.headers.get("accept") == "*/*");
    CHECK(first.headers.get("connection") == "close");
    const auto& second = target.requests[1];
    CHECK(second.target == "/no-slash");
    CHECK(second.authority == "example.com");
    CHECK(second.headers.get("user-agent") == "me");
    CHECK_FALSE(second.headers.get("accept"));
    CHECK(second.headers.all("x-a") == std::vector<std::string_view>{"1", "2"});
  });
}

TEST_CASE("an HTTP probe follows redirects on its host only, ten at most") {
  Scene scene;
  HttpTarget target(scene.thread), other(scene.thread);
  const auto answer = [&](const http::RequestHead& head) -> HttpTarget::Reply {
    if (head.target == "/here") return {302, "", "there?x=1"};
    if (head.target == "/port") return {307, "", "http://127.0.0.1:" + std::to_string(other.port) + "/"};
    if (head.target == "/away") return {302, "gone away", "http://example.invalid/"};
    if (head.target == "/round") return {302, "", "/round"};
    if (head.target == "/nowhere") return {302, "no location", ""};
    return {200, head.target, ""};
  };
  scene.act([&] { target.answer = answer; });
  CHECK(scene.probe(get_of(target.port, R"(,"path":"/here")")).output == "/there?x=1");
  CHECK(scene.probe(get_of(target.port, R"(,"path":"/port")")).kind == Kind::success);
  scene.act([&] { CHECK(other.requests.size() == 1); });
  const auto away = scene.probe(get_of(target.port, R"(,"path":"/away")"));
  CHECK(away.kind == Kind::warning);
  CHECK(away.output == "Probe terminated redirects, Response body: gone away");
  CHECK(scene.probe(get_of(target.port, R"(,"path":"/nowhere")")).kind == Kind::warning);
  scene.act([&] { target.requests.clear(); });
  const auto round = scene.probe(get_of(target.port, R"(,"path":"/round")"));
  CHECK(round.kind == Kind::failure);
  CHECK(round.output == "Get \"http://127.0.0.1:" + std::to_string(target.port) + "/round\": stopped after 10 redirects");
  scene.act([&] { CHECK(target.requests.size() == 10); });
}

TEST_CASE("an HTTP probe reads ten kilobytes and no more") {
  Scene scene;
  HttpTarget target(scene.thread);
  scene.act([&] { target.answer = [](const auto&) { return HttpTarget::Reply{200, std::string(100'000, 'x'), ""}; }; });
  CHECK(scene.probe(get_of(target.port)).output == std::string(10 * 1024, 'x'));
}

TEST_CASE("an HTTP probe without an answer fails in the words of a kubelet") {
  Scene scene;
  HttpTarget target(scene.thread);
  const auto closed = closed_port();
  const auto refused = scene.probe(get_of(closed));
  CHECK(refused.kind == Kind::failure);
  CHECK(refused.output == "Get \"http://127.0.0.1:" + std::to_string(closed) + "/\": dial tcp 127.0.0.1:" + std::to_string(closed) +
                              ": connect: connection refused");
  scene.act([&] { target.is_silent = true; });
  const auto began = std::chrono::steady_clock::now();
  const auto silent = scene.probe(get_of(target.port));
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(1000));
  CHECK(silent.kind == Kind::failure);
  CHECK(silent.output == "Get \"http://127.0.0.1:" + std::to_string(target.port) +
                             "/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
}

TEST_CASE("an HTTPS probe asks whatever certificate there is") {
  Scene scene;
  certs::AuthorityRequest request;
  request.common_name = "somebody";
  const auto self = certs::make_authority(request, Clock::system().now());
  REQUIRE(self);
  http::ServerTls tls;
  tls.certificate_chain_pem = self->certificate_pem;
  tls.private_key_pem = self->key_pem;
  HttpTarget target(scene.thread, &tls), plain(scene.thread);
  CHECK(scene.probe(get_of(target.port, R"(,"scheme":"HTTPS")")).kind == Kind::success);
  const auto wrong = scene.probe(get_of(plain.port, R"(,"scheme":"HTTPS")"));
  CHECK(wrong.kind == Kind::failure);
  CHECK(wrong.output.ends_with("/\": http: server gave HTTP response to HTTPS client"));
}

TEST_CASE("a probe's port may have a name") {
  Scene scene;
  HttpTarget target(scene.thread);
  const std::string ports = R"("ports":[{"name":"web","containerPort":)" + std::to_string(target.port) + "}],";
  CHECK(scene.probe(R"("httpGet":{"port":"web"})", ports).kind == Kind::success);
  CHECK(scene.probe(R"("tcpSocket":{"port":"web"})", ports).kind == Kind::success);
  CHECK(scene.probe(R"("tcpSocket":{"port":")" + std::to_string(target.port) + R"("})").kind == Kind::success);
  const auto unknown = scene.probe(R"("httpGet":{"port":"other"})", ports);
  CHECK(unknown.kind == Kind::unknown);
  CHECK(unknown.error == "strconv.Atoi: parsing \"other\": invalid syntax");
}

TEST_CASE("a TCP probe connects") {
  Scene scene;
  HttpTarget target(scene.thread);
  CHECK(scene.probe(R"("tcpSocket":{"port":)" + std::to_string(target.port) + "}").kind == Kind::success);
  const auto closed = closed_port();
  const auto refused = scene.probe(R"("tcpSocket":{"host":"127.0.0.1","port":)" + std::to_string(closed) + "}");
  CHECK(refused.kind == Kind::failure);
  CHECK(refused.output == "dial tcp 127.0.0.1:" + std::to_string(closed) + ": connect: connection refused");
}

TEST_CASE("a gRPC probe asks the health service, and reads its outcome from trailers") {
  Scene scene;
  GrpcTarget target({{"", {}},
                     {"down", {2, 0, "", false}},
                     {"lost", {0, 0, "", false}},
                     {"none", {0, 12, "unknown service grpc.health.v1.Health", true}},
                     {"broken", {0, 14, "try 100%25 later", false}}});
  const auto ask = [&](const std::string& service) {
    return scene.probe(R"("grpc":{"port":)" + std::to_string(target.port) + (service.empty() ? "" : R"(,"service":")" + service + "\"") + "}");
  };
  CHECK(ask("").kind == Kind::success);
  const auto headers = target.headers();
  CHECK(headers.at(":path") == "/grpc.health.v1.Health/Check");
  CHECK(headers.at("content-type") == "application/grpc");
  CHECK(headers.at("te") == "trailers");
  CHECK(headers.at("user-agent") == "kube-probe/1.35");
  CHECK(ask("down").output == "service unhealthy (responded with \"NOT_SERVING\")");
  CHECK(ask("lost").output == "service unhealthy (responded with \"UNKNOWN\")");
  CHECK(ask("none").output ==
        "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health");
  CHECK(ask("broken").output == "error: health rpc probe failed: rpc error: code = Unavailable desc = try 100% later");
  CHECK(ask("other").output == "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service");
}

TEST_CASE("a gRPC probe fails where nobody or nothing of the kind answers") {
  Scene scene;
  const auto closed = closed_port();
  const auto refused = scene.probe(R"("grpc":{"port":)" + std::to_string(closed) + "}");
  CHECK(refused.kind == Kind::failure);
  CHECK(refused.output == "timeout: failed to connect service \"127.0.0.1:" + std::to_string(closed) + "\" within 1s: context deadline exceeded");
  HttpTarget target(scene.thread);
  scene.act([&] { target.answer = [](const auto&) { return HttpTarget::Reply{404, "", ""}; }; });
  CHECK(scene.probe(R"("grpc":{"port":)" + std::to_string(target.port) + "}").output.starts_with("error: this server does not implement"));
  scene.act([&] { target.is_silent = true; });
  CHECK(scene.probe(R"("grpc":{"port":)" + std::to_string(target.port) + "}").output == "timeout: health rpc did not complete within 1s");
}

TEST_CASE("health messages that are none are told apart") {
  CHECK(frame_health_request("ab") == std::string("\0\0\0\0\x04\x0a\x02" "ab", 9));
  CHECK(frame_health_request("") == std::string(5, '\0'));
  const auto read = [](std::string message) { return read_health_response(std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message); };
  CHECK(*read("") == 0);
  CHECK(*read("\x08\x01") == 1);
  CHECK(*read("\x12\x03xyz\x08\x02") == 2);  // a field that is not known
  for (const std::string bad : {"\x08", "\x08\x80", "\x12\x09x", "\x0f"}) CHECK_FALSE(read(bad));
  CHECK_FALSE(read_health_response("\x01"));
  CHECK_FALSE(read_health_response(std::string("\1\0\0\0\0", 5)));
  CHECK_FALSE(read_health_response(std::string("\0\0\0\0\5\x08\1", 7)));
}

TEST_CASE("an exec probe goes by its exit code and by its time") {
  Scene scene;
  engine::ExecOutput output;
  Result<engine::ExecOutput> answer = output;
  std::vector<std::string> words;
  std::chrono::milliseconds allowed{0};
  int calls = 0;
  scene.runtime.on_exec = [&](std::string, std::vector<std::string> command, std::chrono::milliseconds timeout) -> Task<Result<engine::ExecOutput>> {
    words = std::move(command);
    allowed = timeout;
    ++calls;
    co_return answer;
  };
  const std::string handler = R"-("exec":{"command":["cat","$(FILE)","$(OTHER)"]})-";
  CHECK(scene.probe(handler, R"("env":[{"name":"FILE","value":"/f"}],)").kind == Kind::success);
  CHECK(words == std::vector<std::string>{"cat", "/f", "$(OTHER)"});
  CHECK(allowed == std::chrono::seconds(1));
  output = {std::string(10'000, 'o'), std::string(1'000, 'e'), 3};
  answer = output;
  const auto failed = scene.probe(handler);
  CHECK(failed.kind == Kind::failure);
  CHECK(failed.output == std::string(10'000, 'o') + std::string(240, 'e'));
  answer = Status{504, "Timeout", "too slow"};
  CHECK(scene.probe(handler).output == "command timed out: \"cat $(FILE) $(OTHER)\" timed out after 1s");
  answer = internal_error("no such container");
  calls = 0;
  const auto unknown = scene.probe(handler);
  CHECK(unknown.kind == Kind::unknown);
  CHECK(unknown.error == "no such container");
  CHECK(calls == 3);
}

TEST_CASE("sockets of probes are those that the node gives") {
  Scene scene;
  HttpTarget target(scene.thread);
  GrpcTarget health({{"", {}}});
  int opened = 0;
  scene.act([&] {
    scene.prober.set_open_socket([&](int family) -> Result<int> {
      ++opened;
      return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    });
  });
  CHECK(scene.probe(get_of(target.port)).kind == Kind::success);
  CHECK(scene.probe(R"("tcpSocket":{"port":)" + std::to_string(target.port) + "}").kind == Kind::success);
  CHECK(scene.probe(R"("grpc":{"port":)" + std::to_string(health.port) + "}").kind == Kind::success);
  CHECK(opened == 3);
  scene.act([&] { scene.prober.set_open_socket([](int) -> Result<int> { return internal_error("no socket"); }); });
  // That says nothing of the container, which must not be restarted for it.
  for (const auto& probe : {get_of(target.port), R"("tcpSocket":{"port":)" + std::to_string(target.port) + "}", R"("grpc":{"port":)" + std::to_string(health.port) + "}"}) {
    const auto out = scene.probe(probe);
    CHECK(out.kind == Kind::unknown);
    CHECK(out.error == "no socket");
  }
}

TEST_CASE("a redirect is resolved as RFC 3986 has it") {
  HttpGet from;
  from.host = "10.0.0.5";
  from.port = 8080;
  from.target = "/a/b/c?q";
  from.headers.add("host", "example.com");
  const auto to = [&](std::string_view location) {
    const auto out = resolve_redirect(from, location);
    return out ? out->url() + (out->headers.get("host") ? " as " + std::string(*out->headers.get("host")) : "") : "no: " + out.error().message;
  };
  CHECK(to("d") == "http://10.0.0.5:8080/a/b/d as example.com");
  CHECK(to("./../d/") == "http://10.0.0.5:8080/a/d/ as example.com");
  CHECK(to("/x/./y/../z?k=../v#f") == "http://10.0.0.5:8080/x/z?k=../v as example.com");
  CHECK(to("?new") == "http://10.0.0.5:8080/a/b/c?new as example.com");
  CHECK(to("//10.0.0.5/d") == "http://10.0.0.5:80/d as example.com");
  CHECK(to("https://10.0.0.5") == "https://10.0.0.5:443/");
  CHECK(to("HTTP://u:p@[fd00::5]:81/d?x") == "http://[fd00::5]:81/d?x");
  CHECK(to("http://10.0.0.5:99999/") == "no: invalid port \":99999\" after host");
  CHECK(to("ftp://10.0.0.5/") == "no: unsupported protocol scheme \"ftp\"");
}
