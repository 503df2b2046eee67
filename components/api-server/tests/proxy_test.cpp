// The connect subresources over real sockets, against stand-ins for a kubelet and a backend. What is refused, and how, is what
// a kube-apiserver v1.35.4 answered to the same requests.

#include "proxy_world.h"

using namespace rusternetes;
using namespace rusternetes::api_server::testing;

namespace {

const std::string pods = "/api/v1/namespaces/default/pods/", services = "/api/v1/namespaces/default/services/", nodes = "/api/v1/nodes/";
const std::string spdy = "connection: Upgrade\r\nupgrade: SPDY/3.1\r\n";

bool has(const std::string& text, const std::string& piece) { return text.find(piece) != std::string::npos; }

struct Refusal {
  std::string method, target;
  bool is_upgrade;
  int code;
  std::string message, reason;
};

void check_refused(ProxyWorld& world, const Refusal& wanted) {
  RawClient client(world.server.instance().port());
  client.ask(wanted.method, wanted.target, wanted.is_upgrade ? spdy : "");
  std::string answer = client.read_until("\r\n\r\n");
  answer += client.read_until("\"code\":");
  answer += client.read_until("}");
  CAPTURE(wanted.method, wanted.target, answer);
  CHECK(has(answer, fmt::format("HTTP/1.1 {} ", wanted.code)));
  std::string text;
  for (const char c : wanted.message) text += c == '"' ? "\\\"" : std::string(1, c);
  CHECK(has(answer, fmt::format("\"message\":\"{}\"", text)));
  if (wanted.reason.empty())
    CHECK_FALSE(has(answer, "\"reason\""));
  else
    CHECK(has(answer, fmt::format("\"reason\":\"{}\"", wanted.reason)));
}

// The head of an answer, then what it says of the request.
std::string upgraded(RawClient& client, const std::string& method, const std::string& target, const std::string& more = spdy) {
  client.ask(method, target, more);
  std::string head = client.read_until("\r\n\r\n");
  if (head.starts_with("HTTP/1.1 101")) head += client.read_until("\n\n");
  return head;
}

void wait_for_streams(const StandIn& stand_in, int count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (stand_in.open_streams() != count && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
  CHECK(stand_in.open_streams() == count);
}

std::size_t resident_bytes() {
  std::size_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("exec, attach and port-forward are refused in kube-apiserver's words") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  for (const std::string sub : {"exec", "attach", "portforward"})
    for (const std::string method : {"GET", "POST"}) {
      check_refused(world, {method, pods + "web/" + sub, false, 400, "Upgrade request required", "BadRequest"});
      check_refused(world, {method, pods + "absent/" + sub, true, 404, "pods \"absent\" not found", "NotFound"});
      check_refused(world, {method, pods + "nowhere/" + sub, true, 400, "pod nowhere does not have a host assigned", "BadRequest"});
      check_refused(world, {method, pods + "onghost/" + sub, true, 404, "pods \"ghost\" not found", "NotFound"});
      check_refused(world, {method, pods + "ondead/" + sub, true, 500, fmt::format("error dialing backend: dial tcp {}:1: connect: connection refused", kAddress), ""});
      check_refused(world, {method, pods + "onbare/" + sub, true, 500, "no preferred addresses found; known addresses: []", ""});
      check_refused(world, {method, pods + "web/" + sub + "?dryRun=All", true, 400, "dryRun is not supported", "BadRequest"});
      check_refused(world, {method, pods + "web/" + sub + "/more", true, 404, "the server could not find the requested resource", "NotFound"});
      if (sub == "portforward") continue;
      check_refused(world, {method, pods + "two/" + sub, true, 400, "a container name must be specified for pod two, choose one of: [i a b]", "BadRequest"});
      check_refused(world, {method, pods + "two/" + sub + "?container=zz", true, 400, "container zz is not valid for pod two", "BadRequest"});
    }
  for (const std::string method : {"PUT", "DELETE", "OPTIONS"})
    check_refused(world, {method, pods + "web/exec", true, 405, "the server does not allow this method on the requested resource", "MethodNotAllowed"});
  check_refused(world, {"GET", pods + "web/portforward?ports=99999", true, 400, "cannot convert to []int32: strconv.ParseUint: parsing \"99999\": value out of range", "BadRequest"});
}

TEST_CASE("who may only get pods/exec may not run anything by a WebSocket's GET") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  const std::string rbac = "/apis/rbac.authorization.k8s.io/v1/";
  world.send("POST", rbac + "clusterroles", R"({"metadata":{"name":"look"},"rules":[{"apiGroups":[""],"resources":["*"],"verbs":["get"]}]})");
  world.send("POST", rbac + "clusterrolebindings",
             R"({"metadata":{"name":"look"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"look"},"subjects":[{"kind":"User","name":"bob","apiGroup":"rbac.authorization.k8s.io"}]})");
  const std::string by_get = world.ask("GET", pods + "web/exec?command=id", spdy, "bob-token");
  CHECK(has(by_get, "HTTP/1.1 403"));
  CHECK(has(by_get, R"("message":"pods \"web\" is forbidden: ")"));
  const std::string by_post = world.ask("POST", pods + "web/exec?command=id", spdy, "bob-token");
  CHECK(has(by_post, R"(User \"bob\" cannot create resource \"pods/exec\")"));
  CHECK(has(world.ask("GET", pods + "web/proxy/x", "", "bob-token"), "HTTP/1.1 200"));
  CHECK(has(world.ask("POST", pods + "web/proxy/x", "content-length: 0\r\n", "bob-token"), "HTTP/1.1 403"));
  CHECK(world.kubelet.open_streams() == 0);
}

TEST_CASE("an exec reaches the kubelet with its options and gets its headers back") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient client(world.server.instance().port());
  const std::string head = upgraded(client, "POST", pods + "two/exec?container=b&command=sh&command=-c&command=a+%26b&stdin=true&stdout=1&stderr=false&tty=0&foo=1",
                                    spdy + "x-stream-protocol-version: v5.channel.k8s.io\r\ncontent-length: 0\r\n");
  CAPTURE(head);
  CHECK(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  CHECK(has(head, "upgrade: SPDY/3.1\r\n"));
  CHECK(has(head, "connection: Upgrade\r\n"));
  CHECK(has(head, "x-stream-protocol-version: v4.channel.k8s.io\r\n"));
  CHECK(has(head, "\r\n\r\nPOST /exec/default/two/b?command=sh&command=-c&command=a+%26b&input=1&output=1\n"));
  CHECK(has(head, "host: api.test:6443\n"));
  CHECK(has(head, "x-stream-protocol-version: v5.channel.k8s.io\n"));
  CHECK(has(head, "x-forwarded-for: 127.0.0.1\n"));
  CHECK_FALSE(has(head, "authorization"));
  client.say("ping");
  CHECK(client.read_exactly(4) == "ping");
}

TEST_CASE("attach and port-forward reach the kubelet, by GET for WebSockets too") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient attach(world.server.instance().port()), forward(world.server.instance().port());
  const std::string socket = "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n";
  const std::string first = upgraded(attach, "GET", pods + "web/attach?stdin&tty=x&stdout=true", socket);
  CAPTURE(first);
  CHECK(has(first, "GET /attach/default/web/a?input=1&output=1&tty=1\n"));
  CHECK(has(first, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n"));
  CHECK(has(first, "sec-websocket-protocol: v5.channel.k8s.io\n"));
  const std::string second = upgraded(forward, "POST", pods + "web/portforward?ports=80&ports=81,82");
  CHECK(has(second, "POST /portForward/default/web?port=80%2C81%2C82\n"));
}

TEST_CASE("the end of the client's half reaches the kubelet, whose last words still come back") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient client(world.server.instance().port());
  CHECK(has(upgraded(client, "POST", pods + "web/exec?command=cat"), " 101 "));
  client.say("last");
  client.end();
  CHECK(client.read_all() == "lastbye");
  wait_for_streams(world.kubelet, 0);
}

TEST_CASE("a client that is gone ends the kubelet's side, and the kubelet's end the client's") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient dropped(world.server.instance().port()), left(world.server.instance().port());
  upgraded(dropped, "POST", pods + "web/exec?command=cat");
  upgraded(left, "POST", pods + "web/exec?command=cat");
  wait_for_streams(world.kubelet, 2);
  dropped.drop();
  wait_for_streams(world.kubelet, 1);
  left.say("close");
  CHECK(left.read_all().empty());
  wait_for_streams(world.kubelet, 0);
}

TEST_CASE("what a kubelet says instead of an upgrade is the answer") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  const std::string refused = world.ask("GET", nodes + "n1/proxy/refuse", spdy);
  CHECK(refused.starts_with("HTTP/1.1 403 "));
  CHECK(has(refused, "x-mine: 1\r\n"));
  CHECK(refused.ends_with("\r\n\r\nno upgrade here\n"));
  CHECK(has(world.ask("GET", nodes + "n1/proxy/plain", spdy), "invalid upgrade response: status code 200"));
}

