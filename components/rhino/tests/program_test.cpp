// The program itself: started, asked, stopped, killed and started again.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "etcd/rpc.grpc.pb.h"
#include "http/client.h"
#include "program_harness.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;
using namespace rusternetes::rhino::testing;
using namespace std::chrono_literals;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::shared_ptr<grpc::Channel> channel_to(std::uint16_t port) {
  return new_channel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
}

grpc::Status put(etcdserverpb::KV::Stub& kv, const std::string& key, const std::string& value) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 10s);
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  etcdserverpb::PutResponse response;
  return kv.Put(&context, request, &response);
}

std::string get(etcdserverpb::KV::Stub& kv, const std::string& key) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 10s);
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  etcdserverpb::RangeResponse response;
  if (const auto status = kv.Range(&context, request, &response); !status.ok())
    return "error: " + status.error_message();
  return response.kvs_size() == 1 ? response.kvs(0).value() : "none";
}

}  // namespace

TEST_CASE("rhino starts as envtest starts etcd, serves both halves and ends with 0 on SIGTERM") {
  const Folder folder;
  auto arguments = flags(folder);
  arguments.insert(arguments.end(), {"--listen-peer-urls=http://localhost:0", "--unsafe-no-fsync=true"});
  Program program(folder.path, arguments);
  const auto ports = program.wait_ready();
  REQUIRE(ports.size() == 1);
  CHECK(http_get(ports[0], "/health").ends_with(R"({"health":"true","reason":""})"));
  CHECK(check_health(channel_to(ports[0])) == "SERVING");
  struct stat data {};
  REQUIRE(::stat((folder.path / "data").c_str(), &data) == 0);
  CHECK((data.st_mode & 0777) == 0700);
  const auto metrics = http_get(ports[0], "/metrics");
  CHECK(metrics.find("\netcd_debugging_mvcc_current_revision 1\n") != std::string::npos);
  program.signal(SIGTERM);
  CHECK(program.wait_end() == 0);
  CHECK(program.log().find("stopping: Terminated") != std::string::npos);
}

TEST_CASE("a watch that is open does not keep rhino from ending") {
  const Folder folder;
  Program program(folder.path, flags(folder));
  const auto channel = channel_to(program.wait_ready().at(0));
  const auto watch = etcdserverpb::Watch::NewStub(channel);
  grpc::ClientContext context;
  auto stream = watch->Watch(&context);
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key("a");
  REQUIRE(stream->Write(request));
  etcdserverpb::WatchResponse response;
  REQUIRE(stream->Read(&response));
  REQUIRE(response.created());
  program.signal(SIGINT);
  CHECK_FALSE(stream->Read(&response));
  CHECK_FALSE(stream->Finish().ok());
  CHECK(program.wait_end() == 0);
}

TEST_CASE("what was acknowledged is there after kill -9, and a second instance is told so in one sentence") {
  const Folder folder;
  {
    Program program(folder.path, flags(folder));
    const auto kv = etcdserverpb::KV::NewStub(channel_to(program.wait_ready().at(0)));
    for (int i = 0; i < 20; ++i)
      REQUIRE(put(*kv, "key" + std::to_string(i), "value" + std::to_string(i)).ok());
    Program second(folder.path, flags(folder));
    CHECK(second.wait_end() == 1);
    CHECK(second.log().find("store.db is in use by another process\n") != std::string::npos);
    program.signal(SIGKILL);
    CHECK(program.wait_end() == 1000 + SIGKILL);
  }
  Program again(folder.path, flags(folder));
  const auto kv = etcdserverpb::KV::NewStub(channel_to(again.wait_ready().at(0)));
  for (int i = 0; i < 20; ++i) CHECK(get(*kv, "key" + std::to_string(i)) == "value" + std::to_string(i));
  again.signal(SIGTERM);
  CHECK(again.wait_end() == 0);
}

TEST_CASE("--auto-tls serves with a certificate of its own, which stays") {
  const Folder folder;
  auto arguments = flags(folder, "https://127.0.0.1:0");
  arguments.push_back("--auto-tls");
  std::string certificate;
  for (int i = 0; i < 2; ++i) {
    Program program(folder.path, arguments);
    const auto port = program.wait_ready().at(0);
    const auto file = folder.path / "data/fixtures/client/cert.pem";
    if (i == 0) certificate = read_file(file);
    CHECK(read_file(file) == certificate);
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = certificate;
    CHECK(check_health(new_channel("127.0.0.1:" + std::to_string(port),
                                   grpc::SslCredentials(options))) == "SERVING");
    CHECK(https_get(port, "/health").is_up);
    struct stat key {};
    REQUIRE(::stat((folder.path / "data/fixtures/client/key.pem").c_str(), &key) == 0);
    CHECK((key.st_mode & 0777) == 0600);
    program.signal(SIGTERM);
    CHECK(program.wait_end() == 0);
  }
}

