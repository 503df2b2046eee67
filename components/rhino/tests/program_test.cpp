// The program itself: started, asked, stopped, killed and started again.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "etcd/rpc.grpc.pb.h"
#include "server_harness.h"

using namespace rusternetes;
using namespace rusternetes::rhino::testing;
using namespace std::chrono_literals;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class Program {
 public:
  Program(const std::filesystem::path& folder, std::vector<std::string> arguments,
          const std::vector<std::string>& environment = {})
      : log_(folder / "log") {
    static int count = 0;
    log_ += std::to_string(++count);
    arguments.insert(arguments.begin(), RUSTERNETES_BINARY_DIR "/rhino");
    std::vector<char*> argv, envp;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    for (const auto& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    REQUIRE(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  Program(const Program&) = delete;
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string log() const { return read_file(log_); }
  // The ports it listens on, from its line in the log, in the order of the URLs.
  std::vector<std::uint16_t> wait_ready() {
    std::string text;
    REQUIRE(eventually([&] {
      text = log();
      return text.find("] ready: ") != std::string::npos && text.ends_with("\n");
    }));
    std::vector<std::uint16_t> ports;
    const auto line = text.substr(text.find("] ready: "));
    for (auto at = line.find("://"); at != std::string::npos; at = line.find("://", at + 1)) {
      const auto colon = line.find(':', at + 3);
      ports.push_back(static_cast<std::uint16_t>(std::stoi(line.substr(colon + 1))));
    }
    return ports;
  }
  void signal(int number) const { ::kill(pid_, number); }
  // -1: it did not end in time; 1000 and more: by a signal.
  int wait_end() {
    int status = 0;
    if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

std::vector<std::string> flags(const Folder& folder,
                               const std::string& urls = "http://127.0.0.1:0") {
  return {"--data-dir=" + (folder.path / "data").string(), "--listen-client-urls=" + urls,
          "--advertise-client-urls=http://127.0.0.1:1"};
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