TEST_CASE("bytes pass both ways unchanged, at any size, through buffers that do not grow") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient client(world.server.instance().port());
  upgraded(client, "POST", pods + "web/exec?command=cat");
  const std::string block = StandIn::block();
  constexpr int kBlocks = 1024;  // 64 MiB
  const std::size_t before = resident_bytes();
  std::thread writer([&] {
    for (int i = 0; i < kBlocks; ++i) client.say(block);
    client.end();
  });
  int good = 0;
  std::size_t most = 0;
  for (int i = 0; i < kBlocks; ++i) {
    good += client.read_exactly(block.size()) == block;
    most = std::max(most, resident_bytes());
  }
  writer.join();
  CHECK(good == kBlocks);
  CHECK(client.read_all() == "bye");
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  CHECK(most < before + (24u << 20));  // client, api-server and stand-in are one process here
#endif
}

TEST_CASE("a hundred streams at once have their own bytes") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(world.server.instance().port()));
    clients.back()->ask("POST", pods + "web/exec?command=cat", spdy);
  }
  for (int i = 0; i < 100; ++i) {
    CHECK(has(clients[i]->read_until("\n\n"), " 101 "));
    clients[i]->say(fmt::format("I am {};", i));
  }
  for (int i = 0; i < 100; ++i) CHECK(clients[i]->read_until(";") == fmt::format("I am {};", i));
  clients.clear();
  wait_for_streams(world.kubelet, 0);
}