TEST_CASE("the versions and suites of TLS that are allowed hold for both halves") {
  const Folder folder;
  const Certificates certificates(folder.path);
  auto arguments = flags(folder, "https://127.0.0.1:0");
  arguments.insert(arguments.end(), {"--cert-file=" + (folder.path / "server.crt").string(),
                                     "--key-file=" + (folder.path / "server.key").string()});
  const std::string h2 = "\x02h2", http1 = "\x08http/1.1";
  const auto version = [&](const std::string& flag, const std::string& protocol, int most) {
    auto all = arguments;
    all.push_back(flag);
    Program program(folder.path, all);
    return https_get(program.wait_ready().at(0), "/health", nullptr, protocol, most).version;
  };
  for (const auto& protocol : {h2, http1}) {
    INFO(protocol);
    CHECK(version("--tls-min-version=TLS1.2", protocol, TLS1_3_VERSION) == "TLSv1.3");
    CHECK(version("--tls-max-version=TLS1.2", protocol, TLS1_3_VERSION) == "TLSv1.2");
    CHECK(version("--tls-min-version=TLS1.3", protocol, TLS1_2_VERSION) == "");
    // an ECDSA key
    CHECK(version("--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", protocol, TLS1_2_VERSION) == "");
    CHECK(version("--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", protocol,
                  TLS1_2_VERSION) == "TLSv1.2");
  }
}

TEST_CASE("a service manager is told when rhino is ready and when it stops") {
  const Folder folder;
  const std::string path = folder.path / "notify";
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const auto next = [fd] {
    pollfd ready{fd, POLLIN, 0};
    char buffer[64];
    if (::poll(&ready, 1, deadline_ms) != 1) return std::string();
    return std::string(buffer, static_cast<std::size_t>(::recv(fd, buffer, sizeof buffer, 0)));
  };
  Program program(folder.path, flags(folder), {"NOTIFY_SOCKET=" + path});
  CHECK(next() == "READY=1");
  program.signal(SIGTERM);
  CHECK(next() == "STOPPING=1");
  CHECK(program.wait_end() == 0);
  ::close(fd);
}

TEST_CASE("what cannot be is said in one sentence") {
  const Folder folder;
  const auto said = [&](std::vector<std::string> arguments, int code) {
    Program program(folder.path, std::move(arguments));
    CHECK(program.wait_end() == code);
    return program.log();
  };
  CHECK(said({"--nonsense"}, 2).find("flag provided but not defined: -nonsense") != std::string::npos);
  CHECK(said({"--version"}, 0).find("etcd Version: 3.6.") == 0);
  auto arguments = flags(folder);
  arguments.push_back("--initial-cluster-state=existing");
  CHECK(said(arguments, 1).find("has none to join") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder.path / "data"));
  std::filesystem::create_directories(folder.path / "data/member");
  CHECK(said(flags(folder), 1).find("holds the data of an etcd") != std::string::npos);
  std::filesystem::remove_all(folder.path / "data");
  std::ofstream(folder.path / "data") << "a file";
  CHECK(said(flags(folder), 1).find("it is not a folder") != std::string::npos);
}

TEST_CASE("--log-outputs takes a file, and the environment is read") {
  const Folder folder;
  const auto file = folder.path / "rhino.log";
  Program program(folder.path, {},
                  {"ETCD_DATA_DIR=" + (folder.path / "data").string(),
                   "ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:0",
                   "ETCD_ADVERTISE_CLIENT_URLS=http://127.0.0.1:1", "ETCD_LOG_OUTPUTS=" + file.string()});
  CHECK(eventually([&] { return read_file(file).find("] ready: ") != std::string::npos; }));
  CHECK(program.log().empty());
  program.signal(SIGTERM);
  CHECK(program.wait_end() == 0);
}

namespace {

struct StoreCopy {
  std::string bytes, revision;
};

Task<> fetch_copy(EventThread& thread, std::string socket, StoreCopy& copy) {
  auto client = http::Client::create(thread.executor(), {"unix://" + socket, {}});
  if (!client) co_return;
  http::ClientRequest request;
  request.target = "/copy";
  auto response = co_await (*client)->send(std::move(request));
  if (!response) co_return;
  copy.revision = std::string((*response)->head().headers.get("x-revision").value_or(""));
  auto body = co_await (*response)->read_all(64 << 20);
  if (body) copy.bytes = *body;
}

}  // namespace

TEST_CASE("rhino hands out a copy of its store on a socket of its owner's while it serves") {
  const Folder folder;
  auto arguments = flags(folder);
  const std::string socket = folder.path / "data/store.sock";
  arguments.push_back("--store-copy-socket=" + socket);
  Program program(folder.path, arguments);
  const auto port = program.wait_ready().at(0);
  auto kv = etcdserverpb::KV::NewStub(channel_to(port));
  REQUIRE(put(*kv, "a", "1").ok());
  REQUIRE(put(*kv, "b", "2").ok());
  struct stat info {};
  REQUIRE(::stat(socket.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  StoreCopy copy;
  {
    EventThread thread("test");
    run_blocking(thread.executor(), fetch_copy(thread, socket, copy));
  }
  CHECK(copy.revision == "3");
  {
    storage::sqlite::StoreOptions options;
    options.path = folder.path / "copy.db";
    std::ofstream(options.path, std::ios::binary) << copy.bytes;
    auto store = storage::sqlite::SqliteStore::open(options);
    REQUIRE(store);
    CHECK((*store)->current_revision() == 3);
    CHECK((*store)->range({.key = "a", .range_end = "c"})->count == 2);
  }
  CHECK(put(*kv, "c", "3").ok());
  program.signal(SIGTERM);
  CHECK(program.wait_end() == 0);
  CHECK_FALSE(std::filesystem::exists(socket));
}

TEST_CASE("a socket for copies that cannot be made is named, and nothing is served") {
  const Folder folder;
  auto arguments = flags(folder);
  arguments.push_back("--store-copy-socket=" + (folder.path / std::string(120, 's')).string());
  Program program(folder.path, arguments);
  CHECK(program.wait_end() == 1);
  CHECK(program.log().find("--store-copy-socket: listen on") != std::string::npos);
}
