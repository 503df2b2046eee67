// Certificates of clients, resumption, and new certificates for a running server.

#include <openssl/ssl.h>

#include <catch2/catch.hpp>

#include "harness.h"
#include "http/tls.h"

using namespace rusternetes;
using namespace rusternetes::http;
using namespace rusternetes::http::testing;

namespace {

// A blocking handshake and one request with plain OpenSSL.
struct Dialled {
  bool is_up = false;
  bool is_resumed = false;
  std::string version;
  SSL_SESSION* session = nullptr;
};

Dialled dial(std::uint16_t port, SSL_CTX* context, SSL_SESSION* session) {
  RawSocket socket(port);
  Dialled result;
  SSL* ssl = ::SSL_new(context);
  ::SSL_set_fd(ssl, socket.fd());
  if (session) ::SSL_set_session(ssl, session);
  if (::SSL_connect(ssl) == 1) {
    const std::string_view request = "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    ::SSL_write(ssl, request.data(), static_cast<int>(request.size()));
    char buffer[4096];
    std::string all;
    for (int n; (n = ::SSL_read(ssl, buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    result.is_up = all.find("hello") != std::string::npos;
    result.is_resumed = ::SSL_session_reused(ssl) == 1;
    result.version = ::SSL_get_version(ssl);
    result.session = ::SSL_get1_session(ssl);
    ::SSL_shutdown(ssl);  // else OpenSSL gives the session up
  }
  ::SSL_free(ssl);
  return result;
}

}  // namespace

TEST_CASE("a verified client certificate reaches the handler with its chain") {
  Harness harness({}, true);
  const std::string kind = GENERATE("h2", "https1");
  const auto identity = harness.client_authority.issue_client("alice");
  auto known = harness.client(kind, {}, &identity);
  CHECK(harness.get(*known, "/who").body.find(" 2 tls") != std::string::npos);
  auto anonymous = harness.client(kind);
  CHECK(harness.get(*anonymous, "/who").body.find(" 0 tls") != std::string::npos);
}

TEST_CASE("a client certificate that does not verify is refused in the handshake") {
  Harness harness({}, true);
  const std::string kind = GENERATE("h2", "https1");
  const auto stranger = harness.authority.issue_client("mallory");
  auto refused = harness.client(kind, {}, &stranger);
  const auto reply = harness.get(*refused, "/who");
  CHECK_FALSE(reply.is_ok);
  CHECK(reply.status == 0);
  CHECK(harness.handled == 0);
  // Issued by the right authority, for the wrong use.
  const auto wrong_use = harness.client_authority.issue_server("not a client");
  auto misused = harness.client(kind, {}, &wrong_use);
  CHECK_FALSE(harness.get(*misused, "/who").is_ok);
}

TEST_CASE("TLS 1.2 and 1.3 are served, nothing older, and sessions resume by ticket") {
  Harness harness;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  SSL_CTX* context = ::SSL_CTX_new(::TLS_client_method());
  ::SSL_CTX_set_max_proto_version(context, version);
  const auto first = dial(harness.tls_port, context, nullptr);
  CHECK(first.is_up);
  CHECK_FALSE(first.is_resumed);
  CHECK(first.version == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
  const auto second = dial(harness.tls_port, context, first.session);
  CHECK(second.is_up);
  CHECK(second.is_resumed);
  ::SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
  ::SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
  CHECK_FALSE(dial(harness.tls_port, context, nullptr).is_up);
  ::SSL_SESSION_free(first.session);
  ::SSL_SESSION_free(second.session);
  ::SSL_CTX_free(context);
}

TEST_CASE("a session with a client certificate is verified anew each time") {
  Harness harness({}, true);
  const auto identity = harness.client_authority.issue_client("alice");
  ClientTls tls{harness.authority.pem(), identity.certificate_pem, identity.private_key_pem, "", true};
  auto context = make_client_context(tls).value();
  const auto first = dial(harness.tls_port, context.get(), nullptr);
  CHECK(first.is_up);
  const auto second = dial(harness.tls_port, context.get(), first.session);
  CHECK(second.is_up);
  CHECK_FALSE(second.is_resumed);
  ::SSL_SESSION_free(first.session);
  ::SSL_SESSION_free(second.session);
}

TEST_CASE("new connections get reloaded certificates and old ones live on") {
  Harness harness;
  auto before = harness.client("h2");
  REQUIRE(harness.get(*before, "/hello").is_ok);
  const TestAuthority other("another authority");
  const auto identity = other.issue_server("renewed");
  REQUIRE(harness.server->reload_tls({identity.certificate_pem, identity.private_key_pem, {}}));
  CHECK(harness.get(*before, "/hello").is_ok);
  auto late = harness.client("h2");
  CHECK_FALSE(harness.get(*late, "/hello").is_ok);
  Endpoint endpoint{"https://127.0.0.1:" + std::to_string(harness.tls_port), {}};
  endpoint.tls.ca_pem = other.pem();
  auto renewed = Client::create(harness.thread.executor(), endpoint).value();
  CHECK(harness.get(*renewed, "/hello").is_ok);
  CHECK_FALSE(harness.server->reload_tls({"rubbish", "rubbish", {}}));
  CHECK(harness.get(*renewed, "/hello").is_ok);
}