TEST_CASE("streams are outside of the limits and the request timeout, counted as CONNECT, and ended when the server stops") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient client(world.server.instance().port());
  upgraded(client, "POST", pods + "web/exec?command=cat");
  const std::string running = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"resource\",subresource=\"exec\",verb=\"CONNECT\",version=\"v1\"} ";
  const std::string during = world.server.send("GET", "/metrics").body;
  CHECK(has(during, running + "1\n"));
  CHECK(has(during, "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0\n"));
  client.end();
  CHECK(client.read_all() == "bye");
  const std::string total =
      "apiserver_request_total{code=\"0\",component=\"apiserver\",group=\"\",resource=\"pods\",scope=\"resource\","
      "subresource=\"exec\",verb=\"CONNECT\",version=\"v1\",dry_run=\"\"} 1\n";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  std::string after;
  // It is counted a moment after it runs no more.
  do after = world.server.send("GET", "/metrics").body;
  while (!(has(after, running + "0\n") && has(after, total)) && std::chrono::steady_clock::now() < deadline);
  CHECK(has(after, running + "0\n"));
  CHECK(has(after, total));
  RawClient last(world.server.instance().port());
  upgraded(last, "POST", pods + "web/exec?command=cat");
  wait_for_streams(world.kubelet, 1);
  world.server.instance().stop(std::chrono::milliseconds(50));
  CHECK_FALSE(has(last.read_all(), "(no end)"));
  wait_for_streams(world.kubelet, 0);
}

