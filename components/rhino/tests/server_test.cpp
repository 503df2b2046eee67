// gRPC and HTTP on one port, in plain text and over TLS, with clients that must show certificates, and the
// end of it all.

#include "rhino/server.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "server_harness.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;
using namespace std::chrono_literals;

namespace {

struct Running {
  explicit Running(std::vector<std::string> arguments, std::chrono::milliseconds patience = 10s) {
    bool has_urls = false;
    for (const auto& argument : arguments)
      has_urls = has_urls || argument.starts_with("--listen-client-urls");
    if (!has_urls) arguments.push_back("--listen-client-urls=http://127.0.0.1:0");
    arguments.push_back("--advertise-client-urls=http://127.0.0.1:1");
    auto outcome = parse_flags(arguments, {});
    INFO(outcome.err);
    REQUIRE(!outcome.exit_code);
    Server::Options options;
    options.flags = outcome.flags;
    options.patience = patience;
    options.endpoints.health = [](const std::vector<std::string>&) { return Services::Health{}; };
    options.endpoints.counters = [] { return Services::Counters{}; };
    options.endpoints.figures = [] { return StoreFigures{}; };
    options.end_streams = [this] { ++streams_ended; };
    auto made = Server::start(std::move(options));
    REQUIRE(made);
    server = std::move(*made);
    for (const auto& url : server->urls())
      ports.push_back(static_cast<std::uint16_t>(parse_go_uint(url.port()).value_or(0)));
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(ports.at(0)); }
  std::shared_ptr<grpc::Channel> plain() const {
    return new_channel(target(), grpc::InsecureChannelCredentials());
  }
  std::shared_ptr<grpc::Channel> secure(const certs::KeyPair& authority,
                                        const certs::KeyPair* identity = nullptr) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority.certificate_pem;
    if (identity) {
      options.pem_cert_chain = identity->certificate_pem;
      options.pem_private_key = identity->key_pem;
    }
    return new_channel(target(), grpc::SslCredentials(options));
  }
  std::atomic<int> streams_ended{0};
  std::unique_ptr<Server> server;
  std::vector<std::uint16_t> ports;
};

std::vector<std::string> tls_flags(const Certificates& certificates, bool with_authority) {
  std::vector<std::string> flags{"--listen-client-urls=https://127.0.0.1:0",
                                 "--cert-file=" + (certificates.folder / "server.crt").string(),
                                 "--key-file=" + (certificates.folder / "server.key").string()};
  if (with_authority) {
    flags.push_back("--trusted-ca-file=" + (certificates.folder / "ca.crt").string());
    flags.push_back("--client-cert-auth=true");
  }
  return flags;
}

}  // namespace

TEST_CASE("one port serves gRPC and HTTP/1.1") {
  const Running running({});
  CHECK(check_health(running.plain()) == "SERVING");
  const auto health = http_get(running.ports[0], "/health");
  CHECK(health.starts_with("HTTP/1.1 200"));
  CHECK(health.ends_with(R"({"health":"true","reason":""})"));
  CHECK(check_health(running.plain()) == "SERVING");
}

TEST_CASE("one port serves gRPC and HTTP/1.1 over TLS, by what ALPN offers") {
  const Folder folder;
  const Certificates certificates(folder.path);
  const Running running(tls_flags(certificates, false));
  CHECK(check_health(running.secure(certificates.authority)) == "SERVING");
  const auto http1 = https_get(running.ports[0], "/health");
  CHECK(http1.is_up);
  CHECK(http1.server == "server one");
  CHECK(https_get(running.ports[0], "/health", nullptr, "").is_up);
  CHECK(https_get(running.ports[0], "/health", nullptr, "\x02h2\x08http/1.1").protocol == "h2");
  CHECK(https_get(running.ports[0], "/health", nullptr, "\x02h2").protocol == "h2");
  // Plain text is not taken there.
  CHECK_FALSE(http_get(running.ports[0], "/health").starts_with("HTTP/1.1 200"));
  CHECK(check_health(running.plain()).substr(0, 2) == "14");
}

