// libcurl against a TLS server that asks for a client certificate.
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <thread>

#include "certs/certificate.h"
#include "certs/openssl.h"
#include "launcher/adapters/curl_http.h"
#include "world.h"

using namespace rusternetes;
using namespace rusternetes::launcher;

namespace {

const certs::KeyPair& authority() {
  static const certs::KeyPair pair =
      certs::make_authority({.common_name = "ca"}, Clock::system().now()).value();
  return pair;
}

certs::KeyPair leaf(const certs::KeyPair& issuer, const char* name, bool is_server) {
  return certs::issue(issuer,
                      {.common_name = name,
                       .ip_addresses = {"127.0.0.1"},
                       .is_server = is_server,
                       .is_client = !is_server},
                      Clock::system().now())
      .value();
}

// Answers one connection with a fixed text and keeps what was asked.
class Server {
 public:
  explicit Server(std::string answer) : answer_(std::move(answer)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string url(const char* path) const { return "https://127.0.0.1:" + std::to_string(port_) + path; }
  std::string asked;

 private:
  void serve() {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    const certs::KeyPair own = leaf(authority(), "server", true);
    SSL_CTX_use_certificate(context, certs::read_certificate(own.certificate_pem).value().get());
    SSL_CTX_use_PrivateKey(context, certs::read_private_key(own.key_pem).value().get());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
                        certs::read_certificate(authority().certificate_pem).value().get());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    const int client = ::accept(fd_, nullptr, nullptr);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, client);
    if (client >= 0 && SSL_accept(ssl) == 1) {
      char buffer[4096];
      while (asked.find("\r\n\r\n") == std::string::npos) {
        const int got = SSL_read(ssl, buffer, sizeof buffer);
        if (got <= 0) break;
        asked.append(buffer, static_cast<std::size_t>(got));
      }
      SSL_write(ssl, answer_.data(), static_cast<int>(answer_.size()));
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (client >= 0) ::close(client);
  }
  std::string answer_;
  int fd_ = -1;
  int port_ = 0;
  std::thread thread_;
};

HttpRequest request_to(const Server& server, const certs::KeyPair& client) {
  return {.url = server.url("/x"),
          .authority_pem = authority().certificate_pem,
          .certificate_pem = client.certificate_pem,
          .key_pem = client.key_pem,
          .timeout = std::chrono::seconds(20)};
}

}  // namespace

TEST_CASE("a request carries the client certificate and gets status and body") {
  CurlHttp http;
  Server server("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!");
  HttpRequest request = request_to(server, leaf(authority(), "admin", false));
  request.method = "POST";
  request.body = "{}";
  const auto answer = http.send(request);
  REQUIRE(answer.has_value());
  CHECK(answer->status == 403);
  CHECK(answer->body == "no!");
  CHECK(server.asked.starts_with("POST /x HTTP/1.1\r\n"));
  CHECK(server.asked.find("Content-Type: application/json") != std::string::npos);
}

TEST_CASE("a server or a client of another authority is no answer") {
  CurlHttp http;
  const certs::KeyPair other = certs::make_authority({.common_name = "other"}, Clock::system().now()).value();
  SECTION("server") {
    Server server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    HttpRequest request = request_to(server, leaf(authority(), "admin", false));
    request.authority_pem = other.certificate_pem;
    CHECK_FALSE(http.send(request).has_value());
  }
  SECTION("client") {
    Server server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK_FALSE(http.send(request_to(server, leaf(other, "admin", false))).has_value());
  }
}

TEST_CASE("several are asked at the same time, and each has an answer of its own") {
  CurlHttp http;
  Server first("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\none");
  Server second("HTTP/1.1 500 Oh\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntwo");
  Server stranger("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  Server unverified("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfour");
  const certs::KeyPair other = certs::make_authority({.common_name = "other"}, Clock::system().now()).value();
  std::vector<HttpRequest> requests;
  for (const Server* one : {&first, &second, &stranger, &unverified})
    requests.push_back(request_to(*one, leaf(authority(), "admin", false)));
  for (const std::size_t at : {2u, 3u}) requests[at].authority_pem = other.certificate_pem;
  requests[3].is_server_verified = false;
  requests.push_back({.url = "https://127.0.0.1:1/nobody", .timeout = std::chrono::seconds(5)});
  const auto answers = http.send_all(requests);
  REQUIRE(answers.size() == 5);
  REQUIRE(answers[0]);
  CHECK(answers[0]->body == "one");
  REQUIRE(answers[1]);
  CHECK(answers[1]->status == 500);
  CHECK(answers[1]->body == "two");
  CHECK_FALSE(answers[2]);
  REQUIRE(answers[3]);
  CHECK(answers[3]->body == "four");
  CHECK_FALSE(answers[4]);
  CHECK(http.send_all({}).empty());
}

TEST_CASE("one that does not answer keeps the others no longer than its timeout") {
  CurlHttp http;
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // accepted by the kernel alone
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(silent, 8) == 0);
  socklen_t size = sizeof address;
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  const auto begin = std::chrono::steady_clock::now();
  const auto answers = http.send_all({3, {.url = url, .timeout = std::chrono::milliseconds(300)}});
  const auto took = std::chrono::steady_clock::now() - begin;
  ::close(silent);
  for (const auto& one : answers) CHECK_FALSE(one);
  CHECK(took >= std::chrono::milliseconds(250));
  CHECK(took < std::chrono::milliseconds(850));  // not one after the other
}

TEST_CASE("a stream is read line by line until one is refused") {
  CurlHttp http;
  Server server("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none\ntwo\nthree\nfour");
  std::vector<std::string> lines;
  const auto status =
      http.stream(request_to(server, leaf(authority(), "admin", false)), [&](std::string_view line) {
        lines.emplace_back(line);
        return line != "two";
      });
  REQUIRE(status.has_value());
  CHECK(*status == 200);
  CHECK(lines == std::vector<std::string>{"one", "two"});
}