TEST_CASE("Pods, Services and Nodes are proxied to with every method, path and query") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  for (const std::string& base : {pods + "web", services + "s1", nodes + "n1"}) {
    const std::string proxy = base + "/proxy";
    for (const std::string method : {"GET", "DELETE", "OPTIONS"}) CHECK(has(world.ask(method, proxy + "/x/y?q=1&r=%20+"), fmt::format("\r\n\r\n{} /x/y?q=1&r=%20+\n", method)));
    for (const std::string method : {"POST", "PUT", "PATCH"}) {
      const std::string answer = world.ask(method, proxy + "/x/", "content-length: 5\r\n", "admin-token", "hello");
      CHECK(has(answer, fmt::format("\r\n\r\n{} /x/\n", method)));
      CHECK(has(answer, "content-length: 5\n"));
      CHECK(answer.ends_with("\n\nhello"));
    }
    const std::string head = world.ask("HEAD", proxy + "/x");
    CHECK(head.starts_with("HTTP/1.1 200 "));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(has(world.ask("GET", proxy + "/teapot"), "HTTP/1.1 418 "));
    const std::string redirect = world.ask("GET", proxy + "?a=b");
    CHECK(redirect.starts_with("HTTP/1.1 301 "));
    CHECK(has(redirect, "location: " + proxy + "/?a=b\r\n"));
    CHECK(has(world.ask("POST", proxy, "content-length: 0\r\n"), "\r\n\r\nPOST /\n"));
    CHECK(has(world.ask("TRACE", proxy + "/x"), "HTTP/1.1 405 "));
    CHECK(has(world.ask("GET", proxy + "/redirect"), "location: " + proxy + "/elsewhere?x=1\r\n"));
    CHECK(has(world.ask("GET", proxy + "/redirect", "x-want: http://other/y\r\n"), "location: http://other/y\r\n"));
    CHECK(has(world.ask("GET", proxy + "/html"), "<a href=\"" + proxy + "/x\">x</a>"));
    CHECK(has(world.ask("GET", proxy + "/x?dryRun=All"), "dryRun is not supported"));
    RawClient socket(world.server.instance().port());
    const std::string opened = upgraded(socket, "GET", proxy + "/ws/chat?room=1", "connection: Upgrade\r\nupgrade: anything\r\n");
    CHECK(has(opened, "upgrade: anything\r\n"));
    CHECK(has(opened, "GET /ws/chat?room=1\n"));
    socket.say("x");
    CHECK(socket.read_exactly(1) == "x");
  }
}

TEST_CASE("a proxied request loses what belongs to its connection and who asked, and its answer what is the api-server's to say") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  const std::string answer = world.ask("POST", pods + "web/proxy/c", "transfer-encoding: chunked\r\nconnection: x-drop\r\nx-drop: 1\r\nte: trailers\r\nproxy-authorization: x\r\nx-forwarded-for: 1.2.3.4\r\ncookie: a=b\r\n", "admin-token",
                                       "5\r\nhello\r\n0\r\n\r\n");
  CAPTURE(answer);
  CHECK(has(answer, "HTTP/1.1 200 "));
  CHECK(has(answer, "transfer-encoding: chunked\n"));
  CHECK(has(answer, "x-forwarded-for: 1.2.3.4, 127.0.0.1\n"));
  CHECK(has(answer, "x-forwarded-uri: /api/v1/namespaces/default/pods/web/proxy/c\n"));
  CHECK(has(answer, "host: api.test:6443\n"));
  CHECK(has(answer, "cookie: a=b\n"));
  CHECK(has(answer, "te: trailers\n"));
  CHECK(has(answer, "\n\nhello"));
  CHECK_FALSE(has(answer, "x-drop"));
  CHECK_FALSE(has(answer, "proxy-authorization"));
  CHECK_FALSE(has(answer, "authorization: Bearer"));
  CHECK_FALSE(has(answer, "access-control-allow-origin"));
  CHECK(has(answer, "x-mine: 1\r\n"));
  CHECK(has(answer, "audit-id: "));
}