TEST_CASE("with --client-cert-auth both halves want a certificate of the authority") {
  const Folder folder;
  const Certificates certificates(folder.path);
  const Running running(tls_flags(certificates, true));
  CHECK(check_health(running.secure(certificates.authority, &certificates.client)) == "SERVING");
  CHECK(https_get(running.ports[0], "/health", &certificates.client).is_up);

  CHECK(check_health(running.secure(certificates.authority)).substr(0, 2) == "14");
  CHECK_FALSE(https_get(running.ports[0], "/health").is_up);
  const auto strangers = certs::make_authority({.common_name = "strangers"}, Clock::system().now());
  REQUIRE(strangers);
  const auto stranger = issue(*strangers, "a client");
  CHECK(check_health(running.secure(certificates.authority, &stranger)).substr(0, 2) == "14");
  CHECK_FALSE(https_get(running.ports[0], "/health", &stranger).is_up);
}

TEST_CASE("new certificates in the same files are served without a restart") {
  const Folder folder;
  Certificates certificates(folder.path);
  const Running running(tls_flags(certificates, false));
  REQUIRE(https_get(running.ports[0], "/health").server == "server one");
  certificates.write_server("server two");
  CHECK(https_get(running.ports[0], "/health").server == "server two");
  // gRPC looks once a second.
  CHECK(eventually([&] { return https_get(running.ports[0], "/health", nullptr,
                                          "\x02h2").server == "server two"; }));
  CHECK(check_health(running.secure(certificates.authority)) == "SERVING");
  // Halves that do not fit together change nothing.
  REQUIRE(certs::write_atomically(folder.path / "server.crt", "nonsense", 0644));
  CHECK(https_get(running.ports[0], "/health").server == "server two");
}

TEST_CASE("certificates that cannot be used stop the start, by name") {
  const Folder folder;
  auto outcome =
      parse_flags({"--listen-client-urls=https://127.0.0.1:0", "--advertise-client-urls=https://a:1",
                              "--cert-file=" + (folder.path / "none.crt").string(),
                              "--key-file=" + (folder.path / "none.key").string()},
                             {});
  REQUIRE(!outcome.exit_code);
  Server::Options options;
  options.flags = outcome.flags;
  const auto server = Server::start(std::move(options));
  REQUIRE(!server);
  CHECK(server.error().message.find("none.crt") != std::string::npos);
}

TEST_CASE("a connection that says nothing is closed, with and without TLS") {
  const Folder folder;
  const Certificates certificates(folder.path);
  auto flags = tls_flags(certificates, false);
  flags[0] += ",http://127.0.0.1:0";
  const Running running(flags, 200ms);
  REQUIRE(running.ports.size() == 2);
  for (const auto port : running.ports) {
    TcpClient silent(port);
    CHECK(silent.is_closed_by_peer());
  }
}

TEST_CASE("many connections of both kinds at once are all served") {
  const Running running({});
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TcpClient>(running.ports[0]));
    clients.back()->send(http_request("/version"));
    if (i % 4 == 0) channels.push_back(running.plain());
  }
  for (const auto& channel : channels) REQUIRE(check_health(channel) == "SERVING");
  for (const auto& client : clients)
    REQUIRE(client->read_to_end().find("\"etcdserver\":\"3.6.") != std::string::npos);
}

