#pragma once
// A folder with certificates, clients of both halves of a server, and raw health checks.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include "base/clock.h"
#include "certs/certificate.h"
#include "certs/file.h"
#include "support/folder.h"
#include "tcp_client.h"

namespace rusternetes::rhino::testing {

using rusternetes::testing::Folder;

inline certs::KeyPair issue(const certs::KeyPair& authority, const std::string& name) {
  certs::LeafRequest request;
  request.common_name = name;
  request.dns_names = {"localhost"};
  request.ip_addresses = {"127.0.0.1"};
  request.is_server = request.is_client = true;
  auto pair = certs::issue(authority, request, Clock::system().now());
  REQUIRE(pair);
  return *pair;
}

// An authority, a server's and a client's certificate of it, as files and as text.
struct Certificates {
  explicit Certificates(const std::filesystem::path& folder) : folder(folder) {
    auto made = certs::make_authority({.common_name = "test authority"}, Clock::system().now());
    REQUIRE(made);
    authority = *made;
    client = issue(authority, "a client");
    std::ofstream(folder / "ca.crt") << authority.certificate_pem;
    write_server("server one");
  }
  void write_server(const std::string& name) {
    const auto pair = issue(authority, name);
    REQUIRE(certs::write_atomically(folder / "server.key", pair.key_pem, 0600));
    REQUIRE(certs::write_atomically(folder / "server.crt", pair.certificate_pem, 0644));
  }
  std::filesystem::path folder;
  certs::KeyPair authority, client;
};

// grpc.health.v1.Health/Check of the whole server: "SERVING", "NOT_SERVING", or the call's error code and
// message.
inline std::string check_health(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::ByteBuffer request, response;
  const grpc::Slice empty("");
  request = grpc::ByteBuffer(&empty, 1);
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const auto status = done.get_future().get();
  if (!status.ok()) return std::to_string(status.error_code()) + " " + status.error_message();
  std::vector<grpc::Slice> slices;
  (void)response.Dump(&slices);
  std::string bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes == "\x08\x01" ? "SERVING" : bytes == "\x08\x02" ? "NOT_SERVING" : "UNKNOWN";
}

inline std::shared_ptr<grpc::Channel> new_channel(
    const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

inline std::string http_request(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n" + more + "\r\n";
}

inline std::string http_get(std::uint16_t port, const std::string& path, const std::string& more = "") {
  TcpClient client(port);
  client.send(http_request(path, more));
  return client.read_to_end();
}

struct TlsReply {
  bool is_up = false;
  std::string text;      // the whole response
  std::string version;   // "TLSv1.3"
  std::string protocol;  // what ALPN chose
  std::string server;    // the certificate's subject
};

// A handshake and one request. Without an identity no certificate is shown.
inline TlsReply https_get(std::uint16_t port, const std::string& path,
                          const certs::KeyPair* identity = nullptr,
                          const std::string& protocols = "\x08http/1.1", int most_version = TLS1_3_VERSION) {
  std::unique_ptr<SSL_CTX,
      decltype(&::SSL_CTX_free)> context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  ::SSL_CTX_set_max_proto_version(context.get(), most_version);
  if (identity) {
    std::unique_ptr<BIO,
        decltype(&::BIO_free)> cert(::BIO_new_mem_buf(identity->certificate_pem.data(), -1), &::BIO_free);
    std::unique_ptr<BIO,
        decltype(&::BIO_free)> key(::BIO_new_mem_buf(identity->key_pem.data(), -1), &::BIO_free);
    X509* x509 = ::PEM_read_bio_X509(cert.get(), nullptr, nullptr, nullptr);
    EVP_PKEY* pkey = ::PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
    ::SSL_CTX_use_certificate(context.get(), x509);
    ::SSL_CTX_use_PrivateKey(context.get(), pkey);
    ::X509_free(x509);
    ::EVP_PKEY_free(pkey);
  }
  TcpClient socket(port);
  timeval timeout{10, 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  std::unique_ptr<SSL, decltype(&::SSL_free)> ssl(::SSL_new(context.get()), &::SSL_free);
  if (!protocols.empty())
    ::SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
  ::SSL_set_fd(ssl.get(), socket.fd());
  TlsReply reply;
  if (::SSL_connect(ssl.get()) != 1) return reply;
  reply.version = ::SSL_get_version(ssl.get());
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  ::SSL_get0_alpn_selected(ssl.get(), &protocol, &length);
  reply.protocol.assign(reinterpret_cast<const char*>(protocol), length);
  if (X509* peer = ::SSL_get1_peer_certificate(ssl.get())) {
    char name[256] = {};
    ::X509_NAME_get_text_by_NID(::X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    reply.server = name;
    ::X509_free(peer);
  }
  const auto request = http_request(path);
  ::SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
  char buffer[4096];
  for (int n; (n = ::SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;)
    reply.text.append(buffer, static_cast<std::size_t>(n));
  reply.is_up = reply.text.starts_with("HTTP/1.1 200");
  return reply;
}

}  // namespace rusternetes::rhino::testing