TEST_CASE("proxies are refused in kube-apiserver's words") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  const auto unavailable = [&](const std::string& target, const std::string& message) { check_refused(world, {"GET", target, false, 503, message, "ServiceUnavailable"}); };
  const auto bad = [&](const std::string& target, const std::string& message) { check_refused(world, {"GET", target, false, 400, message, "BadRequest"}); };
  bad(pods + "loopback/proxy/x", "address not allowed");
  bad(pods + "nowhere/proxy/x", "address not allowed");
  bad(nodes + "local/proxy/x", "address not allowed");
  bad(pods + "ftp:web:1/proxy/x", "invalid pod request \"ftp:web:1\"");
  bad(services + "a:b:c:d/proxy/x", "invalid service request \"a:b:c:d\"");
  bad(nodes + ":1/proxy/x", "invalid node request \":1\"");
  unavailable(services + "empty/proxy/x", "no endpoints available for service \"empty\"");
  unavailable(services + "s1:other/proxy/x", "no endpoints available for service \"s1:other\"");
  unavailable(services + "s1:81/proxy/x", "no service port 81 found for service \"s1\"");
  unavailable(pods + "web:1/proxy/x", fmt::format("error trying to reach service: dial tcp {}:1: connect: connection refused", kAddress));
  unavailable(pods + "https:web:/proxy/x", "error trying to reach service: tls: first record does not look like a TLS handshake");
  check_refused(world, {"GET", services + "alone/proxy/x", false, 404, "services \"alone\" not found", "NotFound"});
  check_refused(world, {"GET", services + "absent:80/proxy/x", false, 404, "services \"absent\" not found", "NotFound"});
  check_refused(world, {"GET", nodes + "absent/proxy/x", false, 404, "nodes \"absent\" not found", "NotFound"});
  check_refused(world, {"GET", nodes + "bare/proxy/x", false, 500, "no preferred addresses found; known addresses: []", ""});
  CHECK(has(world.ask("GET", fmt::format("{}https:web:{}/proxy/x", pods, world.kubelet.port())), "HTTP/1.1 200 "));  // its certificate is nobody's
  CHECK(has(world.ask("GET", fmt::format("{}http:n1:{}/proxy/x", nodes, world.backend.port())), "HTTP/1.1 200 "));
}

TEST_CASE("bodies are streamed: a backend sees the beginning before the end is sent, and answers meanwhile") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  RawClient client(world.server.instance().port());
  client.ask("POST", services + "s1/proxy/slow", "transfer-encoding: chunked\r\n");
  CHECK(has(client.read_until("ready;"), " 200 "));
  client.say("3\r\none\r\n");
  CHECK(has(client.read_until("got one;"), "got one;"));
  client.say("3\r\ntwo\r\n");
  CHECK(has(client.read_until("got two;"), "got two;"));
  client.say("0\r\n\r\n");
  CHECK(has(client.read_until("\r\n0\r\n\r\n"), "\r\n0\r\n\r\n"));
  // The connection goes on.
  client.ask("GET", services + "s1/proxy/next");
  CHECK(has(client.read_until("\n\n"), "GET /next\n"));
}

TEST_CASE("large bodies pass a proxy both ways") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  const Answer down = world.server.send("GET", services + "s1/proxy/big");
  CHECK(down.code == 200);
  REQUIRE(down.body.size() == 64u << 20);
  const std::string block = StandIn::block();
  bool is_same = true;
  for (std::size_t at = 0; at < down.body.size(); at += block.size()) is_same &= down.body.compare(at, block.size(), block) == 0;
  CHECK(is_same);
  const Answer up = world.server.send("POST", services + "s1/proxy/x", down.body, "application/octet-stream");
  CHECK(has(up.body, fmt::format("{} bytes, {}", down.body.size(), std::hash<std::string>{}(down.body))));
}

TEST_CASE("a plain proxy request works over HTTP/2, with a body and without") {
  RN_NEEDS_OWN_NETWORK(network);
  ProxyWorld world;
  world.server.run([&]() -> Task<> {
    http::ClientOptions options;
    options.has_prior_knowledge = true;
    auto client = http::Client::create(world.server.thread().executor(), {fmt::format("http://127.0.0.1:{}", world.server.instance().port()), {}}, options);
    REQUIRE(client);
    for (const std::string method : {"GET", "POST"}) {
      http::ClientRequest request;
      request.method = method;
      request.target = services + "s1/proxy/x?y=1";
      request.headers.set("authorization", "Bearer admin-token");
      if (method == "POST") request.body = "hello";
      auto response = co_await (*client)->send(std::move(request));
      REQUIRE(response);
      CHECK((*response)->head().status == 200);
      auto body = co_await (*response)->read_all(1 << 20);
      REQUIRE(body);
      CHECK(has(*body, method + " /x?y=1\n"));
      CHECK(has(*body, "host: 127.0.0.1:"));
      if (method == "POST") CHECK(body->ends_with("\n\nhello"));
    }
    http::ClientRequest exec;
    exec.method = "POST";
    exec.target = pods + "web/exec?command=id";
    exec.headers.set("authorization", "Bearer admin-token");
    auto refused = co_await (*client)->send(std::move(exec));
    REQUIRE(refused);
    CHECK((*refused)->head().status == 400);
    (*client)->close();
  });
}