TEST_CASE("who pings more often than --grpc-keepalive-min-time is disconnected, as by etcd") {
  const Running running({});
  TcpClient client(running.ports[0]);
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9), ping("\0\0\x08\6\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
  REQUIRE(client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings));
  for (int i = 0; i < 5; ++i) client.send(ping);  // the third strike is one too many
  CHECK(client.read_to_end().find("too_many_pings") != std::string::npos);

  const Running lenient({"--grpc-keepalive-min-time=1ns"});
  TcpClient eager(lenient.ports[0]);
  REQUIRE(eager.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings));
  for (int i = 0; i < 5; ++i) {
    REQUIRE(eager.send(ping));
    std::this_thread::sleep_for(2ms);  // longer than the least time between pings, which is what is tested
  }
  ::shutdown(eager.fd(), SHUT_WR);
  CHECK(eager.read_to_end().find("too_many_pings") == std::string::npos);
}

TEST_CASE("reflection lists the services") {
  const Running running({});
  grpc::GenericStub stub(running.plain());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 10s);
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool is_good = false;
    return queue.Next(&tag, &is_good) && is_good;
  };
  const auto call =
      stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  REQUIRE(next());
  const grpc::Slice list_services(std::string("\x3a\x01*"));
  call->Write(grpc::ByteBuffer(&list_services, 1), nullptr);
  REQUIRE(next());
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  REQUIRE(next());
  std::vector<grpc::Slice> slices;
  REQUIRE(response.Dump(&slices).ok());
  std::string bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  CHECK(bytes.find("grpc.health.v1.Health") != std::string::npos);
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  queue.Shutdown();
  while (next()) {
  }
}

TEST_CASE("with --listen-client-http-urls the halves have ports of their own") {
  const Running running({"--listen-client-http-urls=http://127.0.0.1:0",
                         "--listen-metrics-urls=http://127.0.0.1:0"});
  REQUIRE(running.ports.size() == 3);
  CHECK(check_health(running.plain()) == "SERVING");
  CHECK_FALSE(http_get(running.ports[0], "/health").starts_with("HTTP/1.1"));
  CHECK(http_get(running.ports[1], "/version").starts_with("HTTP/1.1 200"));
  CHECK(http_get(running.ports[2], "/metrics").find("\nprocess_resident_memory_bytes ") != std::string::npos);
  CHECK(http_get(running.ports[2], "/version").starts_with("HTTP/1.1 404"));
}

TEST_CASE("a unix socket serves both, too") {
  const Folder folder;
  const std::string path = folder.path / "rhino.sock";
  {
    const Running running({"--listen-client-urls=unix://" + path});
    CHECK(check_health(new_channel("unix:" + path, grpc::InsecureChannelCredentials())) == "SERVING");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const auto request = http_request("/health");
    REQUIRE(::send(fd, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
    char buffer[64] = {};
    CHECK(::recv(fd, buffer, sizeof buffer, MSG_WAITALL) > 0);
    CHECK(std::string_view(buffer, 12) == "HTTP/1.1 200");
    ::close(fd);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("one address for both kinds of client URLs is refused in etcd's words") {
  std::uint16_t port = 0;
  {
    const Running free({});
    port = free.ports[0];
  }
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  auto outcome = parse_flags(
      {"--listen-client-urls=" + url, "--listen-client-http-urls=" + url, "--advertise-client-urls=" + url},
          {});
  REQUIRE(!outcome.exit_code);
  Server::Options options;
  options.flags = outcome.flags;
  const auto server = Server::start(std::move(options));
  REQUIRE(!server);
  CHECK(server.error().message ==
        "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url " + url);
}

TEST_CASE("a server that stops ends streams, takes nothing more and comes back at once on its port") {
  Running running({});
  const auto channel = running.plain();
  REQUIRE(check_health(channel) == "SERVING");
  TcpClient silent(running.ports[0]);
  const auto begin = std::chrono::steady_clock::now();
  running.server->stop();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  CHECK(running.streams_ended == 1);
  CHECK(check_health(channel).substr(0, 2) == "14");
  CHECK(silent.is_closed_by_peer());
  running.server->stop();  // once more is once
  CHECK(running.streams_ended == 1);
  const Running again({"--listen-client-urls=http://" + running.target()});
  CHECK(check_health(again.plain()) == "SERVING");
}
