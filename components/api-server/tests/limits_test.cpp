// What clients may do to a server: garbage, too much, too little, too slowly. Each gets a Status or a closed connection, and
// the next client is served.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "server_test_support.h"

using namespace rusternetes;
using api_server::testing::Answer;
using api_server::testing::TestServer;

namespace {

const std::string maps = "/api/v1/namespaces/default/configmaps";

// A connection that says exactly what it is told.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Raw() { ::close(fd_); }
  void say(std::string_view text) { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  void end() { ::shutdown(fd_, SHUT_WR); }
  // Everything up to the end of the connection; "(nothing for 10 s)" at its end if that does not come.
  std::string read_all() {
    std::string all;
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n == 0) return all;
      if (n < 0) return all + (errno == EAGAIN ? "(nothing for 10 s)" : "");
      all.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
};

std::string post(std::size_t length) {
  return fmt::format("POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer admin-token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", maps, length);
}

void check_is_serving(TestServer& server) {
  const Answer answer = server.send("GET", "/api/v1/namespaces/default");
  CHECK(answer.code == 200);
}

}  // namespace

TEST_CASE("a body that never comes whole ends the request with 504 when its time is over") {
  api_server::InstanceOptions options;
  options.request_timeout = std::chrono::milliseconds(300);
  TestServer server(options);
  Raw slow(server.instance().port());
  slow.say(post(1000) + R"({"metadata":)");
  const std::string answer = slow.read_all();
  CHECK(answer.starts_with("HTTP/1.1 504"));
  CHECK(answer.find(R"("reason":"Timeout")") != std::string::npos);
  check_is_serving(server);
}

TEST_CASE("a body that ends early is refused and nothing is written") {
  TestServer server;
  Raw truncated(server.instance().port());
  truncated.say(post(1000) + R"({"metadata":{"name":"half"}})");
  truncated.end();
  const std::string answer = truncated.read_all();
  CHECK((answer.empty() || answer.starts_with("HTTP/1.1 400")));
  CHECK(server.send("GET", maps + "/half").code == 404);
  check_is_serving(server);
}

TEST_CASE("a body over 3 MiB is 413, declared or not") {
  TestServer server;
  const std::string large = R"({"metadata":{"name":"large"},"data":{"k":")" + std::string(3u << 20, 'x') + R"("}})";
  const Answer answer = server.send("POST", maps, large);
  CHECK(answer.code == 413);
  CHECK(answer.body.find(R"("reason":"RequestEntityTooLarge")") != std::string::npos);
  Raw chunked(server.instance().port());
  chunked.say(fmt::format("POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer admin-token\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", maps, large.size()));
  chunked.say(large);
  chunked.say("\r\n0\r\n\r\n");
  chunked.end();
  CHECK(chunked.read_all().find("413") != std::string::npos);
  check_is_serving(server);
}

TEST_CASE("headers over 1 MiB are 431") {
  TestServer server;
  Raw raw(server.instance().port());
  raw.say("GET /api HTTP/1.1\r\nhost: x\r\nx-long: " + std::string((1u << 20) + 100, 'a') + "\r\n\r\n");
  CHECK(raw.read_all().starts_with("HTTP/1.1 431"));
  check_is_serving(server);
}

TEST_CASE("garbage on the wire and in bodies never ends the server") {
  TestServer server;
  std::mt19937 random(7);
  for (int i = 0; i < 50; ++i) {
    Raw raw(server.instance().port());
    std::string noise(random() % 300 + 1, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    raw.say(noise);
    raw.end();
    (void)raw.read_all();
  }
  const std::string valid = R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"g","labels":{"a":"b"}},"data":{"k":"v"}})";
  for (int i = 0; i < 300; ++i) {
    std::string body = valid;
    for (int n = 0; n < 3; ++n) body[random() % body.size()] = static_cast<char>(random());
    const Answer answer = server.send("POST", maps + "?dryRun=All", body);
    CAPTURE(body, answer.code, answer.body);
    CHECK((answer.code == 201 || answer.code == 400 || answer.code == 422 || answer.code == 415));
  }
  for (const char* type : {"application/vnd.kubernetes.protobuf", "application/yaml"})
    for (int i = 0; i < 100; ++i) {
      std::string body(random() % 200, '\0');
      for (char& c : body) c = static_cast<char>(random());
      if (i % 2) body = std::string("k8s\0", 4) + body;
      CHECK(server.send("POST", maps + "?dryRun=All", body, type).code >= 400);
    }
  check_is_serving(server);
}

TEST_CASE("queries that make no sense get a Status") {
  TestServer server;
  for (const char* query : {"?limit=x", "?limit=-1", "?continue=garbage", "?resourceVersion=x", "?resourceVersionMatch=Exact", "?labelSelector=a%3D%3D%3Db", "?fieldSelector=nothing",
                            "?watch=true&resourceVersion=-5", "?watch=true&sendInitialEvents=true"}) {
    CAPTURE(query);
    const Answer answer = server.send("GET", maps + query);
    CHECK((answer.code == 200 || answer.code == 400 || answer.code == 422 || answer.code == 500));  // 500: so does Kubernetes for a negative version
    if (answer.code != 200) CHECK(answer.body.find(R"("kind":"Status")") != std::string::npos);
  }
  check_is_serving(server);
}
