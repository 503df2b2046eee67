#include "servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "certs/certificate.h"

extern char** environ;

namespace rusternetes::storage::etcd::testing {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Free a moment ago; whoever takes it meanwhile makes the server's start fail, which is tried again with
// others.
std::pair<int, int> free_ports() {
  int ports[2]{}, sockets[2];
  for (int i = 0; i < 2; ++i) {
    sockets[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(sockets[i], reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(sockets[i], reinterpret_cast<sockaddr*>(&address), &size) == 0)
      ports[i] = ntohs(address.sin_port);
  }
  for (const int fd : sockets) ::close(fd);
  return {ports[0], ports[1]};
}

bool answers(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return connected;
}

// "3.6" of "etcd Version: 3.6.16"; empty if it does not say.
std::string version_of(const std::string& program) {
  std::string said;
  if (FILE* pipe = ::popen(("'" + program + "' --version 2>/dev/null").c_str(), "r")) {
    char bytes[4096];
    said.assign(bytes, ::fread(bytes, 1, sizeof bytes, pipe));
    ::pclose(pipe);
  }
  const std::string label = "etcd Version: ";
  const auto at = said.find(label);
  if (at == std::string::npos) return {};
  const auto begin = at + label.size();
  return said.substr(begin, said.find('.', said.find('.', begin) + 1) - begin);
}

}  // namespace

Found find_servers() {
  Found found;
  const std::string rhino = RUSTERNETES_BINARY_DIR "/rhino";
  for (const bool has_tls : {false, true}) {
    const std::string name = has_tls ? "rhino over TLS" : "rhino";
    if (::access(rhino.c_str(), X_OK) == 0)
      found.kinds.push_back({name, rhino, true, has_tls});
    else
      found.missing.push_back({name, fmt::format("this build has no {}", rhino)});
  }
  const char* peers = std::getenv("PEERS");
  const std::string folder = peers ? peers : RUSTERNETES_SOURCE_DIR "/build/peers";
  const std::string built = folder + "/etcd", unpacked = folder + "/etcd-3.4", installed = "/usr/bin/etcd";
  for (const std::string& program : {built, ::access(unpacked.c_str(), X_OK) == 0 ? unpacked : installed}) {
    const bool is_packaged = program != built;
    const std::string name = is_packaged ? "packaged etcd" : "etcd";
    if (::access(program.c_str(), X_OK) != 0) {
      found.missing.push_back({name, fmt::format("there is no {}", program)});
    } else if (const auto version = version_of(program); version.empty()) {
      found.missing.push_back({name, fmt::format("{} does not tell its version", program)});
    } else {
      // The one over TLS, the other plain, so that both ways are gone with the real thing.
      found.kinds.push_back({name + " " + version, program, false, !is_packaged});
    }
  }
  return found;
}

const Certificates& Certificates::get() {
  static const Certificates made = [] {
    const auto now = Clock::system().now();
    const auto authority = *certs::make_authority({.common_name = "ca"}, now);
    certs::LeafRequest server, client;
    server.common_name = "server";
    server.ip_addresses = {"127.0.0.1"};
    server.is_server = server.is_client = true;  // etcd's gateway to itself is a client
    client.common_name = "client";
    client.is_client = true;
    const auto server_pair = *certs::issue(authority, server, now),
               client_pair = *certs::issue(authority, client, now);
    return Certificates{authority.certificate_pem, server_pair.certificate_pem, server_pair.key_pem,
                        client_pair.certificate_pem, client_pair.key_pem};
  }();
  return made;
}

Server::Server(ServerKind kind) : kind_(std::move(kind)) {
  // etcd writes 64 MB ahead at each start, and waits for the disk often: not what these tests are about.
  const std::filesystem::path memory = "/dev/shm";
  const bool is_in_memory = !kind_.is_rhino && ::access(memory.c_str(), W_OK) == 0;
  std::string name =
      ((is_in_memory ? memory : std::filesystem::temp_directory_path()) / "etcd-server-XXXXXX").string();
  folder_ = ::mkdtemp(name.data());
  if (!kind_.has_tls) return;
  const auto write = [&](const char* file, const std::string& text) {
    std::ofstream(folder_ / file) << text;
  };
  const auto& certificates = Certificates::get();
  write("ca.crt", certificates.ca_pem);
  write("server.crt", certificates.server_pem);
  write("server.key", certificates.server_key_pem);
}

Server::~Server() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::vector<std::string> Server::arguments() const {
  const std::string client = fmt::format("{}://127.0.0.1:{}", kind_.has_tls ? "https" : "http", client_port_),
                    peer = fmt::format("http://127.0.0.1:{}", peer_port_);
  std::vector<std::string> out = {kind_.program,
                                  "--data-dir",
                                  folder_ / "data",
                                  "--listen-client-urls",
                                  client,
                                  "--advertise-client-urls",
                                  client,
                                  "--listen-peer-urls",
                                  peer,
                                  "--initial-advertise-peer-urls",
                                  peer,
                                  "--initial-cluster",
                                  "default=" + peer};
  if (kind_.has_tls)
    for (const std::string& word :
         {std::string("--cert-file"), (folder_ / "server.crt").string(), std::string("--key-file"),
          (folder_ / "server.key").string(), std::string("--trusted-ca-file"), (folder_ / "ca.crt").string(),
          std::string("--client-cert-auth")})
      out.push_back(word);
  // A member that is alone need not wait long for votes.
  if (!kind_.is_rhino)
    for (const char* word : {"--heartbeat-interval", "20", "--election-timeout", "200"})
      out.emplace_back(word);
  return out;
}

Result<void> Server::start() {
  Result<void> started;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const bool has_data = client_port_ != 0;
    if (!has_data) std::tie(client_port_, peer_port_) = free_ports();
    started = try_start();
    if (started) return started;
    kill();
    if (!has_data) client_port_ = 0;
  }
  return started;
}

Result<void> Server::try_start() {
  auto words = arguments();
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const std::string log = folder_ / "log";
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const int code = ::posix_spawn(&pid_, kind_.program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) {
    pid_ = -1;
    return errno_error("start " + kind_.program, code);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < end) {
    if (answers(client_port_)) return {};
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return internal_error(fmt::format("{} ended: {}", kind_.name, last_words()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return internal_error(fmt::format("{} does not answer: {}", kind_.name, last_words()));
}

void Server::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string Server::last_words() const {
  std::ifstream in(folder_ / "log");
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.size() > 600 ? text.substr(text.size() - 600) : text;
}

EtcdOptions Server::options() const {
  EtcdOptions options;
  options.servers = {fmt::format("{}://127.0.0.1:{}", kind_.has_tls ? "https" : "http", client_port_)};
  if (kind_.has_tls) {
    const auto& certificates = Certificates::get();
    options.ca_pem = certificates.ca_pem;
    options.certificate_pem = certificates.client_pem;
    options.key_pem = certificates.client_key_pem;
  }
  return options;
}

}  // namespace rusternetes::storage::etcd::testing
