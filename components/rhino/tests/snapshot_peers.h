#pragma once
// The real etcd, etcdctl and etcdutl of the folder $PEERS (default build/peers; scripts/peers makes them), as
// children.

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rusternetes::rhino::testing {

inline std::string peer(const std::string& name) {
  const char* folder = std::getenv("PEERS");
  return std::filesystem::path(folder ? folder : RUSTERNETES_SOURCE_DIR "/build/peers") / name;
}
inline bool has_peers() {
  for (const char* name : {"etcd", "etcdctl", "etcdutl"})
    if (::access(peer(name).c_str(), X_OK) != 0) return false;
  return true;
}

// Its output; throws what it printed if it fails.
inline std::string run_peer(const std::string& name, const std::vector<std::string>& words) {
  auto quoted = [](const std::string& word) {
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
  };
  std::string line = quoted(peer(name));
  for (const auto& word : words) line += " " + quoted(word);
  FILE* pipe = ::popen((line + " 2>/dev/null </dev/null").c_str(), "r");
  std::string out;
  char buffer[4096];
  while (const auto got = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  if (::pclose(pipe) != 0) throw std::runtime_error(line + ": " + out);
  return out;
}

// Two ports that were free a moment ago.
inline std::pair<int, int> free_ports() {
  int ports[2], sockets[2];
  for (int i = 0; i < 2; ++i) {
    sockets[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(sockets[i], reinterpret_cast<sockaddr*>(&address), size) != 0)
      throw std::runtime_error("no port");
    ::getsockname(sockets[i], reinterpret_cast<sockaddr*>(&address), &size);
    ports[i] = ::ntohs(address.sin_port);
  }
  for (const int socket : sockets) ::close(socket);
  return {ports[0], ports[1]};
}

// A single member; its folder is made anew, or was restored.
class Etcd {
 public:
  // Later flags go before earlier ones. Of several members none is healthy alone.
  explicit Etcd(const std::string& folder, const std::string& program = "etcd",
                const std::vector<std::string>& more = {}, bool waits = true) {
    const auto [client, peer_port] = free_ports();
    endpoint_ = fmt::format("127.0.0.1:{}", client);
    const std::string client_url = "http://" + endpoint_;
    std::vector<std::string> words{peer(program),
                                   "--data-dir=" + folder,
                                   "--listen-client-urls=" + client_url,
                                   "--advertise-client-urls=" + client_url,
                                   fmt::format("--listen-peer-urls=http://127.0.0.1:{}", peer_port),
                                   "--logger=zap",
                                   "--log-level=error"};
    words.insert(words.end(), more.begin(), more.end());
    pid_ = ::fork();
    if (pid_ == 0) {
      std::vector<char*> argv;
      for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      const int log = ::open((folder + ".log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(log, 1);
      ::dup2(log, 2);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    if (waits) wait_until_healthy();
  }
  Etcd(const Etcd&) = delete;
  ~Etcd() { stop(); }
  void stop(int signal = SIGTERM) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  std::string url() const { return "http://" + endpoint_; }
  std::string ctl(std::vector<std::string> words) const {
    words.insert(words.begin(), "--endpoints=" + endpoint_);
    return run_peer("etcdctl", words);
  }
  // Every key at a revision, as etcdctl's JSON has it, without the header; or that it is compacted.
  std::string range(std::int64_t revision) const {
    try {
      const auto json =
          ctl({"get", "--from-key", std::string(1, '\1'), "-w", "json", fmt::format("--rev={}", revision)});
      const auto at = json.find("\"kvs\"");
      return at == std::string::npos ? "empty" : json.substr(at);
    } catch (const std::runtime_error&) {
      return "refused";
    }
  }
  std::int64_t revision() const {
    const auto json = ctl({"endpoint", "status", "-w", "json"});
    return std::stoll(json.substr(json.find("\"revision\":") + 11));
  }

  // Only ours: another program may have taken the port first, and then this child ends.
  void wait_until_healthy() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0) throw std::runtime_error("etcd ended: see its log");
      try {
        ctl({"endpoint", "health"});
        if (::waitpid(pid_, nullptr, WNOHANG) == 0) return;
      } catch (const std::runtime_error&) {
        if (std::chrono::steady_clock::now() > deadline) throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

 private:
  std::string endpoint_;
  pid_t pid_ = 0;
};

}  // namespace rusternetes::rhino::testing
